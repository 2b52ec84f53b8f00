"""`headway tag` and `rmi`: names come and go."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headway.cli.failures import DONE, each_of
from headway.cli.remote import holding_daemon
from headway.cli.session import say, settings_of
from headway.composition.writing import writing
from headway.service.images.delete import delete_image
from headway.service.images.tagging import tag_image


def tag(options: Namespace) -> int:
    """Give an image one more name."""
    settings = settings_of(options)
    if (daemon := holding_daemon(options, settings)) is not None:
        daemon.tag(options.source, options.target)
        return DONE
    with writing(settings, say) as stores:
        tag_image(stores, options.source, options.target)
    return DONE


def rmi(options: Namespace) -> int:
    """Remove names, and images with their last one; each that cannot go is explained, and the others go."""
    with _deleting(options) as delete:

        def remove(name: str) -> None:
            for what, item in delete(name):
                print(f"{what}: {item}")

        return each_of(options.names, remove, options)


@contextmanager
def _deleting(options: Namespace) -> Iterator[Callable[[str], list[tuple[str, str]]]]:
    """Give what removes a name and tells what went."""
    force, prune = options.force, not options.no_prune
    settings = settings_of(options)
    if (daemon := holding_daemon(options, settings)) is not None:
        yield lambda name: daemon.delete(name, force=force, prune=prune)
        return
    with writing(settings, say, frees=True) as stores:
        yield lambda name: delete_image(stores, name, force=force, prune=prune)
