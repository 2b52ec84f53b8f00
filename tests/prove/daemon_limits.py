"""What a daemon costs that has nothing to do, how fast it answers, and that it lives beside Docker's."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from tests.fakes import images
from tests.fakes.daemon import Answer, UnixConnection, daemon
from tests.fakes.docker import docker
from tests.faults.registry import Registry
from tests.prove.scale import fill
from tests.prove.sheet import Sheet, check

IDLE_MB = 45.0
PING_RATIO = 2.0
PINGS, ROUNDS = 300, 7
SETTLE_SECONDS = 1.0
IMAGES, LIST_MS = 1_000, 30.0


@check(
    "daemon-limits",
    "An idle daemon holds <= 45 MB, a ping on a kept connection takes <= 2 times dockerd's, a list of 1,000 images "
    "<= 30 ms; Headway and dockerd side by side leave each other alone.",
    needs_root=True,
)
def daemon_limits(sheet: Sheet) -> None:
    """Measure both daemons on one machine."""
    _idle(sheet)
    _list(sheet)
    _beside_docker(sheet)


def _idle(sheet: Sheet) -> None:
    for start in ("first", "second"):
        with daemon(sheet.place / "idle") as running:
            time.sleep(SETTLE_SECONDS)
            sheet.at_most(f"resident, idle after its {start} start", running.resident / 1e6, IDLE_MB, "MB", decimals=1)


def _list(sheet: Sheet) -> None:
    place = sheet.place / "list"
    place.mkdir()
    fill(place / "root", IMAGES, tags=1)
    with daemon(place) as running:
        connection = UnixConnection(running.socket)
        answers = [_timed(connection, "/v1.51/images/json") for _ in range(ROUNDS)]
        sheet.at_least("images in a list", len(answers[0][1].json), IMAGES)
        best = min(seconds for seconds, _ in answers)
        sheet.at_most("a list of them, the best of 7", best * 1e3, LIST_MS, "ms", decimals=1)
        connection.close()


def _beside_docker(sheet: Sheet) -> None:
    with (
        Registry([images.image([{"file": b"content"}], media="docker")]) as registry,
        docker(sheet.place / "d") as run,
        daemon(sheet.place / "h") as running,
    ):
        _pings(sheet, running.socket, sheet.place / "d" / "docker.sock")
        name = f"{registry.host}/test/image:latest"
        run("pull", "-q", name)
        before = _files(sheet.place / "d" / "docker")
        pulled = running.ask("POST", f"/images/create?fromImage={name}").lines[-1].get("status", "")
        sheet.right("Headway pulls beside dockerd", "" if pulled.startswith("Status: Downloaded") else pulled)
        running.ask("DELETE", f"/images/{name}?force=1")
        running.ask("POST", "/images/prune")
        after = _files(sheet.place / "d" / "docker")
        sheet.right("nothing of dockerd's has changed", ", ".join(sorted(before ^ after)[:3]))
        sheet.right("dockerd has its image", "" if name.rpartition(":")[0] in run("images") else "it has lost it")
        running.ask("POST", f"/images/create?fromImage={name}")
        time.sleep(SETTLE_SECONDS)  # it writes down what it did
        before = _files(running.data_root)
        run("rmi", "-f", name)
        run("system", "prune", "-af")
        after = _files(running.data_root)
        sheet.right("nothing of Headway's has changed", ", ".join(sorted(before ^ after)[:3]))
        listed = running.ask("GET", "/images/json").json
        sheet.right("Headway has its image", "" if listed and listed[0]["RepoTags"] == [name] else str(listed))
        sheet.right("nothing happened that Headway did not know", "; ".join(running.bugs)[:500])


def _pings(sheet: Sheet, ours: Path, theirs: Path) -> None:
    """Take turns, so that what else the machine does falls on both."""
    pairs = (UnixConnection(ours), UnixConnection(theirs))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(PINGS):
        for connection, seconds in zip(pairs, times, strict=True):
            seconds.append(_timed(connection, "/_ping")[0])
    for connection in pairs:
        connection.close()
    own, other = (statistics.median(seconds) for seconds in times)
    sheet.tell("a ping, ours and dockerd's", f"{own * 1e6:.0f} and {other * 1e6:.0f} µs")
    sheet.at_most("a ping on a kept connection, by dockerd's", own / other, PING_RATIO, decimals=2)


def _timed(connection: UnixConnection, path: str) -> tuple[float, Answer]:
    began = time.perf_counter()
    answer = connection.ask("GET", path)
    return time.perf_counter() - began, answer


def _files(root: Path) -> set[str]:
    """Return what there is below a directory: names, sizes and times; logs and databases that are open apart."""
    found = set()
    for directory, _, names in os.walk(root):
        for each in names:
            path = Path(directory) / each
            if not path.name.endswith((".db", "-wal", "-shm", ".lock")):
                status = path.lstat()
                found.add(f"{path.relative_to(root)} {status.st_size} {status.st_mtime_ns}")
    return found
