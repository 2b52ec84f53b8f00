"""What every `LayerStore` does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from headway.errors import NotFoundError, UnsupportedError
from headway.interfaces.layers import LayerStore
from headway.oci.digest import ChainID, DiffID, Digest, chain_ids
from headway.records import ChainSize, LayerReport, Tree, recipe_beside

WHOLE = LayerReport(size=10, disk_bytes=4096, entries=1)
LEANING = LayerReport(size=20, disk_bytes=8192, entries=1, implicit=("etc",))


def diff_id(name: str) -> DiffID:
    return DiffID(Digest.of(name.encode()))


def chain_id(*names: str) -> ChainID:
    return chain_ids([diff_id(name) for name in names])[-1]


def derive(lower: Sequence[Tree], raw: Tree, target: Path) -> LayerReport:
    """Stand in for `headway.layers.trees.derive`: write down what was given."""
    assert os.listdir(target) == []
    stack = [os.listdir(tree.path)[0] for tree in lower]
    (target / f"{os.listdir(raw.path)[0]}-over-{'-'.join(stack)}").touch()
    return LayerReport(size=raw.report.size, disk_bytes=512)


def commit(subject: LayerStore, name: str, report: LayerReport = WHOLE) -> DiffID:
    """Commit a tree with one file, which is called as the layer is."""
    with subject.new_tree() as path:
        (path / name).write_text(name)
        subject.commit_tree(diff_id(name), path, report)
    return diff_id(name)


def with_recipe(subject: LayerStore, name: str) -> DiffID:
    """Commit a tree as `commit` does, with a recipe that says the same."""
    with subject.new_tree() as path:
        (path / name).write_text(name)
        recipe_beside(path).write_text(name)
        subject.commit_tree(diff_id(name), path, WHOLE)
    return diff_id(name)


def files(subject: LayerStore, chain: ChainID | None) -> list[str]:
    """Return which file each tree of a chain has."""
    return [os.listdir(tree.path)[0] for tree in subject.trees(chain)]


class LayerStoreContract:
    """Give `subject`, an empty `LayerStore` that derives with `derive`."""

    def test_a_tree_that_is_not_committed_leaves_nothing(self, subject: LayerStore) -> None:
        with subject.new_tree() as path:
            (path / "a" / "b").mkdir(parents=True)
            (path / "a").chmod(0o555)

        assert not path.exists()
        assert not subject.has_tree(diff_id("a"))

    def test_a_new_tree_is_empty_and_others_may_look_into_it_when_it_is_mounted(self, subject: LayerStore) -> None:
        with subject.new_tree() as first, subject.new_tree() as second:
            found = first != second, os.listdir(first), first.stat().st_mode & 0o777

        assert found == (True, [], 0o755)

    def test_a_committed_tree_is_here(self, subject: LayerStore) -> None:
        commit(subject, "base")

        assert subject.has_tree(diff_id("base"))
        assert not subject.has_tree(diff_id("other"))

    def test_a_recipe_is_here_with_its_tree(self, subject: LayerStore) -> None:
        parts = subject.tar_parts(with_recipe(subject, "base"))

        assert parts is not None
        assert (parts.recipe.read_text(), os.listdir(parts.tree)) == ("base", ["base"])

    def test_a_layer_without_a_recipe_cannot_be_given_back(self, subject: LayerStore) -> None:
        commit(subject, "base")

        assert subject.tar_parts(diff_id("base")) is None
        assert subject.tar_parts(diff_id("other")) is None

    def test_a_recipe_that_comes_later_is_taken_once(self, subject: LayerStore) -> None:
        commit(subject, "base")
        with_recipe(subject, "base")
        with subject.new_tree() as path:
            recipe_beside(path).write_text("another")
            subject.commit_tree(diff_id("base"), path, WHOLE)

        parts = subject.tar_parts(diff_id("base"))

        assert parts is not None
        assert (parts.recipe.read_text(), os.listdir(parts.tree)) == ("base", ["base"])

    def test_a_recipe_that_is_not_committed_leaves_nothing(self, subject: LayerStore) -> None:
        with_recipe(subject, "base")
        with subject.new_tree() as path:
            recipe_beside(path).touch()
        with subject.new_tree() as again:
            recipe_beside(again).touch()
            subject.commit_tree(diff_id("base"), again, WHOLE)

        assert not recipe_beside(path).exists()
        assert not recipe_beside(again).exists()

    def test_a_tree_that_is_here_already_stays_as_it_is(self, subject: LayerStore) -> None:
        commit(subject, "base")
        with subject.new_tree() as path:
            (path / "again").touch()
            subject.commit_tree(diff_id("base"), path, WHOLE)
        subject.commit_chain([diff_id("base")])

        assert files(subject, chain_id("base")) == ["base"]
        assert not path.exists()

    def test_a_chain_lists_its_trees_bottom_first(self, subject: LayerStore) -> None:
        ids = [commit(subject, name) for name in ("base", "middle", "top")]

        chain = subject.commit_chain(ids)

        assert chain == chain_id("base", "middle", "top")
        assert files(subject, chain) == ["base", "middle", "top"]
        assert [tree.report for tree in subject.trees(chain)] == [WHOLE] * 3

    def test_every_prefix_is_a_chain(self, subject: LayerStore) -> None:
        subject.commit_chain([commit(subject, name) for name in ("base", "middle", "top")])

        prefix = chain_id("base", "middle")

        assert subject.has_chain(prefix)
        assert not subject.has_chain(chain_id("middle"))
        assert files(subject, prefix) == ["base", "middle"]

    def test_no_layers_are_no_chain(self, subject: LayerStore) -> None:
        assert subject.commit_chain([]) is None
        assert subject.trees(None) == []

    def test_a_chain_may_hold_a_layer_twice(self, subject: LayerStore) -> None:
        base = commit(subject, "base")

        chain = subject.commit_chain([base, base])

        assert files(subject, chain) == ["base", "base"]

    def test_a_chain_of_125_layers_is_the_longest(self, subject: LayerStore) -> None:
        layer = commit(subject, "a")

        subject.commit_chain([layer] * 125)

        with pytest.raises(UnsupportedError, match="max depth exceeded: 126 layers"):
            subject.commit_chain([layer] * 126)

    def test_a_chain_without_one_of_its_trees_is_refused_whole(self, subject: LayerStore) -> None:
        base = commit(subject, "base")

        with pytest.raises(NotFoundError):
            subject.commit_chain([base, diff_id("missing")])
        with pytest.raises(NotFoundError):
            subject.trees(chain_id("base", "missing"))

        assert not subject.has_chain(chain_id("base"))

    def test_a_layer_that_leans_on_others_gets_a_tree_for_each_chain(self, subject: LayerStore) -> None:
        base, other = commit(subject, "base"), commit(subject, "other")
        leaning, top = commit(subject, "leaning", LEANING), commit(subject, "top", LEANING)

        first = subject.commit_chain([base, leaning, top])
        second = subject.commit_chain([base, other, leaning])
        again = subject.commit_chain([base, leaning, top])

        assert first == again
        assert files(subject, first) == [
            "base",
            "leaning-over-base",
            "top-over-base-leaning-over-base",
        ]
        assert files(subject, second) == ["base", "other", "leaning-over-base-other"]
        assert subject.trees(second)[-1].report == LayerReport(size=20, disk_bytes=512)

    def test_the_bottom_layer_leans_on_nothing(self, subject: LayerStore) -> None:
        chain = subject.commit_chain([commit(subject, "base", LEANING)])

        assert files(subject, chain) == ["base"]
        assert subject.trees(chain)[0].report == LEANING

    def test_what_the_bottom_layer_links_to_is_looked_for(self, subject: LayerStore) -> None:
        chain = subject.commit_chain([commit(subject, "base", LayerReport(lower_links=(("link", "nothing"),)))])

        assert files(subject, chain) == ["base-over-"]

    def test_a_report_comes_back_as_it_was(self, subject: LayerStore) -> None:
        report = LayerReport(
            size=1,
            disk_bytes=2,
            entries=3,
            implicit=("a\udcff",),
            real_modes=(("c", 0o4555),),
            owners=(("d", 0, 2**32 - 2),),
            devices=(("e", 0o20666, 1, 3),),
            xattrs=(("f", "security.capability", b"\x00\xff"),),
        )

        chain = subject.commit_chain([commit(subject, "base", report)])

        assert subject.trees(chain)[0].report == report

    def test_every_chain_says_what_its_top_layer_adds(self, subject: LayerStore) -> None:
        assert subject.sizes() == {}
        commit(subject, "base")
        commit(subject, "leaning", LEANING)

        subject.commit_chain([diff_id("base"), diff_id("leaning")])

        assert subject.sizes() == {
            chain_id("base"): ChainSize(None, WHOLE.size),
            chain_id("base", "leaning"): ChainSize(chain_id("base"), LEANING.size),
        }
