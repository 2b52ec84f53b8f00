"""What docker import, commit and export make: on Headway and on dockerd, the same requests and the same images.

Rule: what has to differ (IDs, times, who made it) is taken out on both sides; whatever else differs fails.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from headway.layers.tar.reader import TarReader
from tests.fakes.daemon import Answer, UnixConnection, daemon
from tests.fakes.docker import docker
from tests.fakes.tars import directory, file, hardlink, symlink, tar
from tests.prove.sheet import Sheet, check

ROOT = tar(
    directory("etc", mode=0o755),
    file("etc/motd", b"hello"),
    file("etc/shadow", b"secret", mode=0o600, uid=1, gid=42),
    symlink("etc/issue", "motd"),
    hardlink("etc/again", "etc/motd"),
    directory("usr", mode=0o755),
    directory("usr/bin", mode=0o755),
    file("usr/bin/su", b"#!", mode=0o4755),
    directory("tmp", mode=0o1777),
)
LAYER = tar(file("etc/motd", b"changed"), directory("srv", mode=0o700), file("srv/new", b"fresh", mode=0o640, uid=7))
CHANGES = (
    ("CMD run it",),
    ('CMD ["run", "it"]', "ENTRYPOINT /init"),
    ("ENV A=1", "ENV B=${A}x C='$A' D=${E:-f}", 'LABEL a=b "c d"=e', "WORKDIR /srv", "WORKDIR sub"),
    ("EXPOSE 80 53/udp 8000-8002", "VOLUME /data /more", "USER app:staff", "ONBUILD RUN x"),
    ("HEALTHCHECK --interval=5s --retries=3 CMD ok",),
    ("RUN no",),
    ("EXPOSE none",),
)
WORDS = ("a", "b=c", "$A", "${A}", "${A:-d e}", "${A:+x}", '"q r"', "'s t'", " ", "=", "80", "80-82/udp", "/x", "[",
         "]", '["a","b"]', "\\ ", "#", "$", "x\\y", "-", ":", "\\\n", "é")  # fmt: skip
VERBS = ("CMD", "ENTRYPOINT", "ENV", "LABEL", "EXPOSE", "VOLUME", "USER", "WORKDIR", "ONBUILD", "HEALTHCHECK CMD")
RANDOM, TAKEN = 300, 30
ENTRIES = 11
"""What the image and the change bring together; what else is exported is of the container's making."""


class Side:
    """One daemon, asked over its socket by API 1.41.

    Args:
        socket: Where it listens.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def ask(self, method: str, route: str, body: bytes | None = None, kind: str = "", **query: Any) -> Answer:  # noqa: ANN401
        connection = UnixConnection(self._socket)
        try:
            target = f"/v1.41{route}?{urlencode(query, doseq=True)}"
            return connection.ask(method, target, body, {"Content-Type": kind} if kind else {})
        finally:
            connection.close()

    def imported(self, changes: Sequence[str], data: bytes = ROOT, **more: str) -> object:
        """Return the image that an import makes, or what is said instead."""
        answer = self.ask("POST", "/images/create", data, "application/x-tar", fromSrc="-", changes=changes, **more)
        if answer.status != 200:
            return answer.status, answer.json["message"]
        return self.image(answer.lines[-1]["status"])

    def image(self, name: str) -> dict[str, Any]:
        """Return what is known of an image, without what differs by its nature."""
        found = self.ask("GET", f"/images/{quote(name)}/json").json
        history = self.ask("GET", f"/images/{quote(name)}/history").json
        keys = ("Comment", "Author", "Config", "Architecture", "Os", "Size", "ContainerConfig")
        steps = [[step["Comment"], step["CreatedBy"], step["Size"]] for step in history]
        return {
            **{key: _masked(found[key]) for key in keys},
            "Layers": found["RootFS"].get("Layers", [])[:1],  # those above are archives of each daemon's own making
            "Depth": len(found["RootFS"].get("Layers", [])),
            "History": steps,
            "Parent": bool(found["Parent"]),
        }

    def container(self, image: str, name: str, **config: object) -> None:
        """Make a container in which something was changed."""
        body = json.dumps({"Image": image, "Cmd": ["x"], **config}).encode()
        self.ask("POST", "/containers/create", body, "application/json", name=name)
        self.ask("PUT", f"/containers/{name}/archive", LAYER, "application/x-tar", path="/")

    def exported(self, name: str) -> list[tuple[object, ...]]:
        """Return the entries of a container's export; times in whole seconds, and only of what the image brings."""
        return list(_entries(self.ask("GET", f"/containers/{name}/export").body))


def _masked(value: Any) -> Any:  # noqa: ANN401  # any JSON
    return {**value, "Hostname": ""} if isinstance(value, dict) and "Hostname" in value else value


def _entries(archive: bytes) -> Iterator[tuple[object, ...]]:
    reader = TarReader(iter([archive]))
    for entry in iter(reader.next, None):
        of_init = entry.mtime_ns // 10**9 > 1_700_000_000 or entry.name.strip(b"/") in (b"etc", b"")
        seconds = 0 if of_init else entry.mtime_ns // 10**9
        mode = entry.mode & 0o7777  # dockerd writes the kind of file into the mode, too
        yield entry.name, entry.kind, mode, entry.uid, entry.gid, entry.size, entry.linkname, seconds


@check("making", "docker import, commit and export make on Headway what they make on dockerd.", needs_root=True)
def making(sheet: Sheet) -> None:
    """Ask both for the same and tell what differs."""
    here, there = sheet.place / "h", sheet.place / "d"
    with daemon(here) as running, docker(there):
        ours, theirs = Side(running.socket), Side(there / "docker.sock")
        _import(sheet, ours, theirs)
        _instructions(sheet, ours, theirs)
        _commit(sheet, ours, theirs)
        _export(sheet, ours, theirs)
        sheet.right("nothing happened that Headway did not know", "; ".join(running.bugs))


def _import(sheet: Sheet, ours: Side, theirs: Side) -> None:
    differ = [changes for changes in CHANGES if ours.imported(changes) != theirs.imported(changes)]
    sheet.right(f"{len(CHANGES)} imports make the same config, layer and history", str(differ or ""))
    packed = [side.imported((), gzip.compress(ROOT), message="why", repo="base") for side in (ours, theirs)]
    sheet.right("so does a compressed one", "" if packed[0] == packed[1] else repr(packed))
    wrong = [{"repo": "UPPER"}, {"repo": "a", "tag": "b/c"}, {"repo": f"a@sha256:{'0' * 64}"}, {"changes": ""}]
    differ_too = [each for each in wrong if _refusal(ours, each)[0] != _refusal(theirs, each)[0]]
    sheet.right("what is refused there is refused here", str(differ_too or ""))


def _refusal(side: Side, query: dict[str, str]) -> tuple[int, str]:
    answer = side.ask("POST", "/images/create", ROOT, "application/x-tar", fromSrc="-", **query)
    return answer.status, answer.lines[-1].get("message", "")


def _instructions(sheet: Sheet, ours: Side, theirs: Side) -> None:
    """Ask for random instructions. What they make has to be the same; of several mistakes another may be told."""
    chance = random.Random(sheet.seed)
    differ, taken = [], 0
    for _ in range(RANDOM):
        change = f"{chance.choice(VERBS)} {''.join(chance.choice(WORDS) for _ in range(chance.randrange(1, 6)))}"
        here, there = (side.imported(("ENV A=1", change)) for side in (ours, theirs))
        taken += isinstance(there, dict)
        if here != there and (isinstance(here, dict) or isinstance(there, dict)):
            differ.append(change)
    sheet.tell("random instructions", RANDOM)
    sheet.at_least("of them taken by dockerd", taken, TAKEN)
    sheet.right("each makes the same, or is refused by both", str(differ or ""))


def _commit(sheet: Sheet, ours: Side, theirs: Side) -> None:
    bodies: Sequence[dict[str, object] | None] = (
        None,
        {"Cmd": ["only"], "Env": ["X=z", "N=1"]},
        {"Entrypoint": ["/e"]},
    )
    for side in (ours, theirs):
        side.imported(('CMD ["run"]', "ENV A=b", "LABEL l=m"), repo="parent")
        side.container("parent", "changed", Env=["X=y"], Labels={"own": "1"})
        side.ask("POST", "/containers/create", b'{"Image": "parent"}', "application/json", name="same")
    differ = []
    for name in ("changed", "same"):
        for body in bodies:
            for changes in ((), ("ENTRYPOINT run",), ("ENV Q=$X",)):
                made = [_committed(side, name, body, changes) for side in (ours, theirs)]
                if made[0] != made[1]:
                    differ.append((name, body, changes, made))
    sheet.right("18 commits make the same config, history and depth", str(differ or ""))


def _committed(side: Side, name: str, body: dict[str, object] | None, changes: Sequence[str]) -> object:
    query = {"container": name, "comment": "why", "author": "who", "changes": changes}
    data = None if body is None else json.dumps(body).encode()
    answer = side.ask("POST", "/commit", data, "application/json" if data else "", **query)
    return side.image(answer.json["Id"]) if answer.status == 201 else (answer.status, answer.json["message"])


def _export(sheet: Sheet, ours: Side, theirs: Side) -> None:
    exported = [side.exported("changed") for side in (ours, theirs)]
    sheet.at_least("entries exported", len(exported[0]), ENTRIES)
    differ = [pair for pair in zip_longest(*exported) if pair[0] != pair[1]]
    sheet.right("an export has the same entries in the same order", str(differ or ""))
    for side in (ours, theirs):
        side.ask("POST", "/commit", None, container="changed", repo="again")
        side.ask("POST", "/containers/create", b'{"Image": "again"}', "application/json", name="again")
    again = [side.exported("again") for side in (ours, theirs)]
    sheet.right("so has one of a container of what was committed", "" if again[0] == again[1] else repr(again))
