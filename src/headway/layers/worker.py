"""Unpacks one layer in a process of its own: what `layers.processes` starts.

Rule 1: the blob comes on stdin and its end is the blob's; the answer is one JSON document on stdout.
Rule 2: it does not outlive the thread that feeds it: nothing is written into a tree that somebody else may remove.
Rule 3: an answer says exactly what the caller's own thread would have returned or raised.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import traceback
from pathlib import Path

import msgspec

from headway.errors import InvalidLayerError, StoreError, StoreFullError, UnsupportedError
from headway.layers.applying import apply
from headway.oci.digest import DiffID, Digest
from headway.records import LayerReport

READY = b"ready\n"
"""What is printed once everything is imported and the blob may come."""

_PR_SET_PDEATHSIG = 1
_FAULTS: dict[str, type[InvalidLayerError | StoreError | UnsupportedError]] = {
    each.__name__: each for each in (InvalidLayerError, StoreFullError, StoreError, UnsupportedError)
}


class _Stdin:
    """The blob, as a `TarSource`."""

    def read(self, limit: int) -> bytes:
        """See `TarSource`."""
        return os.read(0, limit)


def main(parent: int, directory: str, *, records: bool) -> None:
    """Unpack what comes into `directory` and say what came of it.

    Args:
        parent: The process that started this one.
        directory: See `Applier`.
        records: Whether the layer's recipe is written.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before
        return
    os.write(1, READY)
    answer = memoryview(_answer(Path(directory), records=records))
    while answer:
        answer = answer[os.write(1, answer) :]


def _answer(directory: Path, *, records: bool) -> bytes:
    try:
        diff_id, report = apply(_Stdin(), directory, lambda _: None, records=records)
    except tuple(_FAULTS.values()) as error:
        return encode_fault(error)
    except Exception:  # a mistake of ours, which the caller tells as its own
        return json.dumps(["", traceback.format_exc()]).encode()
    return json.dumps([diff_id, msgspec.to_builtins(report)]).encode()  # json escapes the surrogates of odd names


def encode_fault(error: InvalidLayerError | StoreError | UnsupportedError) -> bytes:
    """Return an error as an answer."""
    name = next(name for name, kind in _FAULTS.items() if isinstance(error, kind))
    return json.dumps([name, error.path if isinstance(error, StoreFullError) else str(error)]).encode()


def decode(answer: bytes) -> tuple[DiffID, LayerReport]:
    """Return what an answer says was found out.

    Raises:
        InvalidLayerError: As `Applier`.
        StoreFullError: As `Applier`.
        StoreError: As `Applier`.
        UnsupportedError: As `Applier`.
        RuntimeError: It was a mistake of ours.
    """
    what, found = json.loads(answer)
    if not what:
        raise RuntimeError(f"in the process that unpacked:\n{found}")
    if what in _FAULTS:
        raise _FAULTS[what](found)
    return DiffID(Digest(what)), msgspec.convert(found, LayerReport)
