"""Any order of entries: what is on disk, and what is reported of it, is what a model in ten lines says."""

from __future__ import annotations

import shutil
import stat
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import InvalidLayerError
from headway.layers.unpacking.applier import apply_layer
from headway.layers.unpacking.handoff import alone
from headway.layers.unpacking.workers import Workers
from headway.records import LayerReport
from tests.fakes.tars import Item, Source, directory, file, tar, whiteout

NAMES = st.sampled_from(["a", "b", "a/c", "a/d", "a/c/e", "a/c/e/f", "b/c"])
ITEMS = st.lists(
    st.one_of(
        st.builds(file, NAMES, st.sampled_from([b"", b"x", b"y" * 5000])),
        st.builds(directory, NAMES),
        st.builds(whiteout, NAMES),
    ),
    max_size=10,
)


class Model:
    """A tree as a dict: bytes are a file, True a directory that owes nothing to lower layers, False one
    that no entry and no whiteout describes, None a whiteout."""

    def __init__(self) -> None:
        self.nodes: dict[str, bytes | bool | None] = {}

    def add(self, item: Item) -> bool:
        """Apply an entry; tell whether it can be."""
        path = str(item.name)
        hidden = path.replace(".wh.", "")
        is_whiteout = hidden != path
        for parent in [hidden[:at] for at, letter in enumerate(hidden) if letter == "/"]:
            there = self.nodes.get(parent, False)
            if isinstance(there, bytes) or (there is None and parent in self.nodes and is_whiteout):
                return is_whiteout
            self.nodes[parent] = there is None or bool(there)
        if is_whiteout:
            self._hide(hidden)
        elif item.type == "dir":
            self.nodes[path] = True
        else:
            self.nodes = {name: node for name, node in self.nodes.items() if not name.startswith(path + "/")}
            self.nodes[path] = item.body
        return True

    def _hide(self, path: str) -> None:
        below = {name for name in self.nodes if name.startswith(path + "/")}
        if self.nodes.get(path) is False:
            if all(self.nodes[name] in (None, False) for name in below):
                self.nodes = {name: node for name, node in self.nodes.items() if name not in {path, *below}}
            else:
                self.nodes[path] = True
        self.nodes.setdefault(path, None)


def on_disk(root: Path, report: LayerReport) -> dict[str, bytes | bool | None]:
    found: dict[str, bytes | bool | None] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        kind = stat.S_IFMT(path.lstat().st_mode)
        found[name] = name not in report.implicit if kind == stat.S_IFDIR else None
        if kind == stat.S_IFREG:
            found[name] = path.read_bytes()
    return found


@settings(deadline=None)
@pytest.mark.parametrize("is_alone", [True, False])
@given(items=ITEMS)
def test_the_tree_and_its_report_are_what_the_model_says(
    workers: Workers,
    is_alone: bool,  # noqa: FBT001
    items: list[Item],
) -> None:
    model = Model()
    can_be = all(model.add(item) for item in items)
    root = Path(tempfile.mkdtemp())

    try:
        with nullcontext(alone) if is_alone else workers.handing_off() as hand_off:
            _, report = apply_layer(Source(tar(*items)), root, lambda _: None, hand_off=hand_off)
        found = on_disk(root, report)
        length = sum(len(node) for node in model.nodes.values() if isinstance(node, bytes))
        blocks = sum(path.lstat().st_blocks * 512 for path in (root, *root.rglob("*")))
    except InvalidLayerError:
        assert not can_be
        return
    finally:
        shutil.rmtree(root)

    assert can_be
    assert found == model.nodes
    names = sum(not isinstance(node, bool) for node in model.nodes.values())
    assert (report.size, report.disk_bytes, report.members) == (length, blocks, names)
