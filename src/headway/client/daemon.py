"""A client of Headway's daemon, with the image service's operations by their names."""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import TypeVar, get_args
from urllib.parse import quote, urlencode

import msgspec

from headway import wire
from headway.client.connection import Connection, lines_of, pieces_of, understood
from headway.distribution.credentials import Credentials
from headway.engine.listeners import Address
from headway.errors import RequestError
from headway.oci.platform import Platform
from headway.service.containers.mounting import Mounted
from headway.service.creation.commit import CommitRequest
from headway.service.creation.importing import ImportRequest
from headway.service.images.history import HistoryStep
from headway.service.images.inspection import ImageDetails
from headway.service.images.listing import ListedImage
from headway.service.images.prune import PruneReport
from headway.service.pushing.progress import PushEvent, PushReport
from headway.service.queries.filters import Filters
from headway.service.requests.registries import PushWish
from headway.service.requests.requests import HeardEvent, Measured, MountRequest, PruneRequest, UnmountRequest

T = TypeVar("T")
PING_SECONDS = 5.0
_TAR = {"Content-Type": "application/x-tar"}


class Daemon:
    """A daemon at an address; each question is a connection of its own.

    Every method raises what the service raises there, and `NoDaemonError` where nobody answers.

    Args:
        address: Where it listens.
        certificates: A directory with ``ca.pem``, ``cert.pem`` and ``key.pem``; None for no TLS.
    """

    def __init__(self, address: Address, certificates: Path | None = None) -> None:
        self.address = address
        self._certificates = certificates

    def ping(self) -> None:
        """Return where Headway answers, and soon: others hang, and whoever asks wants nothing of them."""
        with closing(Connection(self.address, self._certificates, seconds=PING_SECONDS)) as connection:
            connection.ask("GET", "/_ping", None, {})

    def images(self, filters: Filters, *, intermediate: bool = False) -> list[ListedImage]:
        """See `service.images.listing.Listing.images`."""
        return self.ask("GET", "images", list[ListedImage], filters=wire.encode(filters), all=intermediate)

    def inspect(self, name: str) -> ImageDetails:
        """See `service.images.inspection.details_of`."""
        return self.ask("GET", "image", ImageDetails, name=name)

    def history(self, name: str) -> list[HistoryStep]:
        """See `service.images.history.history_of`."""
        return self.ask("GET", "history", list[HistoryStep], name=name)

    def tag(self, source: str, target: str) -> None:
        """See `service.images.tagging.tag_image`."""
        self.ask("POST", "tag", type(None), source=source, target=target)

    def delete(self, name: str, *, force: bool, prune: bool) -> list[tuple[str, str]]:
        """See `service.images.delete.delete_image`."""
        return self.ask("DELETE", "image", list[tuple[str, str]], name=name, force=force, prune=prune)

    def save(self, names: Sequence[str], platform: Platform | None) -> Iterator[bytes]:
        """Yield an archive of images; see `service.archives.saving.saved`."""
        query = urlencode([*(("names", name) for name in names), *_platform(platform)])
        with self._asked("GET", f"/images/get?{query}") as response:
            yield from pieces_of(response, self.address)

    def load(self, archive: Iterator[bytes], platform: Platform | None) -> Iterator[str]:
        """Send an archive, and yield what the daemon says of its images; see `service.archives.loading.Loader`."""
        query = urlencode([("quiet", "1"), *_platform(platform)])
        with self._asked("POST", f"/images/load?{query}", archive, _TAR) as response:
            for said in self._said(response):
                yield said.stream

    def import_image(self, request: ImportRequest, body: Iterator[bytes] | None, tell: Callable[[str], None]) -> str:
        """Have an image made of an archive that is sent, or of what the daemon fetches; see `ImageService`.

        Args:
            request: What to make.
            body: The archive; None where the daemon fetches `request.origin`.
            tell: Takes sentences for the user meanwhile.
        """
        query = [("fromSrc", request.origin), ("repo", request.repository), ("message", request.message)]
        query += [("platform", str(request.platform)), *(("changes", change) for change in request.changes)]
        status = ""
        with self._asked("POST", f"/images/create?{urlencode(query)}", body, _TAR) as response:
            for said in self._said(response):
                if said.status not in ("Importing", status) and not said.status.startswith("sha256:"):
                    tell(said.status)
                status = said.status
        return status

    def commit(self, request: CommitRequest) -> str:
        """See `service.creation.commit.Committer.commit`."""
        query = [("container", request.container), ("repo", request.repository), ("author", request.author)]
        query += [("comment", request.comment), *(("changes", change) for change in request.changes)]
        with self._asked("POST", f"/commit?{urlencode(query)}") as response, understood(self.address):
            return wire.decode(b"".join(lines_of(response, self.address)), _Made).Id

    def push(self, wish: PushWish, report: PushReport, login: Credentials | None) -> None:
        """See `service.pushing.push.ImagePusher`; who ends meanwhile ends the push.

        Raises:
            HeadwayError: As `ImagePusher.push`.
        """
        for event in self.progress("push", wish, login, get_args(PushEvent)):
            report(event)

    def export(self, container: str) -> Generator[bytes, None, None]:
        """Yield an archive of a container's files; see `service.containers.files.ContainerFiles.export`."""
        with self._asked("GET", f"/containers/{quote(container, safe='')}/export") as response:
            yield from pieces_of(response, self.address)

    def measure(self) -> Measured:
        """Return what takes up how much."""
        return self.ask("GET", "usage", Measured)

    def prune(self, request: PruneRequest) -> PruneReport:
        """See `service.images.prune.Pruner.prune`."""
        return self.ask("POST", "prune", PruneReport, request)

    def mounts(self) -> list[Mounted]:
        """Return everything that is mounted."""
        return self.ask("GET", "mounts", list[Mounted])

    def mount(self, request: MountRequest) -> Mounted:
        """See `service.containers.mounting.Mounting.mount`."""
        return self.ask("POST", "mounts", Mounted, request)

    def unmount(self, request: UnmountRequest) -> Mounted | None:
        """See `service.containers.mounting.Mounting.unmount`."""
        return self.ask("DELETE", "mounts", Mounted | None, request)  # type: ignore[arg-type]  # a union is no type

    def events(self, since: str, until: str, filters: Filters) -> Iterator[HeardEvent]:
        """Yield events as they happen; see `service.events.event_query.EventQuery` for what the words mean."""
        for line in self.lines("GET", "events", since=since, until=until, filters=wire.encode(filters)):
            with understood(self.address):
                heard = wire.decode(line, HeardEvent)
            yield heard

    def ask(
        self,
        method: str,
        what: str,
        kind: type[T],
        body: object = None,
        login: Credentials | None = None,
        **query: str | bytes | bool,
    ) -> T:
        """Return the answer of a route below ``/headway/`` as `kind`.

        Args:
            method: HTTP method.
            what: The route.
            kind: What the answer is.
            body: Sent as JSON; None for no body.
            login: Whose login goes along for a registry.
            query: The query string.
        """
        with understood(self.address):
            return wire.decode(b"".join(self.lines(method, what, body, login, **query)), kind)

    def progress(self, what: str, body: object, login: Credentials | None, kinds: Iterable[type[T]]) -> Iterator[T]:
        """Yield the progress events of a route below ``/headway/`` as they come; events of newer versions are skipped.

        Args:
            what: The route.
            body: Sent as JSON.
            login: Credentials for a registry; None to send none.
            kinds: The classes of events that this version knows.
        """
        for line in self.lines("POST", what, body, login):
            with understood(self.address):
                event = wire.decode(line, wire.EventLine).decoded(kinds)
            if event is not None:
                yield event

    def lines(
        self, method: str, what: str, body: object = None, login: Credentials | None = None, **query: str | bytes | bool
    ) -> Iterator[bytes]:
        """Yield the lines of an answer as they come; see `ask`."""
        data = None if body is None else wire.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        if login is not None:
            headers["X-Registry-Auth"] = _auth(login)
        with self._asked(method, f"/headway/{what}{_query(**query)}", data, headers) as response:
            yield from lines_of(response, self.address)

    def _said(self, response: HTTPResponse) -> Iterator[_Said]:
        for line in lines_of(response, self.address):
            with understood(self.address):
                said = wire.decode(line, _Said)
            if said.error:
                raise RequestError(said.error)
            yield said

    @contextmanager
    def _asked(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] = {},  # nobody changes it
    ) -> Iterator[HTTPResponse]:
        """Give an answer, on a connection that ends with the block."""
        with closing(Connection(self.address, self._certificates)) as connection:
            yield connection.ask(method, target, body, headers)


class _Said(msgspec.Struct, frozen=True):
    """A line of Docker's message stream."""

    stream: str = ""
    status: str = ""
    error: str = ""


class _Made(msgspec.Struct, frozen=True):
    """What was made, by Docker's name for it."""

    Id: str


def _platform(platform: Platform | None) -> list[tuple[str, str]]:
    if platform is None:
        return []
    shape = {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
    return [("platform", msgspec.json.encode(shape).decode())]


def _auth(login: Credentials) -> str:
    """Return the header that carries a login (moby-behaviour 3.8)."""
    document = {
        "username": login.username,
        "password": login.password,
        "identitytoken": login.identity_token,
        "registrytoken": login.registry_token,
    }
    return base64.urlsafe_b64encode(msgspec.json.encode(document)).decode()


def _query(**values: str | bytes | bool) -> str:
    given = {key: int(value) if isinstance(value, bool) else value for key, value in values.items()}
    return f"?{urlencode(given)}" if given else ""
