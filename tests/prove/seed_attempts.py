"""The seed's own test, by hand: a daemon that may try three times, and a link that is unplugged."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from tests.fakes import images
from tests.fakes.daemon import Answer, Daemon, UnixConnection, daemon
from tests.fakes.waiting import wait_until
from tests.faults.link import Link
from tests.faults.story import RateLimit
from tests.prove.scene import linked, ratio
from tests.prove.sheet import Sheet, check

MB = 1_000_000
_RETRY = re.compile(r"Download failed, retrying \((\d+)/(\d+)\): ")
_END = "Download failed after 3 attempts: "


@check(
    "seed-attempts",
    "headway daemon with max-download-attempts of 3 by flag, by file or by SIGHUP in mid-pull: an unplugged link ends "
    "the pull after three attempts, as the log counts them, and nothing is fetched again.",
)
def seed_attempts(sheet: Sheet) -> None:
    """Unplug the link under a daemon in three ways."""
    for way, flags, file in (
        ("flag", ["--max-download-attempts=3", "-D"], {}),
        ("file", [], {"max-download-attempts": 3, "debug": True}),
        ("SIGHUP", [], {"max-download-attempts": 9, "debug": True}),
    ):
        place = sheet.place / way
        place.mkdir()
        settings = place / "daemon.json"
        settings.write_text(json.dumps(file))
        with daemon(place, *flags) as running:
            reload = (lambda: _reload(running, settings)) if way == "SIGHUP" else _nothing  # noqa: B023  # called here
            _unplugged(sheet, f"by {way}", running, reload)


def _unplugged(sheet: Sheet, way: str, running: Daemon, meanwhile: Callable[[], None]) -> None:
    image = images.image([images.noise_layer(8 * MB, seed=sheet.seed)])
    with linked(RateLimit(4 * MB), image=image) as (_, link, name):
        answers: list[Answer] = []
        pulling = threading.Thread(target=lambda: answers.append(_pull(running, name)))
        pulling.start()
        wait_until(lambda: link.bytes_down > image.size // 4)
        meanwhile()
        wait_until(lambda: link.bytes_down > image.size // 2)
        link.down("refuse")
        pulling.join()
        last = answers[0].lines[-1].get("error", "")
        sheet.right(f"{way}: the client is told", "" if "3 attempts" in last else f"{answers[0].lines[-1]}")
        _log_counts(sheet, way, running)
        _finish(sheet, way, running, link, name)
        sheet.at_most(f"{way}: bytes over the link / layers, in all", ratio(link, image), 1.01, "x", decimals=4)


def _log_counts(sheet: Sheet, way: str, running: Daemon) -> None:
    log = running.log.read_text()
    counted = [f"{one}/{most}" for one, most in _RETRY.findall(log)]
    # The attempt that the plug ended had brought bytes, and counts as a first one too.
    is_right = counted[-2:] == ["1/3", "2/3"] and set(counted[:-2]) <= {"1/3"}
    sheet.right(f"{way}: the log counts 1/3, 2/3", "" if is_right else f"{counted}")
    sheet.right(f"{way}: and says the end, once", "" if log.count(_END) == 1 else f"{log.count(_END)} times")


def _finish(sheet: Sheet, way: str, running: Daemon, link: Link, name: str) -> None:
    """Put the plug in again, and pull again."""
    link.up()
    last = _pull(running, name).lines[-1]
    right = last.get("status", "").startswith("Status: Downloaded")
    sheet.right(f"{way}: it finishes when the link is back", "" if right else str(last))
    sheet.right(f"{way}: no bug", "; ".join(running.bugs)[:300])


def _pull(running: Daemon, name: str) -> Answer:
    connection = UnixConnection(running.socket, seconds=300.0)
    try:
        return connection.ask("POST", f"/v1.41/images/create?fromImage={name}&tag=latest")
    finally:
        connection.close()


def _reload(running: Daemon, settings: Path) -> None:
    settings.write_text(json.dumps({"max-download-attempts": 3, "debug": True}))
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "Reset Max Download Attempts: 3" in running.log.read_text())


def _nothing() -> None:
    pass
