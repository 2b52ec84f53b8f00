"""Layers that are unpacked and given back, for tests of recipes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.layers.recipes.codec import Codec
from headway.layers.recipes.rebuild import verified
from headway.layers.recipes.recipe import Recipe
from headway.layers.recipes.recorder import Recorder
from headway.layers.unpacking.applier import apply_layer
from headway.layers.unpacking.handoff import HandoffMaker, alone
from headway.oci.digest import DiffID
from tests.fakes.tars import Source


def record(
    archive: bytes,
    folder: Path,
    *,
    rootless: bool | None = None,
    codec: Codec | None = None,
    step: int = 1 << 20,
    hand_off: HandoffMaker = alone,
) -> DiffID:
    """Unpack `archive` into ``folder/tree``, with its recipe in ``folder/recipe``; it comes `step` bytes at a time."""
    tree = folder / "tree"
    tree.mkdir()
    with Recorder(folder / "recipe", tree, codec=codec) as recorder:
        source = Source(archive, step)
        diff_id, _ = apply_layer(source, tree, lambda _: None, rootless=rootless, observer=recorder, hand_off=hand_off)
        recorder.finish(diff_id)
    return diff_id


def given_back(folder: Path) -> bytes:
    """Return the archive that `record` was given."""
    with opened(folder) as recipe:
        return b"".join(verified(recipe, folder / "tree"))


@contextmanager
def opened(folder: Path) -> Iterator[Recipe]:
    """Give the recipe that `record` made."""
    with Recipe(folder / "recipe") as recipe:
        yield recipe
