"""The vocabulary of bad days: what can go wrong, as data.

A test lists what happens to it, in order, and reads as the story of one bad day. One part is for a `Link`,
which knows bytes only, the other for a `Registry`, which knows requests; `CutAfter` and `ResetAfter` are for
both. Sizes are in bytes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tests.faults.reply import Reply

# --- of either ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CutAfter:
    """End with FIN when `after` bytes have gone to the client.

    On a link: the first connection that gets so far, once. On a registry: bytes of the body.
    """

    after: int

    def apply(self, reply: Reply) -> None:
        """Arrange it for one reply of a registry."""
        reply.break_at, reply.ending = self.after, "cut"


@dataclass(frozen=True, slots=True)
class ResetAfter:
    """End with RST when the client's kernel has `after` bytes; counted as in `CutAfter`."""

    after: int

    def apply(self, reply: Reply) -> None:
        """Arrange it for one reply of a registry."""
        reply.break_at, reply.ending = self.after, "reset"


# --- of a link ----------------------------------------------------------------------------------------------

Refusal = Literal["refuse", "drop", "reset"]
"""How a link is down.

refuse: nobody listens, and what was open is reset. drop: every packet vanishes, and what was open goes on
afterwards, as TCP would. reset: whoever connects is reset, and so is what was open.
"""


@dataclass(frozen=True, slots=True)
class CutEvery:
    """End every connection with FIN when it has brought exactly `every` bytes."""

    every: int


@dataclass(frozen=True, slots=True)
class ResetEvery:
    """End every connection with RST when it has brought exactly `every` bytes."""

    every: int


@dataclass(frozen=True, slots=True)
class CutUploadEvery:
    """End every connection when it has taken exactly `every` bytes from the client: RST to it, FIN to the server."""

    every: int


@dataclass(frozen=True, slots=True)
class CutUploadAfter:
    """End so the first connection that has taken exactly `after` bytes from the client; once."""

    after: int


@dataclass(frozen=True, slots=True)
class SilentUploadAfter:
    """The first connection that has taken `after` bytes from the client takes no more, and brings nothing; once."""

    after: int


@dataclass(frozen=True, slots=True)
class SilentAfter:
    """The first connection that has brought `after` bytes stays open and brings nothing more; once."""

    after: int


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most so many bytes a second to the client: all connections together, or each of them."""

    bytes_per_second: float
    shared: bool = True


@dataclass(frozen=True, slots=True)
class Trickle:
    """From `after` bytes of a connection on, it brings so many bytes a second, in small pieces."""

    bytes_per_second: float
    after: int = 0


@dataclass(frozen=True, slots=True)
class SlowConnection:
    """The `nth` connection, counted from 1, brings so many bytes a second: an overloaded server among several."""

    nth: int
    bytes_per_second: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Every byte takes so long in each direction; opening a connection costs a round trip more."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Outage:
    """When `after` bytes have come down over all connections, the link is down for some time; once."""

    after: int
    seconds: float
    how: Refusal = "refuse"


@dataclass(frozen=True, slots=True)
class AddressChange:
    """When `after` bytes have come down, every open connection falls silent for good; new ones work; once.

    As where a machine walks from one network into another: nobody answers any more to what it had opened.
    """

    after: int


@dataclass(frozen=True, slots=True)
class LargePacketsVanish:
    """What is larger than `above` bytes never arrives, where the client did not ask for smaller segments (RFC 2923)."""

    above: int = 1_400


LinkFault = (
    CutAfter
    | ResetAfter
    | CutEvery
    | ResetEvery
    | CutUploadEvery
    | CutUploadAfter
    | SilentUploadAfter
    | SilentAfter
    | RateLimit
    | Trickle
    | SlowConnection
    | Latency
    | Outage
    | AddressChange
    | LargePacketsVanish
)


# --- of a registry ------------------------------------------------------------------------------------------


class Effect(Protocol):
    """Something that goes wrong with one reply."""

    def apply(self, reply: Reply) -> None:
        """Change what will be sent, and how."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Which requests suffer what. Every fault that matches applies, in the order of the script.

    Attributes:
        effect: What goes wrong.
        kind: What is asked for; ``any`` matches the ``/v2/`` check too.
        nth: Which of the requests that match otherwise, counted from 1; a range of them; or None for all.
        digest: Only the blob or manifest with this digest, however it was asked for.
        method: Only this one.
    """

    effect: Effect
    kind: Literal["manifest", "blob", "upload", "token", "any"] = "any"
    nth: int | range | None = None
    digest: str = ""
    method: Literal["", "GET", "HEAD", "POST", "PATCH", "PUT"] = ""

    def concerns(self, *, kind: str, digest: str, method: str) -> bool:
        """Tell whether a request matches, apart from `nth`."""
        return self.kind in {"any", kind} and self.digest in {"", digest} and self.method in {"", method}

    def strikes(self, count: int) -> bool:
        """Tell whether the request that is the `count`-th to match suffers."""
        if self.nth is None:
            return True
        return count in self.nth if isinstance(self.nth, range) else count == self.nth


@dataclass(frozen=True, slots=True)
class StallAfter:
    """Send nothing more after so many bytes of the body, for some time or for as long as the client stays."""

    after: int
    seconds: float | None = None

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        if self.seconds is None:
            reply.break_at, reply.ending = self.after, "stall"
        else:
            seconds = self.seconds
            reply.at(self.after, lambda: reply.wait(seconds))


@dataclass(frozen=True, slots=True)
class TrickleBody:
    """Send the body at so many bytes a second."""

    bytes_per_second: float

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.bytes_per_second = self.bytes_per_second


@dataclass(frozen=True, slots=True)
class SlowResponse:
    """Think for so long before the first byte of the head."""

    seconds: float

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.delay_seconds = self.seconds


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """Answer 200 with everything, whatever range was asked for (RFC 9110, section 14.2 allows it)."""

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        if reply.status in {206, 416}:
            reply.status, reply.start, reply.stop = 200, 0, len(reply.content)
            reply.headers.pop("Content-Range", None)


@dataclass(frozen=True, slots=True)
class WrongContentRange:
    """Send the bytes asked for, under a Content-Range that is `shift` bytes off."""

    shift: int = 1

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        first, last = reply.start + self.shift, reply.stop - 1 + self.shift
        reply.override("Content-Range", f"bytes {first}-{last}/{len(reply.content)}")


@dataclass(frozen=True, slots=True)
class WrongTotal:
    """Say in Content-Range that the whole is `by` bytes longer than it is."""

    by: int = 1

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.override("Content-Range", f"bytes {reply.start}-{reply.stop - 1}/{len(reply.content) + self.by}")


@dataclass(frozen=True, slots=True)
class ShortBody:
    """Send `by` bytes less than asked for.

    An honest one says so in its Content-Range (RFC 9110, section 15.3.7 allows that); the other claims all of
    it there. Content-Length is what is sent, either way.
    """

    by: int = 1
    honest: bool = True

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        if not self.honest and reply.status == 206:
            reply.override("Content-Range", f"bytes {reply.start}-{reply.stop - 1}/{len(reply.content)}")
        reply.stop = max(reply.start, reply.stop - self.by)


@dataclass(frozen=True, slots=True)
class LongBody:
    """Send `by` bytes of rubbish behind what was asked for, and count them in Content-Length."""

    by: int = 1

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.rubbish += b"\xff" * self.by


@dataclass(frozen=True, slots=True)
class FlipByte:
    """Change one byte, at this offset of the whole content, wherever a request includes it."""

    at: int

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        content = bytearray(reply.content)
        content[self.at] ^= 0xFF
        reply.content = memoryview(content)


@dataclass(frozen=True, slots=True)
class WrongBlob:
    """Serve other content under the digest asked for; a range is taken from it as far as it goes."""

    content: bytes

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.content = memoryview(self.content)
        reply.start = min(reply.start, len(self.content))
        reply.stop = len(self.content) if reply.status == 200 else min(reply.stop, len(self.content))


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status instead."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.become(self.code, self.body, self.headers)


@dataclass(frozen=True, slots=True)
class CaptivePortal:
    """Answer 200 with a page that asks to log in, as a hotel's network does."""

    page: bytes = b"<html><body>Please accept our terms of use.</body></html>"

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.become(200, self.page, {"Content-Type": "text/html"})


@dataclass(frozen=True, slots=True)
class RawResponse:
    """Send exactly these bytes instead of HTTP, and close."""

    data: bytes

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.raw = self.data


@dataclass(frozen=True, slots=True)
class NoContentLength:
    """Leave the length out: chunked, or as long as the connection lasts."""

    chunked: bool = False

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.framing = "chunked" if self.chunked else "close"


@dataclass(frozen=True, slots=True)
class NoDigestHeader:
    """Leave Docker-Content-Digest out."""

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.headers.pop("Docker-Content-Digest", None)


@dataclass(frozen=True, slots=True)
class RedirectTo:
    """Send the client to the same path at another base URL.

    With `expires_seconds` the URL is signed until then: a `Registry` there answers 403 and S3's XML after.
    """

    base_url: str
    expires_seconds: float | None = None

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        location = self.base_url.rstrip("/") + reply.path
        if self.expires_seconds is not None:
            location += f"?expires={time.time() + self.expires_seconds:.3f}&signature=test"
        reply.become(307, b"", {"Location": location})


@dataclass(frozen=True, slots=True)
class ExpireToken:
    """When so many bytes of the body are sent, let every token given out so far expire in so many seconds."""

    after: int = 0
    seconds: float = 0.0

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.at(self.after, lambda: reply.stage.expire_tokens(self.seconds))


@dataclass(frozen=True, slots=True)
class DeleteBlob:
    """When so many bytes of the body are sent, the registry holds what was asked for no longer."""

    after: int = 0

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.at(self.after, lambda: reply.stage.remove(reply.digest))


@dataclass(frozen=True, slots=True)
class SayToo:
    """Send these headers too."""

    headers: Mapping[str, str]

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.headers.update(self.headers)


@dataclass(frozen=True, slots=True)
class ChangeTagBetweenRequests:
    """For requests behind this one, the repository's tag stands for another manifest."""

    tag: str
    to: str

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.stage.move_tag(reply.repository, self.tag, self.to)
