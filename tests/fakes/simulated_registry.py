"""A registry in memory, edited by the test: `interfaces.Registry` without sockets, clocks or waiting.

It takes the same scripts as `tests.faults.registry.Registry` and passes the same contract suite. What would be silence
on a wire is an error at once.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from headway.distribution.endpoints import Endpoint
from headway.errors import (
    DigestMismatchError,
    Fault,
    HeadwayError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.reference import Reference
from headway.records import FoundRepository, RawManifest
from tests.fakes.images import Image
from tests.faults import story


@dataclass(slots=True)
class Asked:
    """One request.

    Attributes:
        kind: ``manifest``, ``blob`` or ``upload``.
        method: HEAD, GET, or what a push sends.
        host: Whom it went to.
        repository: What it was about.
        digest: Of what was asked for; empty where that is unknown.
        offset: First byte asked for.
        end: End of what was asked for.
        sent: Bytes of the body that were handed out.
    """

    kind: str
    method: str
    host: str
    repository: str
    digest: str
    offset: int = 0
    end: int = 0
    sent: int = 0


@dataclass(slots=True)
class _Answer:
    """What a script makes of a request."""

    content: bytes
    error: HeadwayError | None = None
    ignores_range: bool = False
    short_by: int = 0
    breaks: list[tuple[int, HeadwayError]] = field(default_factory=list)


class SimulatedRegistry:
    """Holds images, the same for every host that is asked.

    Args:
        images: What it holds, in `repository`; `add` takes more.
        faults: The script, of effects that need no wire; see `SimulatedRegistry._strike`.
        repository: Where `images` go.
        piece: How many bytes one read gives at most.

    Attributes:
        asked: Every request, in order.
    """

    def __init__(
        self,
        images: Iterable[Image] = (),
        *,
        faults: Sequence[story.Fault] = (),
        repository: str = "test/image",
        piece: int = 65_536,
    ) -> None:
        self.asked: list[Asked] = []
        self.piece = piece
        self._blobs: dict[str, bytes] = {}
        self._media_types: dict[str, str] = {}
        self._tags: dict[tuple[str, str], str] = {}
        self._places: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()
        self.faults = faults
        for image in images:
            self.add(image, repository)

    @property
    def faults(self) -> Sequence[story.Fault]:
        """The script. It may be replaced at any time, which starts the counts again."""
        return self._faults

    @faults.setter
    def faults(self, faults: Sequence[story.Fault]) -> None:
        with self._lock:
            self._faults = tuple(faults)
            self._matches: Counter[int] = Counter()

    def add(self, image: Image, repository: str = "test/image", *, tag: str = "") -> None:
        """Hold an image too, under its own tag or another; a tag that is there moves."""
        self._blobs.update(image.blobs)
        self._media_types.update(image.media_types)
        self._tags[repository, tag or image.tag] = image.manifest_digest
        self._places[repository] |= image.blobs.keys()

    def remove(self, digest: str) -> None:
        """Hold a blob or manifest no longer."""
        del self._blobs[digest]
        for held in self._places.values():
            held.discard(digest)

    def move_tag(self, repository: str, tag: str, digest: str) -> None:
        """Let a tag stand for another manifest."""
        self._tags[repository, tag] = digest

    def sent(self, kind: str = "") -> int:
        """Return how many bytes of bodies were handed out, of one kind or of all."""
        return sum(asked.sent for asked in self.asked if kind in {"", asked.kind})

    # --- for pushes (`tests.fakes.simulated_pushes`) -----------------------------------------------------------

    def content(self, repository: str, name: str) -> bytes:
        """Return what a tag or a digest of a repository stands for."""
        return self._blobs[self._tags.get((repository, name), name)]

    def size(self, repository: str, digest: str) -> int | None:
        """Return how long a blob or manifest of a repository is, None where that does not have it."""
        return len(self._blobs[digest]) if digest in self._places[repository] else None

    def take_blob(self, repository: str, digest: str, data: bytes | None) -> None:
        """Hold a blob in a repository; None where it is held for another one already."""
        if data is not None:
            self._blobs[digest] = data
        self._places[repository].add(digest)

    def take_manifest(self, repository: str, name: str, manifest: RawManifest) -> None:
        """Hold a manifest or index, and let a tag stand for it where `name` is one.

        Raises:
            RejectedError: Something that it names is not in the repository.
        """
        document = json.loads(manifest.data)
        named = document.get("manifests") or [document["config"], *document["layers"]]
        for entry in named:
            if entry["digest"] not in self._places[repository] and not entry.get("urls"):
                raise RejectedError("registry.test", 404, f"does not take the manifest: {entry['digest']} is unknown")
        self.take_blob(repository, manifest.digest, manifest.data)
        self._media_types[manifest.digest] = manifest.media_type
        if ":" not in name:
            self._tags[repository, name] = manifest.digest

    def strike(self, kind: str, method: str, host: str, repository: str, digest: str) -> int | None:
        """Suffer what the script has for a request that changes something, or asks whether it may.

        Returns:
            Where its body breaks; None where it does not.

        Raises:
            HeadwayError: The script says so.
        """
        asked, answer = Asked(kind, method, host, repository, digest), _Answer(b"")
        with self._lock:
            self.asked.append(asked)
            struck = [fault.effect for index, fault in enumerate(self._faults) if self._strikes(index, fault, asked)]
        for effect in struck:
            self._strike(effect, asked, answer)
        if answer.error is not None:
            raise answer.error
        return min((at for at, _ in answer.breaks), default=None)

    # --- interfaces.Registry ------------------------------------------------------------------------------------

    def resolve(self, endpoint: Endpoint, reference: Reference) -> Descriptor:
        name = str(reference.digest or reference.tag)
        digest = self._tags.get((reference.path, name), name)
        asked = Asked("manifest", "HEAD", endpoint.host, reference.path, digest)
        content = self._answer(asked).content
        if reference.digest is not None and Digest.of(content) != reference.digest:
            raise DigestMismatchError("the manifest", reference.digest, Digest.of(content), endpoint.host)
        return Descriptor(media_type=self._media_types[digest], digest=Digest.of(content), size=len(content))

    def fetch_manifest(self, endpoint: Endpoint, repository: str, digest: Digest) -> RawManifest:
        asked = Asked("manifest", "GET", endpoint.host, repository, digest)
        answer = self._answer(asked)
        if answer.breaks:
            raise answer.breaks[0][1]
        asked.sent = len(answer.content)
        actual = Digest.of(answer.content, digest.algorithm)
        if actual != digest:
            raise DigestMismatchError("the manifest", digest, actual, endpoint.host)
        return RawManifest(self._media_types[digest], answer.content, digest)

    def tags(self, endpoint: Endpoint, repository: str) -> list[str]:
        found = sorted(tag for path, tag in self._tags if path == repository)
        if not found:
            raise NotFoundError("repository", repository)
        return found

    def blob(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, offset: int, end: int) -> SimulatedBlob:
        asked = Asked("blob", "GET", endpoint.host, repository, descriptor.digest, offset, end)
        return SimulatedBlob(self, asked, descriptor.size)

    # --- interfaces.SearchIndex ---------------------------------------------------------------------------------

    def search(self, endpoint: Endpoint, term: str, limit: int) -> list[FoundRepository]:
        self._answer(Asked("index", "GET", endpoint.host, "", term))
        return [FoundRepository(name=path) for path in sorted({path for path, _ in self._tags}) if term in path][:limit]

    # --- what goes wrong ----------------------------------------------------------------------------------------

    def _answer(self, asked: Asked) -> _Answer:
        """Return what a request gets.

        Raises:
            HeadwayError: What the script or the specification says.
        """
        with self._lock:
            self.asked.append(asked)
            struck = [fault.effect for index, fault in enumerate(self._faults) if self._strikes(index, fault, asked)]
        known = any(repository == asked.repository for repository, _ in self._tags)
        wanted = (asked.kind == "manifest") == (asked.digest in self._media_types)
        answer = _Answer(self._blobs.get(asked.digest, b""))
        if asked.kind != "index" and (not known or asked.digest not in self._blobs or not wanted):
            answer.error = NotFoundError(asked.kind, asked.digest)
        for effect in struck:
            self._strike(effect, asked, answer)
        if answer.error is not None:
            raise answer.error
        return answer

    def _strikes(self, index: int, fault: story.Fault, asked: Asked) -> bool:
        if not fault.concerns(kind=asked.kind, digest=asked.digest, method=asked.method):
            return False
        self._matches[index] += 1
        return fault.strikes(self._matches[index])

    def _strike(self, effect: story.Effect, asked: Asked, answer: _Answer) -> None:  # noqa: C901  # one case per effect
        host = asked.host
        match effect:
            case story.CutAfter(after) | story.ResetAfter(after):
                answer.breaks.append((after, UnreachableError(host, Fault.CUT)))
            case story.StallAfter(after):
                answer.breaks.append((after, UnreachableError(host, Fault.STALLED)))
            case story.SlowResponse():
                answer.error = UnreachableError(host, Fault.TIMEOUT)
            case story.Status(code, headers):
                answer.error = _error_of(asked, code, headers.get("Retry-After", ""))
            case story.CaptivePortal():
                answer.error = MisbehavedError(host, "a web page answers instead of a registry")
            case story.IgnoreRange():
                answer.ignores_range = True
            case story.ShortBody(by):
                answer.short_by = by
            case story.FlipByte(at):
                content = bytearray(answer.content)
                content[at] ^= 0xFF
                answer.content = bytes(content)
            case story.ChangeTagBetweenRequests(tag, to):
                self.move_tag(asked.repository, tag, to)
            case _:
                raise NotImplementedError(f"{effect!r} needs a wire: use tests.faults.registry")


def _error_of(asked: Asked, status: int, retry_after: str) -> HeadwayError:
    seconds = float(retry_after) if retry_after else None
    match status:
        case 401 | 403:
            return RefusedError(asked.host, status)
        case 404:
            return NotFoundError(asked.kind, asked.digest)
        case 429:
            return ThrottledError(asked.host, seconds)
        case _ if status >= 500:
            return UnavailableError(asked.host, status, seconds)
        case _:
            return MisbehavedError(asked.host, f"answers HTTP {status}")


class SimulatedBlob:
    """`interfaces.BlobStream` of a `SimulatedRegistry`."""

    def __init__(self, registry: SimulatedRegistry, asked: Asked, size: int) -> None:
        self._registry = registry
        self._asked = asked
        self._size = size
        self._body = memoryview(b"")
        self._breaks: list[tuple[int, HeadwayError]] = []
        self._aborted = False
        self.stall_limit_seconds = 15.0

    @property
    def received_bytes(self) -> int:
        return self._asked.sent

    def open(self) -> int:
        self._require_not_aborted()
        asked = self._asked
        answer = self._registry._answer(asked)
        start, end = (0, self._size) if answer.ignores_range else (asked.offset, asked.end)
        if len(answer.content) != self._size or (answer.short_by and end - start == self._size):
            raise MisbehavedError(asked.host, "sends another length than this blob has")
        self._body = memoryview(answer.content)[start : end - answer.short_by]
        self._breaks = sorted(answer.breaks, key=lambda each: each[0])
        return start

    def read(self) -> bytes:
        self._require_not_aborted()
        limit, error = self._breaks[0] if self._breaks else (len(self._body), None)
        if error is not None and self._asked.sent >= min(limit, len(self._body)):
            raise error
        data = bytes(self._body[self._asked.sent : limit][: self._registry.piece])
        self._asked.sent += len(data)
        return data

    def _require_not_aborted(self) -> None:
        if self._aborted:
            raise UnreachableError(self._asked.host, Fault.CUT, "aborted")

    def abort(self) -> None:
        self._aborted = True

    def close(self) -> None:
        self._body, self._breaks = memoryview(b""), []
