"""A client of Docker's own daemon: lists its images, and saves them (Engine API 1.24 and later)."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from headway.client.connection import Connection, not_answered, pieces_of
from headway.engine.listeners import Address
from headway.errors import InvalidReferenceError, NoDaemonError, NoDockerError, NotFoundError
from headway.oci.reference import Reference
from headway.service.archives.adopting import ForeignImage

DEFAULT_HOST = "unix:///var/run/docker.sock"
"""Where Docker listens by default."""

_NO_NAMES = ("<none>:<none>", "<none>@<none>")
_T = TypeVar("_T")


class _Summary(msgspec.Struct, frozen=True, rename="pascal"):
    """An image, in a list or alone, as far as it matters here."""

    id: str
    repo_tags: list[str] | None = None
    repo_digests: list[str] | None = None

    def foreign(self) -> ForeignImage:
        """Return the image as one to adopt."""
        tags, digests = (
            tuple(name for name in names or () if name not in _NO_NAMES)
            for names in (self.repo_tags, self.repo_digests)
        )
        return ForeignImage(self.id, tags, digests)


class _Refusal(msgspec.Struct, frozen=True):
    message: str = ""


class Docker:
    """Docker's daemon at an address; each request has a connection of its own.

    Every method raises `NoDockerError` if nobody answers, or something else than Docker.

    Args:
        address: Where the daemon listens.
        certificates: A directory with ``ca.pem``, ``cert.pem`` and ``key.pem``; None for no TLS.
    """

    def __init__(self, address: Address, certificates: Path | None = None) -> None:
        self._address = address
        self._certificates = certificates

    def images(self) -> list[ForeignImage]:
        """Return every image, except those that are only parents of others."""
        return [each.foreign() for each in self._ask("/images/json", list[_Summary])]

    def image(self, name: str) -> ForeignImage:
        """Return the image that a name or an ID means; if it is a tag, the image has that tag alone.

        Raises:
            NotFoundError: There is none.
            InvalidReferenceError: Docker does not accept the name.
        """
        found = self._ask(f"/images/{quote(name, safe='/:@')}/json", _Summary).foreign()
        with suppress(InvalidReferenceError):
            wanted = Reference.parse(name).with_default_tag().familiar
            if wanted in found.tags:
                return msgspec.structs.replace(found, tags=(wanted,))
        return found

    def save(self, image: ForeignImage) -> Iterator[bytes]:
        """Yield an archive of an image, with its names."""
        names = urlencode([("names", name) for name in image.tags or (image.image_id,)])
        with closing(self._connection()) as connection:
            yield from pieces_of(self._answer(connection, f"/images/get?{names}"), self._address)

    def _ask(self, target: str, kind: type[_T]) -> _T:
        with closing(self._connection()) as connection:
            answer = self._answer(connection, target)
            try:
                return msgspec.json.decode(b"".join(pieces_of(answer, self._address)), type=kind)
            except msgspec.MsgspecError as error:
                raise NoDockerError(str(self._address), f"what answers there is not Docker: {error}") from None

    def _answer(self, connection: Connection, target: str) -> http.client.HTTPResponse:
        try:
            answer = connection.answer_to("GET", target, None, {})
        except (NoDaemonError, OSError, http.client.HTTPException) as error:
            no = error if isinstance(error, NoDaemonError) else not_answered(self._address, error)
            raise NoDockerError(no.address, no.reason, forbidden=no.forbidden, tls=no.tls) from None
        if answer.status == http.HTTPStatus.OK:
            return answer
        message = ""
        with suppress(msgspec.MsgspecError, OSError, http.client.HTTPException):
            message = msgspec.json.decode(answer.read(), type=_Refusal).message
        if answer.status == http.HTTPStatus.NOT_FOUND:
            raise NotFoundError("image", target.removeprefix("/images/").removesuffix("/json"), "Docker has none")
        if answer.status == http.HTTPStatus.BAD_REQUEST and message:
            raise InvalidReferenceError(message)  # the name is the only thing in a request that can be wrong
        raise NoDockerError(str(self._address), message or f"it answers HTTP {answer.status}")

    def _connection(self) -> Connection:
        return Connection(self._address, self._certificates)
