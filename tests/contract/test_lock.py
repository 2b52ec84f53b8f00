"""One writer per data root, and which directories may be one."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headway.errors import InvalidSettingError, StoreBusyError, StoreError, StoreReadOnlyError
from headway.store.data_root import DataRoot
from headway.store.lock import Holder, WriterLock, holder

HOLD = (
    "import sys; from pathlib import Path; from headway.store.lock import WriterLock\n"
    "with WriterLock(Path(sys.argv[1])) as lock:\n"
    "  lock.announce('/run/headway.sock'); print('held', flush=True); sys.stdin.read()"
)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def lock(path: Path, clock: Clock) -> WriterLock:
    return WriterLock(path, monotonic=clock.monotonic, sleep=clock.sleep)


def other_holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_waits_five_seconds_and_names_the_first(tmp_path: Path) -> None:
    clock = Clock()
    with other_holder(tmp_path / "lock") as process:
        with pytest.raises(StoreBusyError) as caught, lock(tmp_path / "lock", clock):
            pass
        process.kill()

    assert caught.value.pid == process.pid
    assert str(tmp_path) in str(caught.value)
    assert clock.now == pytest.approx(5.0, abs=0.2)


def test_a_writer_that_ends_lets_the_waiting_one_in(tmp_path: Path) -> None:
    first = WriterLock(tmp_path / "lock").__enter__()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        first.__exit__()

    with WriterLock(tmp_path / "lock", monotonic=lambda: 0.0, sleep=sleep):
        held = holder(tmp_path / "lock")

    assert len(slept) == 1
    assert held == Holder(pid=os.getpid())


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    clock = Clock()
    with other_holder(tmp_path / "lock") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()

        nobody = holder(tmp_path / "lock")
        with lock(tmp_path / "lock", clock):
            us = holder(tmp_path / "lock")

    assert (nobody, us, clock.now) == (None, Holder(pid=os.getpid()), 0.0)


def test_the_holders_socket_can_be_asked_for(tmp_path: Path) -> None:
    with other_holder(tmp_path / "lock") as process:
        found = holder(tmp_path / "lock")
        process.kill()

    assert found == Holder(pid=process.pid, socket="/run/headway.sock")


def test_nobody_holds_a_lock_that_is_absent(tmp_path: Path) -> None:
    assert holder(tmp_path / "absent" / "lock") is None


@pytest.mark.parametrize("data", [b"{", b'{"socket":"\xff"}', b'{"more":' + b"[" * 4000])
def test_a_record_that_cannot_be_read_still_says_that_somebody_writes(tmp_path: Path, data: bytes) -> None:
    with WriterLock(tmp_path / "lock"):
        (tmp_path / "lock").write_bytes(data)

        found = holder(tmp_path / "lock")

    assert found == Holder(pid=0)


def test_who_cannot_record_that_it_writes_does_not_keep_the_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")  # it can be locked, and takes no record
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(StoreError), WriterLock(tmp_path / "lock"):
        pass

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_system_that_tells_late_what_it_could_not_write_fails_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def late(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EDQUOT, "as NFS does")

    with WriterLock(tmp_path / "lock"):
        monkeypatch.setattr(os, "close", late)
    monkeypatch.undo()

    assert holder(tmp_path / "lock") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_read_only_file_system_is_named_in_words(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(StoreReadOnlyError, match="its file system is read-only"), WriterLock(small_disk / "lock"):
        pass
    with pytest.raises(StoreReadOnlyError, match="its file system is read-only"):
        DataRoot(small_disk / "root").create()


# --- data roots -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "engine"),
    [
        (["engine-id", "containers"], "Docker's store (engine-id)"),
        (["overlay2"], "Docker's store (overlay2)"),
        (["image"], "Docker's store (image)"),
        (["libpod"], "Podman's store (libpod)"),
        (["overlay-layers"], "Podman's store (overlay-layers)"),
        (["io.containerd.metadata.v1.bolt"], "containerd's store (io.containerd.metadata.v1.bolt)"),
        (["headway.db", "engine-id"], "Docker's store (engine-id)"),
    ],
)
def test_another_engines_store_is_refused_by_name(tmp_path: Path, names: list[str], engine: str) -> None:
    for name in names:
        (tmp_path / name).mkdir()

    with pytest.raises(InvalidSettingError) as caught:
        DataRoot(tmp_path).create()

    assert engine in str(caught.value)


def test_a_directory_with_somebodys_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "thesis.odt").touch()

    with pytest.raises(InvalidSettingError, match="neither empty nor Headway's"):
        DataRoot(tmp_path).create()

    assert (tmp_path / "tmp" / "thesis.odt").exists()


@pytest.mark.parametrize("names", [[], ["lost+found"], ["lock"], ["lock", "reserve"]])
def test_an_unused_directory_becomes_a_data_root_for_its_owner_only(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "a" / "b"
    path.mkdir(parents=True)
    for name in names:
        (path / name).touch()

    DataRoot(path).create()

    assert path.stat().st_mode & 0o777 == 0o700


def test_an_absent_data_root_is_created_and_only_looked_for_by_readers(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "a" / "b")

    before = root.examine()
    root.create()
    root.database.touch()

    assert (before, root.examine()) == (False, True)
    assert root.path.stat().st_mode & 0o777 == 0o700


def test_a_data_root_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    """Mounts are recorded by their paths, and clients are told of them in JSON."""
    root = DataRoot(tmp_path / os.fsdecode(b"b\xffd"))

    for opening in (root.create, root.examine):
        with pytest.raises(InvalidSettingError, match=r"/b\\xffd is no text"):
            opening()

    assert os.listdir(tmp_path) == []


def test_a_file_is_no_data_root(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidSettingError, match="not a directory"):
        DataRoot(tmp_path / "file").create()


@pytest.mark.parametrize("name", ["headway.db", "headway.db-wal", "records.log", "lock", "trees", "blobs/sha256"])
@pytest.mark.parametrize("reads", [True, False])
def test_what_has_the_place_of_an_own_file_or_directory_is_named(tmp_path: Path, name: str, *, reads: bool) -> None:
    root = DataRoot(tmp_path)
    root.make_directories()
    root.database.touch()
    if (tmp_path / name).is_dir():
        (tmp_path / name).rmdir()
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).mkdir()

    with pytest.raises(StoreError, match=f"{tmp_path / name} is in the way: Headway keeps a (file|directory)"):
        root.examine() if reads else root.create()


def test_a_lock_that_leads_elsewhere_is_named_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("nowhere")

    with (
        pytest.raises(StoreError, match="/lock is a symbolic link, and no lock: remove it"),
        WriterLock(tmp_path / "lock"),
    ):
        pass

    assert not (tmp_path / "nowhere").exists()
