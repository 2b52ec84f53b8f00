"""`headway tag` and `rmi`: names come and go."""

from __future__ import annotations

import sys
from argparse import Namespace

from headway.cli.failures import DONE, exit_status, explain
from headway.cli.session import say, settings_of
from headway.composition.writing import writing
from headway.errors import HeadwayError
from headway.service.delete import Deleter
from headway.service.tagging import Tagger


def tag(options: Namespace) -> int:
    """Give an image one more name."""
    with writing(settings_of(options), say) as stores:
        Tagger(stores).tag(options.source, options.target)
    return DONE


def rmi(options: Namespace) -> int:
    """Remove names, and images with their last one; each that cannot go is explained, and the others go."""
    status = DONE
    with writing(settings_of(options), say) as stores:
        for name in options.names:
            try:
                for what, item in Deleter(stores).delete(name, force=options.force, prune=not options.no_prune):
                    print(f"{what}: {item}")
            except HeadwayError as error:
                print(explain(error), file=sys.stderr)
                status = status or exit_status(error)
    return status
