"""Leases and garbage over the stores in memory. They pass the same contract suites as those on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

from headway.errors import ConflictError
from headway.oci.digest import ChainID, DiffID, Digest, ImageID
from headway.records import Freed
from tests.fakes.memory import MemoryBlobStore, MemoryImageStore, MemoryIngestStore, MemoryLayerStore

Key = tuple[str, Digest, int]


def _text(key: Key) -> str:
    purpose, subject, number = key
    return f"{purpose} {subject}" if number == 1 else f"{purpose} {subject} #{number}"


class MemoryLeases:
    """`Leases` as a dict.

    Attributes:
        contents: What each lease names.
    """

    def __init__(self) -> None:
        self.contents: dict[Key, set[Digest]] = {}
        self._held: set[Key] = set()

    @contextmanager
    def hold(self, purpose: str, subject: Digest) -> Iterator[MemoryLease]:
        key = next(key for number in count(1) if (key := (purpose, subject, number)) not in self._held)
        self._held.add(key)
        try:
            yield MemoryLease(self, key)
        finally:
            self._held.remove(key)

    @property
    def held(self) -> set[str]:
        return {_text(key) for key in self._held}

    def subject(self, purpose: str) -> Digest | None:
        keys = [key for key in self.contents if key[0] == purpose]
        return keys[-1][1] if keys else None

    def idle(self) -> list[str]:
        return sorted(map(_text, self._idle()))

    def _idle(self) -> list[Key]:
        return [key for key in self.contents if key not in self._held]

    def end_idle(self, purpose: str = "", content: Digest | None = None) -> set[Digest]:
        """End idle leases: all, those for a purpose, or those that name some content; return what they named."""
        ended: set[Digest] = set()
        for key in self._idle():
            if purpose in ("", key[0]) and (content is None or content in self.contents[key]):
                ended |= self.contents.pop(key)
        return ended

    def leased(self) -> set[Digest]:
        return set().union(*self.contents.values())


class MemoryLease:
    """`Lease` of `MemoryLeases`."""

    def __init__(self, leases: MemoryLeases, key: Key) -> None:
        self._leases = leases
        self._key = key

    def add(self, contents: Iterable[Digest]) -> None:
        self._leases.contents.setdefault(self._key, set()).update(contents)

    def drop(self) -> None:
        self._leases.contents.pop(self._key, None)
        self._leases.end_idle(self._key[0])


class MemoryGarbage:
    """`Garbage` of stores in memory; files go at once, for there is no transaction that could be undone.

    Args:
        images: Need their chains and blobs.
        layers: Chains and trees.
        blobs: Committed ones.
        ingests: Unfinished ones.
        leases: Need what they name.
        in_use: Returns the chains that read-write layers and mounts need.
    """

    def __init__(
        self,
        images: MemoryImageStore,
        layers: MemoryLayerStore,
        blobs: MemoryBlobStore,
        ingests: MemoryIngestStore,
        leases: MemoryLeases,
        in_use: Callable[[], Iterable[ChainID]] = tuple,
    ) -> None:
        self._images = images
        self._layers = layers
        self._blobs = blobs
        self._ingests = ingests
        self._leases = leases
        self._in_use = in_use

    def make_room(self) -> None:
        """Nothing is ever full here."""

    def forget_image(self, image_id: ImageID) -> Freed:
        record = self._images.get(image_id)
        blobs = set(self._images.blobs.get(image_id, ()))
        self._images.delete(image_id)
        if record is None:
            return Freed()
        blobs |= self._leases.end_idle(content=image_id)
        return self._remove(self._layers.below(record.chain_id), blobs)

    def release(self, chain_id: ChainID | None) -> Freed:
        return self._remove(self._layers.below(chain_id), set())

    def forget_unneeded(self, *, unfinished: bool = False) -> Freed:
        if unfinished:
            self._leases.end_idle()
            for digest, _, _ in self._ingests.walk():
                if digest not in self._leases.leased():
                    with suppress(ConflictError):
                        self._ingests.discard(digest)
        chains = sorted(self._layers.chains(), key=lambda chain: -len(self._layers.below(chain)))
        return self._remove(chains, set(self._blobs.content), everything=True)

    def sweep(self, freed: Freed) -> None:
        pass

    def _remove(self, chains: list[ChainID], blobs: set[Digest], *, everything: bool = False) -> Freed:
        """Remove of these chains (each before the one below) and blobs what nothing needs."""
        leased = self._leases.leased()
        tops = {record.chain_id for record in self._images.list()} | set(self._in_use())
        roots = {chain for chain in self._layers.chains() if chain in leased or chain in tops}
        if not everything:
            roots |= self._layers.chains() - set(chains)
        needed = {below for root in roots for below in self._layers.below(root)}
        gone = [chain for chain in chains if chain not in needed]
        size = sum(self._layers.trees(chain)[-1].report.size for chain in gone)
        keep = {DiffID(content) for content in leased} | (set() if everything else self._unchained())
        removed = self._layers.retain(self._layers.chains() - set(gone), keep)
        unused = blobs - leased - set().union(*self._images.blobs.values())
        for digest in unused & set(self._blobs.content):
            self._blobs.delete(digest)
        return Freed(
            chains=tuple(gone), directories=tuple(removed), size=size, disk_bytes=sum(removed.values()), blobs=()
        )

    def _unchained(self) -> set[DiffID]:
        """Return the layers that no chain has: a delete does not look for them."""
        return self._layers.layers() - {self._layers.diff_id(chain) for chain in self._layers.chains()}
