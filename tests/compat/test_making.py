"""Import, export and commit as users run them, on a store alone and through a daemon; and their routes."""

from __future__ import annotations

import base64
import gzip
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from headway.layers.drivers import mounts
from headway.layers.tar.entry import Entry
from headway.layers.tar.reader import TarReader
from tests.fakes.archives import files_of
from tests.fakes.cli import Cli
from tests.fakes.daemon import Answer, Daemon, daemon
from tests.fakes.nobody import UID, home_of_nobody
from tests.fakes.tars import END, file, header, padded
from tests.fakes.tars import tar as tar_of
from tests.fakes.waiting import wait_until
from tests.fakes.web import Web, serving

TAR = (
    header(b"etc/", kind=b"5", mode=0o755)
    + header(b"etc/motd", size=5)
    + padded(b"hello")
    + header(b"etc/issue", kind=b"2", linkname=b"motd")
    + END
)


@pytest.fixture(scope="module")
def running() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="hw") as place:  # short: a socket lies there
        with daemon(Path(place)) as running:
            yield running
            assert running.bugs == []
        unmount_below(Path(place))


@pytest.fixture(params=["alone", "daemon"])
def headway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cli]:
    if request.param == "daemon":
        yield Cli(request.getfixturevalue("running").data_root)
        return
    yield Cli(tmp_path / "root")
    unmount_below(tmp_path)


def unmount_below(place: Path) -> None:
    for mounted in sorted(mounts.ours(), reverse=True):
        if mounted.startswith(f"{place}/"):
            mounts.unmount(mounted)


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar.gz"
    path.write_bytes(gzip.compress(TAR))
    return path


def inspected(headway: Cli, name: str) -> dict[str, Any]:
    (document,) = json.loads(headway("inspect", name).stdout)
    return dict(document)


def container_of(headway: Cli, image: str) -> tuple[str, Path]:
    """Make a container; return its name, and where its files are."""
    done = headway("mount", "--read-write", image)
    return done.stderr.split("container ")[1].split()[0], Path(done.stdout.strip())


def names_in(archive: bytes) -> dict[bytes, Entry]:
    reader = TarReader(iter([archive]))
    return {entry.name: entry for entry in iter(reader.next, None)}


# --- the command ---------------------------------------------------------------------------------------------------


def test_a_file_becomes_an_image(headway: Cli, tar: Path) -> None:
    done = headway(
        "import", "-m", "why", "-c", 'CMD ["run"]', "--change", "ENV A=b", "--platform", "arm64", tar, "app:1"
    )

    assert (done.returncode, done.stderr) == (0, "")
    found = inspected(headway, "app:1")
    assert found["Id"] == done.stdout.strip()
    assert (found["Comment"], found["Config"]["Cmd"], found["Config"]["Env"]) == ("why", ["run"], ["A=b"])
    assert (found["Os"], found["Architecture"], found["Size"]) == ("linux", "arm64", 9)


def test_so_does_what_comes_on_stdin(headway: Cli) -> None:
    done = headway("import", "-", "from:stdin", given=TAR.decode("latin-1"))

    assert (done.returncode, done.stderr) == (0, "")
    assert inspected(headway, "from:stdin")["Comment"] == "Imported from -"


def test_and_what_a_web_server_has(headway: Cli) -> None:
    with serving(Web(gzip.compress(TAR))) as web:
        done = headway("import", web.url, "from:web")

    assert (done.returncode, done.stderr) == (0, f"headway: Downloading from {web.url}\n")
    assert inspected(headway, "from:web")["Comment"] == f"Imported from {web.url}"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("-c", "RUN x"), 2, "headway: run is not a valid change command"),
        (("--platform", "windows/amd64"), 1, "headway: operating system is not supported"),
    ],
)
def test_a_mistake_is_told_in_docker_s_words(
    tmp_path: Path, tar: Path, words: tuple[str, ...], status: int, message: str
) -> None:
    done = Cli(tmp_path / "root")("import", *words, tar)

    assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (status, "", message)


def test_what_is_no_archive_is_told_and_not_listed(headway: Cli, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive " * 400)

    done = headway("import", tmp_path / "text", "broken:1")

    assert done.returncode == 1
    assert "headway: broken layer" in done.stderr
    assert headway("images", "-q", "broken").stdout == ""


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = Cli(tmp_path / "root")("import", "/nowhere.tar")

    assert (done.returncode, "/nowhere.tar" in done.stderr) == (1, True)


def test_an_owner_whom_a_user_namespace_does_not_have_is_not_the_images_fault(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of(file("etc/a", uid=1000, gid=1000)))

    done = Cli(tmp_path / "root", before=("unshare", "--user", "--map-root-user"))("import", tmp_path / "a.tar")

    assert done.returncode == 1
    assert done.stderr.startswith("headway: 'etc/a' belongs to 1000:1000, whom the user namespace of this process does")
    assert "\nnext: give that namespace more IDs (/etc/subuid" in done.stderr


@pytest.mark.parametrize("words", [("import",), ("load", "-i")], ids=["import", "load"])
def test_what_a_disk_does_not_give_back_is_neither_the_daemons_fault_nor_the_data_roots(
    headway: Cli, words: tuple[str, ...]
) -> None:
    done = headway(*words, "/proc/self/mem")  # it is there, and its first page is not: EIO

    assert done.returncode == 1
    assert done.stderr.startswith(("headway: /proc/self/mem: Input/", "headway: cannot read the archive: Input/"))


def test_a_container_is_exported_and_imported(headway: Cli, tar: Path, tmp_path: Path) -> None:
    headway("import", tar, "base:1")
    name, root = container_of(headway, "base:1")
    (root / "new").write_text("fresh")
    (root / "etc/issue").unlink()

    exported = headway("export", "-o", tmp_path / "out.tar", name)
    imported = headway("import", tmp_path / "out.tar", "copy:1")

    entries = names_in((tmp_path / "out.tar").read_bytes())
    assert (exported.returncode, imported.returncode) == (0, 0)
    assert {b"etc/motd", b"new"} <= set(entries)
    assert b"etc/issue" not in entries
    size = sum(entry.size + len(entry.linkname) for entry in entries.values())
    assert inspected(headway, "copy:1")["Size"] == size


def test_an_export_of_nothing_leaves_no_file(headway: Cli, tmp_path: Path) -> None:
    done = headway("export", "-o", tmp_path / "out.tar", "nobody")

    assert (done.returncode, list(tmp_path.glob("*out.tar*"))) == (1, [])
    assert done.stderr.lower().startswith("headway: no such container: nobody")


def test_a_container_becomes_an_image(headway: Cli, tar: Path) -> None:
    headway("import", "-c", "CMD run", "-c", "ENV A=b", "-c", "LABEL l=m", tar, "base:2")
    name, root = container_of(headway, "base:2")
    (root / "new").write_text("fresh")

    done = headway("commit", "-a", "me", "-m", "why", "-c", "USER app", name, "made:1")

    assert (done.returncode, done.stderr) == (0, "")
    found = inspected(headway, "made:1")
    assert (found["Id"], found["Author"], found["Comment"]) == (done.stdout.strip(), "me", "why")
    assert found["Parent"] == inspected(headway, "base:2")["Id"]
    assert (found["Config"]["User"], found["Size"]) == ("app", 9 + len("fresh"))
    assert [found["Config"][key] for key in ("Cmd", "Env", "Labels")] == [["/bin/sh", "-c", "run"], ["A=b"], {"l": "m"}]


@pytest.mark.skipif(os.geteuid() != 0, reason="a copy does not tell what was written")
def test_a_commit_has_what_was_written_though_size_and_time_are_as_before(headway: Cli, tar: Path) -> None:
    headway("import", tar, "base:3")
    name, root = container_of(headway, "base:3")
    status = (root / "etc/motd").stat()
    written = (root / "etc/motd").read_bytes().swapcase()
    (root / "etc/motd").write_bytes(written)
    os.utime(root / "etc/motd", ns=(status.st_atime_ns, status.st_mtime_ns))

    headway("commit", name, "made:3")

    _, again = container_of(headway, "made:3")
    assert (again / "etc/motd").read_bytes() == written


def test_without_root_what_is_new_is_roots_and_what_cannot_be_shown_is_not_committed(tmp_path: Path) -> None:
    owned = header(b"srv/", kind=b"5", mode=0o755, uid=7) + header(b"etc/", kind=b"5", mode=0o755) + END
    with home_of_nobody() as home:
        (home / "base.tar").write_bytes(owned)
        (home / "daemon.json").write_text('{"storage-driver": "vfs"}')
        headway = Cli(home / "root", uid=UID)
        vfs: list[str | Path] = ["--config-file", home / "daemon.json"]
        assert headway(*vfs, "import", home / "base.tar", "base:1").returncode == 0
        done = headway(*vfs, "mount", "--read-write", "base:1")
        name, root = done.stderr.split("container ")[1].split()[0], Path(done.stdout.strip())

        _written_by(UID, root / "etc" / "new")
        committed = headway(*vfs, "commit", name, "made:1")
        saved = headway(*vfs, "save", "-o", home / "out.tar", "made:1")
        _written_by(UID, root / "srv" / "new")
        refused = headway(*vfs, "commit", name, "made:2")
        archive = (home / "out.tar").read_bytes()

    assert (committed.returncode, saved.returncode) == (0, 0), (committed.stderr, saved.stderr)
    layers = [names_in(data) for name, data in files_of(archive).items() if data[257:262] == b"ustar"]
    assert [(layer[b"etc/new"].uid, layer[b"etc/new"].gid) for layer in layers if b"etc/new" in layer] == [(0, 0)]
    assert (refused.returncode, "cannot commit /srv: " in refused.stderr) == (1, True)


def _written_by(user: int, path: Path) -> None:
    path.write_text("fresh")
    os.chown(path, user, user)


def test_a_stopped_import_from_the_web_says_what_is_kept_and_goes_on(tmp_path: Path) -> None:
    headway = Cli(tmp_path / "root")
    body = os.urandom(3 << 20)
    with serving(
        Web(header(b"body", size=len(body)) + padded(body) + END, cut_after=1 << 20, status_after_cut=503)
    ) as web:
        process = headway.start("import", web.url, "big:1")
        wait_until(lambda: web.status != 200)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        web.status, web.cut_after = 200, 0
        again = headway("import", web.url, "big:1")

        assert process.returncode == 130
        assert "kept; the same command goes on from there" in said
        assert (again.returncode, web.sent) == (0, len(web.data))


def test_an_import_from_the_web_that_fails_says_why(tmp_path: Path) -> None:
    headway = Cli(tmp_path / "root")
    with serving(Web(TAR, status=404)) as web:
        refused = headway("import", web.url, "big:1")
    with serving(Web(b"no tar")) as web:
        broken = headway("import", web.url, "big:1")

    assert (refused.returncode, broken.returncode) == (1, 1)
    assert " with status 404 " in refused.stderr.splitlines()[0]
    assert "broken layer near byte 6 of its tar" in broken.stderr


def test_a_killed_import_leaves_nothing_and_can_be_done_again(tmp_path: Path) -> None:
    headway = Cli(tmp_path / "root")
    body = bytes(4 << 20)
    tar = header(b"body", size=len(body)) + padded(body) + END
    process = headway.start("import", "-", "big:1", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(tar[: len(tar) // 2].decode())
    process.stdin.flush()
    time.sleep(0.5)

    process.kill()
    process.communicate()

    assert headway("images", "-aq").stdout == ""
    again = headway("import", "-", "big:1", given=tar.decode("latin-1"))
    assert (again.returncode, again.stderr) == (0, "")
    assert list((headway.data_root / "tmp").iterdir()) == []
    assert len(list((headway.data_root / "trees").iterdir())) == 1


# --- the routes ----------------------------------------------------------------------------------------------------


def posted(running: Daemon, path: str, body: bytes | None = None, *, kind: str = "", **query: Any) -> Answer:  # noqa: ANN401
    headers = {"Content_Type": kind} if kind else {}
    return running.ask("POST", f"{path}?{urlencode(query, doseq=True)}", body=body, **headers)


def made(running: Daemon, name: str, *changes: str) -> str:
    answer = posted(running, "/images/create", TAR, fromSrc="-", repo=name, changes=changes)
    return str(json.loads(answer.body)["status"])


def created(running: Daemon, image: str, **config: object) -> str:
    body = json.dumps({"Image": image, "Cmd": ["x"], **config}).encode()
    return str(
        json.loads(running.ask("POST", "/containers/create", body=body, Content_Type="application/json").body)["Id"]
    )


@pytest.mark.parametrize("kind", ["application/x-tar", "application/x-www-form-urlencoded", ""])
def test_an_import_answers_with_one_line(running: Daemon, kind: str) -> None:
    answer = posted(running, "/v1.41/images/create", gzip.compress(TAR), kind=kind, fromSrc="-", repo="line", tag="1")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (
        answer.body
        == json.dumps({"status": json.loads(answer.body)["status"]}, separators=(",", ":")).encode() + b"\r\n"
    )
    assert json.loads(running.ask("GET", "/images/line:1/json").body)["Id"] == json.loads(answer.body)["status"]


@pytest.mark.parametrize(
    ("query", "body", "status", "message"),
    [
        ({"repo": "UPPER"}, TAR, 400, "invalid reference format"),
        ({"changes": "RUN x"}, TAR, 400, "run is not a valid change command"),
        ({"changes": ""}, TAR, 400, "file with no instructions"),
        ({"platform": "windows/amd64"}, TAR, 400, "operating system is not supported"),
        ({}, b"no archive" * 99, 400, "broken layer"),
        ({}, TAR[:700], 400, "broken layer"),
    ],
)
def test_an_import_that_cannot_be_is_an_http_error(
    running: Daemon, query: dict[str, str], body: bytes, status: int, message: str
) -> None:
    before = json.loads(running.ask("GET", "/images/json?all=1").body)

    answer = posted(running, "/images/create", body, fromSrc="-", **query)

    assert (answer.status, json.loads(answer.body)["message"][: len(message)]) == (status, message)
    assert json.loads(running.ask("GET", "/images/json?all=1").body) == before


def form(running: Daemon, path: str, body: str) -> Answer:
    return running.ask("POST", path, body=body.encode(), Content_Type="application/x-www-form-urlencoded; charset=x")


def test_parameters_may_come_in_a_form_and_win_there(running: Daemon) -> None:
    posted(running, "/images/create", TAR, fromSrc="-", repo="formed")

    tagged = form(running, "/images/formed/tag?repo=formed&tag=query", "tag=form&repo=formed")
    refused = form(running, "/images/formed/tag?repo=formed", "tag=b%zz")
    pulled = form(running, "/images/create", "fromImage=UPPER")
    too_long = form(running, "/images/formed/tag?repo=formed", f"tag={'t' * 70_000}")

    assert (tagged.status, running.ask("GET", "/images/formed:form/json").status) == (201, 200)
    assert running.ask("GET", "/images/formed:query/json").status == 404
    assert (refused.status, refused.json["message"]) == (400, 'invalid URL escape "%zz"')
    assert (pulled.status, pulled.json["message"][:24]) == (400, "invalid reference format")
    assert (too_long.status, too_long.json["message"]) == (400, "the body is longer than 65536 bytes")


def test_an_import_from_the_web_tells_dockers_lines(running: Daemon) -> None:
    with serving(Web(TAR)) as web:
        answer = posted(running, "/images/create", fromSrc=web.url.removeprefix("http://"), repo="web")

    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert lines[0] == {"status": f"Downloading from {web.url}"}
    assert lines[-1]["status"].startswith("sha256:")
    assert {(line["status"], "id" in line) for line in lines[1:-1]} == {("Importing", False)}


@pytest.mark.parametrize("status", [404, 403])
def test_a_web_server_that_refuses_is_an_http_error(running: Daemon, status: int) -> None:
    with serving(Web(TAR, status=status)) as web:
        answer = posted(running, "/images/create", fromSrc=web.url)

    assert answer.status == (404 if status == 404 else 500)
    assert json.loads(answer.body)["message"].startswith(f"failed to GET {web.url} with status {status} ")


def test_a_commit_takes_a_config_and_changes(running: Daemon) -> None:
    made(running, "base", "ENV A=b", "LABEL l=m")
    container = created(running, "base", Env=["X=y"])

    body = b'{"Cmd": ["only"], "Env": ["X=z"]}'
    answer = posted(
        running, "/commit", body, kind="application/json", container=container, repo="sent", changes=["ENV Q=$X"]
    )

    config = json.loads(running.ask("GET", "/v1.41/images/sent/json").body)["Config"]
    assert answer.status == 201
    assert (config["Cmd"], config["Env"], config["Labels"]) == (["only"], ["X=z", "Q=z", "A=b"], {"l": "m"})


@pytest.mark.parametrize("body", [None, b"", b"null", b"{}"])  # docker-py sends the last
def test_a_commit_without_a_config_takes_the_containers(running: Daemon, body: bytes | None) -> None:
    made(running, "base")
    container = created(running, "base", Cmd=["mine"], Tty=True)

    answer = posted(running, "/commit", body, kind="application/json", container=container, comment="c", author="a")

    image = json.loads(running.ask("GET", f"/v1.41/images/{json.loads(answer.body)['Id']}/json").body)
    assert (image["Config"]["Cmd"], image["Comment"], image["Author"]) == (["mine"], "c", "a")
    assert (image["Config"]["Tty"], image["Config"]["Image"]) == (True, "base")
    assert (image["Container"], image["ContainerConfig"]["Cmd"]) == (container, ["mine"])


@pytest.mark.parametrize(
    ("query", "kind", "body", "status", "message"),
    [
        ({}, "", b"", 400, 'invalid name or ID supplied: ""'),
        ({"container": "nobody"}, "", b"", 404, "No such container: nobody"),
        ({"container": "{c}", "repo": "UPPER"}, "", b"", 400, "invalid reference format"),
        ({"container": "{c}", "repo": "a", "tag": "b/c"}, "", b"", 400, "invalid tag format"),
        ({"container": "{c}", "changes": "RUN x"}, "", b"", 400, "run is not a valid change command"),
        ({"container": "{c}"}, "application/json", b"{bad", 400, "invalid JSON"),
        (
            {"container": "{c}"},
            "text/plain",
            b"{}",
            400,
            "Content-Type specified (text/plain) must be 'application/json'",
        ),
    ],
)
def test_a_commit_that_cannot_be_makes_no_image(
    running: Daemon, query: dict[str, str], kind: str, body: bytes, status: int, message: str
) -> None:
    made(running, "base")
    container = created(running, "base")
    before = running.ask("GET", "/images/json?all=1").body
    words = {key: value.replace("{c}", container) for key, value in query.items()}

    answer = posted(running, "/commit", body, kind=kind, **words)

    assert (answer.status, json.loads(answer.body)["message"][: len(message)]) == (status, message)
    assert running.ask("GET", "/images/json?all=1").body == before


def pruned(running: Daemon, **filters: list[str]) -> dict[str, Any]:
    return dict(json.loads(posted(running, "/containers/prune", filters=json.dumps(filters)).body))


def test_containers_are_pruned_by_label_and_time(running: Daemon) -> None:
    made(running, "base")
    pruned(running)
    kept, wanted, other = (created(running, "base", Labels=labels) for labels in ({"keep": "1"}, {"go": "1"}, {}))
    file = header(b"new", size=5) + padded(b"fresh") + END
    running.ask("PUT", f"/containers/{wanted}/archive?path=/", body=file)

    assert pruned(running, until=["1h"]) == {"ContainersDeleted": None, "SpaceReclaimed": 0}
    assert pruned(running, label=["go=1"]) == {"ContainersDeleted": [wanted], "SpaceReclaimed": 5}
    assert pruned(running, **{"label!": ["keep"]}) == {"ContainersDeleted": [other], "SpaceReclaimed": 0}
    assert pruned(running) == {"ContainersDeleted": [kept], "SpaceReclaimed": 0}


def test_a_container_that_somebody_is_in_is_not_pruned(running: Daemon) -> None:
    made(running, "base")
    name, _ = container_of(Cli(running.data_root), "base")

    answer = pruned(running)

    assert answer["ContainersDeleted"] is None
    assert running.ask("GET", f"/containers/{name}/json").status == 200


@pytest.mark.parametrize("filters", ['{"foo":["x"]}', '{"until":["1h","2h"]}', '{"until":["soon"]}'])
def test_a_prune_of_containers_knows_its_filters(running: Daemon, filters: str) -> None:
    assert posted(running, "/containers/prune", filters=filters).status == 400


def test_files_whose_names_are_no_utf8_are_listed_told_and_copied(running: Daemon) -> None:
    made(running, "base")
    container = created(running, "base")
    name, link = b"caf\xe9", header(b"link", kind=b"2", linkname=b"caf\xe9")
    running.ask(
        "PUT",
        f"/containers/{container}/archive?path=/",
        body=header(name, size=5) + padded(b"fresh") + link + END,
    )

    changes = running.ask("GET", f"/containers/{container}/changes").json
    stat = running.ask("HEAD", f"/containers/{container}/archive?path=/link").headers["x-docker-container-path-stat"]
    copied = running.ask("GET", f"/containers/{container}/archive?path=/caf%E9")
    missing = running.ask("GET", f"/containers/{container}/archive?path=/caf%EA")

    assert {"Path": "/caf\ufffd", "Kind": 1} in changes
    assert json.loads(base64.b64decode(stat))["linkTarget"] == "/caf\ufffd"
    assert (copied.status, name in names_in(copied.body)) == (200, True)
    assert (missing.status, "caf\ufffd" in missing.json["message"]) == (404, True)
