"""No sequence of pulls, tags, removals, prunes, garbage passes and crashes breaks the store.

The model is a few dicts. A crash forgets the process and keeps the disk: what a call returned from must be there.
Needed is what an image or a lease names: it is never lost, and nothing else is left behind a garbage pass.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headway.errors import ConflictError, NotFoundError
from headway.interfaces.garbage import Lease
from headway.oci.digest import ChainID, DiffID, Digest, ImageID, chain_ids
from headway.oci.reference import Reference
from headway.records import Freed, ImageRecord, LayerReport
from headway.store.content.blobs import FileBlobStore
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.images import SqliteImageStore
from headway.store.recovery.recovery import Recovered, recover
from headway.store.references import SqliteReferenceStore
from headway.store.space.garbage import STEPS, SqliteGarbage
from headway.store.space.leases import SqliteLeases
from headway.store.trees.layers import SqliteLayerStore
from tests.contract.layer_store_contract import LEANING, WHOLE, derive, diff_id

# "a" and "b" stand alone, "c" and "d" lean on what is below them.
LAYERS = st.sampled_from("abcd")
STACKS = st.lists(LAYERS, max_size=3).map(tuple)
TAGS = st.sampled_from(["app:1", "app:2", "ghcr.io/team/app:1"])
LEASES = st.sampled_from(["pull app", "pull other"])
KILLS = st.sampled_from(["", "", *STEPS])
MANIFEST = Digest.of(b"manifest")
Stack = tuple[str, ...]
DIGESTS = st.sampled_from([f"app@{Digest.of(b'1')}", f"app@{Digest.of(b'2')}"])


def report(layer: str) -> LayerReport:
    return WHOLE if layer in "ab" else LEANING


def ids(stack: Sequence[str]) -> list[DiffID]:
    return [diff_id(layer) for layer in stack]


def top(stack: Sequence[str]) -> ChainID | None:
    return chain_ids(ids(stack))[-1] if stack else None


def config(stack: Sequence[str]) -> bytes:
    return f"config of {'/'.join(stack)}".encode()


def image_id(stack: Sequence[str]) -> ImageID:
    return ImageID(Digest.of(config(stack)))


class Killed(BaseException):
    """The process ends here."""


class StoreMachine(RuleBasedStateMachine):
    """Layers, images, names, leases and blobs on disk beside dicts that should say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="headway-stateful-"))
        self.trees: set[str] = set()
        self.chains: set[Stack] = set()
        self.images: set[Stack] = set()
        self.names: dict[str, Stack] = {}
        self.leases: dict[str, tuple[set[str], set[Stack], set[Stack]]] = {}  # layers, chains, images
        self.held: dict[str, tuple[Lease, AbstractContextManager[Lease]]] = {}
        self.kill_at = ""

    @initialize()
    def start(self) -> None:
        self.root = DataRoot(self.directory / "root")
        self.root.create()
        self.open()

    def open(self) -> Recovered:
        self.database = Database.open(self.root.database)
        self.lease_store = SqliteLeases(self.database)
        ingests = FileIngestStore(self.root, boot_id="0" * 32)
        self.garbage = SqliteGarbage(
            self.root, self.database, self.lease_store, discard=ingests.discard, step=self.step
        )
        found = recover(self.root, self.database, self.lease_store, self.garbage)
        self.blobs = FileBlobStore(self.root)
        self.layers = SqliteLayerStore(self.root, self.database, derive=derive)
        self.image_store = SqliteImageStore(self.database)
        self.references = SqliteReferenceStore(self.database)
        return found

    def step(self, name: str) -> None:
        if name == self.kill_at:
            self.kill_at = ""
            raise Killed

    # --- layers and chains ---

    @rule(layer=LAYERS)
    def commit_layer(self, layer: str) -> None:
        with self.layers.new_tree() as path:
            (path / layer).touch()
            self.layers.commit_tree(diff_id(layer), path, report(layer))
        self.trees.add(layer)

    @rule(layer=LAYERS)
    def abandon_layer(self, layer: str) -> None:
        with self.layers.new_tree() as path:
            (path / layer).touch()

    @rule(stack=STACKS)
    def commit_chain(self, stack: Stack) -> None:
        try:
            chain = self.layers.commit_chain(ids(stack))
        except NotFoundError:
            assert not self.trees.issuperset(stack)
        else:
            assert chain == top(stack)
            assert self.trees.issuperset(stack)
            self.chains.update(stack[: length + 1] for length in range(len(stack)))

    # --- images and names ---

    @rule(data=st.data(), tag=TAGS)
    def record_image(self, data: st.DataObject, tag: str) -> None:
        stack = data.draw(st.sampled_from([(), *sorted(self.chains)]))
        self.blobs.put(image_id(stack), config(stack))
        self.blobs.put(MANIFEST, b"manifest")
        with self.database.transaction():
            self.image_store.put(
                ImageRecord(
                    image_id=image_id(stack),
                    created="",
                    size=1,
                    platform="linux/amd64",
                    chain_id=top(stack),
                    manifest=MANIFEST,
                )
            )
            self.references.put_tag(Reference.parse(tag), image_id(stack))
        self.images.add(stack)
        self.names[tag] = stack

    @precondition(lambda self: self.images)
    @rule(data=st.data(), tag=TAGS)
    def move_tag(self, data: st.DataObject, tag: str) -> None:
        stack = data.draw(st.sampled_from(sorted(self.images)))
        before = self.references.put_tag(Reference.parse(tag), image_id(stack))
        known = self.names.get(tag)
        assert before == (None if known in (None, stack) else image_id(known or ()))
        self.names[tag] = stack

    @precondition(lambda self: self.images)
    @rule(data=st.data(), digest=DIGESTS)
    def put_digest(self, data: st.DataObject, digest: str) -> None:
        stack = data.draw(st.sampled_from(sorted(self.images)))
        try:
            self.references.put_digest(Reference.parse(digest), image_id(stack))
        except ConflictError:
            assert self.names[digest] != stack
        else:
            assert self.names.setdefault(digest, stack) == stack

    @rule(name=TAGS | DIGESTS)
    def remove_name(self, name: str) -> None:
        was_there = self.references.delete(Reference.parse(name))
        assert was_there == (self.names.pop(name, None) is not None)

    # --- leases ---

    @rule(lease=LEASES)
    def hold(self, lease: str) -> None:
        if lease not in self.held:
            context = self.lease_store.hold(lease, MANIFEST)
            self.held[lease] = (context.__enter__(), context)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), layers=st.sets(LAYERS), stack=STACKS)
    def add_to_lease(self, data: st.DataObject, layers: set[str], stack: Stack) -> None:
        lease = data.draw(st.sampled_from(sorted(self.held)))
        is_of_image = data.draw(st.booleans())
        contents = [*ids(sorted(layers)), *chain_ids(ids(stack))[-1:], *([image_id(stack)] if is_of_image else [])]
        self.held[lease][0].add(contents)
        named = self.leases.setdefault(lease, (set(), set(), set()))
        named[0].update(layers)
        named[1].update([stack] if stack else [])
        named[2].update([stack] if is_of_image else [])

    @precondition(lambda self: self.held)
    @rule(data=st.data(), is_done=st.booleans())
    def leave_lease(self, data: st.DataObject, is_done: bool) -> None:  # noqa: FBT001  # drawn by Hypothesis
        lease = data.draw(st.sampled_from(sorted(self.held)))
        held, context = self.held.pop(lease)
        if is_done:
            held.drop()
            self.leases.pop(lease, None)
        context.__exit__(None, None, None)

    # --- garbage ---

    def needed_chains(self) -> set[Stack]:
        roots = set(self.images)
        for layers, stacks, _ in self.leases.values():
            roots |= stacks & self.chains
            roots |= {(layer,) for layer in layers} & self.chains  # the bottom chain is called as its layer is
        return {stack[: length + 1] for stack in roots for length in range(len(stack))}

    def leased_layers(self) -> set[str]:
        """A chain of one layer has its name, so that who leases the chain leases the layer."""
        return {
            layer
            for layers, stacks, _ in self.leases.values()
            for layer in (*layers, *(stack[0] for stack in stacks if len(stack) == 1))
        }

    @precondition(lambda self: self.images)
    @rule(data=st.data(), kill_at=KILLS)
    def remove_image(self, data: st.DataObject, kill_at: str) -> None:
        stack = data.draw(st.sampled_from(sorted(self.images)))
        if stack in self.names.values():
            with pytest.raises(ConflictError):
                self.garbage.forget_image(image_id(stack))
            return
        self.with_kill(kill_at, lambda: self.garbage.forget_image(image_id(stack)), lambda: self.image_gone(stack))

    def image_gone(self, stack: Stack) -> None:
        self.images.remove(stack)
        ended = {lease for lease, named in self.leases.items() if stack in named[2] and lease not in self.held}
        for lease in ended:
            del self.leases[lease]
        needed = self.needed_chains() | {
            chain[: length + 1] for chain in self.chains if chain != stack[: len(chain)] for length in range(len(chain))
        }
        gone = {stack[: length + 1] for length in range(len(stack))} - needed
        self.chains -= gone
        used = {chain[-1] for chain in self.chains} | self.leased_layers()
        self.trees -= {chain[-1] for chain in gone} - used

    @rule(is_unfinished=st.booleans(), kill_at=KILLS)
    def collect(self, is_unfinished: bool, kill_at: str) -> None:  # noqa: FBT001  # drawn by Hypothesis
        def gone() -> None:
            if is_unfinished:
                self.leases = {lease: named for lease, named in self.leases.items() if lease in self.held}
            self.all_garbage_gone()

        self.with_kill(kill_at, lambda: self.garbage.forget_unneeded(unfinished=is_unfinished), gone)
        if not kill_at:
            self.nothing_unneeded_is_left()

    def all_garbage_gone(self) -> None:
        self.chains &= self.needed_chains()
        self.trees &= {chain[-1] for chain in self.chains} | self.leased_layers()

    def with_kill(self, kill_at: str, forget: Callable[[], Freed], gone: Callable[[], None]) -> None:
        """Forget something and remove its files; die at a step, if it comes to that, and start again."""
        self.kill_at = kill_at
        is_forgotten = False
        try:
            freed = forget()
            is_forgotten = True
            self.garbage.sweep(freed)
        except Killed:
            if is_forgotten:
                gone()
            self.restart()
        else:
            gone()
        self.kill_at = ""

    def nothing_unneeded_is_left(self) -> None:
        derived = {stack for stack in self.chains if len(stack) > 1 and stack[-1] in "cd"}
        trees = {f"sha256-{diff_id(layer).hex}" for layer in self.trees}
        trees |= {f"chain-sha256-{chain_ids(ids(stack))[-1].hex}" for stack in derived}
        assert set(os.listdir(self.root.trees)) == trees
        blobs = {image_id(stack) for stack in self.images} | ({MANIFEST} if self.images else set())
        leased = {image_id(stack) for _, _, stacks in self.leases.values() for stack in stacks}
        assert set(self.blobs.walk()) - leased == blobs - leased
        assert os.listdir(self.root.tmp) == []

    # --- crashes ---

    @rule()
    def roll_back(self) -> None:
        with suppress(ZeroDivisionError), self.database.transaction():
            self.commit_everything_and_fail()

    def commit_everything_and_fail(self) -> None:
        for layer in "abcd":
            with self.layers.new_tree() as path:
                (path / layer).touch()
                self.layers.commit_tree(diff_id(layer), path, report(layer))
        self.layers.commit_chain(ids("abcd"))
        for name in self.names:
            self.references.delete(Reference.parse(name))
        for stack in self.images:
            self.garbage.forget_image(image_id(stack))
        raise ZeroDivisionError

    @rule(private=st.booleans(), is_uncommitted=st.booleans())
    def crash_and_reopen(self, private: bool, is_uncommitted: bool) -> None:  # noqa: FBT001  # drawn by Hypothesis
        if private:
            (self.root.tmp / "half" / "made").mkdir(parents=True)
        if is_uncommitted:
            (self.root.trees / "sha256-uncommitted").mkdir()
        self.restart()

    def restart(self) -> None:
        self.database.close()
        self.held.clear()

        found = self.open()

        self.all_garbage_gone()
        assert (found.lost_trees, found.lost_images) == ((), ())
        self.nothing_unneeded_is_left()

    # --- what is always true ---

    @invariant()
    def layers_agree(self) -> None:
        assert {layer for layer in "abcd" if self.layers.has_tree(diff_id(layer))} == self.trees
        for stack in self.chains:
            trees = self.layers.trees(top(stack))
            found = [next(tree.path.iterdir()).name for tree in trees]
            assert [name.partition("-")[0] for name in found] == list(stack)
            assert all(tree.report.stands_alone for tree in trees[1:]), (
                "only derived trees lie on others where a layer leans"
            )

    @invariant()
    def images_are_whole(self) -> None:
        records = self.image_store.list()
        assert {record.image_id for record in records} == {image_id(stack) for stack in self.images}
        for record in records:
            self.blobs.read(record.image_id)
            self.blobs.read(MANIFEST)
            self.layers.trees(record.chain_id)

    @invariant()
    def names_agree(self) -> None:
        expected = {str(Reference.parse(name)): image_id(stack) for name, stack in self.names.items()}
        assert {str(name): image for name, image in self.references.list()} == expected

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
        shutil.rmtree(self.directory)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
