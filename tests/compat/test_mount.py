"""`headway mount` and `umount`, each command in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headway.layers.drivers import mounts
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.nobody import UID, home_of_nobody
from tests.faults.registry import Registry

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")

SMALL = images.image([{"etc/motd": b"hello"}, {"b": b"bb"}], config={"Cmd": ["sh"]})


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry([SMALL]) as running:
        yield running


@pytest.fixture
def headway(tmp_path: Path, registry: Registry) -> Iterator[Cli]:
    """A store with one image, called ``app``; nothing stays mounted."""
    headway = Cli(tmp_path / "root")
    pulled = headway("pull", "-q", f"{registry.host}/test/image")
    assert pulled.returncode == 0, pulled.stderr
    headway("tag", pulled.stdout.strip(), "app")
    headway("rmi", pulled.stdout.strip())
    yield headway
    for place in sorted(mounts.ours(), reverse=True):
        if place.startswith(f"{tmp_path}/"):
            mounts.unmount(place)


def done(process: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed on stdout."""
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def left(headway: Cli) -> list[str]:
    """Return what is mounted, in a mount's directory, or waiting to be removed."""
    root = headway.data_root
    names = [*os.listdir(root / "rw"), *os.listdir(root / "mounts"), *os.listdir(root / "tmp")]
    return names + [place for place in mounts.ours() if place.startswith(f"{root}/")]


def test_an_image_is_shown_at_a_path_that_is_printed_until_it_is_given_back(headway: Cli) -> None:
    path = Path(done(headway("mount", "app")))

    assert path.parent == headway.data_root / "mounts"
    assert (path / "etc/motd").read_text() == "hello"
    with pytest.raises(OSError, match="Read-only"):
        (path / "new").touch()
    assert headway("umount", "app").stderr == ""
    assert left(headway) == []


def test_it_is_shown_where_one_likes_and_given_back_by_any_of_its_names(headway: Cli, tmp_path: Path) -> None:
    done(headway("mount", "app", tmp_path / "a"))
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to("b")
    done(headway("mount", "app", tmp_path / "link"))
    seen = [(tmp_path / name / "b").read_text() for name in "ab"]

    several = headway("umount", "app")
    done(headway("umount", tmp_path / "a"))
    done(headway("umount", "app"))

    assert seen == ["bb", "bb"]
    assert (several.returncode, "mounted more than once" in several.stderr) == (1, True)
    assert os.listdir(tmp_path / "a") == os.listdir(tmp_path / "b") == []


def test_what_was_asked_for_twice_is_given_back_twice(headway: Cli) -> None:
    paths = {done(headway("mount", "app")) for _ in range(2)}

    first = headway("umount", "app")
    is_there = os.path.ismount(next(iter(paths)))
    done(headway("umount", "app"))
    third = headway("umount", "app")

    assert "it was mounted once more" in first.stderr
    assert (len(paths), is_there, os.path.exists(paths.pop())) == (1, True, False)
    assert (third.returncode, third.stderr.splitlines()[0]) == (1, "headway: app is not mounted")


def test_a_mounted_image_is_not_removed_without_force_and_its_files_stay_with_it(headway: Cli) -> None:
    path = Path(done(headway("mount", "app")))

    refused = headway("rmi", "app")
    forced = headway("rmi", "-f", "app")
    still = (path / "etc/motd").read_text()
    trees = len(os.listdir(headway.data_root / "trees"))
    done(headway("umount", path))

    assert (refused.returncode, str(path) in refused.stderr) == (1, True)
    assert (forced.returncode, still, trees) == (0, "hello", 2)
    assert os.listdir(headway.data_root / "trees") == []
    assert left(headway) == []


def test_a_container_keeps_what_is_written_over_mounts_and_goes_when_asked(headway: Cli, tmp_path: Path) -> None:
    made = headway("mount", "--read-write", "app")
    path = Path(done(made))
    name = made.stderr.split()[2]
    (path / "etc/motd").write_text("changed")
    done(headway("umount", path))
    is_empty = os.listdir(path) == []

    again = Path(done(headway("mount", name)))
    elsewhere = Path(done(headway("mount", name, tmp_path / "here")))
    seen = [(place / "etc/motd").read_text() for place in (again, elsewhere)]
    refused = headway("rmi", "app")
    done(headway("umount", elsewhere))
    gone = headway("umount", "--rm", name)

    assert (is_empty, again, seen) == (True, path, ["changed", "changed"])
    assert refused.returncode == 1
    assert name in headway("umount", name).stderr
    assert (gone.returncode, left(headway)) == (0, [])


@pytest.mark.parametrize("words", [(), ("--rm",)])
def test_where_nothing_is_mounted_that_is_said(headway: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
    by_place, by_name = (headway("umount", *words, name) for name in (tmp_path, "app"))

    assert by_place.stderr.startswith(f"headway: nothing is mounted at {tmp_path}\nnext: check the name; headway mount")
    assert by_name.stderr.startswith("headway: app is not mounted\n")
    assert (by_place.returncode, by_name.returncode) == (1, 1)


def test_one_that_is_not_mounted_goes_by_its_name(headway: Cli) -> None:
    made = headway("mount", "--read-write", "app")
    name = made.stderr.split()[2]
    done(headway("umount", name))

    done(headway("umount", "--rm", name))

    assert left(headway) == []


def test_a_mount_in_use_stays_mounted_and_recorded(headway: Cli) -> None:
    path = Path(done(headway("mount", "--read-write", "app")))

    with (path / "b").open():
        busy = headway("umount", path)
    rows = json.loads(done(headway("mount", "--format", "json")))["items"]

    assert (busy.returncode, "in use" in busy.stderr) == (1, True)
    assert [(row["Target"], row["Count"]) for row in rows] == [(str(path), 1)]
    done(headway("umount", path))


def test_a_place_or_container_whose_name_is_no_text_is_none_of_ours(headway: Cli, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff")
    (tmp_path / name).mkdir()

    refused = [headway(*words) for words in (("umount", tmp_path / name), ("umount", name), ("export", name))]

    assert [each.stderr.splitlines()[0] for each in refused] == [
        f"headway: nothing is mounted at {tmp_path}/\\udcff",
        "headway: \\udcff is not mounted",
        "headway: no such container: \\udcff",
    ]


def test_what_somebody_unmounted_by_hand_is_forgotten(headway: Cli) -> None:
    path = done(headway("mount", "app"))
    subprocess.run(["umount", path], check=True)

    done(headway("mount", "app"))
    is_there = os.path.ismount(path)
    subprocess.run(["umount", path], check=True)
    done(headway("rmi", "app"))

    assert is_there
    assert left(headway) == []


@pytest.mark.parametrize("words", [("app",), ("--read-write", "app")])
def test_what_somebody_mounted_something_over_stays_mounted_and_recorded(headway: Cli, words: tuple[str, ...]) -> None:
    path = done(headway("mount", *words))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)
    try:
        Path(path, "theirs").touch()
        covered = headway("umount", "--rm", path)
        refused = headway("rmi", "app")
        listed = done(headway("mount", "--format", "{{.Target}}"))
        kept = os.listdir(path)
    finally:
        subprocess.run(["umount", path], check=True)

    assert (covered.returncode, refused.returncode, listed, kept) == (1, 1, path, ["theirs"])
    assert f"headway: {path} is in use: something else is mounted over it\n" in covered.stderr
    assert Path(path, "etc/motd").read_text() == "hello"
    done(headway("umount", "--rm", path))
    assert left(headway) == []


@pytest.fixture
def elsewhere() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a mount namespace of its own."""
    entering = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 60"]
    with subprocess.Popen(entering, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def seen_from(process: subprocess.Popen[bytes], headway: Cli) -> Cli:
    return replace(headway, before=["nsenter", "-t", str(process.pid), "-m"])


def test_what_is_mounted_in_another_namespace_is_given_back_there(
    headway: Cli, elsewhere: subprocess.Popen[bytes]
) -> None:
    done(seen_from(elsewhere, headway)("mount", "app"))

    refused = [headway(word, "app") for word in ("mount", "umount")]
    removed = headway("rmi", "app")
    is_shown = f"{headway.data_root}/mounts/" in Path(f"/proc/{elsewhere.pid}/mounts").read_text()
    elsewhere.kill()
    elsewhere.wait()

    assert [process.returncode for process in [*refused, removed]] == [1, 1, 1]
    for process in refused:
        assert f"in another mount namespace, that of process {elsewhere.pid}: unmount it there" in process.stderr
    assert is_shown
    done(headway("umount", "app"))  # what has ended took its mounts along
    assert left(headway) == []


def test_a_container_that_is_mounted_in_another_namespace_is_mounted_nowhere_else(
    headway: Cli, elsewhere: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    made = seen_from(elsewhere, headway)("mount", "--read-write", "app")
    name = made.stderr.split()[2]

    refused = [headway("mount", name), headway("mount", name, tmp_path / "here")]

    for process in refused:
        assert (process.returncode, "is mounted in another mount namespace" in process.stderr) == (1, True)
    assert not (tmp_path / "here").exists()
    done(seen_from(elsewhere, headway)("umount", "--rm", name))
    assert left(headway) == []


def test_a_directory_that_is_not_empty_is_left_alone(headway: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()

    for words in ([], ["--read-write"]):
        refused = headway("mount", *words, "app", tmp_path / "mine")
        assert (refused.returncode, "not empty" in refused.stderr) == (1, True)

    assert os.listdir(tmp_path / "mine") == ["file"]
    assert left(headway) == []


def test_what_is_mounted_is_listed(headway: Cli) -> None:
    path = done(headway("mount", "app"))

    lines = done(headway("mount")).splitlines()

    assert lines[0].split() == ["TARGET", "IMAGE", "CONTAINER", "DRIVER", "COUNT"]
    assert lines[1].split() == [path, SMALL.image_id.removeprefix("sha256:")[:12], "overlay2", "1"]
    done(headway("umount", path))


def test_without_root_there_is_unpack(registry: Registry) -> None:
    with home_of_nobody() as home:
        headway = Cli(home / "root", uid=UID)
        name = headway("pull", "-q", f"{registry.host}/test/image").stdout.strip()

        refused = headway("mount", name)

    assert (refused.returncode, f"headway unpack {name} DIR" in refused.stderr) == (1, True)


def test_vfs_is_for_everybody_who_asks_for_it(registry: Registry, tmp_path: Path) -> None:
    settings = tmp_path / "daemon.json"
    settings.write_text('{"storage-driver": "vfs"}')
    tmp_path.chmod(0o755)
    with home_of_nobody() as home:
        shutil.copy(settings, home / "daemon.json")
        (home / "daemon.json").chmod(0o644)
        headway = Cli(home / "root", uid=UID)
        name = headway("pull", "-q", f"{registry.host}/test/image").stdout.strip()
        vfs: list[str | Path] = ["--config-file", home / "daemon.json"]

        path = Path(done(headway(*vfs, "mount", name)))
        seen = (path / "etc/motd").read_text()
        done(headway(*vfs, "umount", name))
        made = headway(*vfs, "mount", "--read-write", name)
        (Path(done(made)) / "etc/motd").read_text()
        done(headway(*vfs, "umount", "--rm", made.stderr.split()[2]))

        assert seen == "hello"
        assert left(headway) == []


def test_an_unknown_driver_is_refused_in_dockers_words(headway: Cli, tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text('{"storage-driver": "zfs"}')

    refused = headway("--config-file", tmp_path / "daemon.json", "mount", "app")

    assert refused.returncode == 1
    assert "error initializing graphdriver: driver not supported" in refused.stderr
