"""Auth files and credential helpers, as docker, podman and skopeo read and write them."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import registry_host
from headway.errors import InvalidSettingError
from headway.registry.credential_helpers import CredentialHelper, SilentHelperError
from headway.registry.credentials import HUB_KEY, SILENT_SECONDS, AuthFiles
from headway.registry.logins import LoginFile
from tests.fakes.cli import Cli
from tests.fakes.nobody import as_nobody, home_of_nobody
from tests.faults.auth import Basic
from tests.faults.registry import Registry

USER, PASSWORD = "me", "correct-horse-battery"


class Shelf(CredentialHelper):
    """A helper that keeps its logins in memory.

    Args:
        name: Its name.
        kept: What it holds.
    """

    def __init__(self, name: str, kept: dict[str, tuple[str, str]]) -> None:
        super().__init__(name)
        self.kept = kept

    def get(self, server: str) -> tuple[str, str] | None:
        return self.kept.get(server)

    def store(self, server: str, user: str, secret: str) -> None:
        self.kept[server] = user, secret

    def erase(self, server: str) -> None:
        del self.kept[server]


def encoded(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(file: Path, document: object) -> Path:
    file.write_text(json.dumps(document))
    return file


# --- reading ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "user"),
    [
        ("quay.io/team/app", "app"),
        ("quay.io/team/app/more", "app"),
        ("quay.io/team/other", "team"),
        ("quay.io/teams", "host"),
        ("quay.io", "host"),
        ("registry-1.docker.io/library/alpine", "library"),
        ("registry-1.docker.io/other/alpine", "hub"),
        ("ghcr.io/team/app", None),
    ],
)
def test_the_longest_name_that_a_file_knows_decides(tmp_path: Path, resource: str, user: str | None) -> None:
    names = {"quay.io": "host", "quay.io/team": "team", "quay.io/team/app": "app", "docker.io/library": "library"}
    entries = {key: encoded(value, "p") for key, value in {**names, HUB_KEY: "hub"}.items()}

    found = AuthFiles([write(tmp_path / "auth.json", {"auths": entries})])(resource)

    assert (found.username if found else None) == user


def test_the_first_file_that_knows_decides_and_an_empty_entry_knows_nothing(tmp_path: Path) -> None:
    first = write(tmp_path / "1.json", {"auths": {"a.example": {}}})
    second = write(tmp_path / "2.json", {"auths": {"a.example": encoded("u", "p")}})

    assert AuthFiles([first, second])("a.example") == Credentials("u", "p")


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("a.example", Credentials("of-a", "p")),
        ("b.example", Credentials("", "", "renew")),
        ("registry-1.docker.io", Credentials("of-hub", "p")),
        ("c.example", Credentials("in-file", "p")),
        ("d.example", None),
    ],
)
def test_helpers_are_asked_before_the_file(tmp_path: Path, host: str, found: Credentials | None) -> None:
    shelves = {
        "one": Shelf("one", {"a.example": ("of-a", "p")}),
        "all": Shelf("all", {"b.example": ("<token>", "renew"), HUB_KEY: ("of-hub", "p"), "a.example": ("x", "x")}),
    }
    document = {
        "credHelpers": {"a.example": "one"},
        "credsStore": "all",
        "auths": {"a.example": encoded("y", "y"), "c.example": encoded("in-file", "p")},
    }

    assert AuthFiles([write(tmp_path / "auth.json", document)], shelves.__getitem__)(host) == found


def test_a_helper_that_cannot_answer_is_warned_of_once_and_what_else_is_known_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(CredentialHelper):
        def get(self, server: str) -> tuple[str, str] | None:
            raise InvalidSettingError("the keychain is locked")

    first = write(tmp_path / "1.json", {"credsStore": "broken", "auths": {"a.example": encoded("u", "p")}})
    second = write(tmp_path / "2.json", {"auths": {"b.example": encoded("v", "p")}})
    known = AuthFiles([first, second], Broken)

    found = [known(host) for host in ("a.example", "b.example", "c.example")]

    assert found == [Credentials("u", "p"), Credentials("v", "p"), None]
    assert caplog.messages == ["the keychain is locked; a.example is asked without that login"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
def test_a_file_of_logins_that_this_user_may_not_look_at_is_named() -> None:
    with home_of_nobody() as home:
        file = home / "closed" / "auth.json"
        file.parent.mkdir(mode=0o700)
        file.write_text("{}")
        with as_nobody(), pytest.raises(InvalidSettingError, match=f"cannot read {file}: Permission denied"):
            AuthFiles([file])("a.example")


def test_whoever_names_a_file_of_logins_that_is_not_there_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    named = AuthFiles([tmp_path / "none.json"])
    usual = AuthFiles([tmp_path / "none.json", tmp_path / "none-either.json"])

    found = [source(host) for source in (named, usual) for host in ("a.example", "b.example/team")]

    assert found == [None] * 4
    assert caplog.messages == [f"there is no auth file {tmp_path}/none.json; a.example is asked without that login"]


# --- writing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "entry"),
    [
        (Credentials("u", "p"), encoded("u", "p")),
        (Credentials("u", "", "renew"), {**encoded("u", ""), "identitytoken": "renew"}),
    ],
)
@pytest.mark.parametrize(("host", "key"), [("a.example:5000", "a.example:5000"), ("docker.io", HUB_KEY)])
def test_a_login_is_written_as_docker_writes_it_and_read_again(
    tmp_path: Path, host: str, key: str, credentials: Credentials, entry: dict[str, str]
) -> None:
    file = tmp_path / "new" / "config.json"

    LoginFile(file).save(host, credentials)

    assert json.loads(file.read_text()) == {"auths": {key: entry}}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file.parent, file)] == [0o700, 0o600]
    assert os.listdir(file.parent) == ["config.json"]
    assert AuthFiles([file])(host) == credentials


def test_logins_that_are_saved_at_once_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    hosts = [f"registry{number}.test" for number in range(16)]

    with ThreadPoolExecutor(len(hosts)) as threads:
        list(threads.map(lambda host: LoginFile(file).save(host, Credentials("user", "pass")), hosts))

    assert sorted(json.loads(file.read_bytes())["auths"]) == sorted(hosts)


def test_a_login_does_not_wait_for_ever_where_somebody_else_has_locked_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.registry.logins._LOCK_SECONDS", 0.05)
    elsewhere = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(elsewhere, fcntl.LOCK_EX)

    LoginFile(tmp_path / "config.json").save("registry.test", Credentials("user", "pass"))
    os.close(elsewhere)

    assert "registry.test" in json.loads((tmp_path / "config.json").read_bytes())["auths"]


def test_a_file_stays_its_owners_whoever_logs_in(tmp_path: Path) -> None:
    file = write(tmp_path / "config.json", {})
    if os.geteuid() == 0:  # as with sudo, which leaves $HOME as it was
        os.chown(file, 1234, 4321)
    before = file.stat()

    LoginFile(file).save("reg.example", Credentials(USER, PASSWORD))

    assert (file.stat().st_uid, file.stat().st_gid) == (before.st_uid, before.st_gid)


def test_a_helper_keeps_an_identity_token_under_its_own_name(tmp_path: Path) -> None:
    shelf = Shelf("all", {})
    file = LoginFile(write(tmp_path / "config.json", {"credsStore": "all"}), lambda _: shelf)

    file.save("a.example", Credentials("u", "", "renew"))

    assert shelf.kept == {"a.example": ("<token>", "renew")}
    assert "renew" not in file.path.read_text()


def test_a_logout_takes_every_name_of_docker_hub_and_leaves_repositories(tmp_path: Path) -> None:
    entry = encoded("u", "p")
    gone = {HUB_KEY: entry, "docker.io": entry, "https://registry-1.docker.io/v2/": entry}
    file = LoginFile(write(tmp_path / "config.json", {"auths": {**gone, "docker.io/team": entry, "a.example": entry}}))

    assert file.remove("docker.io")
    assert not file.remove("docker.io")
    assert list(json.loads(file.path.read_text())["auths"]) == ["docker.io/team", "a.example"]


def test_a_logout_takes_from_a_helper_what_a_pull_would_find_there(tmp_path: Path) -> None:
    shelf = Shelf("all", {"a.example": ("u", "p"), "https://a.example": ("u", "p"), "b.example": ("u", "p")})
    path = write(tmp_path / "config.json", {"credsStore": "all"})

    assert LoginFile(path, lambda _: shelf).remove("a.example")
    assert AuthFiles([path], lambda _: shelf)("a.example") is None
    assert list(shelf.kept) == ["b.example"]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidSettingError, match=r"cannot write .*; --authfile names another place"):
        LoginFile(tmp_path / "file" / "config.json").save("a.example", Credentials("u", "p"))


@pytest.mark.parametrize(
    ("server", "host"),
    [
        (None, "docker.io"),
        ("", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("https://a.example:5000/v2/", "a.example:5000"),
        ("http://[::1]:5000", "[::1]:5000"),
    ],
)
def test_a_registry_is_named_by_its_host_or_a_url(server: str | None, host: str) -> None:
    assert registry_host(server) == host


class Silent(CredentialHelper):
    """A helper that never answers, and counts who waits for it."""

    asked = 0

    def get(self, server: str) -> tuple[str, str] | None:
        self.asked += 1
        raise SilentHelperError(f"{server}: no answer")


def test_a_helper_that_does_not_answer_is_asked_again_after_a_while_only(tmp_path: Path) -> None:
    now, helper = [0.0], Silent("silent")
    file = write(tmp_path / "config.json", {"credsStore": "silent", "auths": {"a.example": encoded("u", "p")}})
    source = AuthFiles([file], lambda _: helper, lambda: now[0])

    found = [source("a.example"), source("a.example/team"), source("b.example")]
    at_once = helper.asked
    now[0] = SILENT_SECONDS
    source("a.example")

    assert found == [Credentials("u", "p"), Credentials("u", "p"), None]
    assert (at_once, helper.asked) == (1, 2)


# --- the helpers' protocol --------------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A helper called ``test``; PATH is what the protocol finds it by."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "docker-credential-test"


def behaves(script: Path, body: str) -> CredentialHelper:
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return CredentialHelper("test")


def test_a_helper_is_asked_on_stdin_and_answers_on_stdout(script: Path) -> None:
    helper = behaves(
        script,
        """read -r s || true; echo "{\\"ServerURL\\":\\"$s\\",\\"Username\\":\\"$1\\",\\"Secret\\":\\"$s\\"}" """,
    )

    assert helper.get("a.example") == ("get", "a.example")


def test_a_helper_that_knows_no_login_says_so(script: Path) -> None:
    helper = behaves(script, "echo 'credentials not found in native keychain'; exit 1")

    assert helper.get("a.example") is None
    helper.erase("a.example")


def test_half_a_character_that_a_helper_gives_is_read_as_go_reads_it(script: Path) -> None:
    helper = behaves(script, """echo '{"Username": "me", "Secret": "\\ud800x"}'""")

    assert helper.get("a.example") == ("me", "\ufffdx")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo 'the keyring is locked'; exit 1", "docker-credential-test get: the keyring is locked"),
        ("exit 1", "docker-credential-test get: it fails and does not say why"),
        (f"echo {PASSWORD}", "docker-credential-test get: its answer is not a login"),
        ("printf '[%.0s' $(seq 50000)", "docker-credential-test get: its answer is not a login"),
        (
            f"""echo '{{"Username": 5, "Secret": "{PASSWORD}"}}'""",
            "docker-credential-test get: its answer is not a login",
        ),
        (f"echo {PASSWORD} >&2; exit 1", "docker-credential-test get: it fails and does not say why"),
        (
            f"""echo '{{"ServerURL":"a.example","Username":"me","Secret":"{PASSWORD}"}}'; exit 1""",
            "docker-credential-test get: it fails, and prints a login",
        ),
        (
            f"echo 'cannot use {{ServerURL:a.example Username:me Secret:{PASSWORD}}}'; exit 1",
            "docker-credential-test get: it fails, and prints a login",
        ),
        (
            "echo 'secret service: the name was not provided'; exit 1",
            "docker-credential-test get: secret service: the name was not provided",
        ),
    ],
)
def test_a_helper_that_fails_is_named_without_a_secret(script: Path, body: str, said: str) -> None:
    helper = behaves(script, body)

    with pytest.raises(InvalidSettingError) as caught:
        helper.get("a.example")

    assert str(caught.value) == said


def test_a_helper_that_repeats_what_it_cannot_store_is_not_quoted(script: Path) -> None:
    helper = behaves(script, f"echo 'cannot store {PASSWORD}'; exit 1")

    with pytest.raises(InvalidSettingError) as caught:
        helper.store("a.example", USER, PASSWORD)

    assert str(caught.value) == "docker-credential-test store: it fails, and prints a login"


@pytest.mark.parametrize("name", ["", "../evil", "a b", "a/b"])
def test_a_helper_has_a_name_that_cannot_lead_elsewhere(name: str) -> None:
    with pytest.raises(InvalidSettingError, match="not the name of a credential helper"):
        CredentialHelper(name)


# --- on a terminal ----------------------------------------------------------------------------------------------


def test_on_a_terminal_user_and_password_are_asked_for_and_the_password_is_not_echoed(tmp_path: Path) -> None:
    with Registry([], auth=Basic(USER, PASSWORD)) as registry:
        process, main = login_on_a_terminal(registry.host, home=tmp_path)
        shown = read_until(main, "Username: ")
        os.write(main, f"{USER}\n".encode())
        shown += read_until(main, "Password: ")
        os.write(main, f"{PASSWORD}\n".encode())
        shown += read_until(main, "Login Succeeded")
        status = process.wait(timeout=30)
        os.close(main)

    assert status == 0
    assert PASSWORD not in shown


@pytest.mark.parametrize("answers", [["\x04"], ["\n"], ["user\n", "\x04"], ["user\n", "\n"]])
def test_a_question_that_is_not_answered_ends_the_login(tmp_path: Path, answers: list[str]) -> None:
    process, main = login_on_a_terminal("127.0.0.1:1", home=tmp_path)
    for question, answer in zip(("Username: ", "Password: "), answers, strict=False):
        read_until(main, question)
        os.write(main, answer.encode())
    said = read_until(main, "--help")
    status = process.wait(timeout=30)
    os.close(main)

    assert status == 2
    assert "\nheadway: user and password must not be empty\r\n" in said


def login_on_a_terminal(host: str, *, home: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start a login; return its process, and the terminal's other side."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "headway", "login", host],
        stdin=side, stdout=side, stderr=side, start_new_session=True,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(Path("src").absolute())},
    )  # fmt: skip
    os.close(side)
    return process, main


def read_until(terminal: int, text: str) -> str:
    shown = ""
    while text not in shown:
        shown += os.read(terminal, 4096).decode()
    return shown


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (["--password-stdin"], "p", "--password-stdin needs --username"),
        (["-u", "u", "--password-stdin"], "", "user and password must not be empty"),
        (["-u", "u:v", "--password-stdin"], "p", "a user's name cannot hold a colon"),
        (["-u", "u", "--password-stdin"], "p\udce4ss", "user and password must be UTF-8"),
        (["-u", "\udcff", "--password-stdin"], "p", "user and password must be UTF-8"),
        (["-u", "u"], "", "there is no terminal to ask on: use --username and --password-stdin"),
        (["-u", "u", "-p", PASSWORD], "", "a password on the command line can be seen by everybody"),
    ],
)
def test_a_login_that_lacks_something_is_refused_before_anybody_is_asked(
    tmp_path: Path, words: list[str], given: str, said: str
) -> None:
    done = Cli(tmp_path / "root")("login", *words, "127.0.0.1:1", given=given)

    assert done.returncode == 2
    assert said in done.stderr
    assert PASSWORD not in done.stderr
