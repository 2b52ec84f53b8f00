"""A daemon from its start to its end: read `Daemon.run` top to bottom.

Rule 1: it reports that it is ready when it answers requests, and not before.
Rule 2: a reload changes everything that can change, or nothing; running transfers go on.
Rule 3: however it ends, unfinished downloads are kept, and everything it mounted is unmounted.
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
from headway.layers.rootfs.file_access import RootfsAccess
from headway.service.concurrency.together import raise_one
from headway.service.image_service import ImageService
from headway.service.stores import Stores
from headway.settings import Settings

log = logging.getLogger(__name__)

FORCED_AT = 3
"""The signal to stop that is not waited for, counted from the first, as in dockerd."""

DESCRIPTORS = 65536
REQUEST_THREADS = 32


class Daemon:
    """One daemon.

    Args:
        flags: Flags of the command line, which every reload applies again.
        show: Called with the lines for people at the start; with ``--log-format json`` they go into the log instead.
    """

    def __init__(self, flags: Flags, show: Callable[[str], None]) -> None:
        self._flags = flags
        self._show = show
        self._configuration = configured(flags)
        self._interrupts = 0

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            HeadwayError: It could not start.
        """
        configuration = self._configuration
        daemon = configuration.daemon
        logs.begin("debug" if configuration.settings.debug else daemon.log_level, daemon.log_format)
        for warning in configuration.warnings:
            log.warning("%s", warning)
        texts = daemon.hosts or (default_socket(dict(os.environ), os.geteuid()),)
        addresses = [Address.parse(text) for text in dict.fromkeys(texts)]  # an address may be given twice
        allow_descriptors()
        # Until the event loop handles them, SIGHUP would end the process, and SIGTERM would leave its files behind.
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
            await pulls.stop()  # before the server, so that those who watch learn why
            await self._shut_down(server, service)

    def _tell(self, line: str) -> None:
        if self._configuration.daemon.log_format == "json":
            log.info("%s", line)  # a program that reads stderr expects nothing but JSON
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
            return  # it is shutting down, and must not report that it is ready
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
    """Raise the limit of open files as far as allowed, as Go programs do: 1,024 is common, and a client takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tell_of_the_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log errors that the event loop cannot raise to a caller; a lack of file descriptors without a traceback."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
        log.warning("new connections have to wait: as many files are open as may be (ulimit -n, LimitNOFILE)")
    else:
        loop.default_exception_handler(context)


def allow_requests(loop: asyncio.AbstractEventLoop) -> None:
    """Let as many requests run at once on a small machine as on a large one.

    By default asyncio has four threads more than there are cores: on two cores, six commits of large containers held
    up every list, every event and the records of pulls. Threads are made when they are needed.
    """
    loop.set_default_executor(ThreadPoolExecutor(REQUEST_THREADS, "request"))
