"""Measure one kind of work by two programs in turn, each time on a new disk with an empty store."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.corpus import Image
from bench.disk import drop_caches
from bench.measure import group
from bench.outbound.tasks import Scene, Side, Task
from bench.processes import run
from bench.registry import Registry
from bench.rounds import Bench, in_turn, say
from bench.samples import Comparison, Sample
from bench.scratch import scratch


@dataclass(frozen=True, slots=True)
class Material:
    """An image in the forms that programs take in.

    Args:
        image: The image.
        archive: As ``docker save`` writes it.
        files: The tar of its largest layer.
        reference: Where the registry has it.
    """

    image: Image
    archive: Path
    files: Path
    reference: str


def made(image: Image, place: Path, registry: Registry) -> Material:
    """Write an image's other forms into an empty folder, and put it into a registry.

    Raises:
        BenchError: skopeo or tar failed.
    """
    archive = place / f"{image.name}.tar"
    source = f"oci:{image.layout}:{image.compression}"
    run(["skopeo", "--insecure-policy", "copy", "--quiet", source, f"docker-archive:{archive}:bench/{image.name}:1"])
    layers = place / "layers"
    layers.mkdir()
    run(["tar", "-xf", str(archive), "-C", str(layers), "--wildcards", "*.tar", "--exclude", "*/*"])
    files = max(layers.iterdir(), key=lambda path: path.stat().st_size)
    return Material(image, archive, files, registry.push(image))


def compare(bench: Bench, task: Task, material: Material, *, rounds: int, twins: int) -> Comparison:
    """Measure every side ``rounds`` times in turn, then Headway ``twins`` times twice in a row.

    Raises:
        BenchError: A command failed.
    """
    works = {side.program.name: partial(_sample, bench, task, side, material) for side in task.sides}
    return in_turn(f"{task.name}: {material.image.name}", works, rounds=rounds, twins=twins)


def _sample(bench: Bench, task: Task, side: Side, material: Material, turn: str) -> Sample:
    with (
        scratch() as elsewhere,
        bench.disk.fresh() as mounted,
        group(bench.groups, side.program.name) as members,
        side.program.running(mounted / "data", elsewhere, members) as client,
    ):
        out = mounted / "out"
        out.mkdir()
        scene = Scene(
            client, material.image, material.archive, material.files, bench.registry.address, material.reference, out
        )
        side.prepare(scene)
        words = [*client.command, *map(str, side.words(scene))]
        if task.cold:
            drop_caches()
            _read(material)
            client.image_ids()  # brings the program's own files back into memory
        sample = bench.sample(members, words, client.environment)
    say(f"{task.name}: {material.image.name}, {turn}", side.program.name, sample)
    return sample


def _read(material: Material) -> None:
    """Bring what is read from outside of the measured disk into the page cache."""
    for path in (material.archive, material.files):
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass
