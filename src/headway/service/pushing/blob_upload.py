"""Uploads one blob: performs what `distribution.upload` decides, and reports the outcome to it.

Rule: this module decides nothing, and that one does no I/O.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import msgspec

from headway.distribution.backoff import GiveUp, Retries, Wait
from headway.distribution.endpoints import Endpoint
from headway.distribution.upload import Action, Ask, BlobUpload, Close, Done, Look, Open, Send
from headway.errors import HeadwayError, MisbehavedError, UnreachableError
from headway.interfaces.registries import Piece, Pusher, UploadSession
from headway.service.concurrency.executors import Thread
from headway.service.pushing.content import Content
from headway.service.transfers.blob_transfer import REPORT_SECONDS
from headway.service.transfers.tools import Tools

T = TypeVar("T")


class Target(msgspec.Struct, frozen=True):
    """Where a push goes.

    Attributes:
        endpoint: The registry.
        repository: Path of the repository there.
        spelled: The full name of the repository, with its domain.
    """

    endpoint: Endpoint
    repository: str
    spelled: str


class PushTools(Tools, frozen=True, kw_only=True):
    """What all uploads of a process share.

    Attributes:
        pusher: Talks to registries.
        wall: Seconds since the epoch.
    """

    pusher: Pusher
    wall: Callable[[], float]


class UploadProgress(msgspec.Struct, frozen=True):
    """How far an upload is.

    Attributes:
        held: Bytes that the registry has, or that are on their way.
        wait: What it waits for; None while it sends.
        left_seconds: How long it will still wait.
    """

    held: int
    wait: Wait | None = None
    left_seconds: float = 0.0


class Begun(msgspec.Struct, frozen=True):
    """An upload session that a registry began because it did not mount a blob.

    Attributes:
        session: The session.
        least: The smallest piece that the registry accepts, in bytes.
    """

    session: UploadSession
    least: int


class Upload:
    """The upload of one blob.

    Args:
        tools: What to work with.
        target: Where the blob goes.
        content: The blob; the caller closes it.
        report: Called with the progress.
        begun: A session that has begun already; None to begin one.
    """

    def __init__(
        self,
        tools: PushTools,
        target: Target,
        content: Content,
        report: Callable[[UploadProgress], None],
        begun: Begun | None = None,
    ) -> None:
        self._tools = tools
        self._target = target
        self._content = content
        self._report = report
        self._begun = begun
        self._session = begun.session if begun is not None else tools.pusher.session(target.endpoint, target.repository)
        self._host = host = target.endpoint.host
        self._lives = tools.standing.lives
        self._machine = BlobUpload(
            content.size,
            endpoint=host,
            retries=Retries(tools.policy(), now=tools.clock(), jitter=tools.jitter),
            is_whole=host in tools.standing.whole_uploads,
        )
        self._handed_over = 0
        self.retries: Counter[str] = Counter()

    @property
    def sent_bytes(self) -> int:
        """Bytes of the blob that went over connections, including those that were sent again."""
        return self._session.sent_bytes

    async def run(self) -> None:
        """Upload the blob.

        Raises:
            HeadwayError: The upload was given up.
        """
        machine = self._machine
        try:
            while True:
                machine.retries.policy, machine.piece = self._tools.policy(), self._lives.piece(self._host)
                match machine.next_action():
                    case Done():
                        if machine.is_whole:
                            self._tools.standing.whole_uploads.add(self._host)
                        return
                    case GiveUp(error):
                        raise error
                    case Wait() as wait:
                        await self._wait(wait)
                    case action:
                        await self._perform(action)
        finally:
            self._lives.end(self._host, self)

    async def _perform(self, action: Action) -> None:
        try:
            await self._do(action)
        except HeadwayError as error:
            self.retries[error.brief] += 1
            self._note_loss(action, error)
            self._machine.failed(error, now=self._tools.clock())

    async def _do(self, action: Action) -> None:
        machine, clock, session, digest = self._machine, self._tools.clock, self._session, self._content.digest
        match action:
            case Open():
                machine.opened(least=await self._begin())
            case Send():
                piece, tell = self._piece(action.offset, action.end)
                began = clock()
                held = await self._in_thread(lambda: session.send(piece), meanwhile=tell)
                seconds = clock() - began
                self._lives.brought(self._host, self, session.carried, size=piece.end - piece.offset, seconds=seconds)
                machine.sent(held, seconds=seconds, now=clock())
            case Ask():
                machine.answered(await self._in_thread(session.held), now=clock())
            case Close(whole=True):
                piece, tell = self._piece(0, self._content.size)
                await self._in_thread(lambda: session.finish(digest, piece), meanwhile=tell)
                machine.closed()
            case Close():
                await self._in_thread(lambda: session.finish(digest))
                machine.closed()
            case Look():
                machine.looked(is_there=await self._in_thread(self._is_there), now=clock())

    async def _begin(self) -> int:
        self._lives.begin(self._host, self)
        begun, self._begun = self._begun, None
        if begun is not None:
            return begun.least
        least = await self._in_thread(self._session.begin)
        if least is None:
            raise MisbehavedError(self._host, "mounts a blob that nobody has named")
        return least

    def _piece(self, offset: int, end: int) -> tuple[Piece, Callable[[], None]]:
        """Return bytes to send, and a function that reports how many of them have gone."""
        allowance = self._lives.allowance(self._host, self)
        self._handed_over = 0

        def tell() -> None:
            self._report(UploadProgress(min(self._machine.offset + self._handed_over, end)))

        return Piece(offset, end, self._content.file.read_at, allowance, self._progress), tell

    def _progress(self, handed_over: int) -> None:
        self._handed_over = handed_over

    def _is_there(self) -> bool:
        target = self._target
        size = self._tools.pusher.blob_size(target.endpoint, target.repository, self._content.digest)
        return size is not None

    def _note_loss(self, action: Action, error: HeadwayError) -> None:
        if not (isinstance(action, Send | Close) and isinstance(error, UnreachableError)):
            return
        handed_over, size = (self._handed_over, action.end - action.offset) if isinstance(action, Send) else (0, 0)
        self._lives.lost(
            self._host,
            self,
            error.fault,
            carried=self._session.carried,
            handed_over=handed_over,
            size=size,
            now=self._tools.wall(),
        )

    async def _in_thread(self, work: Callable[[], T], meanwhile: Callable[[], None] = lambda: None) -> T:
        thread = Thread(work, abort=self._session.abort, name="push")
        try:
            while not thread.done.done():
                await asyncio.wait({thread.done}, timeout=REPORT_SECONDS)
                meanwhile()
            return thread.done.result()
        finally:
            if not thread.done.done():
                await thread.stop()

    async def _wait(self, wait: Wait) -> None:
        due = self._tools.clock() + wait.seconds
        while (left := due - self._tools.clock()) > 0:
            self._report(UploadProgress(self._machine.offset, wait, left))
            if await self._tools.pause(min(1.0, left), [wait.cause]) is not None:
                return
