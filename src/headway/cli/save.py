"""`headway save`: images, written into an archive."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headway.cli.failures import DONE
from headway.cli.remote import named_daemon
from headway.cli.session import settings_of
from headway.composition.archives import saver
from headway.composition.reading import reading
from headway.errors import RequestError
from headway.oci.platform import Platform
from headway.store.failures import disk_errors


def save(options: Namespace) -> int:
    """Write images into one archive, which docker, podman, skopeo, containerd and Headway load."""
    if options.output is None and sys.stdout.isatty():
        raise RequestError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    platform = Platform.parse(options.platform, Platform.of_machine(os.uname().machine)) if options.platform else None
    with _pieces(options, platform) as pieces:
        _write(pieces, options.output)
    return DONE


@contextmanager
def _pieces(options: Namespace, platform: Platform | None) -> Iterator[Iterator[bytes]]:
    """Give the archive; what can be wrong with what was asked for is raised before its first piece."""
    settings = settings_of(options)
    if (daemon := named_daemon(options)) is not None:
        yield daemon.save(options.names, platform)
        return
    with reading(settings) as records:
        writer = saver(records)
        yield writer.archive(writer.plan(options.names, platform))


def _write(pieces: Iterator[bytes], output: Path | None) -> None:
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    # Beside it first: what stands there stays until the new archive is whole.
    beside = output.with_name(f".{output.name}.{os.getpid()}")
    if output.exists() and not output.is_file():  # a device or a pipe is written to as it is
        beside = output
    try:
        with disk_errors(output), beside.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            if beside is not output:
                file.flush()
                os.fsync(file.fileno())
                beside.rename(output)
    except BaseException:
        if beside is not output:
            with suppress(OSError):
                beside.unlink()
        raise
