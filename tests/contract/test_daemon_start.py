"""What a daemon opens at its start, and leaves behind at its end."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from headway.daemon import process
from headway.daemon.configuration import DaemonSettings
from headway.daemon.pid_file import pid_file
from headway.daemon.sockets import close_all, open_all, reached_at
from headway.engine.listeners import Address, listen_unix
from headway.errors import ConflictError, InvalidSettingError
from headway.store.lock import WriterLock
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.fakes.waiting import wait_until

DESCRIPTOR = 3


def test_a_pid_file_says_which_process_it_is_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("not a number")

    with pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"

    assert not path.exists()


def test_a_pid_file_of_a_living_process_is_a_conflict_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")

    with pytest.raises(ConflictError, match=f"process with PID {os.getppid()} is still running"), pid_file(path):
        pass

    assert path.exists()


def test_a_pid_file_that_is_another_processs_by_now_stays(tmp_path: Path) -> None:
    path = tmp_path / "pid"

    with pid_file(path):
        path.write_text("1\n")

    assert path.read_text() == "1\n"


@pytest.mark.parametrize("place", ["", "missing/pid"])
def test_a_pid_file_that_cannot_be_written_is_said(tmp_path: Path, place: str) -> None:
    with pytest.raises(InvalidSettingError, match="cannot write the pidfile"), pid_file(tmp_path / place):
        pass


def test_a_sockets_file_goes_with_its_daemon_unless_it_is_another_daemons_by_now(tmp_path: Path) -> None:
    own, taken = tmp_path / "own.sock", tmp_path / "taken.sock"
    listeners = open_all(DaemonSettings(), [Address("unix", path=str(path)) for path in (own, taken)])
    taken.unlink()

    with listen_unix(taken):
        close_all(listeners)
        assert (own.exists(), taken.exists()) == (False, True)


def test_a_socket_whose_queue_is_full_is_in_use_and_nobody_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "busy.sock"
    with socket.socket(socket.AF_UNIX) as hung, socket.socket(socket.AF_UNIX) as waiting:
        hung.bind(str(path))
        hung.listen(0)
        waiting.connect(str(path))

        with pytest.raises(ConflictError, match="in use"):
            listen_unix(path)


def test_a_socket_whose_directory_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match="No such file or directory; name another address with -H"):
        listen_unix(tmp_path / "none" / "headway.sock")


@pytest.fixture
def third() -> Iterator[int]:
    """Descriptor 3, which systemd passes first: this process's own comes back afterwards."""
    kept = os.dup(DESCRIPTOR) if Path(f"/proc/self/fd/{DESCRIPTOR}").exists() else None
    yield DESCRIPTOR
    if kept is None:
        with suppress(OSError):
            os.close(DESCRIPTOR)
    else:
        os.dup2(kept, DESCRIPTOR)
        os.close(kept)


def passed(monkeypatch: pytest.MonkeyPatch, source: socket.socket | int, third: int) -> None:
    os.dup2(source if isinstance(source, int) else source.fileno(), third)
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))


def test_a_tcp_socket_of_systemds_speaks_tls_as_any_other_unless_it_is_told_not_to(
    monkeypatch: pytest.MonkeyPatch, third: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        passed(monkeypatch, server, third)
        with pytest.raises(InvalidSettingError, match="speaks TLS: set tlscert"):
            open_all(DaemonSettings(), [Address("fd")])

        passed(monkeypatch, server, third)
        (listener,) = open_all(DaemonSettings(tls=False), [Address("fd")])
        assert listener.tls is None
        listener.socket.detach()


def test_a_socket_of_systemds_is_shown_as_clients_reach_it(
    monkeypatch: pytest.MonkeyPatch, third: int, tmp_path: Path
) -> None:
    shown = []
    for server in (listen_unix(tmp_path / "s"), socket.create_server(("127.0.0.1", 0))):
        with server:
            passed(monkeypatch, server, third)
            (listener,) = open_all(DaemonSettings(tls=False), [Address("fd")])
            shown.append((reached_at(listener), server.getsockname()))
            listener.socket.detach()

    assert shown[0] == (f"unix://{tmp_path / 's'}", str(tmp_path / "s"))
    assert shown[1][0] == f"tcp://127.0.0.1:{shown[1][1][1]}"


@pytest.mark.parametrize("is_socket", [True, False])
def test_what_systemd_passes_and_nobody_can_listen_on_is_said(
    monkeypatch: pytest.MonkeyPatch, third: int, *, is_socket: bool
) -> None:
    with socket.socket(socket.AF_UNIX) as plain, Path("/dev/null").open() as null:
        passed(monkeypatch, plain if is_socket else null.fileno(), third)
        with pytest.raises(InvalidSettingError, match="of systemd's"):
            open_all(DaemonSettings(), [Address("fd")])
        os.dup2(null.fileno(), third)


def test_a_taken_port_for_measurements_ends_the_start_in_one_sentence(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    settings = tmp_path / "daemon.json"
    settings.write_text("{}")

    with listener:
        words = ("daemon", "--config-file", settings, "-H", f"unix://{tmp_path}/d.sock", "--metrics-addr", address)
        done = Cli(tmp_path / "root")(*words)

    assert done.returncode == 1
    assert f"headway: tcp://{address} is in use by another program\nnext:" in done.stderr


def test_a_reload_that_comes_before_the_daemon_is_ready_does_not_end_it() -> None:
    with tempfile.TemporaryDirectory(prefix="hw") as place, daemon(Path(place)) as holder:
        path = Path(place) / "late.sock"
        words = ("daemon", "--config-file", Path(place) / "daemon.json", "-H", f"unix://{path}")
        with (Path(place) / "late.log").open("wb") as output:
            late = Cli(holder.data_root).serve(*words, output=output)
        try:
            while not path.exists():  # it waits for the data root then
                assert late.poll() is None
                time.sleep(0.02)
            late.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                late.wait(0.5)
        finally:
            late.terminate()
            late.wait()


def test_a_daemon_that_is_stopped_while_it_waits_for_its_store_leaves_nothing_behind() -> None:
    with tempfile.TemporaryDirectory(prefix="hwd") as directory:
        place = Path(directory)
        (place / "root").mkdir()
        with WriterLock(place / "root/lock"):
            files = [place / "a.sock", place / "pid"]
            waiting = Cli(place / "root").start("daemon", "-H", f"unix://{files[0]}", "--pidfile", files[1])
            wait_until(lambda: all(map(Path.exists, files)))
            waiting.terminate()
            said = waiting.communicate(timeout=30)

        assert (waiting.returncode, said) == (0, ("", ""))
        assert sorted(path.name for path in place.iterdir()) == ["root"]


def test_clients_beyond_the_files_that_may_be_open_wait_and_do_not_fill_the_log() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="hw") as place,
        daemon(Path(place), before=("prlimit", "--nofile=48:48")) as running,
    ):
        with ExitStack() as clients:
            for _ in range(60):
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(str(running.socket))
                client.send(b"GET /_ping HTTP/1.1\r\n")
            time.sleep(2.5)
        answered = running.ask("GET", "/_ping").body
        told = running.log.read_text().count("as many files are open as may be")

        assert answered == b"OK"
        assert 0 < told < 100
        assert running.bugs == []


def test_a_log_for_programs_holds_nothing_else() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="hw") as place,
        daemon(Path(place), "--log-format", "json", "--debug") as running,
    ):
        lines = [json.loads(line) for line in running.log.read_text().splitlines()]

    assert f"socket     {running.host} (its owner only; --group docker shares it)" in [line["msg"] for line in lines]


def test_a_daemon_may_open_as_many_files_as_it_has_clients() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 5000));"
        f"from {process.__name__} import allow_descriptors; allow_descriptors();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert int(shown) == min(hard, 5000)


async def test_requests_that_take_long_hold_up_no_others_on_a_small_machine() -> None:
    process.allow_requests(asyncio.get_running_loop())
    together = threading.Barrier(20)  # more than four and the cores of most machines that run this

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(asyncio.to_thread(together.wait, 5))
