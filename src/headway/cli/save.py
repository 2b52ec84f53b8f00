"""`headway save`: images, written into an archive."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from headway.cli.failures import DONE
from headway.cli.output import require_output, write_out
from headway.cli.remote import named_daemon
from headway.cli.session import platform_of, settings_of
from headway.composition.archives import saver
from headway.composition.reading import reading
from headway.oci.platform import Platform


def save(options: Namespace) -> int:
    """Write images into one archive, which docker, podman, skopeo, containerd and Headway load."""
    require_output(options.output, "save")
    platform = platform_of(options)
    with _pieces(options, platform) as pieces:
        write_out(pieces, options.output)
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
