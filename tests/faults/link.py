"""A link that breaks on purpose: a TCP proxy on loopback, with its faults as data.

Rule 1: `bytes_down` is what clients can have received, to the byte: their sockets' buffers are small, and
what a reset takes back is not counted.
Rule 2: a cut is FIN behind the last byte; a reset is RST, once the client's kernel has the last byte.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Self, TypeVar

from tests.faults.carriage import Carriage
from tests.faults.flow import Pace, ready
from tests.faults.sockets import SEND_BUFFER, close_with_reset, listen
from tests.faults.story import Latency, LinkFault, Outage, Refusal

_SAMPLE_SECONDS = 0.01

T = TypeVar("T")


class Link:
    """Carries connections from a port on 127.0.0.1 to `target` until its ``with`` block ends.

    Args:
        target: Host and port of the server.
        faults: What goes wrong. Cuts count the bytes of one connection, from the server to the client.

    Attributes:
        port: Where clients connect.
        bytes_up: Bytes that clients sent.
        connections: How many were opened.
        cuts: How many ended with FIN by a fault.
        resets: How many ended with RST by a fault or an outage.
        silences: How many fell silent.
        timeline: (seconds since the start, `bytes_down`), one every 10 ms at most.
        events: (seconds since the start, what happened): ``cut``, ``reset``, ``silence``, ``left`` (by the client, what
            fell silent), ``down`` or ``up``.
    """

    def __init__(self, *, target: tuple[str, int], faults: Sequence[LinkFault] = ()) -> None:
        self.port = 0
        self.bytes_up = 0
        self.connections = self.cuts = self.resets = self.silences = 0
        self.timeline: list[tuple[float, int]] = [(0.0, 0)]
        self.events: list[tuple[float, str]] = []
        self.target = target
        self.spent: set[int] = set()
        self.paces: dict[int, Pace] = {}
        self._bytes_down = 0
        self._counting = threading.Lock()
        self._faults = tuple(faults)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="link", daemon=True)
        self._ready = threading.Event()
        self._carriages: set[Carriage] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._fillers: list[socket.socket] = []
        self._filler_names: set[object] = set()
        self._state: Refusal | None = None

    # --- for the test ---------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        # Bound but not listening: nobody else gets the port while the link refuses.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port = self._holder.getsockname()[1]
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._holder.close()

    @property
    def bytes_down(self) -> int:
        """Bytes that clients can have received; never less than they have."""
        with self._counting:
            return self._bytes_down

    @property
    def open_connections(self) -> int:
        """How many there are now."""
        return len(self._carriages)

    @property
    def is_down(self) -> bool:
        """Whether nobody gets through now."""
        return self._state is not None

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def faults(self) -> Sequence[LinkFault]:
        """What goes wrong. It may be replaced at any time; what strikes once may then strike again."""
        return self._faults

    @faults.setter
    def faults(self, faults: Sequence[LinkFault]) -> None:
        async def replace() -> None:
            self._faults = tuple(faults)
            self.spent.clear()
            self.paces.clear()

        self._from_outside(replace())

    def down(self, how: Refusal = "refuse") -> None:
        """Let the link go down; return when it is."""
        self._from_outside(self._go_down(how))

    def up(self) -> None:
        """Let it come back; return when it has."""
        self._from_outside(self._come_up())

    def _from_outside(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # --- for its connections, in its own thread -------------------------------------------------------------

    @property
    def latency_seconds(self) -> float:
        """How long a byte takes in each direction."""
        return sum(fault.seconds for fault in self._faults if isinstance(fault, Latency))

    @property
    def flowing(self) -> asyncio.Event:
        """Set unless every packet vanishes."""
        return self._flowing

    def hand_over(self, client: socket.socket, data: memoryview) -> int:
        """Give some of `data` to a client's socket and count it; return how much.

        Raises:
            BlockingIOError: Its buffer is full.
            OSError: It is gone.
        """
        with self._counting:
            sent = client.send(data)
            self._count(sent)
        return sent

    def reset(self, client: socket.socket) -> None:
        """Close a client's socket with RST, and take off the count what that destroys."""
        with self._counting:
            self._count(-close_with_reset(client))

    def note(self, event: str) -> None:
        """Remember that something happened just now."""
        self.events.append((self._loop.time() - self._started, event))

    def begin(self, outage: Outage) -> None:
        """Let no byte more through, and go down for some time."""
        self._stop_traffic(outage.how)
        self.spawn(self._suffer(outage))

    def change_address(self) -> None:
        """Let everything that is open now fall silent."""
        for carriage in self._carriages:
            carriage.is_silent = True

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run something until it ends, or the link does."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- its own work ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._stop = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        async with asyncio.TaskGroup() as self._group:
            self._open_door()
            self._ready.set()
            await self._stop.wait()
            for task in self._tasks:
                task.cancel()
        self._listener.close()
        self._close_fillers()

    def _open_door(self) -> None:
        self._listener = listen(self.port)
        self._listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._accepting = self.spawn(self._accept())

    async def _accept(self) -> None:
        while True:
            try:
                client, name = self._listener.accept()
            except BlockingIOError:
                await ready(self._listener)
                continue
            if name in self._filler_names:
                client.close()
            elif self._state == "reset":
                close_with_reset(client)
            else:
                self.spawn(self._carry(client))

    async def _carry(self, client: socket.socket) -> None:
        client.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        carriage = Carriage(self, client)
        self._carriages.add(carriage)
        try:
            await carriage.carry()
        finally:
            self._carriages.discard(carriage)

    def _count(self, size: int) -> None:
        self._bytes_down += size
        now = self._loop.time() - self._started
        if len(self.timeline) > 1 and now - self.timeline[-2][0] < _SAMPLE_SECONDS:
            self.timeline.pop()
        self.timeline.append((now, self._bytes_down))

    async def _suffer(self, outage: Outage) -> None:
        await self._go_down(outage.how)
        await asyncio.sleep(outage.seconds)
        await self._come_up()

    def _stop_traffic(self, how: Refusal) -> None:
        self._state = how
        if how == "drop":
            self._flowing.clear()
            return
        for carriage in self._carriages:
            carriage.break_off()

    async def _go_down(self, how: Refusal) -> None:
        await self._come_up() if self._state not in {None, how} else None
        self._stop_traffic(how)
        self.note("down")
        if how == "reset" or self._accepting.done():
            return
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        if how == "refuse":
            self._listener.close()
        else:
            self._fill_queue()

    async def _come_up(self) -> None:
        if self._state is None:
            return
        if self._state == "refuse":
            self._open_door()
        elif self._state == "drop":
            self._listener.listen(128)
            self._accepting = self.spawn(self._accept())
            self._close_fillers()
        self._state = None
        self._flowing.set()
        self.note("up")

    def _fill_queue(self) -> None:
        """Let the kernel drop further SYNs, as it does where the queue of a listener is full (listen(2))."""
        self._listener.listen(0)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)
            self._filler_names.add(filler.getsockname())

    def _close_fillers(self) -> None:
        while self._fillers:
            self._fillers.pop().close()
