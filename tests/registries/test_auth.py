"""Logins at a real registry: made by Headway, by skopeo and by docker, and what is said where they do not do.

Whatever happens, no secret is shown or written outside the file that is meant for it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.servers import DockerRegistry, docker_registry
from tests.fakes.token_server import token_server
from tests.faults.auth import Bearer
from tests.faults.registry import Registry
from tests.faults.tls import make_certificate

USER, PASSWORD = "me", "correct-horse-battery"
IMAGE = images.image([images.noise_layer(10_000)])


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """Debian's docker-registry, for one user only."""
    with docker_registry(tmp_path_factory.mktemp("private"), login=(USER, PASSWORD)) as running:
        running.push(IMAGE)
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture
def headway(tmp_path: Path, home: Path) -> Cli:
    return Cli(tmp_path / "root", {"HOME": str(home)})


def log_in(headway: Cli, host: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    return headway("login", "-u", USER, "--password-stdin", host, given=f"{password}\n")


def config(home: Path) -> Path:
    return home / ".docker" / "config.json"


def test_who_is_logged_in_can_pull(private: DockerRegistry, headway: Cli, home: Path) -> None:
    logged_in = log_in(headway, private.host)
    pulled = headway("pull", f"{private.host}/test/image")

    assert (logged_in.returncode, logged_in.stdout) == (0, "Login Succeeded\n")
    assert logged_in.stderr.splitlines() == [
        f"headway: warning: the password is stored unencrypted in {config(home)}; "
        "a credential helper (credsStore) avoids that"
    ]
    assert pulled.returncode == 0
    assert stat.S_IMODE(config(home).stat().st_mode) == 0o600


def test_a_login_leaves_the_rest_of_the_file_as_it_is(private: DockerRegistry, headway: Cli, home: Path) -> None:
    other = {"auth": base64.b64encode(b"a:b").decode()}
    before = {"HttpHeaders": {"X": "y"}, "auths": {"other.example": other}, "psFormat": "{{.ID}}"}
    real = home / "dotfiles.json"
    real.write_text(json.dumps(before))
    config(home).parent.mkdir()
    config(home).symlink_to(real)

    log_in(headway, private.host)
    after = json.loads(real.read_text())
    headway("logout", private.host)

    mine = {private.host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}
    assert after == {**before, "auths": {"other.example": other, **mine}}
    assert json.loads(real.read_text()) == before
    assert config(home).is_symlink()


def test_a_wrong_password_is_refused_and_not_saved(private: DockerRegistry, headway: Cli, home: Path) -> None:
    done = log_in(headway, private.host, "wrong-horse")

    assert done.returncode == 77
    assert done.stderr.splitlines()[0] == f"headway: {private.host}: unauthorized: incorrect username or password"
    assert not config(home).exists()


def test_without_a_login_a_private_image_is_refused_with_what_to_do(private: DockerRegistry, headway: Cli) -> None:
    done = headway("pull", f"{private.host}/test/image")

    assert done.returncode == 77
    assert "no basic auth credentials" in done.stderr
    assert done.stderr.endswith(f"headway login {private.host}\n")


def test_after_a_logout_nothing_is_left_to_pull_with(private: DockerRegistry, headway: Cli, home: Path) -> None:
    log_in(headway, private.host)

    first = headway("logout", private.host)
    second = headway("logout", private.host)
    pulled = headway("pull", f"{private.host}/test/image")

    assert first.stdout == f"Removing login credentials for {private.host}\n"
    assert second.stdout == f"Not logged in to {private.host}\n"
    assert json.loads(config(home).read_text()) == {"auths": {}}
    assert pulled.returncode == 77


def skopeo_login(private: DockerRegistry, home: Path) -> dict[str, str]:
    file = home / "auth.json"
    words = ["--authfile", str(file), "--tls-verify=false", "-u", USER, "--password-stdin", private.host]
    subprocess.run(["skopeo", "login", *words], input=PASSWORD, text=True, check=True, capture_output=True)
    return {"REGISTRY_AUTH_FILE": str(file)}


def podmans_place(private: DockerRegistry, home: Path) -> dict[str, str]:
    file = Path(skopeo_login(private, home)["REGISTRY_AUTH_FILE"])
    (home / "run" / "containers").mkdir(parents=True)
    shutil.move(file, home / "run" / "containers" / "auth.json")
    return {"XDG_RUNTIME_DIR": str(home / "run")}


@pytest.mark.parametrize("made", [skopeo_login, podmans_place])
def test_a_login_that_skopeo_made_is_good_here(private: DockerRegistry, headway: Cli, home: Path, made: object) -> None:
    assert callable(made)
    environment = made(private, home)

    pulled = Cli(headway.data_root, {**headway.environment, **environment})("pull", f"{private.host}/test/image")

    assert (pulled.returncode, pulled.stdout.split()[0]) == (0, f"{private.host}/test/image:latest")


def test_a_login_that_headway_made_is_good_for_skopeo(private: DockerRegistry, headway: Cli, home: Path) -> None:
    log_in(headway, private.host)

    inspected = subprocess.run(
        ["skopeo", "inspect", "--authfile", str(config(home)), "--tls-verify=false",
         f"docker://{private.host}/test/image"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (inspected.returncode, inspected.stderr) == (0, "")


def test_authfile_is_read_and_written_instead_of_all_others(
    private: DockerRegistry, headway: Cli, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "own.json"

    headway("login", "--authfile", file, "-u", USER, "--password-stdin", private.host, given=PASSWORD)
    without = headway("pull", f"{private.host}/test/image")
    with_it = headway("pull", "--authfile", file, f"{private.host}/test/image")

    assert (without.returncode, with_it.returncode) == (77, 0)
    assert not config(home).exists()


HELPER = """\
#!/bin/sh
# Keeps one login per server in a directory, as credential helpers do.
directory="$HOME/kept"
mkdir -p "$directory"
case "$1" in
store) cat >"$directory/new"; name=$(sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/' "$directory/new" | tr / _)
       mv "$directory/new" "$directory/$name" ;;
get)   read -r name || true; name=$(echo "$name" | tr / _)
       [ -f "$directory/$name" ] || { echo "credentials not found in native keychain"; exit 1; }
       cat "$directory/$name" ;;
erase) read -r name || true; rm -f "$directory/$(echo "$name" | tr / _)" ;;
esac
"""


@pytest.fixture
def helper(home: Path) -> dict[str, str]:
    """A credential helper that is installed; the environment in which it is found."""
    programs = home / "bin"
    programs.mkdir()
    (programs / "docker-credential-shelf").write_text(HELPER)
    (programs / "docker-credential-shelf").chmod(0o755)
    return {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_credential_helper_keeps_the_login(
    private: DockerRegistry, headway: Cli, home: Path, helper: dict[str, str], key: str
) -> None:
    content = {key: "shelf" if key == "credsStore" else {private.host: "shelf"}}
    config(home).parent.mkdir()
    config(home).write_text(json.dumps(content))
    here = Cli(headway.data_root, helper)

    logged_in = log_in(here, private.host)
    pulled = here("pull", f"{private.host}/test/image")
    saved = json.loads(config(home).read_text())
    logged_out = here("logout", private.host)
    refused = here("pull", f"{private.host}/test/image")

    assert (logged_in.returncode, logged_in.stderr) == (0, "")
    assert (pulled.returncode, refused.returncode) == (0, 77)
    assert saved == {**content, "auths": {private.host: {}}}
    assert logged_out.stdout == f"Removing login credentials for {private.host}\n"
    assert os.listdir(home / "kept") == []


def test_where_a_helper_is_not_installed_a_closed_registry_refuses_and_the_helper_is_named(
    private: DockerRegistry, headway: Cli, home: Path
) -> None:
    config(home).parent.mkdir()
    config(home).write_text(json.dumps({"credsStore": "nowhere"}))

    done = headway("pull", f"{private.host}/test/image")

    assert done.returncode == 77
    assert done.stderr.count("docker-credential-nowhere is not installed") == 1
    assert f"{private.host} is asked without that login" in done.stderr


def test_where_a_helper_is_not_installed_what_needs_no_login_is_pulled_with_a_warning(
    private: DockerRegistry, headway: Cli, home: Path, tmp_path: Path
) -> None:
    config(home).parent.mkdir()
    config(home).write_text(json.dumps({"credsStore": "nowhere"}))
    with (
        token_server(make_certificate(tmp_path), (USER, PASSWORD), anonymous=True) as tokens,
        docker_registry(tmp_path / "tokens", storage=private.storage, auth=tokens.configuration()) as registry,
    ):
        done = headway("pull", f"{registry.host}/test/image")

    assert done.returncode == 0
    assert done.stderr.count("headway: warning: docker-credential-nowhere is not installed") == 1


# --- tokens, at a real registry ---------------------------------------------------------------------------------


def test_a_token_is_good_for_what_a_real_registry_wants_and_no_more(
    private: DockerRegistry, headway: Cli, tmp_path: Path
) -> None:
    with (
        token_server(make_certificate(tmp_path), (USER, PASSWORD)) as tokens,
        docker_registry(tmp_path / "tokens", storage=private.storage, auth=tokens.configuration()) as registry,
    ):
        without = headway("pull", f"{registry.host}/test/image")
        wrong = log_in(headway, registry.host, "wrong-horse")
        logged_in = log_in(headway, registry.host)
        pulled = headway("pull", f"{registry.host}/test/image")

    assert [each.returncode for each in (without, wrong, logged_in, pulled)] == [77, 77, 0, 0]
    assert "unauthorized: incorrect username or password" in wrong.stderr
    assert tokens.scopes == ["repository:test/image:pull", "", "", "repository:test/image:pull"]


# --- tokens, from the scripted registry -------------------------------------------------------------------------


def test_an_identity_token_is_saved_instead_of_the_password(headway: Cli, home: Path) -> None:
    auth = Bearer(user=USER, password=PASSWORD, identity_token="one-to-renew")
    with Registry([IMAGE], auth=auth) as registry:
        logged_in = log_in(headway, registry.host)
        pulled = headway("pull", f"{registry.host}/test/image")
        auth.identity_token = "another"
        headway("rmi", f"{registry.host}/test/image")
        expired = headway("pull", f"{registry.host}/test/image")
        asked = [line.method for line in registry.requests("token")]

    entry = json.loads(config(home).read_text())["auths"][registry.host]
    assert (logged_in.returncode, pulled.returncode) == (0, 0)
    assert entry == {"auth": base64.b64encode(f"{USER}:".encode()).decode(), "identitytoken": "one-to-renew"}
    assert asked[:2] == ["GET", "POST"]
    assert expired.returncode == 77
    assert "the saved login has expired, or was revoked" in expired.stderr


def test_a_wrong_password_at_a_token_server_is_refused(headway: Cli) -> None:
    with Registry([IMAGE], auth=Bearer(user=USER, password=PASSWORD)) as registry:
        done = log_in(headway, registry.host, "wrong-horse")

    assert done.returncode == 77
    assert done.stderr.splitlines()[0] == f"headway: {registry.host}: unauthorized: incorrect username or password"


def test_a_saved_password_that_has_changed_is_refused(headway: Cli) -> None:
    auth = Bearer(user=USER, password=PASSWORD)
    with Registry([IMAGE], auth=auth) as registry:
        log_in(headway, registry.host)
        auth.password = "another"

        done = headway("pull", f"{registry.host}/test/image")

    assert done.returncode == 77
    assert "unauthorized: incorrect username or password" in done.stderr


@pytest.mark.parametrize("right", [True, False])
def test_no_secret_is_ever_shown_or_kept_elsewhere(headway: Cli, home: Path, *, right: bool) -> None:
    auth = Bearer(user=USER, password=PASSWORD, identity_token="one-to-renew")
    secrets = [PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(), "one-to-renew"]
    with Registry([IMAGE], auth=auth) as registry:
        said = [log_in(headway, registry.host)]
        if not right:
            auth.identity_token = "another"
        said += [
            headway("-D", *words)
            for words in (
                ("pull", "--progress", "json", f"{registry.host}/test/image"),
                ("pull", f"{registry.host}/test/nothing"),
                ("login", "-u", USER, "-p", PASSWORD, registry.host),
                ("login", "-u", USER, f"--password={PASSWORD}", registry.host),
                ("login", f"https://{USER}:{PASSWORD}@{registry.host}"),
            )
        ]
        secrets += list(auth._tokens)
        where = [path for path in headway.data_root.rglob("*") if path.is_file()]

    assert where
    assert [each.returncode for each in said][:2] == ([0, 0] if right else [0, 77])
    for secret in secrets:
        assert all(secret not in each.stdout + each.stderr for each in said)
        assert all(secret.encode() not in path.read_bytes() for path in where)
