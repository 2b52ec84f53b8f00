"""Which pieces of content each user needs, read from all records in one pass: for sums, never to decide a removal.

A piece is the smallest thing on disk that can be removed alone: a layer's tree, a tree derived for a chain, a recipe, a
blob, an unfinished blob. Its users are images, containers, mounts and leases.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Iterable
from enum import StrEnum
from typing import NamedTuple

from headway.oci.digest import ChainID, Digest
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.space.blocks import allocated, allocated_below, freed_by
from headway.store.trees.layer_rows import derived_directory, tree_directory


class Sort(StrEnum):
    """The sorts of pieces."""

    TREE = "tree"
    DERIVED = "derived"
    RECIPE = "recipe"
    BLOB = "blob"
    INGEST = "ingest"


class Piece(NamedTuple):
    """A piece of content, named by its diff ID (trees, recipes), chain ID (derived trees) or digest (blobs)."""

    sort: Sort
    name: str


class Holdings:
    """Every piece that is on the disk, and its users.

    Args:
        root: The data root.
        database: Its database.
        held: The leases that running work holds.

    Attributes:
        pieces: Disk space of each piece, in bytes.
        images: The pieces that each image needs, newest image first.
        running: The pieces that read-write layers and mounts need.
        in_use: How many containers and mounts use each image.
        untagged: Images without a tag that are no other image's parent.
        idle: The pieces of leases that nobody holds, except those of an existing image.
        busy: The pieces of leases that are held.
        chains: For each chain: the chain below, its diff ID, and the bytes of its derived tree (None without one).
        layers: Size of each layer as Docker counts it, in bytes.
        strays: Bytes of files without a record.
    """

    def __init__(self, root: DataRoot, database: Database, held: Container[str]) -> None:
        self._root = root
        self._database = database
        self._stacks: dict[str | None, tuple[Piece, ...]] = {None: ()}
        self.pieces: dict[Piece, int] = {}
        self.layers: dict[str, int] = {}
        self.strays = 0
        self._read_layers()
        self._read_files()
        self._read_images()
        self._read_leases(held)

    # What there is

    def _read_layers(self) -> None:
        for diff_id, size, disk_bytes in self._database.query("SELECT diff_id, size, disk_bytes FROM trees"):
            self.layers[diff_id] = size
            self.pieces[Piece(Sort.TREE, diff_id)] = disk_bytes
        self.chains: dict[str, tuple[str | None, str, int | None]] = {
            chain_id: (parent, diff_id, derived)
            for chain_id, parent, diff_id, derived in self._database.query(
                "SELECT chain_id, parent, diff_id, iif(report IS NULL, NULL, derived_bytes) FROM chains"
            )
        }
        for chain_id, (_, _, derived) in self.chains.items():
            if derived is not None:
                self.pieces[Piece(Sort.DERIVED, chain_id)] = derived

    def _read_files(self) -> None:
        root = self._root
        directories = {tree_directory(Digest(diff_id)): diff_id for diff_id in self.layers}
        derived = {derived_directory(ChainID(Digest(chain_id))) for chain_id in self.chains}
        for entry in entries(root.recipes):
            if entry.name in directories:
                self.pieces[Piece(Sort.RECIPE, directories[entry.name])] = allocated(entry.path)
            else:
                self.strays += allocated_below(entry.path)
        known = directories.keys() | derived
        self.strays += freed_by(*(entry.path for entry in entries(root.trees) if entry.name not in known))
        for algorithm in entries(root.blobs):
            for entry in entries(algorithm.path):
                self.pieces[Piece(Sort.BLOB, f"{algorithm.name}:{entry.name}")] = allocated(entry.path)
        for entry in entries(root.ingests):
            self.pieces[Piece(Sort.INGEST, entry.name.replace("-", ":", 1))] = allocated_below(entry.path)

    # Who needs it

    def _read_images(self) -> None:
        query = self._database.query
        blobs: dict[str, list[Piece]] = defaultdict(list)
        for image_id, digest in query("SELECT image_id, digest FROM image_blobs"):
            blobs[image_id].append(Piece(Sort.BLOB, digest))
        tops = query("SELECT image_id, chain_id FROM images ORDER BY created_microseconds DESC, image_id")
        self.images = {
            image_id: {piece for piece in (*self.stack(chain_id), *blobs[image_id]) if piece in self.pieces}
            for image_id, chain_id in tops
        }
        users = query("SELECT image_id FROM containers UNION ALL SELECT image_id FROM mounts WHERE rw_layer IS NULL")
        self.in_use: dict[str, int] = defaultdict(int)
        for (image_id,) in users:
            self.in_use[image_id] += 1
        mounted = query("SELECT chain_id FROM rw_layers UNION ALL SELECT chain_id FROM mounts")
        self.running = {piece for (chain_id,) in mounted for piece in self.stack(chain_id)}
        kept = {image_id for (image_id,) in query("SELECT image_id FROM names WHERE kind = 'tag'")}
        kept |= {parent for (parent,) in query("SELECT parent FROM images")}
        self.untagged = self.images.keys() - kept

    def _read_leases(self, held: Container[str]) -> None:
        self.idle: set[Piece] = set()
        self.busy: set[Piece] = set()
        contents: dict[str, list[str]] = defaultdict(list)
        for lease, content in self._database.query("SELECT lease, content FROM leased"):
            contents[lease].append(content)
        for lease, named in contents.items():
            pieces = {piece for content in named for piece in self._named(content)}
            image_id = next((content for content in named if content in self.images), None)
            if lease in held:
                self.busy |= pieces
            elif image_id is not None:
                self.images[image_id] |= pieces  # it ends with the image
            else:
                self.idle |= pieces

    def stack(self, chain_id: str | None) -> tuple[Piece, ...]:
        """Return the pieces of a chain and of all below it."""
        if chain_id not in self._stacks:
            self._stacks[chain_id] = ()  # ends the recursion if rows of a damaged database form a cycle
            parent, diff_id, derived = self.chains.get(chain_id or "", (None, "", None))
            own = [Piece(Sort.TREE, diff_id), Piece(Sort.RECIPE, diff_id)] if diff_id else []
            own += [Piece(Sort.DERIVED, chain_id)] if derived is not None and chain_id is not None else []
            self._stacks[chain_id] = (*self.stack(parent), *(piece for piece in own if piece in self.pieces))
        return self._stacks[chain_id]

    def _named(self, content: str) -> Iterable[Piece]:
        """Return the pieces that a digest in a lease names."""
        named = (Piece(sort, content) for sort in (Sort.TREE, Sort.RECIPE, Sort.BLOB, Sort.INGEST))
        return {*(piece for piece in named if piece in self.pieces), *self.stack(content)}

    def bytes_of(self, pieces: Iterable[Piece]) -> int:
        """Return the disk space of pieces together, in bytes."""
        return sum(self.pieces[piece] for piece in pieces)


def entries(directory: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    """Return the entries of a directory; none where it does not exist."""
    try:
        with os.scandir(directory) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
