"""Reads the documents of an archive of images: docker-archives of every age since Docker 1.10, and OCI layouts.

Rule 1: an archive that is both is read as a docker-archive, as Docker reads it; its index adds the manifests. Where a
        platform is asked for, the index decides: only that may hold several.
Rule 2: what a descriptor promises (digest, size) is kept beside the name of the file, for whoever reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from headway.errors import InvalidArchiveError, InvalidReferenceError, NoImagesError, NotFoundError, UnsupportedError
from headway.oci.archive_names import clean_name, config_digest
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest, digest_fault
from headway.oci.document import as_object, list_at, text_at, texts_at
from headway.oci.image_archive import FULL_NAME, INDEX, ITEMS, REF_NAME, REPOSITORIES, blob_name
from headway.oci.manifest import Index, Manifest, best_entry, parse_manifest
from headway.oci.media_types import is_image_config
from headway.oci.platform import Platform
from headway.oci.reference import Reference

Read = Callable[[str], "bytes | None"]
"""Returns the content of a small file of the archive, links followed; None where there is none."""

Offered: TypeAlias = tuple[Descriptor, Manifest]
"""An image of an index, with its entry there."""

_NESTED: Final = 4
_MAX_DOCUMENT_BYTES: Final = 64 << 20


class ArchivedImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image of an archive.

    Attributes:
        config: Name of the file of its config.
        layers: Names of its layers' files, bottom first.
        names: Its tags.
        parent: Digest of the config of the image it was made from, as far as the archive says.
        manifest: Its manifest, where the archive has one.
    """

    config: str
    layers: tuple[str, ...]
    names: tuple[Reference, ...] = ()
    parent: Digest | None = None
    manifest: Manifest | None = None


def check_size(descriptor: Descriptor, size: int | None) -> None:
    """Check how long a blob of the archive is; None for one that it does not have.

    Raises:
        InvalidArchiveError: Its descriptor says something else, and everybody who pulled it would be told so.
    """
    if size not in (None, descriptor.size):
        raise InvalidArchiveError(f"blob {descriptor.digest} is {size} bytes long instead of {descriptor.size}")


def archived_images(read: Read, platform: Platform | None, host: Platform) -> list[ArchivedImage]:
    """Return the images of an archive, in its order.

    Args:
        read: Gives its small files.
        platform: Which one is wanted of an image for several; None for `host`'s, or the only one.
        host: This machine's.

    Raises:
        InvalidArchiveError: It is no archive of images, or contradicts itself.
        UnsupportedError: It is as old as Docker 1.9, skopeo's own kind of directory, or holds no image but artifacts.
        NotFoundError: It has nothing for `platform`.
    """
    items, index = read(ITEMS), read(INDEX)
    layout = _Layout(read, platform, host)
    if items is not None and (platform is None or index is None):
        return _of_items(items, layout.by_config(index) if index is not None else {})
    if index is not None:
        return layout.images(index)
    if read(REPOSITORIES) is not None:
        raise UnsupportedError("the archive is of Docker 1.9 or older: load it there, and save it with a newer one")
    raise NoImagesError(
        "it holds no images, neither manifest.json nor index.json; `import` makes one of a root file system"
    )


# --- docker-archive ---


def _of_items(data: bytes, manifests: Mapping[Digest, Manifest]) -> list[ArchivedImage]:
    items = _decoded(data, ITEMS)
    if items is None:  # of no images, as Docker writes it
        return []
    if isinstance(items, dict) and "schemaVersion" in items:
        raise UnsupportedError(
            "it is a directory as skopeo's dir: and podman's docker-dir are, which names no image: "
            "let skopeo copy it to an oci-archive: and load that"
        )
    if not isinstance(items, list):
        raise InvalidArchiveError(f"{ITEMS} is no list")
    found = []
    for at, value in enumerate(items):
        where = f"{ITEMS}[{at}]"
        item = as_object(value, where)
        config = clean_name(text_at(item, "Config", where))
        parent = text_at(item, "Parent", where)
        digest = config_digest(config)
        found.append(
            ArchivedImage(
                config=config,
                layers=tuple(clean_name(name) for name in texts_at(item, "Layers", where)),
                names=tuple(_tag(text) for text in texts_at(item, "RepoTags", where)),
                parent=Digest(parent) if parent and not digest_fault(parent) else None,
                manifest=manifests.get(digest) if digest is not None else None,
            )
        )
    return found


def _tag(text: str) -> Reference:
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError:
        reference = None
    if reference is None or reference.digest is not None or not reference.tag:
        raise InvalidArchiveError(f'invalid tag "{text[:255]}"')
    return reference


# --- OCI layout ---


class _Layout:
    """The documents of an OCI image layout."""

    def __init__(self, read: Read, platform: Platform | None, host: Platform) -> None:
        self._read = read
        self._platform = platform
        self._host = host

    def by_config(self, index: bytes) -> dict[Digest, Manifest]:
        """Return every manifest that can be read, by the digest of its config."""
        found: dict[Digest, Manifest] = {}
        for entry in self._root(index):
            for _, manifest in self._offered(entry, _NESTED):
                found.setdefault(manifest.config.digest, manifest)
        return found

    def images(self, index: bytes) -> list[ArchivedImage]:
        """Return the images that it offers, by names; entries of one name are one image for several platforms."""
        names: dict[Digest, list[Reference]] = {}
        manifests: dict[Digest, Manifest] = {}
        misfits: list[tuple[Reference | None, list[Offered]]] = []
        groups = self._groups(index)
        for name, entries in groups:
            here = [each for entry in entries for each in self._offered(entry, _NESTED)]
            manifest = self._chosen(here)
            if manifest is not None:
                manifests[manifest.digest] = manifest
                names.setdefault(manifest.digest, []).extend([name] if name is not None else [])
            elif here:
                misfits.append((name, here))
        if misfits and (self._platform is not None or not manifests):
            raise self._misfit(misfits)
        if groups and not manifests:
            raise UnsupportedError("it holds artifacts of other kinds, and no image")
        return [_of_manifest(manifest, names[digest]) for digest, manifest in manifests.items()]

    def _misfit(self, misfits: Sequence[tuple[Reference | None, Sequence[Offered]]]) -> NotFoundError:
        what = ", ".join(name.familiar for name, _ in misfits if name is not None) or "the archive"
        there = {str(entry.platform) for _, here in misfits for entry, _ in here if entry.platform is not None}
        offered = f"it is there for {', '.join(sorted(there))}" if there else ""
        return NotFoundError("platform", f"{self._platform or self._host} in {what}", offered)

    def _root(self, data: bytes) -> tuple[Descriptor, ...]:
        document = as_object(_decoded(data, INDEX), INDEX)
        entries = list_at(document, "manifests")
        return tuple(Descriptor.from_document(entry, f"{INDEX}: manifests[{at}]") for at, entry in enumerate(entries))

    def _groups(self, data: bytes) -> list[tuple[Reference | None, list[Descriptor]]]:
        """Return the entries by name; without names, those for different platforms are one image."""
        named: dict[Reference, list[Descriptor]] = {}
        unnamed: list[list[Descriptor]] = []
        for entry in self._root(data):
            if entry.is_attestation:
                continue
            name = _name(entry)
            if name is not None:
                named.setdefault(name, []).append(entry)
            elif unnamed and _is_one_more(unnamed[-1], entry):
                unnamed[-1].append(entry)
            else:
                unnamed.append([entry])
        return [*named.items(), *((None, entries) for entries in unnamed)]

    def _chosen(self, here: Sequence[Offered]) -> Manifest | None:
        """Return the manifest of the wanted platform among those here, None where there is none."""
        if self._platform is None and len(here) == 1:
            return here[0][1]
        best = best_entry([entry for entry, _ in here], self._platform or self._host)
        return next((manifest for entry, manifest in here if entry is best), None)

    def _offered(self, entry: Descriptor, depth: int) -> Iterator[Offered]:
        """Yield what an entry leads to and is here, each manifest with its own entry."""
        document = self._document(entry, must_be_here=depth == _NESTED)
        if isinstance(document, Manifest):
            if is_image_config(document.config.media_type) and not entry.is_attestation:
                yield self._with_platform(entry, document), document
        elif document is not None and depth:
            for child in document.manifests:
                yield from self._offered(child, depth - 1)

    def _with_platform(self, entry: Descriptor, manifest: Manifest) -> Descriptor:
        """Return an entry with the platform of its config, where it names none itself (skopeo and umoci write so)."""
        if entry.platform is not None:
            return entry
        data = self._blob(manifest.config)
        if data is None:
            return entry
        config = as_object(_decoded(data, "a config"), "a config")
        platform = Platform(
            text_at(config, "os") or "linux", text_at(config, "architecture"), text_at(config, "variant")
        )
        return msgspec.structs.replace(entry, platform=platform)

    def _document(self, entry: Descriptor, *, must_be_here: bool) -> Manifest | Index | None:
        """Return a manifest or index; None where it is something else's, or was not taken along."""
        data = self._blob(entry)
        if data is None:
            if not must_be_here:
                return None  # an index names every platform, and the archive has only some
            raise InvalidArchiveError(f"blob {entry.digest} is missing, which {INDEX} names")
        try:
            return parse_manifest(data, entry.media_type)
        except UnsupportedError:
            return None  # an artifact of another kind

    def _blob(self, descriptor: Descriptor) -> bytes | None:
        data = self._read(blob_name(descriptor.digest))
        if data is not None and Digest.of(data, descriptor.digest.algorithm) != descriptor.digest:
            raise InvalidArchiveError(f"blob {descriptor.digest} is not what its digest says")
        check_size(descriptor, None if data is None else len(data))
        return data


def _name(entry: Descriptor) -> Reference | None:
    """Return the tag that an entry stands for; a word alone (``latest``) says nothing of which repository.

    What image-spec allows as a ``ref.name`` need be no name of an image, as ``release/Final``.
    """
    full, ref = entry.annotations.get(FULL_NAME, ""), entry.annotations.get(REF_NAME, "")
    text = full or (ref if ":" in ref or "/" in ref else "")
    if not text:
        return None
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError as error:
        if not full:
            return None
        raise InvalidArchiveError(f"{INDEX} has the name {text[:255]!r}: {error}") from None
    return reference.with_default_tag() if reference.digest is None else None


def _is_one_more(group: Sequence[Descriptor], entry: Descriptor) -> bool:
    """Tell whether a nameless entry is one more platform of the image before it."""
    return (
        entry.platform is not None
        and entry.annotations.get(REF_NAME) == group[0].annotations.get(REF_NAME)
        and all(other.platform not in (None, entry.platform) for other in group)
    )


def _of_manifest(manifest: Manifest, names: Sequence[Reference]) -> ArchivedImage:
    return ArchivedImage(
        config=blob_name(manifest.config.digest),
        layers=tuple(blob_name(layer.digest) for layer in manifest.layers),
        names=tuple(dict.fromkeys(names)),
        manifest=manifest,
    )


def _decoded(data: bytes, name: str) -> object:
    if len(data) > _MAX_DOCUMENT_BYTES:
        raise InvalidArchiveError(f"{name} is {len(data)} bytes long")
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArchiveError(f"{name} is not JSON: {error}") from None
