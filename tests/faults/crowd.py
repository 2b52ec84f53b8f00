"""Many who use one store at once: they pull, stop pulls, tag, delete, prune, and look at what is there."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from headway.composition.checking import checking
from headway.composition.pulls import pulling
from headway.composition.writing import writing
from headway.distribution.endpoints import InsecureRegistries
from headway.errors import ConflictError, HeadwayError, NotFoundError
from headway.oci.reference import Reference
from headway.service.images.delete import delete_image
from headway.service.images.prune import Pruner
from headway.service.images.tagging import tag_image
from headway.service.pulling.pull import Puller
from headway.service.registries.remote_image import PullRequest
from headway.service.stores import Stores
from headway.settings import Settings
from tests.fakes import images
from tests.faults.pull import AMD64
from tests.faults.registry import Registry

LAYERS = [images.noise_layer(20_000 + 7_000 * number, seed=number) for number in range(5)]
# Its tar does not name usr/: above others it gets a tree of its own.
LEANING = {"usr/lib/leaning": b"leaning"}
STACKS = [(0,), (0, 1), (0, 1, 2), (0, 3), (4, 0), (1, 4), (2,), (0, 2)]
PULLERS, HANG_SECONDS = 3, 60.0


@dataclass
class Crowd:
    """What a crowd did, and what went wrong.

    Attributes:
        done: How often each thing was done.
        problems: What must not happen.
    """

    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def catalogue() -> list[images.Image]:
    """Return images that share layers in every way."""
    return [
        images.image([*(LAYERS[number] for number in stack), LEANING], tag=f"t{number}", index=number % 2 == 0)
        for number, stack in enumerate(STACKS)
    ]


def gather(root: Path, *, seconds: float, seed: int) -> Crowd:
    """Let a crowd use the store at `root` for some time; then look whether everything is in order."""
    crowd = Crowd()
    with Registry() as registry:
        for image in catalogue():
            registry.add(image)
        names = [f"{registry.host}/test/image:t{number}" for number in range(len(STACKS))]
        with writing(Settings(data_root=root), tell=crowd.problems.append) as stores:
            _Gathering(stores, crowd, names, seed).run(root, seconds)
    return crowd


class _Gathering:
    def __init__(self, stores: Stores, crowd: Crowd, names: list[str], seed: int) -> None:
        self._stores = stores
        self._crowd = crowd
        self._names = names
        self._seed = seed
        self._end = 0.0
        self._pruner = Pruner(stores)

    def run(self, root: Path, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._root = root
        work = [self._delete, self._delete, self._prune, self._prune, self._tag, self._look, self._check]
        threads = [threading.Thread(target=self._repeat, args=(each, number)) for number, each in enumerate(work)]
        threads.append(threading.Thread(target=self._pull_until_the_end, args=(root,)))
        for thread in threads:
            thread.daemon = True
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self._end - time.monotonic()) + HANG_SECONDS)
            if thread.is_alive():
                self._crowd.problems.append(f"{thread.name} hangs")

    def _repeat(self, work: Callable[[random.Random], None], number: int) -> None:
        source = random.Random(self._seed + number)
        while time.monotonic() < self._end:
            with self._noted(work.__name__):
                work(source)
            time.sleep(source.uniform(0, 0.02))

    def _noted(self, what: str) -> _Noted:
        return _Noted(self._crowd, what)

    # What they do

    def _pull_until_the_end(self, root: Path) -> None:
        with self._noted("pulling"):
            asyncio.run(self._pull_all(root))

    async def _pull_all(self, root: Path) -> None:
        async with pulling(Settings(data_root=root), self._stores) as puller, asyncio.TaskGroup() as group:
            for number in range(PULLERS):
                group.create_task(self._pull(puller, random.Random(self._seed - 1 - number)))

    async def _pull(self, puller: Puller, source: random.Random) -> None:
        while time.monotonic() < self._end:
            request = PullRequest(
                reference=Reference.parse(source.choice(self._names)),
                platform=AMD64,
                mirrors=(),
                insecure=InsecureRegistries(),
            )
            patience = source.choice([0.02, 0.1, HANG_SECONDS, HANG_SECONDS])
            try:
                async with asyncio.timeout(patience):
                    await puller.pull(request, lambda _: None)
                self._crowd.done["pulled"] += 1
            except TimeoutError:
                self._crowd.done["stopped"] += 1
                if patience == HANG_SECONDS:
                    self._crowd.problems.append(f"the pull of {request.reference} hangs")
            except HeadwayError as error:
                self._crowd.problems.append(f"a pull failed: {error}")

    def _delete(self, source: random.Random) -> None:
        with suppress(NotFoundError, ConflictError):
            delete_image(self._stores, source.choice(self._names), force=source.random() < 0.5)

    def _prune(self, source: random.Random) -> None:
        is_all, is_unfinished = source.random() < 0.5, source.random() < 0.3
        with suppress(ConflictError):
            filters = {"dangling": ["false"]} if is_all else {}
            report = self._pruner.prune(filters, unfinished=is_unfinished)
            self._crowd.problems.extend(report.kept)

    def _tag(self, source: random.Random) -> None:
        with suppress(NotFoundError):
            tag_image(self._stores, source.choice(self._names), source.choice(["local/a:1", "local/b:1"]))

    def _check(self, source: random.Random) -> None:
        """Whoever comes and goes meanwhile is no damage."""
        with checking(Settings(data_root=self._root)) as checker:
            found = checker.check(full=source.random() < 0.5)
        self._crowd.problems += [f"check: {damage.kind} {damage.name}: {damage.faults}" for damage in found.damage]

    def _look(self, _: random.Random) -> None:
        """Every image that is recorded is whole, and every name stands for one, at any moment."""
        stores = self._stores
        with stores.transaction():
            records = stores.images.list()
            dangling = {image_id for _, image_id in stores.references.list()} - {each.image_id for each in records}
            missing = [
                str(tree.path)
                for record in records
                for tree in stores.layers.trees(record.chain_id)
                if not any(tree.path.iterdir())
            ]
            for record in records:
                stores.blobs.read(record.image_id)
                assert record.manifest is not None
                stores.blobs.read(record.manifest)
        self._crowd.problems += [*missing, *map(str, dangling)]


class _Noted:
    """Counts what went well, and writes down what did not."""

    def __init__(self, crowd: Crowd, what: str) -> None:
        self._crowd = crowd
        self._what = what.strip("_")

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self._crowd.done[self._what] += 1
        elif isinstance(error, Exception):
            self._crowd.problems.append(f"{self._what}: {type(error).__name__}: {error}")
        return True


def problems_of(root: Path) -> list[str]:
    """Return what is wrong with a store that nobody uses: damage, lost or dangling things, garbage behind a prune."""
    with checking(Settings(data_root=root)) as checker:
        told = [f"{damage.kind} {damage.name}: {damage.faults}" for damage in checker.check(full=True).damage]
    with writing(Settings(data_root=root), tell=told.append) as stores:
        Pruner(stores).prune({"dangling": ["false"]}, unfinished=True)
        told += [f"{record.image_id} is left" for record in stores.images.list()]
    parts = ("trees", "ingest", "blobs/sha256", "recipes", "tmp")
    return told + [f"{part}/{path.name} is left" for part in parts for path in (root / part).iterdir()]
