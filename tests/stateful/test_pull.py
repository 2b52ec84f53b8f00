"""Whatever happens to a pull, in whatever order: nothing held is asked for again, and nothing wrong is committed.

Rules change the day (faults of the link and of the registry), pull, cancel a pull at some event, and pretend that
the machine was rebooted. The image is small, so that a pull takes some hundredths of a second.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headway.composition.reading import reading
from headway.errors import PullIncompleteError
from headway.service.transfers.progress import LayerProgress, PullEvent
from headway.settings import Settings
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot
from tests.fakes import images
from tests.faults.link import Link
from tests.faults.pull import Outcome, images_listed, litter, pull
from tests.faults.registry import Registry
from tests.faults.story import (
    CaptivePortal,
    CutAfter,
    CutEvery,
    Effect,
    Fault,
    FlipByte,
    IgnoreRange,
    LinkFault,
    LongBody,
    NoContentLength,
    RawResponse,
    ResetAfter,
    ResetEvery,
    ShortBody,
    Status,
    WrongBlob,
    WrongContentRange,
    WrongTotal,
)

IMAGE = images.image([images.noise_layer(300_000, seed=1), images.noise_layer(120_000, seed=2), {"a": b"a"}])
BIG = IMAGE.layers[0]

OFFSETS = st.integers(0, 320_000)
EFFECTS: st.SearchStrategy[Effect] = st.one_of(
    st.builds(CutAfter, OFFSETS),
    st.builds(ResetAfter, OFFSETS),
    st.builds(ShortBody, st.integers(1, 400_000), honest=st.booleans()),
    st.builds(LongBody, st.integers(1, 1_000)),
    st.builds(WrongContentRange, st.integers(-300_000, 300_000).filter(bool)),
    st.builds(WrongTotal, st.integers(1, 10)),
    st.builds(Status, st.sampled_from([400, 403, 404, 408, 416, 429, 500, 502, 503])),
    st.builds(NoContentLength, chunked=st.booleans()),
    st.sampled_from([CaptivePortal(), IgnoreRange(), RawResponse(b""), RawResponse(b"\x00" * 100)]),
)
OTHER = WrongBlob(images.noise(len(IMAGE.blobs[BIG]), seed=9))
LINK_FAULTS: st.SearchStrategy[LinkFault] = st.one_of(
    st.builds(CutEvery, st.integers(40_000, 200_000)),
    st.builds(ResetEvery, st.integers(40_000, 200_000)),
)


class PullMachine(RuleBasedStateMachine):
    """One data root, one registry behind a link, and a succession of bad days."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="headway-pull-"))
        self.registry = Registry([IMAGE]).__enter__()
        self.link = Link(target=self.registry.address).__enter__()
        self.name = f"{self.link.host}/test/image"
        self.boot = str(uuid.UUID(int=1))
        self.has_lied = False
        self.is_complete = False

    @initialize()
    def begin(self) -> None:
        assert images_listed(self.root) == []

    def teardown(self) -> None:
        self.link.__exit__(None, None, None)
        self.registry.__exit__(None, None, None)
        shutil.rmtree(self.root)

    # --- the day --------------------------------------------------------------------------------------------

    @rule(effects=st.lists(st.tuples(EFFECTS, st.integers(1, 6)), max_size=4))
    def the_registry_has_a_bad_day(self, effects: list[tuple[Effect, int]]) -> None:
        self.registry.faults = [Fault(effect, kind="blob", nth=nth) for effect, nth in effects]

    @rule(flipped=st.one_of(st.none(), st.integers(0, 299_999)), nth=st.one_of(st.none(), st.integers(1, 2)))
    def the_registry_lies(self, flipped: int | None, nth: int | None) -> None:
        lie = OTHER if flipped is None else FlipByte(flipped)
        self.registry.faults = [Fault(lie, kind="blob", digest=BIG, nth=nth)]
        self.has_lied = True

    @rule(faults=st.lists(LINK_FAULTS, max_size=1))
    def the_link_changes(self, faults: list[LinkFault]) -> None:
        self.link.faults = faults

    @rule(number=st.integers(1, 3))
    def the_machine_reboots(self, number: int) -> None:
        self.boot = str(uuid.UUID(int=number))

    # --- what the user does ---------------------------------------------------------------------------------

    @rule()
    def pulls(self) -> None:
        outcome = self.pull()

        assert outcome.told == []
        assert outcome.done is not None or isinstance(outcome.error, PullIncompleteError)
        self.is_complete = self.is_complete or outcome.done is not None

    @rule(at=st.integers(0, 25))
    def cancels_a_pull(self, at: int) -> None:
        seen = 0

        def enough(_: PullEvent) -> bool:
            nonlocal seen
            seen += 1
            return seen > at

        self.is_complete = self.pull(enough).done is not None or self.is_complete

    @rule(at=st.integers(1, 300_000))
    def cancels_a_pull_in_mid_layer(self, at: int) -> None:
        def enough(event: PullEvent) -> bool:
            return isinstance(event, LayerProgress) and event.digest == BIG and event.held >= at

        self.is_complete = self.pull(enough).done is not None or self.is_complete

    @rule()
    def pulls_on_a_good_day(self) -> None:
        self.registry.faults, self.link.faults = [], []

        outcome = self.pull(times=20)  # a second on a busy machine is no twenty minutes without an answer

        assert outcome.error is None, outcome.said
        self.is_complete = True
        assert litter(self.root) == []

    def pull(self, stop: object = None, *, times: int = 1_000) -> Outcome:
        held = self.held()
        self.registry.log.clear()
        outcome = pull(
            self.name,
            self.root,
            attempts=2,
            patience_seconds=0,
            times=times,
            boot_id=self.boot,
            stop=stop if callable(stop) else lambda _: False,
        )
        self.asked_for_nothing_that_was_held(held)
        return outcome

    def asked_for_nothing_that_was_held(self, held: dict[str, list[tuple[int, int]]]) -> None:
        """Compare the ranges asked for first with what was held; later ones follow what came in between."""
        first: dict[str, int] = {}
        for line in self.registry.requests("blob"):
            if line.reply.digest not in first:
                asked = line.range.removeprefix("bytes=").partition("-")[0]
                first[line.reply.digest] = int(asked or 0)
        if self.has_lied:
            first.pop(BIG, None)  # what was found out to be wrong is asked for again
        for digest, start in first.items():
            for begin, end in held.get(digest, []):
                assert not begin <= start < end, f"{digest} was held from {begin} to {end}; asked for {start}-"

    # --- what is always true --------------------------------------------------------------------------------

    def held(self) -> dict[str, list[tuple[int, int]]]:
        """Return what the unfinished blobs hold, by digest."""
        root = DataRoot(self.root)
        found = {}
        store = FileIngestStore(root, boot_id=self.boot)
        for digest, _, _ in list(store.walk()):
            ingest = store.open(digest, len(IMAGE.blobs[str(digest)]))
            found[str(digest)] = list(ingest.held())
            ingest.close()
        return found

    @invariant()
    def what_is_held_is_true(self) -> None:
        if self.has_lied:
            return  # that is found out when the whole is there, not before
        for digest, ranges in self.held().items():
            data = (DataRoot(self.root).ingests / digest.replace(":", "-") / "data").read_bytes()
            for start, end in ranges:
                assert data[start:end] == IMAGE.blobs[digest][start:end]

    @invariant()
    def an_image_is_listed_when_it_is_whole_and_only_then(self) -> None:
        assert images_listed(self.root) == ([IMAGE.image_id] if self.is_complete else [])
        if not self.is_complete:
            return
        with reading(Settings(data_root=self.root)) as stores:
            (record,) = stores.images.list()
            trees = [tree.path for tree in stores.layers.trees(record.chain_id)]
        files = {f.name: hashlib.sha256(f.read_bytes()).digest() for tree in trees for f in tree.iterdir()}
        assert files == {
            "noise-1": hashlib.sha256(images.noise(300_000, seed=1)).digest(),
            "noise-2": hashlib.sha256(images.noise(120_000, seed=2)).digest(),
            "a": hashlib.sha256(b"a").digest(),
        }


TestPull = PullMachine.TestCase
TestPull.settings = settings(max_examples=12, stateful_step_count=8, deadline=None)
