"""Makes the report of a layer's own tree, once it is unpacked."""

from __future__ import annotations

from headway.layers.trees.footprint import Footprint
from headway.layers.unpacking.absent import Absent
from headway.layers.unpacking.made_directories import MadeDirectories
from headway.layers.unpacking.metadata import Metadata
from headway.records import LayerReport


def report_of(
    footprint: Footprint, directories: MadeDirectories, absent: Absent, metadata: Metadata, *, entries: int
) -> LayerReport:
    """Return the report of a tree.

    Args:
        footprint: Has summed its sizes.
        directories: Has made its directories.
        absent: Knows the entries that are not on disk.
        metadata: Knows the owners, modes and attributes that could not be set.
        entries: How many entries the tar had.
    """
    return LayerReport(
        size=footprint.size,
        disk_bytes=footprint.disk,
        entries=entries,
        members=footprint.members,
        implicit=tuple(sorted(_text(path) for path in directories.implicit.values())),
        root_entry=directories.root_entry is not None,
        lower_links=tuple((_text(path), _text(target)) for path, target in absent.links()),
        devices=tuple((_text(path), mode, major, minor) for path, mode, major, minor in absent.devices()),
        real_modes=tuple((_text(path), mode) for path, mode in metadata.modes.items()),
        owners=tuple((_text(path), *owner) for path, owner in metadata.owners.items()),
        xattrs=tuple(
            (_text(path), _text(key), value)
            for path, xattrs in metadata.xattrs.items()
            for key, value in xattrs.items()
        ),
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
