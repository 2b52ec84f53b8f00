"""Rows of trees and chains: the directory each one names, its report as JSON, and the layers of a chain."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headway.oci.digest import ChainID, DiffID, Digest, digest_fault
from headway.oci.image_config import MAX_LAYERS
from headway.records import LayerReport
from headway.store.database.database import Database
from headway.store.database.failures import reads_a_row

_DERIVED = "chain-"


def tree_directory(digest: Digest) -> str:
    """Return the name of the directory of a layer's own tree."""
    return f"{digest.algorithm}-{digest.hex}"


def derived_directory(chain_id: Digest) -> str:
    """Return the name of the directory of a tree that was derived for a chain."""
    return f"{_DERIVED}{tree_directory(chain_id)}"


def has_row(database: Database, directory: str) -> bool:
    """Tell whether a directory of ``trees/`` has a row."""
    digest = directory.removeprefix(_DERIVED).replace("-", ":", 1)
    if digest_fault(digest):
        return False
    if directory.startswith(_DERIVED):
        return bool(database.query("SELECT 1 FROM chains WHERE chain_id = ? AND report IS NOT NULL", (digest,)))
    return bool(database.query("SELECT 1 FROM trees WHERE diff_id = ?", (digest,)))


def directories(database: Database) -> set[str]:
    """Return every directory of ``trees/`` that has a row."""
    own = database.query("SELECT diff_id FROM trees")
    derived = database.query("SELECT directory FROM chains WHERE report IS NOT NULL")
    return {tree_directory(Digest(diff_id)) for (diff_id,) in own} | {name for (name,) in derived}


def stacks(database: Database) -> Callable[[str | None], list[tuple[ChainID, DiffID]]]:
    """Return a function that lists the layers of a chain, as recorded at the time of this call.

    It lists them bottom first, each with the ID of the chain that ends in it.
    """
    rows = database.query("SELECT chain_id, parent, diff_id FROM chains")
    chains = {chain_id: (parent, diff_id) for chain_id, parent, diff_id in rows}

    def stack(top: str | None) -> list[tuple[ChainID, DiffID]]:
        found: list[tuple[ChainID, DiffID]] = []
        chain_id = top
        while chain_id is not None and chain_id in chains and len(found) < MAX_LAYERS:  # damaged rows may form a cycle
            parent, diff_id = chains[chain_id]
            found.append((ChainID(Digest(chain_id)), DiffID(Digest(diff_id))))
            chain_id = parent
        return found[::-1]

    return stack


def encode_report(report: LayerReport) -> str:
    """Return a report as JSON. Names that are not UTF-8 have lone surrogates: json escapes them, msgspec refuses."""
    import json  # noqa: PLC0415  # lists of images read no report

    return json.dumps(msgspec.to_builtins(report))


@reads_a_row("what is known of a layer")
def decode_report(text: str) -> LayerReport:
    """Return a report that `encode_report` wrote.

    Raises:
        StoreCorruptError: `text` is not such a report.
    """
    import json  # noqa: PLC0415  # lists of images read no report

    return msgspec.convert(json.loads(text), LayerReport)
