"""`headway unpack` and `headway bundle`: write an image's files outside the store."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from headway.cli.failures import DONE
from headway.cli.session import say, settings_of
from headway.cli.terminal import one_line
from headway.cli.units import size
from headway.composition.reading import reading
from headway.layers.rootfs.bundle import write_bundle
from headway.layers.trees.copying import Missing
from headway.layers.trees.rootfs import UnpackReport
from headway.layers.trees.rootfs import unpack as unpack_trees
from headway.service.images.lookup import Lookup


def unpack(options: Namespace) -> int:
    """Write an image's root file system into a directory."""
    with reading(settings_of(options)) as records:
        record = Lookup(records).find(options.name)
        report = unpack_trees(records.layers.trees(record.chain_id), options.directory, force=options.force)
    _say(report, f"{options.directory}")
    return DONE


def bundle(options: Namespace) -> int:
    """Write an OCI runtime bundle."""
    with reading(settings_of(options)) as records:
        finder = Lookup(records)
        record = finder.find(options.name)
        document = finder.config(record).document
        trees = records.layers.trees(record.chain_id)
        report = write_bundle(options.directory, document, trees, rootless=os.geteuid() != 0)
    _say(report, f"{options.directory}/rootfs")
    print(
        f"next: runc run --bundle {options.directory} NAME   (or crun run, with the same arguments)",
        file=sys.stderr,
    )
    return DONE


def _say(report: UnpackReport, directory: str) -> None:
    print(f"{one_line(directory)}  {report.entries} entries, {size(report.size)}")
    for what, missing in (
        ("owner", report.owners),
        ("permissions", report.modes),
        ("device", report.devices),
        ("extended attribute", report.xattrs),
    ):
        if missing.count:
            say(f"not set: {what} of {missing.count} entries{_named(missing)}")


def _named(missing: Missing) -> str:
    names = ", ".join(missing.names[:3])
    return f" ({names}{', ...' if missing.count > 3 else ''})" if names else ""
