"""`headway commit` and `export`: what is made of containers."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing

from headway.cli.failures import DONE
from headway.cli.output import require_output, write_out
from headway.cli.remote import holding_daemon
from headway.cli.session import say, settings_of
from headway.composition.writing import writing
from headway.layers.rootfs.file_access import RootfsAccess


def commit(options: Namespace) -> int:
    """Make an image of what a container has changed, and print its ID."""
    # Imported late, as in `export`: neither command pays for the other.
    from headway.composition.host_platform import host_platform  # noqa: PLC0415
    from headway.composition.unpacking import apply_apart  # noqa: PLC0415
    from headway.service.creation.commit import CommitRequest, Committer  # noqa: PLC0415

    request = CommitRequest(
        container=options.container,
        repository=options.name or "",
        author=options.author,
        comment=options.message,
        changes=options.change,
    )
    settings = settings_of(options)
    if (daemon := holding_daemon(options, settings)) is not None:
        print(daemon.commit(request))
        return DONE
    with writing(settings, say) as stores:
        print(Committer(stores, apply_apart, RootfsAccess(), host_platform()).commit(request))
    return DONE


def export(options: Namespace) -> int:
    """Write a container's files into one archive."""
    from headway.service.containers.files import ContainerFiles  # noqa: PLC0415

    require_output(options.output, "export")
    settings = settings_of(options)
    if (daemon := holding_daemon(options, settings)) is not None:
        with closing(daemon.export(options.container)) as pieces:
            write_out(pieces, options.output)
        return DONE
    with (
        writing(settings, say) as stores,
        closing(ContainerFiles(stores, RootfsAccess()).export(options.container)) as pieces,
    ):
        write_out(pieces, options.output)
    return DONE
