"""`headway daemon`, also `headwayd`."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from headway.cli.daemon_arguments import given
from headway.cli.failures import DONE
from headway.cli.session import say
from headway.daemon.configuration import Flags, configured
from headway.daemon.process import Daemon
from headway.daemon.sockets import check
from headway.layers.drivers.selection import require_known
from headway.quantities import parse_duration
from headway.settings import default_data_root, home_directory


def daemon(options: Namespace) -> int:
    """Serve the Docker Engine API until a signal ends it."""
    shared, own = given(options)
    if options.data_root is not None:
        shared["data_root"] = options.data_root
    if "download_patience" in shared:
        shared["download_patience"] = parse_duration(str(shared["download_patience"]))
    if options.host is not None:  # before the command's name, where others say whom to ask
        own["hosts"] = (options.host, *(own.get("hosts") or ()))  # type: ignore[misc]  # texts, as the parser gives them
    flags = Flags(
        config_file=options.config_file,
        data_root=default_data_root(os.environ, home_directory(os.environ), root=os.geteuid() == 0),
        shared=shared,
        daemon=own,
    )
    if options.validate:
        configuration = configured(flags)
        check(configuration.daemon)
        require_known(configuration.settings.storage_driver)
        for warning in configuration.warnings:
            say(warning)
        print("configuration OK", file=sys.stderr)
        return DONE
    Daemon(flags, _show).run()
    return DONE


def _show(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
