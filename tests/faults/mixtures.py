"""Bad days at random: registry, mirror and link with faults of their own; and what must be true after any of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import strategies as st

from headway.composition.reading import reading
from headway.errors import PullIncompleteError
from headway.service.transfers.progress import PullStarted
from headway.settings import Settings
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot
from tests.fakes import images
from tests.faults.auth import Bearer
from tests.faults.link import Link
from tests.faults.pull import Outcome, images_listed, litter, pull
from tests.faults.registry import Registry
from tests.faults.story import (
    AddressChange,
    CaptivePortal,
    CutAfter,
    CutEvery,
    DeleteBlob,
    Effect,
    ExpireToken,
    Fault,
    FlipByte,
    IgnoreRange,
    LargePacketsVanish,
    LinkFault,
    LongBody,
    NoContentLength,
    NoDigestHeader,
    Outage,
    RateLimit,
    RawResponse,
    ResetAfter,
    ResetEvery,
    SayToo,
    ShortBody,
    SilentAfter,
    SlowResponse,
    StallAfter,
    Status,
    WrongBlob,
    WrongContentRange,
    WrongTotal,
)

IMAGE = images.image([images.noise_layer(200_000, seed=1), images.noise_layer(90_000, seed=2), {"a": b"a"}])
FILES = {
    "noise-1": hashlib.sha256(images.noise(200_000, seed=1)).digest(),
    "noise-2": hashlib.sha256(images.noise(90_000, seed=2)).digest(),
    "a": hashlib.sha256(b"a").digest(),
}
BOOT = "00000000-0000-4000-8000-000000000001"
FASTER = 1_000.0
_LEAST_PIECE = 10_000
_SOME = range(1, 5)
_XML = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
_OFFSETS = st.integers(0, 220_000)
_RETRY_AFTER = st.sampled_from([{}, {"Retry-After": "0"}, {"Retry-After": "60"}, {"Retry-After": "soon"}])
_LIES: st.SearchStrategy[Effect] = st.one_of(
    st.builds(FlipByte, st.integers(0, 50)),
    st.builds(WrongBlob, st.sampled_from([b"", images.noise(100), images.noise(200_000, seed=8)])),
)
_EFFECTS: st.SearchStrategy[Effect] = st.one_of(
    st.builds(CutAfter, _OFFSETS),
    st.builds(ResetAfter, _OFFSETS),
    st.builds(ShortBody, st.integers(1, 250_000), honest=st.booleans()),
    st.builds(LongBody, st.integers(1, 1_000)),
    st.builds(WrongContentRange, st.integers(-200_000, 200_000).filter(bool)),
    st.builds(WrongTotal, st.integers(1, 10)),
    st.builds(Status, st.sampled_from([400, 401, 404, 408, 416, 500, 502, 504])),
    st.builds(Status, st.sampled_from([429, 503]), _RETRY_AFTER),
    st.builds(Status, st.just(403), st.just({}), st.just(_XML)),
    st.builds(NoContentLength, chunked=st.booleans()),
    st.builds(DeleteBlob, _OFFSETS),
    st.builds(ExpireToken, _OFFSETS),
    st.builds(StallAfter, _OFFSETS, seconds=st.just(0.1)),
    st.builds(SlowResponse, st.just(0.1)),
    st.sampled_from([CaptivePortal(), IgnoreRange(), NoDigestHeader(), RawResponse(b""), RawResponse(b"\x00" * 100)]),
    st.just(SayToo({"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0"})),
)
_QUICK: list[st.SearchStrategy[LinkFault]] = [
    st.builds(CutEvery, st.integers(30_000, 200_000)),
    st.builds(ResetEvery, st.integers(30_000, 200_000)),
    st.builds(RateLimit, st.just(2_000_000.0)),
    st.builds(Outage, _OFFSETS, st.just(0.2), st.sampled_from(["refuse", "reset"])),
]
_SLOW: list[st.SearchStrategy[LinkFault]] = [  # each takes the five seconds after which silence is one
    st.builds(SilentAfter, _OFFSETS),
    st.builds(AddressChange, _OFFSETS),
    st.builds(LargePacketsVanish),
]
_NTH = st.one_of(st.none(), st.integers(1, 4), st.builds(range, st.just(1), st.integers(2, 5)))


@dataclass(frozen=True, slots=True)
class BadDay:
    """What goes wrong.

    Attributes:
        registry: With the registry.
        mirror: With the mirror in front of it; None where there is no mirror.
        link: On the way to the registry.
        has_tokens: Whether the registry wants tokens.
    """

    registry: tuple[Fault, ...]
    mirror: tuple[Fault, ...] | None
    link: tuple[LinkFault, ...]
    has_tokens: bool

    @property
    def has_lies(self) -> bool:
        """Whether somebody sends wrong bytes under a right name."""
        return any(isinstance(fault.effect, FlipByte | WrongBlob) for fault in (*self.registry, *(self.mirror or ())))


def _faults(count: int) -> st.SearchStrategy[tuple[Fault, ...]]:
    kinds = st.sampled_from(["blob", "blob", "manifest", "token"])
    fault = st.builds(Fault, st.one_of(_EFFECTS, _EFFECTS, _LIES), kind=kinds, nth=_NTH).map(_bearable)
    return st.lists(fault, max_size=count).map(tuple)


def _bearable(fault: Fault) -> Fault:
    """Let no blob come in hundreds of pieces, half a second each: what cuts all of them after so little cuts some."""
    cuts_early = isinstance(fault.effect, CutAfter | ResetAfter) and 0 < fault.effect.after < _LEAST_PIECE
    return replace(fault, nth=_SOME) if cuts_early and fault.nth is None else fault


def bad_days(*, slow: bool) -> st.SearchStrategy[BadDay]:
    """Return days at random.

    Args:
        slow: Whether some have faults that take seconds to be noticed.
    """
    link = st.lists(st.one_of(*_QUICK, *(_SLOW if slow else [])), max_size=2).map(tuple)
    return st.builds(BadDay, _faults(4), st.one_of(st.none(), _faults(3)), link, st.booleans())


def survive(day: BadDay, root: Path) -> Outcome:
    """Pull on a bad day, then on a good one, and check what must be true after each; return how the bad one ended."""
    auth = Bearer() if day.has_tokens else None
    with (
        Registry([IMAGE], faults=day.registry, auth=auth) as registry,
        Registry([IMAGE], faults=day.mirror or ()) as mirror,
        Link(target=registry.address, faults=day.link) as link,
    ):
        name = f"{link.host}/test/image"
        mirrors = [mirror.url] if day.mirror is not None else []
        bad = pull(name, root, attempts=2, patience_seconds=0, times=FASTER, mirrors=mirrors, boot_id=BOOT)
        _ended_well(bad)
        _nothing_wrong_is_held(day, root)
        registry.add(IMAGE)
        mirror.add(IMAGE)
        registry.faults = mirror.faults = link.faults = ()
        link.up()
        good = pull(name, root, boot_id=BOOT)
        assert good.error is None, good.said
    assert images_listed(root) == [IMAGE.image_id]
    assert _files(root) == FILES
    assert litter(root) == []
    return bad


def _ended_well(outcome: Outcome) -> None:
    """Check that a pull is complete, or says its cause, what is kept and what to do next."""
    assert outcome.told == []
    if outcome.done is not None:
        assert str(outcome.done.digest) == IMAGE.manifest_digest
        return
    assert isinstance(outcome.error, PullIncompleteError)
    parts = [line.partition(": ")[0] for line in outcome.said.splitlines() if not line.startswith(" ")]
    has_manifest = any(isinstance(event, PullStarted) for event in outcome.events)
    assert parts in (["headway", "kept", "next"], *([] if has_manifest else [["headway", "next"]])), outcome.said


def _nothing_wrong_is_held(day: BadDay, root: Path) -> None:
    """Check that what unfinished blobs hold is true; after lies, that no image is listed which is not."""
    if images_listed(root):
        assert _files(root) == FILES
    if day.has_lies:
        return
    store = FileIngestStore(DataRoot(root), boot_id=BOOT)
    for digest, _, _ in list(store.walk()):
        ingest = store.open(digest, len(IMAGE.blobs[str(digest)]))
        held = list(ingest.held())
        ingest.close()
        data = (DataRoot(root).ingests / str(digest).replace(":", "-") / "data").read_bytes() if held else b""
        assert all(data[start:end] == IMAGE.blobs[str(digest)][start:end] for start, end in held)


def _files(root: Path) -> dict[str, bytes]:
    """Return the digests of the only image's files, by name."""
    with reading(Settings(data_root=root)) as stores:
        (record,) = stores.images.list()
        trees = [tree.path for tree in stores.layers.trees(record.chain_id)]
    return {file.name: hashlib.sha256(file.read_bytes()).digest() for tree in trees for file in tree.iterdir()}
