"""The faults at which engines were measured (docs/moby-parity.md), one row each, with the same layers."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.badlink.faults import LAYERS as SIZES
from bench.badlink.faults import of_blob
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.waiting import wait_until
from tests.faults.link import Link
from tests.faults.pull import bytes_kept
from tests.faults.registry import Registry
from tests.faults.story import (
    CutAfter,
    FlipByte,
    IgnoreRange,
    LinkFault,
    Outage,
    RateLimit,
    RedirectTo,
    ResetAfter,
    SilentAfter,
    Status,
    TrickleBody,
)
from tests.faults.story import Fault as On
from tests.prove.scene import Said, difference, run, started
from tests.prove.sheet import Sheet, check

MIB = 1024 * 1024
PULLS = 3
RATIO = 1.01
LAYERS = [images.noise_layer(size, seed=size) for size in SIZES]


@dataclass(slots=True)
class Row:
    """One fault, while it is measured.

    Attributes:
        title: As in the table.
        registry: Holds the image.
        link: Leads there.
        cli: On an empty data root.
        name: Of the image, over the link.
        big: Digest of the big layer.
        size: Bytes of all layers.
    """

    title: str
    registry: Registry
    link: Link
    cli: Cli
    name: str
    big: str
    size: int


def _row(
    sheet: Sheet,
    title: str,
    measure: Callable[[Row], None],
    *,
    link: Sequence[LinkFault] = (),
    script: Callable[[str], Sequence[On]] = lambda _: (),
) -> None:
    """Set the scene of a row and measure it.

    Args:
        sheet: What is measured goes there.
        title: As in the table.
        measure: Does it.
        link: What goes wrong on the way.
        script: What goes wrong at the registry, for the digest of the big layer.
    """
    image = images.image(LAYERS)
    big = image.layers[1]
    with (
        Registry([image], faults=script(big)) as registry,
        Link(target=registry.address, faults=link) as over,
    ):
        cli = Cli(sheet.place / title.replace(" ", "-").replace(",", "").replace("/", "-"))
        measure(Row(title, registry, over, cli, f"{over.host}/test/image", big, image.size))


def _completes(sheet: Sheet, row: Row, *, ratio: float = RATIO, beside: Callable[[], int] = lambda: 0) -> float:
    """Pull up to three times, as the engines were allowed; return how long the last one took."""
    said = run(row.cli, "pull", row.name)
    pulls = 1
    while said.status != 0 and pulls < PULLS:
        said = run(row.cli, "pull", row.name)
        pulls += 1
    sheet.right(f"{row.title}: completes", said.problem)
    sheet.at_most(f"{row.title}: pulls", pulls, 1, decimals=0)
    _right_and_cheap(sheet, row, ratio=ratio, beside=beside())
    return said.seconds


def _right_and_cheap(sheet: Sheet, row: Row, *, ratio: float = RATIO, beside: int = 0) -> None:
    sheet.at_most(f"{row.title}: bytes / layers", (row.link.bytes_down + beside) / row.size, ratio, "x", decimals=4)
    sheet.right(f"{row.title}: tree as built", difference(row.cli, row.name, row.cli.data_root / "out", LAYERS))


@check("faults-table", "A 24.01 MiB layer between small ones, at every fault engines were measured at: 1.00 x.")
def faults_table(sheet: Sheet) -> None:
    """Measure each row."""
    unbroken = _cuts(sheet)
    sheet.tell("unbroken pull", f"{unbroken:.1f} s")
    _outages(sheet)
    _ranges(sheet)
    _row(
        sheet,
        "one flipped bit",
        lambda row: _flipped(sheet, row),
        script=lambda big: [of_blob(FlipByte(9 * MIB), big, 1)],
    )
    _row(
        sheet,
        "429 x2, Retry-After 2",
        lambda row: _throttled(sheet, row),
        script=lambda big: [of_blob(Status(429, {"Retry-After": "2"}), big, range(1, 3))],
    )
    _signed(sheet)
    _row(sheet, "black hole after 8 MiB", lambda row: _silent(sheet, row), link=[SilentAfter(8 * MIB)])
    for how, number in (("SIGINT", signal.SIGINT), ("SIGKILL", signal.SIGKILL)):
        _row(
            sheet,
            f"client {how} at 15 MiB",
            lambda row, number=number: _killed(sheet, row, number),  # type: ignore[misc]  # mypy and defaults
            link=[RateLimit(10 * MIB)],
        )


def _cuts(sheet: Sheet) -> float:
    """Measure an unbroken pull and those that are cut; return how long the unbroken one took."""
    seconds: dict[str, float] = {}
    for title, effect in (
        ("no fault", None),
        ("cut every 10 MiB", CutAfter(10 * MIB)),
        ("cut every 4 MiB", CutAfter(4 * MIB)),
        ("reset every 4 MiB", ResetAfter(4 * MIB)),
    ):
        _row(
            sheet,
            title,
            lambda row: seconds.update({row.title: _completes(sheet, row)}),
            script=lambda big, effect=effect: [of_blob(effect, big)] if effect else [],  # type: ignore[misc]  # mypy
        )
    for title in list(seconds)[1:]:
        sheet.at_most(f"{title}: longer than unbroken", seconds[title] - seconds["no fault"], 2.0, "s", decimals=1)
    return seconds["no fault"]


def _outages(sheet: Sheet) -> None:
    for after, seconds in ((8, 15.0), (8, 70.0), (20, 8.0)):
        title = f"cut at {after} MiB, then {seconds:.0f} s outage"
        _row(
            sheet,
            title,
            lambda row: _completes(sheet, row),  # type: ignore[arg-type]  # its seconds say nothing here
            link=[Outage(after * MIB, seconds)],
        )


def _ranges(sheet: Sheet) -> None:
    _row(
        sheet,
        "cut once at 20 MiB, Range ignored",
        lambda row: _completes(sheet, row, ratio=2.0),  # type: ignore[arg-type]  # the same
        script=lambda big: [of_blob(IgnoreRange(), big), of_blob(CutAfter(20 * MIB), big, 1)],
    )
    _row(
        sheet,
        "cut at 20 MiB each time, Range ignored",
        lambda row: _hopeless(sheet, row),
        script=lambda big: [of_blob(IgnoreRange(), big), of_blob(CutAfter(20 * MIB), big)],
    )


def _hopeless(sheet: Sheet, row: Row) -> None:
    """No pull can complete; what counts is that it says so, keeps what it has and costs at most twice the layers."""
    said = run(row.cli, "pull", row.name)
    why = "ignores Range requests"
    sheet.right(f"{row.title}: stops and says why", "" if said.status != 0 and why in said.stderr else said.stderr)
    sheet.at_most(f"{row.title}: bytes / layers", row.link.bytes_down / row.size, 2.0, "x", decimals=4)
    sheet.at_least(f"{row.title}: bytes kept", bytes_kept(row.cli.data_root), 20 * MIB)


def _flipped(sheet: Sheet, row: Row) -> None:
    _completes(sheet, row, ratio=2.0)


def _throttled(sheet: Sheet, row: Row) -> None:
    _completes(sheet, row)
    refused = row.registry.requests("blob", status=429)
    log = row.registry.requests()
    early = [
        later.seconds - each.seconds
        for each in refused
        for later in log
        if 0.1 < later.seconds - each.seconds < 1.95  # what was under way already is not called back
    ]
    sheet.at_most(f"{row.title}: requests before the time it named", len(early), 0, decimals=0)
    again = [line.seconds for line in log if line.reply.digest == row.big]
    waits = [later - earlier for earlier, later in itertools.pairwise(again)][: len(refused)]
    sheet.at_least(f"{row.title}: shortest wait", min(waits), 2.0, "s", decimals=2)


def _signed(sheet: Sheet) -> None:
    image = images.image(LAYERS)
    slow = [of_blob(TrickleBody(2.0 * MIB), image.layers[1]), of_blob(CutAfter(8 * MIB), image.layers[1])]
    with Registry([image], faults=slow) as storage, Link(target=storage.address) as far:
        title = "signed URL valid 3 s, cut every 8 MiB at 2 MiB/s"

        def measure(row: Row) -> None:
            seconds = _completes(sheet, row, beside=lambda: far.bytes_down)
            sheet.at_most(f"{title}: took", seconds, 14.0, "s", decimals=1)
            sheet.at_least(f"{title}: URLs signed", len(row.registry.requests("blob", status=307)), 3)

        _row(
            sheet,
            title,
            measure,
            script=lambda big: [of_blob(RedirectTo(f"http://{far.host}", expires_seconds=3.0), big)],
        )


def _silent(sheet: Sheet, row: Row) -> None:
    _completes(sheet, row)
    fell = next(when for when, what in row.link.events if what == "silence")
    asked = [line.seconds for line in row.registry.requests("blob")]
    opened = next(when for when, total in row.link.timeline if when > fell + 1.0 and total > 0)
    sheet.at_most(f"{row.title}: resumed after", opened - fell, 15.0, "s", decimals=1)
    sheet.tell(f"{row.title}: requests for blobs", len(asked))


def _killed(sheet: Sheet, row: Row, number: signal.Signals) -> None:
    with started(row.cli, "pull", row.name) as process:
        wait_until(lambda: row.link.bytes_down >= 15 * MIB)
        process.send_signal(number)
        process.wait(timeout=20)
    time.sleep(0.2)  # what was on its way has crossed the link by then
    said: Said = run(row.cli, "pull", row.name)
    sheet.right(f"{row.title}: completes", said.problem)
    _right_and_cheap(sheet, row)
