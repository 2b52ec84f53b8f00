"""Builds what `headway doctor` runs: checks of this machine, and of the way to registries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headway.composition.network import credential_source, transport_of
from headway.composition.read_only import read_only
from headway.distribution.diagnosis import Finding, Level, disk_finding
from headway.distribution.standing import Standing
from headway.errors import HeadwayError, StoreReadOnlyError
from headway.interfaces.registries import Meter
from headway.layers.drivers.mounts import file_system
from headway.layers.drivers.selection import choose_driver
from headway.paths import is_there
from headway.registry.client import RegistryClient
from headway.registry.probe import RegistryProbe
from headway.registry.request import Sender
from headway.service.health.doctor import Doctor
from headway.settings import Settings
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot
from headway.store.failures import disk_errors
from headway.store.space.free_space import space


@contextmanager
def examining(settings: Settings) -> Iterator[tuple[Doctor, Meter]]:
    """Give the doctor that examines the way to registries, and the meter that counts what this costs."""
    standing = Standing()
    transport = transport_of(settings, standing=standing)
    credentials = credential_source(settings)
    client = RegistryClient(Sender(transport, credentials))
    try:
        yield (
            Doctor(
                RegistryProbe(transport),
                client,
                check_login=client.check,
                has_login=lambda resource: credentials(resource) is not None,
                standing=standing,
            ),
            transport.meter,
        )
    finally:
        transport.close()


def disk(settings: Settings) -> Finding:
    """Return the finding about the data root's disk.

    Raises:
        StoreReadOnlyError: This user cannot write to it.
        StoreError: It cannot be used.
    """
    root = DataRoot(settings.data_root)
    root.examine()
    place = _nearest(settings.data_root)
    if not os.access(place, os.W_OK | os.X_OK):
        raise StoreReadOnlyError(f"cannot use {settings.data_root}: {_why_unwritable(place)}")
    held = [held for _, held, _ in FileIngestStore(root, boot_id="").walk()]
    driver, why = "", ""
    try:
        driver = choose_driver(settings.storage_driver, (), place).name
    except HeadwayError as error:
        why = str(error)
    kind = ""
    with suppress(OSError):
        kind = file_system(str(place))
    finding = disk_finding(
        space(place), kind=kind, driver=driver, why_no_driver=why, held=sum(held), unfinished=len(held)
    )
    if finding.level is not Level.FAIL:  # on a full disk the records may be unreadable, and that is reported already
        with read_only(settings):
            pass
    return finding


def _nearest(path: Path) -> Path:
    """Return the path, or what there is above it: where it will be made."""
    while not is_there(path):
        path = path.parent
    return path


def _why_unwritable(place: Path) -> str:
    with disk_errors(place):
        is_read_only = os.statvfs(place).f_flag & os.ST_RDONLY
    return "its file system is read-only; dmesg may say why" if is_read_only else f"this user cannot write to {place}"
