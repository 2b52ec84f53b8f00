"""Giving up a container's read-write layer (moby-behaviour 1.3)."""

from __future__ import annotations

from headway.errors import MountNotFoundError, StoreError
from headway.oci.digest import ChainID
from headway.service.stores import Stores


def release_layer(stores: Stores, name: str) -> None:
    """Remove a layer, and its chain where nothing needs that any more. One that is gone already is fine.

    Raises:
        ConflictError: It is mounted.
        StoreError: The disk failed, in Moby's words; it can be tried again.
    """
    try:
        record = stores.rw_layers.get(name).record
        stores.rw_layers.release(name)
    except MountNotFoundError:
        return
    except StoreError as error:
        raise StoreError(f'driver "{record.driver}" failed to remove root filesystem: {error}') from error
    let_chain_go(stores, record.chain_id)


def let_chain_go(stores: Stores, chain_id: ChainID | None) -> None:
    """Remove a chain, and the layers that only it needed, unless something needs it.

    Raises:
        StoreError: The disk failed; a prune does it later.
    """
    if chain_id is not None:
        stores.garbage.sweep(stores.garbage.release(chain_id))
