"""Layers as the programs make them that layers come from, each in an OCI layout as the image ``latest``. Root only.

None of them needs a network; `tests.prove.makers` has those that do.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fakes import images
from tests.fakes.buildah import Buildah
from tests.fakes.nasty import make_nasty
from tests.fakes.tars import BLOCK, END, directory, entry, file, hardlink, header, padded, symlink, tar, whiteout
from tests.fakes.umoci import run

Maker = Callable[[Path], Path]
"""Works in an empty directory and returns a layout."""


def layout_of(place: Path, *layers: bytes, blobs: Sequence[bytes] | None = None) -> Path:
    """Return a layout with an image of these tars, packed by gzip or as `blobs` has them."""
    return images.write_layout(place / "layout", images.image(layers, blobs=blobs))


def umoci(place: Path) -> Path:
    """Umoci's layers of files that were made, and of some that were changed and removed."""
    layout, root = place / "layout", place / "bundle" / "rootfs"
    name = f"{layout}:latest"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", name)
    run("umoci", "unpack", "--image", name, root.parent)
    make_nasty(root, long_names=True)
    run("umoci", "repack", "--refresh-bundle", "--image", name, root.parent)
    shutil.rmtree(root / "d" / "e")
    (root / "f0").unlink()
    (root / "f5").chmod(0o4711)
    (root / "d" / "new").write_bytes(b"new")
    run("umoci", "repack", "--image", name, root.parent)
    return layout


def buildah(place: Path) -> Path:
    """What buildah makes of a Containerfile, a layer a step."""
    builder = Buildah(place / "buildah")
    builder.build("built")
    builder.write("built", place / "layout")
    return place / "layout"


def zstd_chunked(place: Path) -> Path:
    """The same program's zstd:chunked: many frames, and skippable ones that say where which file is.

    Its content is new each time: buildah remembers for good which blob was good for a layer, and would take this one
    where others want gzip.
    """
    builder = Buildah(place / "buildah")
    builder.copied(_source(place), "copied")
    builder.write("copied", place / "layout", "--compression-format=zstd:chunked")
    return place / "layout"


def gnu_tar(place: Path) -> Path:
    """GNU tar in all of its formats, a layer each."""
    source = _source(place)
    layers = []
    for dialect in ("gnu", "oldgnu", "pax", "ustar", "v7"):
        # umoci knows no holes but those of pax, and the oldest formats hold neither devices nor long names.
        more = ["--sparse", "--xattrs", "--xattrs-include=*"] if dialect == "pax" else []
        names = ["f1", "f3", "d/soft", "d/e"] if dialect in ("ustar", "v7") else ["."]
        run("tar", f"--format={dialect}", *more, "-cf", place / dialect, "-C", source, *names)
        layers.append((place / dialect).read_bytes())
    return layout_of(place, *layers)


def bsdtar(place: Path) -> Path:
    """libarchive's tar, in the two formats it is used with."""
    source = _source(place)
    for dialect in ("pax", "gnutar"):
        run("bsdtar", "--format", dialect, "-cf", place / dialect, "-C", source, ".")
    return layout_of(place, *((place / dialect).read_bytes() for dialect in ("pax", "gnutar")))


def busybox(place: Path) -> Path:
    """Busybox' tar, as small systems have it."""
    run("busybox", "tar", "-cf", place / "tar", "-C", _source(place), ".")
    return layout_of(place, (place / "tar").read_bytes())


def dpkg(place: Path) -> Path:
    """The tar in a Debian package, which dpkg writes itself."""
    root = place / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: me <me@example.com>\nDescription: hello\n"
    )
    (root / "usr/share/doc/hello").mkdir(parents=True)
    (root / "usr/share/doc/hello" / ("long" * 40)).write_text("a name of GNU's")
    (root / "usr/bin").mkdir()
    (root / "usr/bin/hello").write_bytes(b"#!/bin/sh\n")
    (root / "usr/bin/hello").chmod(0o4755)
    (root / "usr/bin/hallo").symlink_to("hello")
    os.link(root / "usr/bin/hello", root / "usr/bin/hi")
    os.chown(root / "usr/share/doc", 7, 8)
    run("touch", "-d", "2020-02-02T02:02:02Z", *root.rglob("*"))
    run("dpkg-deb", "--build", root, place / "hello.deb")
    packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", place / "hello.deb"], check=True, capture_output=True)
    return layout_of(place, packed.stdout)


def stargz(place: Path) -> Path:
    """An eStargz layer (stargz-snapshotter, docs/estargz.md), where each header and each body is a gzip member.

    The last entry is an index, and the last member tells where that is.
    """
    items = [
        directory("d"),
        file("d/f", b"x" * 9000),
        file("n" * 150, b"y"),
        symlink("l", "d"),
        file(".no.prefetch.landmark"),
    ]
    parts = [part for item in items for part in _head_and_body(entry(item), len(item.body))]
    members = [gzip.compress(part, mtime=0) for part in parts]
    index = json.dumps({"version": 1, "entries": [{"name": item.name, "type": "reg"} for item in items]}).encode()
    table = header(b"stargz.index.json", size=len(index)) + padded(index) + END
    blob = b"".join([*members, gzip.compress(table, mtime=0), _footer(sum(map(len, members)))])
    return layout_of(place, b"".join([*parts, table]), blobs=[blob])


def _head_and_body(blocks: bytes, size: int) -> list[bytes]:
    cut = len(blocks) - len(padded(bytes(size)))
    return [part for part in (blocks[:cut], blocks[cut:]) if part]


def _footer(offset: int) -> bytes:
    field = b"%016xSTARGZ" % offset
    extra = b"SG" + len(field).to_bytes(2, "little") + field
    return b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + len(extra).to_bytes(2, "little") + extra + b"\3\0" + bytes(8)


def kaniko(place: Path) -> Path:
    """Odd padding by hand: rubbish behind a body, no second zero block, blocks of 10 KiB, rubbish behind the end."""
    first = entry(file("a", b"first" * 100))
    dirty = first[: BLOCK + 500] + b"rubbish".ljust(12, b"\xff") + entry(file("b", b"second"))
    return layout_of(
        place,
        dirty + bytes(BLOCK),
        tar(directory("d"), file("d/f", b"x"), end=b""),
        tar(symlink("l", "d"), file("a", b"again"), hardlink("h", "a"), end=bytes(10_240)),
        tar(whiteout("d/f"), directory("./d/", mode=0o700), file("./d/g", b"y"), end=bytes(1500) + b"behind the end"),
    )


def _source(place: Path) -> Path:
    source = place / "source"
    source.mkdir()
    make_nasty(source, long_names=True)
    return source


MAKERS: dict[str, Maker] = {
    each.__name__: each for each in (umoci, buildah, zstd_chunked, gnu_tar, bsdtar, busybox, dpkg, stargz, kaniko)
}
