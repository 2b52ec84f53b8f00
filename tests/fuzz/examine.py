"""One blob, unpacked in two ways beside things that must not be touched: what is wrong with how it went?"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from headway.errors import HeadwayError, InvalidLayerError, UnsupportedError
from headway.layers.compression.expanding import Compression, detect, expand
from headway.layers.recipes.rebuild import verified
from headway.layers.recipes.recipe import Recipe
from headway.layers.recipes.recorder import Recorder
from headway.layers.tar.limits import Limits
from headway.layers.unpacking.applier import apply_layer
from headway.layers.unpacking.handoff import HandoffMaker, alone
from headway.layers.unpacking.workers import Workers
from tests.fakes.tars import Source
from tests.fakes.trees import Node, snapshot
from tests.fuzz.inputs import OUTSIDE

LIMITS = Limits(expanded_bytes=4 << 20, entries=2000)
CPU_SECONDS = 10.0
MEMORY = {
    Compression.NONE: 48 << 20,
    Compression.GZIP: 48 << 20,
    Compression.BZIP2: 48 << 20,
    Compression.ZSTD: (128 + 48) << 20,
    Compression.XZ: (192 + 48) << 20,
}
"""How many bytes more than before one blob may need: windows are what each format is granted."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a blob is unpacked; what comes of it must not depend on it, but for `rootless`."""

    rootless: bool
    openat2: bool | None
    isal: bool
    step: int
    is_alone: bool

    @classmethod
    def chosen(cls, rng: random.Random, *, rootless: bool) -> Way:
        """Return one of them."""
        return cls(
            rootless=rootless,
            openat2=rng.choice((None, False)),
            isal=rng.random() < 0.7,
            step=rng.choice((1 << 20, 1 << 20, 4096, 513, 100)),
            is_alone=rng.random() < 0.5,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one blob.

    Attributes:
        accepted: Whether it is a layer.
        problem: What must not be; empty where all is well.
    """

    accepted: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Result:
    """The end of one unpacking: a refusal, or a digest and what is on disk."""

    refusal: str = ""
    diff_id: str = ""
    tree: dict[str, Node] | None = None


class World:
    """A directory to unpack into, and beside it what nothing may touch. Its directory becomes the working one."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.root = place / "world" / "root"
        self.recipe = place / "recipe"
        self._canary = place / "world" / "canary"
        (self._canary / "sub").mkdir(parents=True)
        (self._canary / "file").write_text("alive")
        (place / "here").mkdir()
        os.chdir(place / "here")
        self._before = self._outside()
        self._workers = Workers(is_worth_it=True, records=False, worth=1)
        self._worker = self._workers.joined()  # it stays, so that no blob waits for its start
        self._worker.__enter__()

    def handing_off(self, way: Way) -> AbstractContextManager[HandoffMaker]:
        """Give where a layer's small files go."""
        return nullcontext(alone) if way.is_alone else self._workers.handing_off()

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Give an empty root."""
        self.root.mkdir()
        try:
            yield self.root
        finally:
            try:
                shutil.rmtree(self.root)
            except (OSError, RecursionError):  # nested deeper than Python can follow
                subprocess.run(["rm", "-rf", self.root], check=True)
            self.recipe.unlink(missing_ok=True)

    def touched(self) -> str:
        """Return what is not as it was outside of the root."""
        now = self._outside()
        return "" if now == self._before else f"outside: {sorted(now.items() ^ self._before.items())}"

    def _outside(self) -> dict[str, str]:
        places = (self._place, self._place / "here", self._place / "world", self._canary, self._canary / "sub")
        found = {str(path): " ".join(sorted(set(os.listdir(path)) - {"root", "recipe"})) for path in places}
        for path in (self._canary, self._canary / "sub", self._canary / "file"):
            status = path.lstat()
            found[f"{path} itself"] = f"{status.st_mode:o} {status.st_uid} {status.st_nlink} {status.st_mtime_ns}"
        found["content"] = (self._canary / "file").read_text()
        found["elsewhere"] = str(os.path.lexists(OUTSIDE))
        return found


def examine(blob: bytes, world: World, rng: random.Random) -> Verdict:
    """Unpack a blob twice and give its tar back; tell what is wrong."""
    rootless = rng.random() < 0.4
    ways = (Way.chosen(rng, rootless=rootless), Way.chosen(rng, rootless=rootless))
    began = time.process_time()
    before = _memory(reset=True)
    try:
        first = _unpacked(blob, world, ways[0], with_recipe=True)
        second = _unpacked(blob, world, ways[1], with_recipe=False)
    except Exception:
        return Verdict(accepted=False, problem=f"{ways}\n{traceback.format_exc()}")
    accepted = not first.refusal
    granted = MEMORY[detect(blob)]
    problems = [
        world.touched(),
        _disagreement(first, second),
        f"{time.process_time() - began:.1f} s of CPU" if time.process_time() - began > CPU_SECONDS else "",
        f"{more >> 20} MiB of memory" if (more := _memory() - before) > granted else "",
        f"{left} descriptors left open" if (left := len(os.listdir("/proc/self/fd"))) > 40 else "",
    ]
    found = "; ".join(filter(None, problems))
    return Verdict(accepted, f"{found}\n{ways}" if found else "")


def _unpacked(blob: bytes, world: World, way: Way, *, with_recipe: bool) -> _Result:
    """Unpack a blob; all but the two errors that a bad layer may bring are faults, and raised."""
    with world.fresh() as root:
        try:
            if not with_recipe:
                diff_id = _applied(blob, world, way, None)
            else:
                with Recorder(world.recipe, root) as recorder:
                    diff_id = _applied(blob, world, way, recorder)
        except (InvalidLayerError, UnsupportedError) as error:
            return _Result(refusal=str(error))
        if with_recipe and (problem := _not_given_back(blob, world, way)):
            raise AssertionError(problem)
        return _Result(diff_id=diff_id, tree=_tree(root))


def _applied(blob: bytes, world: World, way: Way, recorder: Recorder | None) -> str:
    with world.handing_off(way) as hand_off:
        diff_id, _ = apply_layer(
            Source(blob, way.step),
            world.root,
            lambda _: None,
            limits=LIMITS,
            rootless=way.rootless,
            openat2=way.openat2,
            isal=way.isal,
            observer=recorder,
            hand_off=hand_off,
        )
    if recorder is not None:
        recorder.finish(diff_id)
    return diff_id


def _not_given_back(blob: bytes, world: World, way: Way) -> str:
    """Return why tree and recipe do not make the tar that came."""
    tar = b"".join(expand(Source(blob), lambda _: None, isal=way.isal))
    try:
        with Recipe(world.recipe) as recipe:
            return "" if b"".join(verified(recipe, world.root)) == tar else "another tar is given back"
    except HeadwayError as error:
        return f"the tar is not given back: {error}"


def _tree(root: Path) -> dict[str, Node] | None:
    """Return what is on disk, but for times; None where it is nested too deeply.

    What no entry describes has the time when it was made.
    """
    try:
        return {name: node._replace(mtime_ns=0) for name, node in snapshot(root).items()}
    except (OSError, RecursionError):
        return None


def _disagreement(first: _Result, second: _Result) -> str:
    if bool(first.refusal) != bool(second.refusal):
        return f"accepted one way, refused the other: {first.refusal or second.refusal}"
    if first.refusal:
        return ""
    if first.diff_id != second.diff_id:
        return "two diff IDs"
    return "" if first.tree == second.tree else "two trees"


def _memory(*, reset: bool = False) -> int:
    """Return the most memory this process had since the last reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10
