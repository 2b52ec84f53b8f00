"""`headway save` and `load`: images in archives.

What one of them needs is imported in its functions: the other does not pay for it.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from headway.cli.failures import DONE
from headway.cli.output import require_output, write_out
from headway.cli.remote import holding_daemon, named_daemon
from headway.cli.session import platform_of, say, settings_of
from headway.cli.terminal import one_line
from headway.cli.units import size
from headway.errors import NotFoundError, RequestError
from headway.interfaces.archives import Archive
from headway.oci.platform import Platform
from headway.store.failures import disk_errors

if TYPE_CHECKING:
    from headway.service.archives.loading import LoadEvent

_PIECE = 1 << 20


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
    from headway.composition.reading import reading  # noqa: PLC0415
    from headway.composition.saving import saver  # noqa: PLC0415

    with reading(settings) as records:
        writer = saver(records)
        yield writer.archive(writer.plan(options.names, platform))


def load(options: Namespace) -> int:
    """Bring in the images of an archive: a file, a directory, or what comes on stdin."""
    if options.input is None and sys.stdin.isatty():
        raise RequestError("requested load from stdin, but stdin is empty")
    _require_there(options.input)
    platform = platform_of(options)
    settings = settings_of(options)
    if (daemon := holding_daemon(options, settings)) is not None:
        for line in daemon.load(_sent(options.input), platform):
            print(line, end="", flush=True)
        return DONE
    from headway.composition.loading import loader  # noqa: PLC0415
    from headway.composition.writing import writing  # noqa: PLC0415

    with _archive(options.input) as archive, writing(settings, say) as stores:
        loaded = loader(settings, stores).load(archive, _tell(quiet=options.quiet), platform=platform)
    if not loaded:
        say("the archive holds no images")
    return DONE


def _require_there(path: Path | None) -> None:
    if path is None:
        return
    with disk_errors(path):  # it may lie where this user may not look
        if not path.exists():
            raise NotFoundError("file", str(path))


def _archive(path: Path | None) -> AbstractContextManager[Archive]:
    from headway.layers.archives.reader import opened, stream  # noqa: PLC0415

    return nullcontext(stream(_stdin())) if path is None else opened(path)


def _sent(path: Path | None) -> Iterator[bytes]:
    """Yield what a daemon is sent: the archive as it is, and a tar of a directory.

    Raises:
        StoreError: It cannot be read; that is no fault of the connection's, in the midst of which it is noticed.
    """
    if path is not None and path.is_dir():
        from headway.layers.archives.reader import DirectoryArchive  # noqa: PLC0415
        from headway.layers.archives.writer import write_archive  # noqa: PLC0415

        files = DirectoryArchive(path).files()
        yield from write_archive((file.name, file.size, iter(partial(file.read, _PIECE), b"")) for file in files)
        return
    with disk_errors(path or "stdin"), _stdin() if path is None else path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece


def _stdin() -> FileIO:
    """Return standard input, which gives what has come and does not wait for more."""
    return FileIO(sys.stdin.fileno(), closefd=False)


def _tell(*, quiet: bool) -> Callable[[LoadEvent], None]:
    from headway.service.archives.loading import LayerLoading, sentences  # noqa: PLC0415

    seen: set[str] = set()
    shown = not quiet and sys.stderr.isatty()

    def tell(event: LoadEvent) -> None:
        if not isinstance(event, LayerLoading):
            print(*sentences(event), sep="", end="", flush=True)
        elif shown and event.name not in seen:
            seen.add(event.name)
            print(f"  {one_line(event.name)}  {size(event.size)}", file=sys.stderr)

    return tell
