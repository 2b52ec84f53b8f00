"""The platform of this machine, which images have to match to run on it."""

from __future__ import annotations

import os
import sys

from headway.oci.platform import Platform


def host_platform() -> Platform:
    """Return the platform of this machine, as its programs see it."""
    return Platform.of_machine(os.uname().machine, bits=64 if sys.maxsize >> 32 else 32)
