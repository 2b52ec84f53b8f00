"""`headway commit`: an image of what a container has changed."""

from __future__ import annotations

from argparse import Namespace

from headway.cli.failures import DONE
from headway.cli.remote import holding_daemon
from headway.cli.session import say, settings_of
from headway.composition.host_platform import host_platform
from headway.composition.unpacking import apply_apart
from headway.composition.writing import writing
from headway.layers.file_access import RootfsAccess
from headway.service.commit import CommitRequest, Committer


def commit(options: Namespace) -> int:
    """Make an image of what a container has changed, and print its ID."""
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
