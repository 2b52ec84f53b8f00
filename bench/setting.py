"""What a measurement needs around it: a disk of its own, control groups, a registry, and the images built.

Rule: everything is made here and gone afterwards, but for the built images, which are kept until their recipe changes.
"""

import fcntl
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import corpus, disk, measure, prerequisites, registry, scratch
from bench.processes import BenchError
from bench.rounds import Bench

RESULTS = Path(__file__).parent / "results"
WORK = RESULTS / "work"
DISK_BYTES = 6 << 30


@contextmanager
def ready(
    wanted: Sequence[tuple[corpus.Recipe, str]], programs: Iterable[str] = ()
) -> Iterator[tuple[Bench, tuple[corpus.Image, ...]]]:
    """Give a place to measure in, with images built; everything but those is gone after the block.

    Args:
        wanted: Recipes, each with a compression.
        programs: What is needed beyond what every benchmark needs.

    Raises:
        BenchError: Not root, something is missing, no network for an image that has to be built, or another benchmark
            is running.
    """
    layers = [layer for recipe, _ in wanted for layer in recipe.layers]
    prerequisites.ensure({*programs, *(program for layer in layers for program in layer.needs)})
    WORK.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_alone(WORK))
        disk.unmount_below(WORK)  # what a run before this one left when it was killed
        scratch.sweep()
        scratch.sweep(WORK)
        loop = stack.enter_context(disk.attached(WORK, DISK_BYTES))
        images = _images(wanted, WORK / "corpus", loop)
        groups = stack.enter_context(measure.hierarchy(WORK / "groups"))
        server = stack.enter_context(registry.serving(WORK / "registry"))
        yield Bench(loop, server, groups), images


def _images(wanted: Sequence[tuple[corpus.Recipe, str]], built: Path, loop: disk.Disk) -> tuple[corpus.Image, ...]:
    """Build what is not there yet, on the loop disk, and describe the images."""
    built.mkdir(exist_ok=True)
    for recipe in dict.fromkeys(recipe for recipe, _ in wanted):
        if not corpus.is_built(recipe, built):
            print(f"building the image {recipe.name} (once; needs a network)", file=sys.stderr)
            with loop.fresh() as scratch:
                corpus.build(recipe, built, scratch)
    return tuple(corpus.load(recipe, compression, built) for recipe, compression in wanted)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the lock that keeps a second benchmark from disturbing this one's disk and figures."""
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchError("another benchmark is running here") from error
        yield
