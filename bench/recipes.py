"""What a recipe costs: CPU of unpacking with and without one, and its size; `python -m bench.recipes BLOB...`.

Rule: each run is a process of its own, the two kinds take turns, and trees are on tmpfs.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import tempfile
from pathlib import Path

from headway.layers.recipes.recorder import Recorder
from headway.layers.unpacking.applier import apply_layer
from headway.layers.unpacking.umask import unshare_umask

ROUNDS = 5


def cost(blob: Path, *, with_recipe: bool) -> tuple[float, int]:
    """Unpack a layer and return CPU seconds (user + system) and bytes of the recipe."""
    unshare_umask()
    with tempfile.TemporaryDirectory(prefix="headway-recipes-", dir="/dev/shm") as place, blob.open("rb") as source:
        tree, recipe = Path(place) / "tree", Path(place) / "recipe"
        tree.mkdir()
        before = _cpu()
        if not with_recipe:
            apply_layer(source, tree, lambda _: None)
            return _cpu() - before, 0
        with Recorder(recipe, tree) as recorder:
            diff_id, _ = apply_layer(source, tree, lambda _: None, observer=recorder)
            recorder.finish(diff_id)
        return _cpu() - before, recipe.stat().st_size


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _run(job: tuple[Path, bool]) -> tuple[float, int]:
    return cost(job[0], with_recipe=job[1])


def main() -> None:
    """Measure every blob that the command line names."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for blob in map(Path, sys.argv[1:]):
            runs = pool.map(_run, [(blob, kind) for _ in range(ROUNDS) for kind in (False, True)], chunksize=1)
            without, with_it = (statistics.median(seconds for seconds, _ in runs[start::2]) for start in (0, 1))
            share = 100 * runs[1][1] / blob.stat().st_size
            print(f"{blob.name[:12]}  {without:.2f} s  {with_it:.2f} s with  {runs[1][1]:,} bytes  {share:.2f} %")


if __name__ == "__main__":
    main()
