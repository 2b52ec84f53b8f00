"""The files of an archive as they come by: documents are kept (`archived_documents`), layers go into the layer store.

Rule 1: of a file that turns out to be no layer, or a broken one, only an image that needs it makes a failure.
Rule 2: a file's name may say that its layer is here; what is unpacked is named by its bytes alone.
Rule 3: of an archive that can be read in any order, several layers are unpacked at once.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial

import msgspec

from headway.errors import ConflictError, DigestMismatchError, HeadwayError, InvalidArchiveError, InvalidLayerError
from headway.interfaces.archives import Archive, ArchivedFile
from headway.interfaces.content import Spool
from headway.interfaces.files import Applier, TarSource
from headway.interfaces.garbage import Lease
from headway.oci.archive_names import promised_diff_id, promised_digest
from headway.oci.archived import ArchivedImage, Read
from headway.oci.digest import DiffID, Digest
from headway.oci.image_config import ImageConfig
from headway.service.archives.archived_documents import Documents
from headway.service.archives.layer_sources import Aside, Digested, Lent, Peeked
from headway.service.concurrency.thread_group import ThreadGroup
from headway.service.stores import Stores

Progress = Callable[[str, int, int], None]
"""Takes a file's name, how many of its bytes were read, and its length."""

Images = Callable[[Read], list[ArchivedImage]]
"""Says what an archive's documents mean, given what reads them."""


class Taker(msgspec.Struct, frozen=True, kw_only=True):
    """What takes layers.

    Attributes:
        applier: Unpacks them, each in a thread that does nothing else.
        measure: Computes a layer's diff ID; it reads the whole source.
        spool: Opens a place to put a layer aside.
        retain: Whether compressed blobs are kept as blobs, too.
        at_once: How many are unpacked at once, where the archive allows it.
    """

    applier: Applier
    measure: Callable[[TarSource], DiffID]
    spool: Callable[[], Spool]
    retain: bool = False
    at_once: int = 1


class ArchivedLayers:
    """Takes an archive's files, once.

    Args:
        stores: Where layers are put.
        taker: Takes them.
        lease: Keeps them.
        progress: Called with the progress of a layer.
    """

    def __init__(self, stores: Stores, taker: Taker, lease: Lease, progress: Progress) -> None:
        self.documents = Documents()
        self._stores = stores
        self._taker = taker
        self._lease = lease
        self._progress = progress
        self._found: dict[str, DiffID | HeadwayError] = {}
        self._sizes: dict[str, int] = {}
        self._computed: set[tuple[DiffID, Digest]] = set()
        self._wanted: Mapping[str, DiffID] = {}
        self._is_complete = False
        self._is_stopped: Callable[[], bool] = lambda: False

    def take_all(self, archive: Archive, images: Images) -> None:
        """Take every file of an archive.

        Args:
            archive: Gives them.
            images: Says which images there are, by the documents so far.

        Raises:
            InvalidArchiveError: It is broken, or far too large to be documents.
            StoreError: The disk failed.
        """
        with ThreadGroup(self._taker.at_once if archive.documents_first else 1) as threads:
            self._is_stopped = lambda: threads.stopped
            for file in archive.files():
                if file.link:
                    self.documents.link(file.name, file.link)
                    continue
                self._sizes[file.name] = file.size
                source = Peeked(file)
                if self.documents.takes(file.name, file.size, source):
                    self.documents.add(file.name, source.rest())
                elif (work := self._work(file, source, archive, images)) is not None:
                    threads.do(work)

    def require(self, name: str, diff_id: DiffID, position: int) -> None:
        """Make sure that a layer of an image is here, and is what its config says.

        Args:
            name: Of its file.
            diff_id: The layer.
            position: Its place in the image, from 0.

        Raises:
            InvalidArchiveError: It is missing, or another layer.
            InvalidLayerError: It cannot be unpacked.
            DigestMismatchError: Its file has another digest than its name says.
        """
        file = self.documents.resolve(name)
        found = self._found.get(file)
        if found is None and self._is_here(diff_id):  # whoever made the archive may leave out what everybody has
            return
        if found is None and (data := self.documents.read(name)) is not None:
            with ThreadGroup(1) as threads:
                threads.do(partial(self._unpack, file, Peeked(io.BytesIO(data)), len(data)))
            found = self._found[file]
        if found is None:
            raise InvalidArchiveError(f"layer {name!r} is missing, and it is not here either")
        if isinstance(found, HeadwayError):
            raise found
        if found != diff_id:
            raise InvalidArchiveError(f'invalid diffID for layer {position}: expected "{diff_id}", got "{found}"')

    def size(self, name: str) -> int | None:
        """Return how long a file is, links followed; None where the archive does not have it."""
        return self._sizes.get(self.documents.resolve(name))

    def was_computed(self, diff_id: DiffID, digest: Digest) -> bool:
        """Tell whether both digests were computed over the same bytes of this archive."""
        return (diff_id, digest) in self._computed

    # One file

    def _work(
        self, file: ArchivedFile, source: Peeked, archive: Archive, images: Images
    ) -> Callable[[], object] | None:
        """Return what is to be done with a file that is no document; None for nothing."""
        wanted = self._expected(archive, images)
        if self._is_complete and file.name not in wanted:
            return None
        diff_id = wanted.get(file.name) or self._promised(file.name, source)
        if diff_id is None:
            return partial(self._put_aside, file.name, source, file.size)
        if not self._is_here(diff_id):
            return partial(self._unpack, file.name, source, file.size)
        self._found[file.name] = diff_id
        return None

    def _expected(self, archive: Archive, images: Images) -> Mapping[str, DiffID]:
        """Return which file holds which layer, as far as the documents so far say; and whether they say it of all."""
        if self.documents.changed:  # a small layer is no news: an archive of a thousand images has thousands of those
            self.documents.begin()
            self._wanted = {}
            with suppress(HeadwayError):  # it is said when everything has come
                self._wanted = self._by_file(images(self.documents.read))
            self._is_complete = bool(self._wanted) and (archive.documents_first or not self.documents.missed)
        return self._wanted

    def _by_file(self, images: list[ArchivedImage]) -> dict[str, DiffID]:
        found: dict[str, DiffID] = {}
        for image in images:
            config = self.documents.read(image.config)
            if config is not None:
                layers = zip(image.layers, ImageConfig.parse(config).diff_ids, strict=False)
                found |= {self.documents.resolve(name): diff_id for name, diff_id in layers}
        return found

    def _promised(self, name: str, source: Peeked) -> DiffID | None:
        """Return the layer that a file holds by its name, or by what was seen of its digest before."""
        digest = promised_digest(name)
        if digest is None:
            return promised_diff_id(name)
        return DiffID(digest) if source.is_tar else self._stores.metadata.diff_id_of(digest)

    def _put_aside(self, name: str, source: Peeked, size: int) -> None:
        """Find out which layer it is before it is unpacked."""
        with closing(self._taker.spool()) as spool:
            aside = Aside(source, spool)
            try:
                diff_id = self._taker.measure(aside)
            except InvalidLayerError as error:
                self._found[name] = error
                return
            if self._is_here(diff_id):
                self._found[name] = diff_id
                return
            aside.turn()
            self._unpack(name, Peeked(aside), size)

    def _unpack(self, name: str, source: Peeked, size: int) -> None:
        try:
            self._found[name] = self._unpacked(name, source, size)
        except (InvalidLayerError, DigestMismatchError) as error:
            self._found[name] = error

    def _unpacked(self, name: str, source: Peeked, size: int) -> DiffID:
        digest = promised_digest(name)
        # The digest of an uncompressed tar is its diff ID, which unpacking computes anyway.
        is_diff_id = digest is not None and digest.algorithm == "sha256" and source.is_tar
        with ExitStack() as closing, self._stores.layers.new_tree() as directory:
            digested = None if digest is None or is_diff_id else closing.enter_context(self._kept(digest, source, size))
            with Lent(digested or source) as lent:
                diff_id, report = self._taker.applier(lent, directory, lambda done: self._tell(name, done, size))
            if digest is not None and is_diff_id and diff_id != digest:
                raise DigestMismatchError("a layer in the archive", digest, diff_id)
            if digested is not None:
                digested.finish()
                self._computed.add((diff_id, digested.digest))
            self._lease.add([diff_id])
            self._stores.layers.commit_tree(diff_id, directory, report)
        return diff_id

    def _tell(self, name: str, done: int, size: int) -> None:
        if self._is_stopped():
            raise InterruptedError
        self._progress(name, done, size)

    def _kept(self, digest: Digest, source: Peeked, size: int) -> Digested:
        ingest = None
        if self._taker.retain and not source.is_tar and self._stores.blobs.size(digest) is None:
            self._lease.add([digest])
            with suppress(ConflictError):  # a pull is just bringing it
                ingest = self._stores.ingests.open(digest, size)
        return Digested(source, digest, ingest)

    def _is_here(self, diff_id: DiffID) -> bool:
        self._lease.add([diff_id])
        return self._stores.layers.has_tree(diff_id)
