"""Pushes to a registry in memory: `interfaces.Pusher` over a `SimulatedRegistry`, with its script of faults.

Faults of kind ``upload`` strike sessions: POST begins one, PATCH sends a piece, GET asks, PUT ends it.
"""

from __future__ import annotations

import itertools

from headway.distribution.endpoints import Endpoint
from headway.errors import DigestMismatchError, Fault, MisbehavedError, NotFoundError, UnreachableError
from headway.interfaces.registries import Mount, Piece
from headway.oci.digest import Digest
from headway.records import RawManifest
from tests.fakes.simulated_registry import SimulatedRegistry


class SimulatedPusher:
    """Puts content into a registry in memory.

    Args:
        registry: It.
        keeps_pieces: Whether a session survives a connection that breaks in the middle of a piece.
        forgets: Whether it takes everything and has nothing.
        tells_lengths: Whether it says how long a blob is.

    Attributes:
        sent: Bytes of pieces that were sent, whatever came of them.
        asked: What was asked, as ``METHOD kind``.
        allowances: What connections might carry, for each piece.
    """

    def __init__(
        self,
        registry: SimulatedRegistry,
        *,
        keeps_pieces: bool = False,
        forgets: bool = False,
        tells_lengths: bool = True,
    ) -> None:
        self.registry = registry
        self.tells_lengths = tells_lengths
        self.keeps_pieces = keeps_pieces
        self.forgets = forgets
        self.sent = 0
        self.asked: list[str] = []
        self.allowances: list[int | None] = []

    def blob_size(self, endpoint: Endpoint, repository: str, digest: Digest) -> int | None:
        self.strike("blob", "HEAD", endpoint, repository, digest)
        size = self.registry.size(repository, digest)
        return size if size is None or self.tells_lengths else 0

    def has_manifest(self, endpoint: Endpoint, repository: str, digest: Digest) -> bool:
        self.strike("manifest", "HEAD", endpoint, repository, digest)
        return self.registry.size(repository, digest) is not None

    def session(self, endpoint: Endpoint, repository: str) -> SimulatedUpload:
        return SimulatedUpload(self, endpoint, repository)

    def put_manifest(self, endpoint: Endpoint, repository: str, name: str, manifest: RawManifest) -> int:
        self.strike("manifest", "PUT", endpoint, repository, manifest.digest)
        self.registry.take_manifest(repository, name, manifest)
        return 201

    def strike(self, kind: str, method: str, endpoint: Endpoint, repository: str, digest: str) -> int | None:
        """Suffer what the script has for a request; return where its body breaks, None where it does not.

        Raises:
            HeadwayError: The script says so.
        """
        self.asked.append(f"{method} {kind}")
        return self.registry.strike(kind, method, endpoint.host, repository, digest)


class SimulatedUpload:
    """`interfaces.UploadSession` of a `SimulatedPusher`."""

    _numbers = itertools.count(1)

    def __init__(self, pusher: SimulatedPusher, endpoint: Endpoint, repository: str) -> None:
        self._pusher = pusher
        self._endpoint = endpoint
        self._repository = repository
        self._data: bytearray | None = None
        self._aborted = False
        self.carried = 0
        self.sent_bytes = 0

    def begin(self, mount: Mount | None = None) -> int | None:
        self._ask("POST")
        if mount is not None and self._pusher.registry.size(mount.source, mount.digest) is not None:
            self._pusher.registry.take_blob(self._repository, mount.digest, None)
            return None
        self._data = bytearray()
        return 0

    def send(self, piece: Piece) -> int | None:
        self._pusher.allowances.append(piece.allowance)
        break_at = self._ask("PATCH")
        data = piece.read(piece.offset, piece.end - piece.offset)
        sent = data if break_at is None else data[:break_at]
        self._pusher.sent += len(sent)
        self.sent_bytes += len(sent)
        piece.progress(len(sent))
        session = self._required()
        if len(session) != piece.offset:
            raise MisbehavedError(self._endpoint.host, "answers HTTP 416")
        if break_at is not None:
            if self._pusher.keeps_pieces:
                session += sent
            else:
                self._data = None
            raise UnreachableError(self._endpoint.host, Fault.CUT)
        session += data
        self.carried += len(data)
        return len(session)

    def held(self) -> int | None:
        self._ask("GET")
        return None if self._data is None else len(self._data)

    def finish(self, digest: Digest, whole: Piece | None = None) -> None:
        self._ask("PUT")
        session, self._data = self._required(), None
        if whole is not None:
            session += whole.read(0, whole.end)
            self._pusher.sent += whole.end
            self.sent_bytes += whole.end
            whole.progress(whole.end)
        actual = Digest.of(bytes(session), digest.algorithm)
        if actual != digest:
            raise DigestMismatchError("what arrived", digest, actual, self._endpoint.host)
        if not self._pusher.forgets:
            self._pusher.registry.take_blob(self._repository, digest, bytes(session))

    def cancel(self) -> None:
        self._pusher.asked.append("DELETE upload")
        self._data = None

    def abort(self) -> None:
        self._aborted = True

    def _ask(self, method: str) -> int | None:
        if self._aborted:
            raise UnreachableError(self._endpoint.host, Fault.CUT, "aborted")
        return self._pusher.strike("upload", method, self._endpoint, self._repository, "")

    def _required(self) -> bytearray:
        if self._data is None:
            raise NotFoundError("upload", self._repository)
        return self._data
