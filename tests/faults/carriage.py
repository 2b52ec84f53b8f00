"""One connection over a `Link`: two pumps, and the end that the faults have for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Literal, TypeGuard

from tests.faults.flow import Arrivals, Pace, ready, send_all, until_gone
from tests.faults.sockets import unsent
from tests.faults.story import (
    AddressChange,
    CutAfter,
    CutEvery,
    CutUploadAfter,
    CutUploadEvery,
    LargePacketsVanish,
    LinkFault,
    Outage,
    RateLimit,
    ResetAfter,
    ResetEvery,
    SilentAfter,
    SilentUploadAfter,
    SlowConnection,
    Trickle,
)

if TYPE_CHECKING:
    from tests.faults.link import Link

Ending = Literal["end", "cut", "reset", "silence"]

_PIECE = 256 * 1024
_NEVER = 1 << 62
_NOTICE_SECONDS = 2.0
_RATE_STEPS = 50


class Carriage:
    """Carries one connection.

    Args:
        link: Whose faults it suffers, and who counts.
        client: The connection that was accepted; closed at the end.

    Attributes:
        is_silent: Whether nothing more is to reach the client, though nobody says so.
    """

    def __init__(self, link: Link, client: socket.socket) -> None:
        self._link = link
        self._number = link.connections
        self._client = client
        self._server = socket.socket()
        self._server.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._delivered = 0
        self._taken = 0
        self._paces: dict[int, Pace] = {}
        self._broken = False
        self._upload_is_cut = False
        self.is_silent = False
        self._task: asyncio.Task[object] | None = None

    def break_off(self) -> None:
        """Reset it as soon as the loop turns."""
        if not self._broken and self._task is not None:
            self._broken = True
            self._task.cancel()

    async def carry(self) -> None:
        """Carry bytes both ways until an end, the server's or a fault's, is carried out."""
        self._task = asyncio.current_task()
        with self._client, self._server:
            up: asyncio.Task[None] | None = None
            try:
                await asyncio.sleep(2 * self._link.latency_seconds)
                await asyncio.get_running_loop().sock_connect(self._server, self._link.target)
                up = self._link.spawn(self._pump_up())
                await self._end(await self._pump_down(), up)
            except OSError:
                self._reset()
            finally:
                if up is not None:
                    up.cancel()
                    await asyncio.wait([up])
                if self._broken:
                    self._count("reset")
                    self._reset()

    # --- the two ways ---------------------------------------------------------------------------------------

    async def _pump_up(self) -> None:
        arrivals = Arrivals(self._client, lambda: self._link.latency_seconds)
        with contextlib.suppress(OSError):
            while piece := await arrivals.next():
                limit, fault = self._next_upload_break()
                piece = piece[:limit]
                self._link.bytes_up += len(piece)
                self._taken += len(piece)
                await self._link.flowing.wait()
                await send_all(self._server, piece)
                if fault is not None and len(piece) == limit:
                    await self._break_upload(fault)
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)

    async def _pump_down(self) -> Ending:
        arrivals = Arrivals(self._server, lambda: self._link.latency_seconds)
        view = memoryview(b"")
        while True:
            limit, fault = self._next_break()
            if self.is_silent:
                return "silence"
            if fault is not None and limit <= 0:
                ending = await self._meet(fault)
                if ending is not None:
                    return ending
            elif view:
                view = view[await self._deliver(view[: min(limit, self._next_rate(), _PIECE)]) :]
            else:
                view = memoryview(await arrivals.next())
                ending = self._ending_at(view)
                if ending is not None:
                    return ending

    def _ending_at(self, view: memoryview) -> Ending | None:
        """Return the end that what came from the server stands for; nothing at all is the server's own end."""
        if self._upload_is_cut:
            return "reset"
        if self._vanishes(view):
            return "silence"
        return "end" if not view and not self.is_silent else None

    async def _deliver(self, view: memoryview) -> int:
        """Hand some of `view` to the client at the pace of the link; return how much."""
        for pace, rate in self._paces_now():
            view = view[: max(1, int(rate / _RATE_STEPS))]
            await pace.turn(len(view), rate)
        if not self._link.flowing.is_set():
            await self._link.flowing.wait()
        try:
            sent = self._link.hand_over(self._client, view)
        except BlockingIOError:
            await ready(self._client, to_write=True)
            return 0
        self._delivered += sent
        return sent

    def _paces_now(self) -> list[tuple[Pace, float]]:
        """Return every pace that holds now, with its rate; while one is waited for, the link's faults may change."""
        return [
            (self._pace(index, fault), fault.bytes_per_second)
            for index, fault in enumerate(self._link.faults)
            if self._is_paced_by(fault)
        ]

    def _is_paced_by(self, fault: LinkFault) -> TypeGuard[RateLimit | Trickle | SlowConnection]:
        match fault:
            case RateLimit():
                return True
            case Trickle(after=after):
                return after <= self._delivered
            case SlowConnection(nth):
                return nth == self._number
            case _:
                return False

    def _next_rate(self) -> int:
        """Return how many bytes may still go before a trickle begins."""
        starts = [f.after - self._delivered for f in self._link.faults if isinstance(f, Trickle)]
        return min((start for start in starts if start > 0), default=_NEVER)

    def _pace(self, index: int, fault: LinkFault) -> Pace:
        shared = isinstance(fault, RateLimit) and fault.shared
        return (self._link.paces if shared else self._paces).setdefault(index, Pace())

    # --- faults ---------------------------------------------------------------------------------------------

    def _next_break(self) -> tuple[int, LinkFault | None]:
        """Return how many bytes may still go before something breaks, and what."""
        nearest: tuple[int, LinkFault | None] = (_NEVER, None)
        for index, fault in enumerate(self._link.faults):
            limit = self._bytes_until(fault)
            if index not in self._link.spent and limit < nearest[0]:
                nearest = limit, fault
        return nearest

    def _next_upload_break(self) -> tuple[int, LinkFault | None]:
        """Return how many bytes may still come from the client before something breaks, and what."""
        nearest: tuple[int, LinkFault | None] = (_NEVER, None)
        for index, fault in enumerate(self._link.faults):
            match fault:
                case CutUploadEvery(at) | CutUploadAfter(at) | SilentUploadAfter(at):
                    if index not in self._link.spent and at - self._taken < nearest[0]:
                        nearest = max(0, at - self._taken), fault
                case _:
                    pass
        return nearest

    async def _break_upload(self, fault: LinkFault) -> None:
        if not isinstance(fault, CutUploadEvery):
            self._link.spent.add(next(i for i, each in enumerate(self._link.faults) if each is fault))
        if isinstance(fault, SilentUploadAfter):
            self.is_silent = True
            self._count("silence")
        else:
            await self._cut_upload()
        await asyncio.get_running_loop().create_future()  # not a byte more, until the link or this connection ends

    async def _cut_upload(self) -> None:
        """Let the server notice first: what it says of the upload afterwards counts all that came."""
        self._upload_is_cut = True
        self._server.shutdown(socket.SHUT_WR)
        await asyncio.sleep(_NOTICE_SECONDS)
        self.break_off()

    def _vanishes(self, piece: memoryview) -> bool:
        """Tell whether a piece is sent in packets that are too large for the link."""
        segment = self._client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        limits = [fault.above for fault in self._link.faults if isinstance(fault, LargePacketsVanish)]
        return any(min(segment, len(piece)) > limit for limit in limits)

    def _bytes_until(self, fault: LinkFault) -> int:
        match fault:
            case CutEvery(every) | ResetEvery(every):
                return every - self._delivered
            case CutAfter(after) | ResetAfter(after) | SilentAfter(after):
                return after - self._delivered
            case Outage(after) | AddressChange(after):
                return after - self._link.bytes_down
            case _:
                return _NEVER

    async def _meet(self, fault: LinkFault) -> Ending | None:
        """Return the end that a fault has for this connection; None where it goes on."""
        if not isinstance(fault, CutEvery | ResetEvery):
            self._link.spent.add(next(i for i, each in enumerate(self._link.faults) if each is fault))
        if isinstance(fault, Outage):
            self._link.begin(fault)
            await asyncio.sleep(0)  # where the outage breaks this connection off, it does so here
            return None
        if isinstance(fault, AddressChange):
            self._link.change_address()
            return None
        if isinstance(fault, SilentAfter):
            return "silence"
        return "cut" if isinstance(fault, CutAfter | CutEvery) else "reset"

    # --- ends -----------------------------------------------------------------------------------------------

    async def _end(self, ending: Ending, up: asyncio.Task[None]) -> None:
        if ending == "end":
            self._client.shutdown(socket.SHUT_WR)
            await asyncio.wait([up])
            return
        self._count(ending)
        up.cancel()
        await asyncio.wait([up])
        if ending == "cut":
            self._server.close()
            self._client.shutdown(socket.SHUT_WR)
        elif ending == "reset":
            await self._until_received()
            self._reset()
            return
        await until_gone(self._client)
        if ending == "silence":
            self._link.note("left")

    def _count(self, ending: Ending) -> None:
        self._link.cuts += ending == "cut"
        self._link.resets += ending == "reset"
        self._link.silences += ending == "silence"
        self._link.note(ending)

    def _reset(self) -> None:
        if self._client.fileno() >= 0:
            self._link.reset(self._client)

    async def _until_received(self) -> None:
        """Wait until the client's kernel has every byte; not for ever, it may not be reading."""
        deadline = asyncio.get_running_loop().time() + 2
        while unsent(self._client) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - a count in the kernel has no event
            await asyncio.sleep(0.001)
