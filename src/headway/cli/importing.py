"""`headway import`: makes an image from the archive of a root file system: a file, stdin, or one from the web."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import msgspec

from headway.cli.failures import DONE
from headway.cli.remote import holding_daemon
from headway.cli.session import platform_of, say, settings_of
from headway.cli.units import size
from headway.composition.host_platform import host_platform
from headway.composition.writing import writing
from headway.errors import RequestError
from headway.service.creation.importing import STDIN, ImportRequest
from headway.service.creation.web_import import Arriving
from headway.settings import Settings
from headway.store.failures import disk_errors

_PIECE = 1 << 20


def import_(options: Namespace) -> int:
    """Make an image from the archive of a root file system, and print its ID."""
    source = options.source
    if source == STDIN and sys.stdin.isatty():
        raise RequestError("requested import from stdin, but stdin is a terminal")
    request = ImportRequest(
        platform=platform_of(options) or host_platform(),
        repository=options.name or "",
        message=options.message,
        changes=options.change,
    )
    settings = settings_of(options)
    is_url = source.startswith(("http://", "https://"))
    if (daemon := holding_daemon(options, settings)) is not None:
        if is_url:
            image_id = daemon.import_image(msgspec.structs.replace(request, origin=source), None, say)
        else:
            with _opened(source) as file:
                image_id = daemon.import_image(request, iter(lambda: file.read(_PIECE), b""), say)
    elif is_url:
        image_id = _from_web(settings, source, request)
    else:
        image_id = _from_file(settings, source, request)
    print(image_id)
    return DONE


class _Source:
    """A `TarSource` over a file or stdin; a failure to read it is not mistaken for one of the store.

    Args:
        file: An open file; a read returns the bytes that have arrived, and does not wait for more.
        name: Its name in errors.
    """

    def __init__(self, file: FileIO, name: str) -> None:
        self._file = file
        self._name = name

    def read(self, limit: int) -> bytes:
        with disk_errors(self._name):
            return self._file.read(limit)


@contextmanager
def _opened(source: str) -> Iterator[_Source]:
    """Open a file, or stdin.

    Raises:
        StoreError: It cannot be read.
    """
    if source == STDIN:
        yield _Source(FileIO(sys.stdin.fileno(), closefd=False), "stdin")
        return
    with disk_errors(Path(source)):
        file = FileIO(source)
    with file:
        yield _Source(file, source)


def _from_file(settings: Settings, source: str, request: ImportRequest) -> str:
    # Imported late: whoever has a daemon pays for none of it.
    from headway.composition.unpacking import apply_apart  # noqa: PLC0415
    from headway.service.creation.importing import Importer  # noqa: PLC0415

    with _opened(source) as file, writing(settings, say) as stores:
        return str(Importer(stores, apply_apart).import_image(file, request))


def _from_web(settings: Settings, url: str, request: ImportRequest) -> str:
    from headway.composition.service import image_service  # noqa: PLC0415  # as above

    watch = _Watch(url)

    async def work() -> str:
        with writing(settings, say) as stores:
            async with image_service(settings, stores) as service:
                return str(await service.import_from_web(url, request, watch))

    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        watch.stopped()
        raise


class _Watch:
    """Prints the progress of an import from the web on stderr."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._last = Arriving()
        self._said = ""

    def __call__(self, arriving: Arriving) -> None:
        sentence = f"waiting for the link: {arriving.cause}" if arriving.cause else f"Downloading from {self._url}"
        if sentence != self._said:
            self._said = sentence
            say(sentence)
        if arriving.size:
            self._last = arriving

    def stopped(self) -> None:
        """Print what is kept."""
        if self._last.held:
            kept = f"{size(self._last.held)} of {size(self._last.size)} kept"
            say(f"stopped; {kept}; the same command goes on from there")
