"""Bundles that a real runtime starts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headway.errors import ConflictError, InvalidDocumentError
from headway.layers.rootfs.bundle import runtime_config, write_bundle
from headway.layers.rootfs.users import ProcessUser, find_user
from headway.layers.trees.merged import MergedView
from headway.layers.trees.rootfs import UnpackReport
from headway.records import LayerReport, Tree
from tests.fakes.nobody import UID, as_nobody, home_of_nobody
from tests.fakes.tars import Item, directory, file, symlink
from tests.fakes.trees import plant

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="runs containers, and gives files away")

PASSWD = b"root:x:0:0::/root:/bin/sh\n\nbroken\napp:x:1000:100:App:/home/app:/bin/sh\nbad:x:-1:x::/:/bin/sh\n"
PASSWD = b"huge:x:99999999999:99999999999::/:/bin/sh\n" + PASSWD
GROUP = b"huge:x:99999999999:app,root\nroot:x:0:root\naudio:x:29:app\nvideo:x:44:root,app\nstaff:x:50:\n"
APPLETS = ("sh", "id", "ls", "cat", "echo", "pwd", "env")


def busybox() -> list[Item]:
    program = file("bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
    links = [symlink(f"bin/{name}", "busybox") for name in APPLETS]
    users = [directory("etc/"), file("etc/passwd", PASSWD), file("etc/group", GROUP)]
    data = [directory("data/", uid=1000, mode=0o750), file("data/seed", b"seeded\n", uid=1000)]
    return [directory("./"), directory("bin/"), program, *links, *users, *data]


def image(**config: object) -> dict[str, Any]:
    return {"architecture": "arm", "os": "linux", "variant": "v7", "config": config}


def run(bundle: Path, state: Path, *, user: int = 0) -> str:
    command = ["runc", "--root", str(state), "run", "--bundle", str(bundle), f"headway-test-{os.getpid()}"]
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        user=user,
        group=user,
        extra_groups=[],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@as_root
def test_runc_runs_what_the_image_says_as_whom_it_says(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", *busybox())
    script = "id; pwd; echo $GREETING; cat seed; echo more > /data/new; cat /data/new"
    config = image(
        User="app",
        WorkingDir="/data",
        Env=["GREETING=hello"],
        Entrypoint=["sh", "-c"],
        Cmd=[script],
        Volumes={"/data": {}},
    )

    report = write_bundle(tmp_path / "bundle", config, [tree])
    output = run(tmp_path / "bundle", tmp_path / "state")

    assert report == UnpackReport(entries=report.entries, size=report.size)
    assert output.splitlines() == [
        "uid=1000(app) gid=100 groups=29(audio),44(video)",
        "/data",
        "hello",
        "seeded",
        "more",
    ]
    assert sorted(os.listdir(tmp_path / "bundle/volumes/0")) == ["new", "seed"]
    assert os.listdir(tmp_path / "bundle/rootfs/data") == ["seed"]
    assert os.listdir(tmp_path / "state") == []


@as_root
def test_runc_runs_a_bundle_for_nobody() -> None:
    config = image(User="app", Cmd=["sh", "-c", "id -u; cat /data/seed"])
    with home_of_nobody() as home:
        with as_nobody():
            for name in ("bin", "data"):
                (home / "tree" / name).mkdir(parents=True)
            (home / "tree/bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
            (home / "tree/bin/busybox").chmod(0o755)
            for name in APPLETS:
                (home / "tree/bin" / name).symlink_to("busybox")
            (home / "tree/data/seed").write_text("seeded\n")
            (home / "tree/etc").mkdir()
            (home / "tree/etc/passwd").write_bytes(PASSWD)
            tree = Tree(path=home / "tree", report=LayerReport(root_entry=True))
            write_bundle(home / "bundle", config, [tree], rootless=True)

        output = run(home / "bundle", home / "state", user=UID)

        assert output == "0\nseeded\n"


@as_root
@pytest.mark.parametrize("rootless", [False, True])
def test_what_the_image_does_not_say_is_what_runc_says(tmp_path: Path, *, rootless: bool) -> None:
    subprocess.run(["runc", "spec", *(["--rootless"] if rootless else [])], cwd=tmp_path, check=True)
    expected = json.loads((tmp_path / "config.json").read_text())
    expected["process"] |= {"terminal": False}
    expected["process"]["env"].remove("TERM=xterm")
    expected["root"]["readonly"] = False

    config = runtime_config({}, rootless=(os.geteuid(), os.getegid()) if rootless else None)

    assert config.pop("annotations") == {}
    assert config | {"ociVersion": "", "hostname": ""} == expected | {"ociVersion": "", "hostname": ""}


def test_the_image_is_converted_as_the_specification_says() -> None:
    document = image(
        Env=["PATH=/only", "A=b=c", "NO_VALUE", ""],
        Entrypoint=["/entry", "-x"],
        Cmd=["arg"],
        WorkingDir="/w",
        Labels={"own": "label", "org.opencontainers.image.author": "the label wins"},
        ExposedPorts={"80/tcp": {}, "53/udp": {}},
        StopSignal="SIGQUIT",
    )
    document |= {"author": "somebody", "created": "2026-01-02T03:04:05Z", "os.version": "1", "os.features": ["a", "b"]}

    config = runtime_config(document, user=ProcessUser(1, 2, (3,)), volumes={"/v": "volumes/0"})

    process = config["process"]
    assert (process["args"], process["cwd"]) == (["/entry", "-x", "arg"], "/w")
    assert (process["env"], process["terminal"]) == (["PATH=/only", "A=b=c"], False)
    assert process["user"] == {"uid": 1, "gid": 2, "additionalGids": [3]}
    assert config["mounts"][-1] == {
        "destination": "/v",
        "type": "bind",
        "source": "volumes/0",
        "options": ["rbind", "rw"],
    }
    assert config["annotations"] == {
        "org.opencontainers.image.os": "linux",
        "org.opencontainers.image.architecture": "arm",
        "org.opencontainers.image.variant": "v7",
        "org.opencontainers.image.os.version": "1",
        "org.opencontainers.image.os.features": "a,b",
        "org.opencontainers.image.author": "the label wins",
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        "org.opencontainers.image.stopSignal": "SIGQUIT",
        "org.opencontainers.image.exposedPorts": "53/udp,80/tcp",
        "own": "label",
    }


@pytest.mark.parametrize("document", [{}, {"config": None}, image(Cmd=None, Env=None, Labels=None, Volumes=None)])
def test_null_and_absent_are_the_same(document: Mapping[str, Any]) -> None:
    config = runtime_config(document)

    assert (config["process"]["args"], config["process"]["cwd"]) == (["sh"], "/")


def test_a_field_of_the_wrong_type_is_named() -> None:
    with pytest.raises(InvalidDocumentError, match=r"Cmd"):
        runtime_config(image(Cmd=[5]))


@pytest.mark.parametrize("config", ["text", ["/bin/sh"], 5])
def test_a_config_that_is_no_object_is_told(config: object) -> None:
    with pytest.raises(InvalidDocumentError, match="config must be an object"):
        runtime_config({"config": config})


@pytest.mark.parametrize(
    ("said", "args", "cwd"),
    [
        ({"Cmd": "run", "Entrypoint": ["/entry"], "ExposedPorts": {"80/tcp": None}}, ["/entry", "run"], "/"),
        ({"Cmd": ["run"], "Entrypoint": [""]}, ["run"], "/"),  # how a Dockerfile takes its base's away
        ({"cmd": ["run"], "WorkingDir": "srv/../data"}, ["run"], "/data"),
    ],
)
def test_what_docker_reads_in_its_own_way_is_run_so(said: dict[str, Any], args: list[str], cwd: str) -> None:
    process = runtime_config(image(**said))["process"]

    assert (process["args"], process["cwd"]) == (args, cwd)


def test_a_command_that_is_a_text_is_one_word() -> None:
    assert runtime_config(image(Entrypoint="/init", Cmd="a b"))["process"]["args"] == ["/init", "a b"]


@as_root
@pytest.mark.parametrize(
    ("spec", "user"),
    [
        ("", ProcessUser(0, 0, (0, 44))),
        ("root", ProcessUser(0, 0, (0, 44))),
        ("app", ProcessUser(1000, 100, (29, 44))),
        ("1000", ProcessUser(1000, 100, (29, 44))),
        ("app:staff", ProcessUser(1000, 50)),
        ("app:7", ProcessUser(1000, 7)),
        ("4242", ProcessUser(4242, 0)),
        ("4242:4343", ProcessUser(4242, 4343)),
        ("4294967294", ProcessUser(4294967294, 0)),
        (":staff", ProcessUser(0, 50)),
    ],
)
def test_users_are_looked_up_in_the_image(tmp_path: Path, spec: str, user: ProcessUser) -> None:
    tree = plant(tmp_path / "tree", *busybox())

    with MergedView([tree]) as view:
        found = find_user(view, spec)

    assert found == user


@as_root
@pytest.mark.parametrize(
    "spec", ["stranger", "bad", "huge", "app:strangers", "app:huge", "99999999999", "4294967295", "-1", "root\n"]
)
def test_a_user_whom_the_image_does_not_have_is_refused(tmp_path: Path, spec: str) -> None:
    tree = plant(tmp_path / "tree", *busybox())

    with MergedView([tree]) as view, pytest.raises(InvalidDocumentError):
        find_user(view, spec)


@as_root
def test_the_user_file_of_this_machine_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("app:x:7:7::/:/bin/sh\n")
    climb = "../" * 40 + str(tmp_path / "passwd").lstrip("/")
    tree = plant(tmp_path / "tree", directory("etc/"), symlink("etc/passwd", climb))

    with MergedView([tree]) as view, pytest.raises(InvalidDocumentError, match="app"):
        find_user(view, "app")


@as_root
def test_a_bundle_is_refused_before_anything_is_written_where_its_user_is_unknown(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", *busybox())

    with pytest.raises(InvalidDocumentError, match="stranger"):
        write_bundle(tmp_path / "bundle", image(User="stranger"), [tree])

    assert os.listdir(tmp_path / "bundle") == []


@as_root
def test_a_directory_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/mine").touch()

    with pytest.raises(ConflictError, match="not empty"):
        write_bundle(tmp_path / "bundle", {}, [])

    assert os.listdir(tmp_path / "bundle") == ["mine"]


@as_root
def test_a_volume_gets_nothing_from_where_a_container_made_its_place_lead(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", directory("./"), *busybox()[1:])
    (tmp_path / "outside/v").mkdir(parents=True)
    (tmp_path / "outside/v/secret").write_text("of the machine")
    rootfs = tmp_path / "bundle/rootfs"
    rootfs.mkdir(parents=True)
    (rootfs / "new").symlink_to(tmp_path / "outside")
    (rootfs / "data").symlink_to(tmp_path / "outside/v")

    write_bundle(tmp_path / "bundle", image(Volumes={"/new/v": {}, "/data": {}}), [tree], force=True)

    assert sorted(os.listdir(tmp_path / "bundle/volumes/0")) == ["seed"]
    assert os.listdir(tmp_path / "bundle/volumes/1") == []


@pytest.mark.parametrize("config", [{"Volumes": {"/a\0b": {}}}, {"User": "a\0b"}])
def test_a_config_with_what_no_path_holds_is_refused(tmp_path: Path, config: dict[str, object]) -> None:
    (tmp_path / "tree").mkdir()
    tree = Tree(path=tmp_path / "tree", report=LayerReport(root_entry=True))

    with pytest.raises(InvalidDocumentError):
        write_bundle(tmp_path / "bundle", image(**config), [tree])
