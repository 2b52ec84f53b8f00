"""`headway context`: how docker finds the daemon."""

from __future__ import annotations

import os
import shlex
from argparse import Namespace

from headway.cli.failures import DONE
from headway.cli.remote import certificates, holding_daemon
from headway.cli.session import settings_of
from headway.daemon.sockets import default_socket


def context(options: Namespace) -> int:
    """Print the command that makes a context of the daemon that is named or running, or of the default address."""
    daemon = holding_daemon(options, settings_of(options))
    address = str(daemon.address) if daemon is not None else default_socket(dict(os.environ), os.geteuid())
    endpoint = f"host={address}"
    if address.startswith("tcp:") and (directory := certificates(os.environ)) is not None:
        endpoint += "".join(f",{name}={directory / name}.pem" for name in ("ca", "cert", "key"))
    print(f"docker context create headway --docker {shlex.quote(endpoint)}")
    return DONE
