"""The stores, in memory, for tests of what uses them. They pass the same contract suites as those on disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

import msgspec

from headway.distribution.connection_lives import Life
from headway.distribution.ranges import Ranges
from headway.errors import (
    ConflictError,
    DigestMismatchError,
    NotFoundError,
    StoreCorruptError,
    StoreError,
)
from headway.oci.digest import ChainID, DiffID, Digest, ImageID, chain_ids
from headway.oci.image_config import check_depth
from headway.oci.moment import microseconds
from headway.oci.reference import Reference
from headway.records import ChainSize, ImageRecord, LayerReport, TarParts, Tree, recipe_beside
from headway.store.images import search_prefixes
from headway.store.references import digest_name, stored_name, tag_name


class MemoryBlobFile:
    """`BlobFile` over bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_at(self, offset: int, length: int) -> bytes:
        if offset + length > len(self._data):
            raise StoreCorruptError("shorter than it should be")
        return self._data[offset : offset + length]

    def close(self) -> None:
        self._data = b""


class MemoryBlobStore:
    """`BlobStore` as a dict.

    Attributes:
        content: The bytes by digest.
    """

    def __init__(self) -> None:
        self.content: dict[Digest, bytes] = {}

    def size(self, digest: Digest) -> int | None:
        return len(self.content[digest]) if digest in self.content else None

    def read(self, digest: Digest) -> bytes:
        if digest not in self.content:
            raise NotFoundError("blob", digest)
        return self.content[digest]

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        if data := self.read(digest):
            yield data

    def open(self, digest: Digest) -> MemoryBlobFile:
        return MemoryBlobFile(self.read(digest))

    def put(self, digest: Digest, data: bytes) -> None:
        actual = Digest.of(data, digest.algorithm)
        if actual != digest:
            raise DigestMismatchError("blob", digest, actual)
        self.content[digest] = bytes(data)

    def delete(self, digest: Digest) -> None:
        self.content.pop(digest, None)

    def walk(self) -> Iterator[Digest]:
        yield from list(self.content)


class _Kept:
    """What is left of an ingest when it is closed."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.held = Ranges()
        self.written = 0.0


class MemoryIngest:
    """`Ingest` over a bytearray."""

    def __init__(
        self, digest: Digest, kept: _Kept, clock: Callable[[], float], left: Callable[[bytes | None, bool], None]
    ) -> None:
        self.digest = digest
        self.size = len(kept.data)
        self.changed = Condition()
        self.generation = 0
        self.closed = False
        self.kept = kept
        self._clock = clock
        self._left = left
        self._unsynced = 0
        self._is_promised = bool(kept.held.total)

    def held(self) -> Ranges:
        with self.changed:
            return self.kept.held.copy()

    def write_at(self, offset: int, data: bytes) -> int:
        with self.changed:
            self._require_open()
            if offset < 0 or offset + len(data) > self.size:
                raise StoreError(f"{len(data)} bytes at {offset} do not fit a blob of {self.size}")
            self.kept.data[offset : offset + len(data)] = data
            self.kept.written = self._clock()
            self._unsynced += len(data)
            self.changed.notify_all()
            return self.kept.held.add(offset, offset + len(data))

    def read_at(self, offset: int, length: int) -> bytes:
        with self.changed:
            return bytes(self.kept.data[offset : offset + length])

    def follow(self) -> MemoryFollower:
        return MemoryFollower(self)

    def unsynced(self) -> int:
        return self._unsynced

    def sync(self) -> None:
        with self.changed:
            if not self.closed:
                self._is_promised = True
                self._unsynced = 0

    def suspect(self) -> None:
        with self.changed:
            self._require_open()
            self.kept.held = Ranges()
            self._unsynced = 0
            self.generation += 1
            self.changed.notify_all()

    def commit(self) -> None:
        with self.changed:
            self._require_open()
            if self.kept.held.total != self.size:
                raise StoreError(f"{self.digest} is not whole")
        self._end(bytes(self.kept.data), keep=False)

    def discard(self) -> None:
        self._end(None, keep=False)

    def discard_unless_synced(self) -> bool:
        if not self._is_promised:
            self._end(None, keep=False)
        return not self._is_promised

    def close(self) -> None:
        self._end(None, keep=bool(self.kept.held.total))

    def _end(self, blob: bytes | None, *, keep: bool) -> None:
        with self.changed:
            if self.closed:
                return
            self.closed = True
            self.changed.notify_all()
        self._left(blob, keep)

    def _require_open(self) -> None:
        if self.closed:
            raise StoreError(f"the ingest of {self.digest} is closed")


class MemoryFollower:
    """`Follower` of a `MemoryIngest`."""

    def __init__(self, ingest: MemoryIngest) -> None:
        self._ingest = ingest
        self._generation = ingest.generation
        self._position = 0
        self._stopped = False

    @property
    def position(self) -> int:
        return self._position

    @property
    def is_stopped(self) -> bool:
        with self._ingest.changed:
            return self._ended()

    def ready(self) -> bool:
        with self._ingest.changed:
            return self._is_ready()

    def read(self, limit: int) -> bytes:
        ingest = self._ingest
        with ingest.changed:
            ingest.changed.wait_for(self._is_ready)
            if self._ended():
                raise InterruptedError(f"{ingest.digest} is not followed any more")
            data = bytes(ingest.kept.data[self._position : min(self._end(), self._position + limit)])
            self._position += len(data)
            return data

    def _is_ready(self) -> bool:
        return self._ended() or self._position == self._ingest.size or self._end() > self._position

    def stop(self) -> None:
        with self._ingest.changed:
            self._stopped = True
            self._ingest.changed.notify_all()

    def _ended(self) -> bool:
        return self._stopped or self._ingest.closed or self._generation != self._ingest.generation

    def _end(self) -> int:
        return self._ingest.kept.held.held_from(self._position)


class MemoryIngestStore:
    """`IngestStore` whose commits go to `blobs`."""

    def __init__(self, blobs: MemoryBlobStore, *, clock: Callable[[], float] = time.time) -> None:
        self._blobs = blobs
        self._clock = clock
        self._kept: dict[Digest, _Kept] = {}
        self._open: set[Digest] = set()

    def open(self, digest: Digest, size: int) -> MemoryIngest:
        if digest in self._open:
            raise ConflictError(f"the ingest of {digest} is open already")
        kept = self._kept.get(digest)
        if kept is None or len(kept.data) != size:
            kept = self._kept[digest] = _Kept(size)
        self._open.add(digest)

        def left(blob: bytes | None, keep: bool) -> None:  # noqa: FBT001  # the two ways of leaving
            if blob is not None:
                self._blobs.content[digest] = blob
            if not keep:
                del self._kept[digest]
            self._open.discard(digest)

        return MemoryIngest(digest, kept, self._clock, left)

    def held(self, digest: Digest) -> int:
        return self._kept[digest].held.total if digest in self._kept else 0

    def walk(self) -> Iterator[tuple[Digest, int, float]]:
        for digest, kept in list(self._kept.items()):
            yield digest, kept.held.total, kept.written

    def discard(self, digest: Digest) -> None:
        if digest in self._open:
            raise ConflictError(f"the ingest of {digest} is open")
        self._kept.pop(digest, None)


Derive = Callable[[Sequence[Tree], Tree, Path], LayerReport]


class MemoryLayerStore:
    """`LayerStore` whose trees are directories below `directory`; only they are on disk."""

    def __init__(self, directory: Path, *, derive: Derive) -> None:
        self._directory = directory
        self._derive = derive
        self._made = 0
        self._trees: dict[DiffID, Tree] = {}
        self._recipes: dict[DiffID, Path] = {}
        self._chains: dict[ChainID, tuple[ChainID | None, DiffID, Tree]] = {}

    def has_tree(self, diff_id: DiffID) -> bool:
        return diff_id in self._trees

    def has_chain(self, chain_id: ChainID) -> bool:
        return chain_id in self._chains

    @contextmanager
    def new_tree(self) -> Iterator[Path]:
        path = self._make()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            recipe_beside(path).unlink(missing_ok=True)

    def _make(self) -> Path:
        self._made += 1
        path = self._directory / f"private-{self._made}"
        path.mkdir()
        path.chmod(0o755)
        return path

    def _keep(self, path: Path) -> Path:
        return path.rename(path.with_name(path.name.replace("private", "tree")))

    def keep_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> bool:
        return False

    def commit_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> None:
        if diff_id not in self._recipes and recipe_beside(path).exists():
            self._recipes[diff_id] = self._keep(recipe_beside(path))
        if diff_id not in self._trees:
            self._trees[diff_id] = Tree(self._keep(path), report)

    def tar_parts(self, diff_id: DiffID) -> TarParts | None:
        if diff_id not in self._trees or diff_id not in self._recipes:
            return None
        return TarParts(self._trees[diff_id].path, self._recipes[diff_id])

    def commit_chain(self, diff_ids: Sequence[DiffID]) -> ChainID | None:
        check_depth(len(diff_ids))
        for diff_id in diff_ids:
            if diff_id not in self._trees:
                raise NotFoundError("layer", diff_id)
        parent: ChainID | None = None
        for diff_id, chain_id in zip(diff_ids, chain_ids(diff_ids), strict=True):
            if chain_id not in self._chains:
                self._chains[chain_id] = (parent, diff_id, self._tree_over(parent, self._trees[diff_id]))
            parent = chain_id
        return parent

    def _tree_over(self, parent: ChainID | None, raw: Tree) -> Tree:
        if raw.report.stands_alone or (parent is None and not raw.report.lower_links):
            return raw
        path = self._make()
        report = self._derive(self.trees(parent), raw, path)
        return Tree(self._keep(path), report)

    def trees(self, chain_id: ChainID | None) -> list[Tree]:
        trees: list[Tree] = []
        while chain_id is not None:
            if chain_id not in self._chains:
                raise NotFoundError("chain", chain_id)
            chain_id, _, tree = self._chains[chain_id]
            trees.insert(0, tree)
        return trees

    def sizes(self) -> dict[ChainID, ChainSize]:
        return {
            chain_id: ChainSize(parent, self._trees[diff_id].report.size)
            for chain_id, (parent, diff_id, _) in self._chains.items()
        }

    def below(self, chain_id: ChainID | None) -> list[ChainID]:
        """Return a chain and those below it, top first."""
        found = []
        while chain_id in self._chains:
            assert chain_id is not None
            found.append(chain_id)
            chain_id = self._chains[chain_id][0]
        return found

    def retain(self, chains: set[ChainID], layers: set[DiffID]) -> dict[str, int]:
        """Keep these chains, what they need, and these layers; return what else was here: directories and bytes."""
        gone = [self._chains.pop(chain_id)[2] for chain_id in self._chains.keys() - chains]
        used = {diff_id for _, diff_id, _ in self._chains.values()} | layers
        for diff_id in self._recipes.keys() - used:
            self._recipes.pop(diff_id).unlink()
        gone += [self._trees.pop(diff_id) for diff_id in self._trees.keys() - used]
        left = {tree.path for tree in (*self._trees.values(), *(tree for _, _, tree in self._chains.values()))}
        removed = {tree.path: tree for tree in gone if tree.path not in left}
        for path in removed:
            shutil.rmtree(path)
        return {path.name: tree.report.disk_bytes for path, tree in removed.items()}

    def chains(self) -> set[ChainID]:
        """Return every chain."""
        return set(self._chains)

    def layers(self) -> set[DiffID]:
        """Return every layer."""
        return set(self._trees)

    def diff_id(self, chain_id: ChainID) -> DiffID:
        """Return the top layer of a chain."""
        return self._chains[chain_id][1]


class MemoryImageStore:
    """`ImageStore` as a dict.

    Attributes:
        names: What a `MemoryReferenceStore` over it holds.
        blobs: Which blobs each image keeps.
    """

    def __init__(self) -> None:
        self._records: dict[ImageID, ImageRecord] = {}
        self.blobs: dict[ImageID, set[Digest]] = {}
        self.names: dict[Reference, ImageID] = {}

    def get(self, image_id: ImageID) -> ImageRecord | None:
        return self._records.get(image_id)

    def put(self, record: ImageRecord) -> None:
        if record.parent is not None and record.parent not in self._records:
            raise NotFoundError("image", record.parent)
        self._records[record.image_id] = record
        self.add_blobs(record.image_id, {record.image_id, record.manifest or record.image_id})

    def add_blobs(self, image_id: ImageID, digests: Iterable[Digest]) -> None:
        if image_id not in self._records:
            raise NotFoundError("image", image_id)
        self.blobs.setdefault(image_id, set()).update(digests)

    def blobs_of(self, image_id: ImageID) -> list[Digest]:
        return sorted(self.blobs.get(image_id, ()))

    def set_last_tagged(self, image_id: ImageID, seconds: float) -> None:
        if (record := self.get(image_id)) is not None:
            self._records[image_id] = msgspec.structs.replace(record, last_tagged=seconds)

    def children(self, image_id: ImageID) -> list[ImageID]:
        return sorted(record.image_id for record in self._records.values() if record.parent == image_id)

    def parents(self) -> set[ImageID]:
        return {record.parent for record in self._records.values() if record.parent is not None}

    def search(self, prefix: str) -> list[ImageID]:
        starts = search_prefixes(prefix)
        return [image_id for image_id in sorted(self._records) if image_id.startswith(starts)][:2] if starts else []

    def delete(self, image_id: ImageID) -> None:
        if image_id in self.names.values():
            raise ConflictError(f"image {image_id} still has a name")
        self._records.pop(image_id, None)
        self.blobs.pop(image_id, None)
        for child in self.children(image_id):
            self._records[child] = msgspec.structs.replace(self._records[child], parent=None)

    def list(self) -> list[ImageRecord]:
        def newest_first(record: ImageRecord) -> tuple[float, str]:
            created = microseconds(record.created)
            return (float("inf") if created is None else -created, record.image_id)

        return sorted(self._records.values(), key=newest_first)

    def count(self) -> int:
        return len(self._records)


class MemoryReferenceStore:
    """`ReferenceStore` of the images in `images`."""

    def __init__(self, images: MemoryImageStore) -> None:
        self._images = images

    def get(self, reference: Reference) -> ImageID | None:
        return self._images.names.get(stored_name(reference))

    def put_tag(self, reference: Reference, image_id: ImageID) -> ImageID | None:
        name = tag_name(reference)
        before = self.get(name)
        self._put(name, image_id)
        return None if before == image_id else before

    def put_digest(self, reference: Reference, image_id: ImageID) -> None:
        name = digest_name(reference)
        if self.get(name) not in (None, image_id):
            raise ConflictError(f"Cannot overwrite digest {name.digest}")
        self._put(name, image_id)

    def _put(self, name: Reference, image_id: ImageID) -> None:
        if self._images.get(image_id) is None:
            raise NotFoundError("image", image_id)
        self._images.names[name] = image_id

    def delete(self, reference: Reference) -> bool:
        return self._images.names.pop(stored_name(reference), None) is not None

    def of(self, image_id: ImageID) -> list[Reference]:
        return sorted((name for name, known in self._images.names.items() if known == image_id), key=str)

    def within(self, repository: Reference) -> list[Reference]:
        return sorted((name for name in self._images.names if name.repository == repository.repository), key=str)

    def list(self) -> list[tuple[Reference, ImageID]]:
        return sorted(self._images.names.items(), key=lambda pair: str(pair[0]))


class MemoryHosts:
    """`HostMemory` as a set."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._lives: dict[str, Life] = {}

    def answered(self, host: str) -> None:
        self._known.add(host)

    def lives(self) -> dict[str, Life]:
        return dict(self._lives)

    def lived(self, lives: Mapping[str, Life]) -> None:
        self._lives.update(lives)

    def has_answered(self, host: str) -> bool:
        return host in self._known

    def addresses(self) -> dict[str, tuple[str, ...]]:
        return dict(self._addresses)

    def found(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self._addresses |= {host: tuple(good) for host, good in addresses.items()}
