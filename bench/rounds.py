"""Measure programs in turn on one image.

Rule: within a round every program runs once, right after the other, each from the same cold state;
a run whose image is not there afterwards ends the whole benchmark.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.corpus import Image
from bench.disk import Disk, drop_caches
from bench.measure import Group, group, measure
from bench.peers import Program, check_pulled
from bench.processes import BenchError
from bench.registry import Registry
from bench.samples import OURS, Comparison, Sample
from bench.scratch import scratch


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share: the measured disk, the registry, and the mounted control group hierarchy."""

    disk: Disk
    registry: Registry
    groups: Path

    def compare(self, image: Image, programs: Sequence[Program], *, rounds: int, twins: int) -> Comparison:
        """Measure every program ``rounds`` times in turn, then Headway ``twins`` times twice in a row.

        Raises:
            BenchError: A pull failed, or a program did not start.
        """
        reference = self.registry.push(image)
        works = {program.name: partial(self.pull, program, image, reference) for program in programs}
        return in_turn(f"{image.name} {image.compression}", works, rounds=rounds, twins=twins)

    def pull(self, program: Program, image: Image, reference: str, label: str) -> Sample:
        """Let a program pull an image into a store that has nothing, and return what it cost.

        Raises:
            BenchError: The pull failed, or the program did not start.
        """
        with (
            scratch() as elsewhere,
            self.disk.fresh() as mounted,
            group(self.groups, program.name) as members,
            program.running(mounted / "data", elsewhere, members) as client,
        ):
            drop_caches()
            self.registry.read_blobs(image)
            # Asking also brings the program's own files back into memory.
            if held := client.image_ids():
                raise BenchError(f"{program.name} starts with {len(held)} images: the store is not cold")
            sample = self.sample(members, [*client.pull, reference], client.environment)
            check_pulled(client, image.image_id)
        say(label, program.name, sample)
        return sample

    def sample(self, members: Group, command: Sequence[str], environment: Mapping[str, str]) -> Sample:
        """Run one command of a program whose group is `members`, and return what it cost.

        Raises:
            BenchError: It failed.
        """
        self.disk.sync()
        written, sent = self.disk.bytes_written(), self.registry.bytes_sent()
        measured = measure(members, command, environment=environment)
        sync_started = time.perf_counter()
        self.disk.sync()
        return Sample(
            wall_seconds=measured.wall_seconds,
            cpu_seconds=measured.cpu_seconds,
            peak_rss_bytes=measured.peak_rss_bytes,
            sync_seconds=time.perf_counter() - sync_started,
            written_bytes=self.disk.bytes_written() - written,
            fetched_bytes=self.registry.bytes_sent() - sent,
        )


def in_turn(name: str, works: Mapping[str, Callable[[str], Sample]], *, rounds: int, twins: int) -> Comparison:
    """Measure what each program does ``rounds`` times in turn, then what Headway does ``twins`` times twice in a row.

    Args:
        name: What is compared, as in tables.
        works: By program; each is told which round it is.
        rounds: How many.
        twins: How many pairs.
    """
    measured = [{program: work(f"round {number + 1}") for program, work in works.items()} for number in range(rounds)]
    pairs = [(works[OURS]("A/A"), works[OURS]("A/A")) for _ in range(twins)]
    return Comparison(name, measured, pairs)


def say(label: str, program: str, sample: Sample) -> None:
    """Tell whoever waits what a run cost."""
    cost = f"{sample.wall_seconds:6.2f} s  {sample.cpu_seconds:6.2f} CPU-s"
    print(f"{label:8} {program:10} {cost}", file=sys.stderr)
