"""How much disk space a data root takes, by kind of content; the sum equals what du reports.

Rule 1: everything below the data root is counted once: pieces by their records, the rest by asking the disk.
Rule 2: what a prune would free is found by the same rules that decide what it removes (`garbage`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Container, Iterable

from headway.interfaces.usage import ContainerUsage, DownloadUsage, ImageUsage, Kind, LayerUsage, Share, Usage
from headway.oci.digest import DiffID, Digest, ImageID
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.failures import disk_errors
from headway.store.space.blocks import allocated, allocated_below, freed_by
from headway.store.space.holdings import Holdings, Piece, Sort, entries


class SqliteUsage:
    """`DiskUsage` of a data root; one that is absent takes up nothing.

    Args:
        root: The data root.
        database: Its database.
        held: The leases that somebody holds.
        litter: What a killed process has left in ``tmp/`` (`litter_bytes`).
    """

    def __init__(self, root: DataRoot, database: Database, held: Container[str], *, litter: int = 0) -> None:
        self._root = root
        self._database = database
        self._held = held
        self._litter = litter

    def measure(self) -> Usage:
        """Return what is taken up now."""
        with disk_errors(self._root.path):
            sums = _Sums(Holdings(self._root, self._database, self._held), self._litter)
            containers = self._containers()
            return Usage(
                kinds={
                    Kind.IMAGES: sums.images(),
                    Kind.CONTAINERS: sums.containers(containers),
                    Kind.UNFINISHED: sums.unfinished(),
                    Kind.RECIPES: sums.recipes(),
                    Kind.DATABASE: self._database_files(),
                    Kind.OTHER: sums.other(self._directories_and_the_rest() - self._litter),
                },
                images=sums.each_image(),
                layers=sums.each_layer(),
                containers=containers,
                downloads=sums.each_download(),
                dangling=sums.freed(sums.dangling()),
                everything=sums.freed(sums.unused()),
                unfinished=sums.freed_with_unfinished(),
            )

    def _containers(self) -> tuple[ContainerUsage, ...]:
        rows = self._database.query("SELECT name, mount_id FROM rw_layers ORDER BY name")
        return tuple(
            ContainerUsage(name=name, disk_bytes=allocated_below(self._root.rw / mount_id)) for name, mount_id in rows
        )

    def _database_files(self) -> Share:
        """Return what the database takes up, with its logs and the copies from before migrations."""
        files = [path for path in _below(self._root.path) if self._is_of_database(path)]
        return Share(count=len(files), active=len(files), disk_bytes=sum(map(allocated, files)))

    def _directories_and_the_rest(self) -> int:
        """Return what directories take up themselves, and what is neither content nor the database."""
        root = self._root
        ours = {root.blobs, root.ingests, root.trees, root.recipes, root.rw}
        total = sum(map(allocated, (root.path, *ours))) + sum(map(allocated, _below(root.blobs)))
        known = {mount_id for (mount_id,) in self._database.query("SELECT mount_id FROM rw_layers")}
        total += sum(allocated_below(path) for path in _below(root.rw) if os.path.basename(path) not in known)
        names = {path.name for path in ours}
        return total + sum(
            freed_by(path)  # in tmp/ there may be half of a derived tree, whose files are the other one's
            for path in _below(root.path)
            if os.path.basename(path) not in names and not self._is_of_database(path)
        )

    def _is_of_database(self, path: str) -> bool:
        return os.path.basename(path).startswith((self._root.database.name, self._root.record_log.name))


class _Sums:
    """Sums over what is held."""

    def __init__(self, holdings: Holdings, litter: int) -> None:
        self._all = holdings
        self._strays = holdings.strays + litter
        self._uses = Counter(piece for pieces in holdings.images.values() for piece in pieces)
        self._leased = holdings.idle | holdings.busy

    # By kind

    def images(self) -> Share:
        held = self._all
        own = [piece for piece in self._uses if piece.sort not in (Sort.RECIPE, Sort.INGEST)]
        return Share(
            count=len(held.images),
            active=sum(image_id in held.in_use for image_id in held.images),
            disk_bytes=held.bytes_of(own),
            reclaimable=held.bytes_of(self._going(own, self.unused())),
        )

    def containers(self, each: Collection[ContainerUsage]) -> Share:
        held = self._all
        own = (piece for piece in held.running if piece not in self._uses and piece.sort != Sort.RECIPE)
        disk_bytes = held.bytes_of(own) + sum(container.disk_bytes for container in each)
        return Share(count=len(each), active=len(each), disk_bytes=disk_bytes)

    def unfinished(self) -> Share:
        held = self._all
        own = {piece for piece in self._leased - held.running - self._uses.keys() if piece.sort != Sort.RECIPE}
        own |= {piece for piece in held.pieces if piece.sort == Sort.INGEST}
        return Share(
            count=sum(piece.sort == Sort.INGEST for piece in own),
            active=sum(piece.sort == Sort.INGEST for piece in own & held.busy),
            disk_bytes=held.bytes_of(own),
            reclaimable=held.bytes_of(own - held.busy),
        )

    def recipes(self) -> Share:
        own = [piece for piece in self._all.pieces if piece.sort == Sort.RECIPE]
        return Share(
            count=len(own),
            active=len(own),
            disk_bytes=self._all.bytes_of(own),
            reclaimable=self._all.bytes_of({*self._going(own, self.unused()), *self._unneeded(Sort.RECIPE)}),
        )

    def other(self, around: int) -> Share:
        strays = self._strays + self._all.bytes_of(self._unneeded(Sort.TREE, Sort.DERIVED, Sort.BLOB))
        return Share(disk_bytes=around + strays, reclaimable=strays)

    # One by one

    def each_image(self) -> tuple[ImageUsage, ...]:
        return tuple(self._image(image_id, pieces) for image_id, pieces in self._all.images.items())

    def _image(self, image_id: str, pieces: Collection[Piece]) -> ImageUsage:
        held = self._all
        unique = held.bytes_of(self._going(pieces, {image_id}))
        return ImageUsage(
            image_id=ImageID(Digest(image_id)),
            shared=held.bytes_of(pieces) - unique,
            unique=unique,
            containers=held.in_use.get(image_id, 0),
        )

    def each_layer(self) -> tuple[LayerUsage, ...]:
        held = self._all
        taken: Counter[str] = Counter()
        for piece, size in held.pieces.items():
            if piece.sort in (Sort.TREE, Sort.RECIPE):
                taken[piece.name] += size
            elif piece.sort == Sort.DERIVED:
                taken[held.chains[piece.name][1]] += size
        layers = (
            LayerUsage(
                diff_id=DiffID(Digest(diff_id)),
                size=size,
                disk_bytes=taken[diff_id],
                images=self._uses[Piece(Sort.TREE, diff_id)],
            )
            for diff_id, size in held.layers.items()
        )
        return tuple(sorted(layers, key=lambda layer: (-layer.disk_bytes, layer.diff_id)))

    def each_download(self) -> tuple[DownloadUsage, ...]:
        own = sorted(piece for piece in self._all.pieces if piece.sort == Sort.INGEST)
        return tuple(DownloadUsage(digest=Digest(p.name), disk_bytes=self._all.pieces[p]) for p in own)

    # What would go

    def dangling(self) -> set[str]:
        """Return the images that ``prune`` takes."""
        return {image_id for image_id in self._all.untagged if image_id not in self._all.in_use}

    def unused(self) -> set[str]:
        """Return the images that ``prune -a`` takes."""
        return {image_id for image_id in self._all.images if image_id not in self._all.in_use}

    def freed(self, images: Collection[str]) -> int:
        """Return what goes with images, and what goes with any prune."""
        held = self._all
        pieces = {piece for image_id in images for piece in held.images[image_id]}
        unneeded = self._unneeded(Sort.TREE, Sort.DERIVED, Sort.BLOB, Sort.RECIPE)
        return self._strays + held.bytes_of({*self._going(pieces, images), *unneeded})

    def freed_with_unfinished(self) -> int:
        """Return what goes with idle leases, and unfinished downloads that no held lease names."""
        held = self._all
        only = held.idle - held.busy - held.running - self._uses.keys()
        return held.bytes_of(only | {p for p in held.pieces if p.sort == Sort.INGEST and p not in held.busy})

    def _unneeded(self, *sorts: Sort) -> set[Piece]:
        """Return the pieces that nothing needs."""
        held = self._all
        own = {piece for piece in held.pieces if piece.sort in sorts}
        return own - self._uses.keys() - self._leased - held.running

    def _going(self, pieces: Iterable[Piece], images: Collection[str]) -> list[Piece]:
        """Return which of `pieces` only `images` need; unfinished downloads never go with an image."""
        held = self._all
        gone = Counter(piece for image_id in images for piece in held.images[image_id])
        return [
            piece
            for piece in pieces
            if piece.sort != Sort.INGEST
            and gone[piece] == self._uses[piece]
            and piece not in self._leased
            and piece not in held.running
            and self._uses[piece]
        ]


def _below(directory: os.PathLike[str]) -> list[str]:
    return [entry.path for entry in entries(directory)]
