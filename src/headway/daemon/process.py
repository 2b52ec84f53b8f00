"""A daemon from its start to its end: read `Daemon.run` top to bottom.

Rule 1: it says that it is ready when it answers, and not before.
Rule 2: a reload changes everything that it can or nothing; running transfers go on.
Rule 3: whatever ends it, unfinished downloads are kept, and what it mounted is unmounted.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from headway.composition.durable import durable_pulls
from headway.composition.service import image_service
from headway.composition.writing import writing
from headway.daemon import logs
from headway.daemon.configuration import Flags, configured
from headway.daemon.greeting import greeting
from headway.daemon.memory import give_back
from headway.daemon.metrics import metrics_served
from headway.daemon.notify import notify
from headway.daemon.pid_file import pid_file
from headway.daemon.reload import Reloader
from headway.daemon.sockets import Listener, close_all, default_socket, open_all, open_metrics, unix_address
from headway.engine.connections import serve
from headway.engine.listeners import Address
from headway.engine.metrics import RequestTimes
from headway.engine.server import EngineServer
from headway.engine.table import all_routes
from headway.errors import NO_MORE_FILES, HeadwayError
from headway.layers.file_access import RootfsAccess
from headway.service.image_service import ImageService
from headway.service.stores import Stores
from headway.service.together import raise_one
from headway.settings import Settings

log = logging.getLogger(__name__)

FORCED_AT = 3
DESCRIPTORS = 65536
REQUEST_THREADS = 32


class Daemon:
    """One daemon.

    Args:
        flags: What the command line says; every reload keeps to it.
        show: Takes the lines that a person sees at start; a log that programs read takes them itself.
    """

    def __init__(self, flags: Flags, show: Callable[[str], None]) -> None:
        self._flags = flags
        self._show = show
        self._configuration = configured(flags)
        self._interrupts = 0

    def run(self) -> None:
        """Serve until a signal says otherwise.

        Raises:
            HeadwayError: It could not begin.
        """
        configuration = self._configuration
        daemon = configuration.daemon
        logs.begin("debug" if configuration.settings.debug else daemon.log_level, daemon.log_format)
        for warning in configuration.warnings:
            log.warning("%s", warning)
        texts = daemon.hosts or (default_socket(dict(os.environ), os.geteuid()),)
        addresses = [Address.parse(text) for text in dict.fromkeys(texts)]  # one that is said twice is one
        allow_descriptors()
        # Until there is something to reload, or to shut down: the one would end the process, the other leave its files.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        with ExitStack() as stack:
            stack.enter_context(pid_file(daemon.pidfile))
            listeners = open_all(daemon, addresses)
            stack.callback(close_all, listeners)
            metrics = [stack.enter_context(each) for each in open_metrics(daemon.metrics_addr)]
            stores = stack.enter_context(writing(configuration.settings, log.warning, socket=unix_address(listeners)))
            try:
                asyncio.run(self._serve(stores, listeners, metrics))
            except BaseExceptionGroup as errors:
                raise_one(errors)

    async def _serve(self, stores: Stores, listeners: list[Listener], metrics: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        allow_requests(loop)
        stopped = asyncio.Event()
        at_start = self._configuration.settings

        def current() -> Settings:
            return self._configuration.settings

        def may_detach() -> bool:
            return self._configuration.daemon.pull_detach

        def labels() -> Sequence[str]:
            return self._configuration.daemon.labels

        async with (
            image_service(at_start, stores, current=current) as service,
            durable_pulls(service, stores.pulls, at_start, may_detach=may_detach) as pulls,
        ):
            routes = all_routes(service, stores, RootfsAccess(), pulls, settings=current, labels=labels)
            times = RequestTimes()
            server = EngineServer(routes, times.took)
            reloader = Reloader(service, stores.events, os.uname().nodename)
            self._obey_signals(loop, stopped, reloader)
            loop.set_exception_handler(tell_of_the_loop)
            serving = [await serve(server, listener.socket, listener.tls) for listener in listeners]
            async with metrics_served(metrics, service, pulls, times, stores, at_start):
                for line in greeting(self._configuration, listeners, service, stores):
                    self._tell(line)
                notify("READY=1")
                give_back()
                await stopped.wait()
                notify("STOPPING=1")
            for each in serving:
                each.close()
            await pulls.stop()  # those who watch are told why
            await self._shut_down(server, service)

    def _tell(self, line: str) -> None:
        if self._configuration.daemon.log_format == "json":
            log.info("%s", line)  # whoever reads the log can read nothing but JSON
        else:
            self._show(line)

    async def _shut_down(self, server: EngineServer, service: ImageService) -> None:
        limit = self._configuration.daemon.shutdown_timeout
        await server.shutdown(None if limit < 0 else float(limit))
        await asyncio.to_thread(service.cleanup)

    def _obey_signals(self, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event, reloader: Reloader) -> None:
        faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number, stopped)
        loop.add_signal_handler(signal.SIGQUIT, os._exit, 128 + signal.SIGQUIT)
        loop.add_signal_handler(signal.SIGHUP, self._reload, reloader)

    def _stop(self, number: signal.Signals, stopped: asyncio.Event) -> None:
        self._interrupts += 1
        log.info("Processing signal '%s'", number.name)
        if self._interrupts >= FORCED_AT:
            log.warning("Forcing docker daemon shutdown without cleanup; %d interrupts received", self._interrupts)
            os._exit(128 + number)
        stopped.set()

    def _reload(self, reloader: Reloader) -> None:
        if self._interrupts:
            return  # it stops, and is not ready any more
        path = self._configuration.path
        log.info("Got signal to reload configuration, reloading from: %s", path)
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")  # the time is for Type=notify-reload
        try:
            self._configuration = reloader.reload(self._configuration, configured(self._flags))
        except HeadwayError as error:
            log.error("%s", error)  # noqa: TRY400  # the words are for the administrator; a traceback says nothing more
        finally:
            notify("READY=1")


def allow_descriptors() -> None:
    """Raise the limit of open files as far as it may be, as Go's programs do: most shells' is 1024, one a client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tell_of_the_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what the event loop has no caller for; that no file can be opened any more, without a traceback."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
        log.warning("new connections have to wait: as many files are open as may be (ulimit -n, LimitNOFILE)")
    else:
        loop.default_exception_handler(context)


def allow_requests(loop: asyncio.AbstractEventLoop) -> None:
    """Let as many requests work at once on a small machine as on a large one.

    By default there are four threads more than cores: six commits of large containers held up every list, every event
    and what pulls write down. Threads are made when they are needed.
    """
    loop.set_default_executor(ThreadPoolExecutor(REQUEST_THREADS, "request"))
