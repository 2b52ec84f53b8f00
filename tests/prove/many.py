"""Fifty images in one process."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.registry import Registry
from tests.prove.peaks import peaks_of
from tests.prove.scene import PULL_SECONDS, difference, left_over, run, started
from tests.prove.sheet import Sheet, check

IMAGES, POOL, SHARED = 50, 40, 9
LAYER = 300_000
MEMORY, DESCRIPTORS = 100, 200
FINAL = 1


@check(
    "many",
    "Fifty images pulled by one command: each layer they share is fetched once, memory and descriptors stay bounded, "
    "and one that fails stops no other.",
)
def many(sheet: Sheet) -> None:
    """Pull fifty images that share most of their layers; two of them cannot be had."""
    rng = random.Random(sheet.seed)
    pool = [images.noise_layer(LAYER, seed=number) for number in range(POOL)]
    stacks = [
        [*rng.sample(pool, SHARED), images.noise_layer(LAYER // 10, seed=1000 + number)] for number in range(IMAGES)
    ]
    made = [images.image(stack) for stack in stacks]
    cli = Cli(sheet.place / "root")
    with Registry() as registry:
        for number, image in enumerate(made):
            registry.add(image, f"many/image-{number}")
        registry.remove(made[7].layers[-1])
        names = [f"{registry.host}/many/image-{number}" for number in range(IMAGES)] + [f"{registry.host}/many/none"]
        with started(cli, "pull", *names) as process, peaks_of(process.pid) as peaks:
            stdout, stderr = process.communicate(timeout=PULL_SECONDS)
        asked = Counter(line.reply.digest for line in registry.requests("blob") if line.status == 200)
    wanted = {digest for number, image in enumerate(made) for digest in image.layers if number != 7}
    repeated = [digest for digest, count in asked.items() if count > 1]
    sheet.tell("layers of all images / different ones", f"{sum(len(i.layers) for i in made)} / {len(wanted)}")
    sheet.at_most("layers fetched more than once", len(repeated), 0, decimals=0)
    sheet.at_least("different layers fetched", len(wanted & asked.keys()), len(wanted))
    done = re.findall("complete, verified", stdout)
    sheet.at_least("images complete", len(done), IMAGES - 1)
    sheet.right("two errors, one for each that cannot be had", _complaint(stderr, names))
    sheet.right(f"exit status {FINAL}", "" if process.returncode == FINAL else str(process.returncode))
    sheet.at_most("most memory", peaks.memory / 1e6, MEMORY, "MB", decimals=1)
    sheet.at_most("most descriptors", peaks.descriptors, DESCRIPTORS, decimals=0)
    sheet.tell("most threads", peaks.threads)
    _look_at(sheet, cli, names, stacks)


def _complaint(stderr: str, names: Sequence[str]) -> str:
    errors = re.findall("^headway: .*", stderr, re.M)
    if len(errors) != 2:
        return f"{len(errors)} errors: {errors}"
    missing = [name for name in (names[7], names[-1]) if not any(f"{name}" in error for error in errors)]
    return f"no error names {missing}" if missing else "a traceback" * ("Traceback" in stderr)


def _look_at(sheet: Sheet, cli: Cli, names: Sequence[str], stacks: Sequence[Sequence[images.Files]]) -> None:
    listed = run(cli, "images", "-q").stdout.split()
    sheet.right("they are listed, and no other", "" if len(set(listed)) == IMAGES - 1 else f"{len(set(listed))} are")
    for number in (0, IMAGES - 1):
        problem = difference(cli, names[number], sheet.place / f"tree-{number}", stacks[number])
        sheet.right(f"image {number}: tree as built", problem)
    sheet.right("nothing unfinished is left", left_over(cli.data_root))
