"""Clients that mean harm, one kind after the other, while a good one is answered."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from urllib.parse import quote

from tests.fakes import images
from tests.fakes.daemon import Daemon, daemon
from tests.faults.registry import Registry
from tests.prove.crowd_of_clients import CHUNK, answer_to, bystander, closed_within, connected, connections, pulled
from tests.prove.peaks import peaks_of
from tests.prove.sheet import Sheet, check

MEMORY_MB, PING_SECONDS = 140.0, 2.0
TEN_GB = 10_000_000_000
IDLE, SLOW, UNFINISHED, UNREAD = 1_000, 200, 100, 30
HEADER_SECONDS = 45.0
EVENTS = 3_000
PATHS = (
    "/../../etc/passwd",
    "/images/../../../etc/passwd/json",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//evil.example/x",
    "/v1.41/images/" + "a/" * 8_000 + "json",
    "/images/%00/json",
    "/images/%ff%fe/json",
    "/containers/..%2f..%2fetc/json",
    "/containers/c/archive?path=" + quote("../../../../etc/shadow"),
    "/v999999999999999999999999.1/_ping",
    "/v1." + "9" * 5_000 + "/_ping",
    "/images/json?filters=" + quote("[" * 10_000),
    "/images/json?" + "&".join(f"a{number}=1" for number in range(10_000)),
    "/events?until=" + "9" * 400,
    "/images/json?limit=" + "9" * 5_000,
    "http://evil.example/_ping",
    "*",
)
DOCUMENTS = {
    "nested a million deep": b"[" * 1_000_000,
    "objects in objects": b'{"HostConfig":' * 200_000 + b"1" + b"}" * 200_000,
    "a string of 100 MB": b'{"Image":"' + b"a" * 100_000_000 + b'"}',
    "a million keys": json.dumps({f"k{number}": number for number in range(200_000)}).encode(),
    "a number of a million digits": b'{"Image":' + b"9" * 1_000_000 + b"}",
    "no text": b"\xff\xfe\x00",
}


@check(
    "hostile-clients",
    "Slow and huge headers, 10 GB to _ping, path tricks, JSON bombs, 1,000 idle connections, archives that never come "
    "whole and clients that do not read: memory stays bounded, and others are answered.",
)
def hostile_clients(sheet: Sheet) -> None:
    """Do one thing after the other to one daemon."""
    image = images.image([images.noise_layer(2_000_000, seed=number) for number in range(3)])
    with Registry([image]) as registry, daemon(sheet.place / "d") as running:
        name = f"{registry.host}/test/image"
        attacks: dict[str, Callable[[], str]] = {
            "headers that are never whole": lambda: _slow_headers(running),
            "headers of 20 MB": lambda: _huge_headers(running),
            "10 GB sent to _ping": lambda: _endless_body(running, sheet),
            "tricks with paths": lambda: _paths(running),
            "JSON bombs": lambda: _documents(running),
            "a compressed bomb": lambda: _compressed(running),
            "1,000 idle connections": lambda: _idle(running),
            "100 archives that never come whole": lambda: _unfinished_archives(running),
            "a pull that nobody reads": lambda: _unread_pull(running, name),
            "events that nobody reads": lambda: _unread_events(running, name),
            "30 archives that nobody reads": lambda: _unread_archives(running, name),
        }
        for words, attack in attacks.items():
            with peaks_of(running.process.pid) as peaks, bystander(running) as other:
                sheet.right(words, attack())
            failures = "; ".join(other.failures[:3])
            slowest = max(other.seconds, default=0.0)
            late = f"an answer took {slowest:.1f} s" if slowest > PING_SECONDS else ""
            sheet.right("  others are answered meanwhile", failures or late)
            most = max(peaks.memory, running.resident)  # an attack may be over before the first look
            sheet.at_most("  memory, the most so far", most / 1e6, MEMORY_MB, "MB", decimals=0)
        sheet.right("nothing happened that Headway did not know", "; ".join(running.bugs)[:500])
        size = running.log.stat().st_size
        sheet.at_most("its log", size / 1e6, 2.0, "MB", decimals=2)


def _slow_headers(running: Daemon) -> str:
    with connections(running.socket, SLOW, b"GET /_ping HTTP/1.1\r\nHost: localhost\r\nX: ") as slow:
        closed = closed_within(slow, HEADER_SECONDS, drip=b"a")
    return "" if closed == SLOW else f"{SLOW - closed} of {SLOW} are open after {HEADER_SECONDS:.0f} s"


def _huge_headers(running: Daemon) -> str:
    line = b"X: " + b"a" * CHUNK + b"\r\n"
    taken, status = answer_to(running.socket, [b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n", *[line] * 20])
    return "" if status in (0, 400, 431) else f"status {status} after {taken} bytes"


def _endless_body(running: Daemon, sheet: Sheet) -> str:
    head = f"POST /_ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: {TEN_GB}\r\n\r\n".encode()
    get = head.replace(b"POST", b"GET")
    piece = bytes(CHUNK)
    for request in (get, head):
        pieces: Iterator[bytes] = itertools.chain([request], itertools.repeat(piece, TEN_GB // CHUNK))
        taken, status = answer_to(running.socket, pieces)
        sheet.tell("  of 10 GB were taken", f"{taken / 1e6:,.0f} MB (status {status})")
    return ""


def _paths(running: Daemon) -> str:
    wrong = []
    for path in PATHS:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        _, status = answer_to(running.socket, [head])
        if not (status == 200 and path.startswith(("/images/json?", "/events?", "http:"))) and not 300 <= status < 500:
            wrong.append(f"{path[:40]}: {status}")
    return "; ".join(wrong)


def _documents(running: Daemon) -> str:
    wrong = []
    for words, body in DOCUMENTS.items():
        head = (
            "POST /containers/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        _, status = answer_to(running.socket, [head, body])
        if status not in (0, 400):
            wrong.append(f"{words}: {status}")
    return "; ".join(wrong)


def _compressed(running: Daemon) -> str:
    bomb = gzip.compress(b" " * 1_000_000_000, 9)
    head = (
        "POST /containers/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    ).encode()
    _, status = answer_to(running.socket, [head, bomb])
    return "" if status in (0, 400) else f"status {status}"


def _idle(running: Daemon) -> str:
    with connections(running.socket, IDLE):
        return "" if running.ask("GET", "/info").status == 200 else "it does not answer"


def _unfinished_archives(running: Daemon) -> str:
    load = b"POST /images/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nbegun"
    with connections(running.socket, UNFINISHED, load):
        try:
            return "" if running.ask("GET", "/images/json").status == 200 else "it does not answer"
        except TimeoutError:
            return "no answer for a minute"


def _unread_pull(running: Daemon, name: str) -> str:
    problems: list[str] = []
    request = (
        f"POST /images/create?fromImage={name}&tag=latest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    )
    with connections(running.socket, 20, request.encode()):
        reader = threading.Thread(target=pulled, args=(running, name, "latest", problems))
        reader.start()
        reader.join()
    return "; ".join(problems)


def _unread_events(running: Daemon, name: str) -> str:
    with connections(running.socket, 10, b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"), connected(running.socket):
        for number in range(EVENTS):
            answer = running.ask("POST", f"/images/{name}:latest/tag?repo=local/x&tag=t{number % 50}")
            if answer.status != 201:
                return f"tag: {answer}"
    return ""


def _unread_archives(running: Daemon, name: str) -> str:
    with connections(
        running.socket, UNREAD, f"GET /images/{name}:latest/get HTTP/1.1\r\nHost: d\r\n\r\n".encode()
    ) as open_:
        for connection in open_:
            if not connection.recv(1):
                return "an archive did not begin"
        return "" if running.ask("GET", "/images/json").status == 200 else "it does not answer"
