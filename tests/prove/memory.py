"""What a pull takes of memory, at the most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import headway
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.tars import directory, file, tar
from tests.faults.story import CutEvery, Fault, FlipByte, LinkFault, RateLimit
from tests.prove.peaks import peaks_of
from tests.prove.scene import linked, started
from tests.prove.sheet import Sheet, check

MB = 1_000_000
MIB = 1 << 20
LIMIT_MB = 64.0
CORES = 16
ENTRIES = 200_000
SECONDS = 600.0


@check(
    "memory",
    "A one-shot pull, all its processes, stays <= 64 MB: through cuts, several layers and streams, repairs, gzip, "
    "zstd, 1 GiB, 200,000 tiny entries, and on 16 cores.",
)
def memory(sheet: Sheet) -> None:
    """Pull one image after the other, and look at all its processes."""
    sizes = (30, 20, 10)
    layers = [images.noise_layer(size * MB, seed=sheet.seed + size) for size in sizes]
    text = {f"usr/{n}": b"line %d of a text that compresses well\n" % n * 50_000 for n in range(40)}
    _measure(sheet, "gzip, 3 layers, cut every 4 MB", images.image(layers), [CutEvery(4 * MB)])
    _measure(sheet, "zstd, 3 layers, cut every 4 MB", images.image(layers, compression="zstd"), [CutEvery(4 * MB)])
    _measure(sheet, "gzip, 3 layers, each connection capped", images.image(layers), [RateLimit(2.0 * MB, shared=False)])
    one = images.image(layers[:1])
    flip = Fault(FlipByte(one.size // 4), kind="blob", digest=one.layers[0], nth=1)
    _measure(sheet, "gzip, one layer, cut every 64 KiB", one, [CutEvery(64 * 1024)])
    _measure(sheet, "gzip, one layer, a byte flipped", one, [], [flip])
    _measure(sheet, "gzip, 80 MB of text in 0.4 MB", images.image([text]), [])
    _measure(sheet, "zstd, 80 MB of text in 10 kB", images.image([text], compression="zstd"), [])
    _measure(sheet, "gzip, 200,000 tiny entries", images.image([_entries()]), [])
    gib = {"big": images.noise(64 * MIB, seed=sheet.seed) * 16}
    for compression in ("gzip", "zstd"):
        many = images.image([images.noise_layer(25 * MB, seed=seed) for seed in range(6)], compression=compression)
        _measure(sheet, f"{compression}, 6 layers on {CORES} cores", many, cores=CORES)
        _measure(sheet, f"{compression}, 6 layers on {CORES} cores, slowly", many, [RateLimit(15.0 * MB)], cores=CORES)
    _measure(sheet, "not compressed, one layer of 1 GiB", images.image([gib], compression="none"), [])


def _entries() -> bytes:
    """Return a tar of 1,000 directories with 200 files of a few bytes each."""
    every = ENTRIES // 200
    items = []
    for number in range(every):
        items.append(directory(f"usr/lib/python/package_{number}"))
        items += [file(f"usr/lib/python/package_{number}/module_{n}.py", b"# %d\n" % n) for n in range(199)]
    return tar(directory("usr"), directory("usr/lib"), directory("usr/lib/python"), *items)


def _measure(
    sheet: Sheet,
    name: str,
    image: images.Image,
    faults: Sequence[LinkFault] = (),
    script: Sequence[Fault] = (),
    *,
    cores: int | None = None,
) -> None:
    root = sheet.place / name.replace(" ", "-")
    cli = Cli(root, _believing(cores, sheet.place) if cores is not None else {})
    with linked(*faults, image=image, script=script) as (_, _, reference):
        with started(cli, "pull", "--progress", "none", reference) as process, peaks_of(process.pid) as peaks:
            _, stderr = process.communicate(timeout=SECONDS)
        sheet.right(f"{name}: completes", "" if process.returncode == 0 else stderr)
        sheet.at_most(f"{name}: memory", peaks.memory / MB, LIMIT_MB, "MB", decimals=1)


def _believing(cores: int, place: Path) -> Mapping[str, str]:
    """Return an environment in which Python finds so many cores, however many this machine has."""
    (place / "sitecustomize.py").write_text(f"import os\nos.sched_getaffinity = lambda pid: set(range({cores}))\n")
    return {"PYTHONPATH": f"{place}:{Path(headway.__file__).parents[1]}"}
