"""What clients ask of one daemon in a long soak: everything they can, in any order, over a bad link.

Rule 1: whatever fails without one of the reasons in `_FINE` is a problem; where the daemon itself is being killed, only
        tracebacks are.
Rule 2: each client is asked for by the seed; when it runs, and beside whom, is up to the machine.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import Daemon, UnixConnection
from tests.fakes.tars import file, tar
from tests.faults.link import Link
from tests.faults.story import CutEvery, CutUploadEvery, Latency, LinkFault, RateLimit, ResetEvery, SilentAfter

KB = 1_000
HANG_SECONDS = 120.0
LINKS: tuple[tuple[LinkFault, ...], ...] = (
    (),
    (CutEvery(200 * KB),),
    (ResetEvery(300 * KB), Latency(0.02)),
    (CutUploadEvery(150 * KB), RateLimit(2_000 * KB)),
    (RateLimit(700 * KB), SilentAfter(90 * KB)),
)
# What a client is rightly told when another one has deleted, cancelled, or is pruning what it asks for.
_FINE = re.compile(
    "no such image|not found|does not exist|no such container|no such pull|already running|is using|in use|cancelled"
    "|must be forced|must force|cannot be (paused|resumed|cancelled)|dependent child",
    re.I,
)
_STACKS = ((0,), (0, 1), (0, 1, 2), (0, 3), (4, 0), (1, 4), (2, 3), (0, 2))
_JSON = {"Content_Type": "application/json"}
_TAR = {"Content_Type": "application/x-tar"}
_LOOKS = ("/_ping", "/info", "/version", "/images/json?all=1", "/system/df", "/containers/json?all=1",
          "/headway/pulls?all=1", "/headway/usage")  # fmt: skip


def catalogue(seed: int) -> list[images.Image]:
    """Return images that share layers in every way; one leans on its parents' directories."""
    layers: list[images.Files] = [
        {**images.noise_layer(100 * KB + 250 * KB * number, seed=seed + number), **_small_files(number)}
        for number in range(5)
    ]
    leaning = {"usr/lib/leaning": b"leaning"}
    return [
        images.image([*(layers[number] for number in stack), leaning], tag=f"t{number}", index=number % 2 == 0)
        for number, stack in enumerate(_STACKS)
    ]


def _small_files(number: int) -> images.Files:
    return {f"usr/share/{number}/{each}": b"%d of %d\n" % (each, number) * 20 for each in range(100)}


@dataclass
class Seen:
    """What happened.

    Attributes:
        done: How often each thing went well.
        problems: What must not happen.
    """

    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Clients:
    """Everybody who asks something of the daemon.

    Args:
        link: To the registry; its faults change.
        place: For what clients keep; their temporary files too.
        seen: Takes down what happens.
    """

    def __init__(self, link: Link, place: Path, seen: Seen) -> None:
        self._link = link
        self._place = place
        self._seen = seen
        self._running: Daemon
        self._cli: Cli
        self.is_killing = False
        self._names = [f"{link.host}/test/image:t{number}" for number in range(len(_STACKS))]
        self._work: Mapping[Callable[[random.Random], None], int] = {
            self._pull_as_docker_does: 6,
            self._pull_by_headway: 3,
            self._pull_by_docker: 2,
            self._pull_and_be_killed: 3,
            self._pull_and_hang_up: 4,
            self._pull_detached: 3,
            self._change_a_pull: 3,
            self._push: 4,
            self._push_by_headway: 2,
            self._delete: 8,
            self._prune: 2,
            self._prune_by_headway: 1,
            self._tag: 4,
            self._look: 10,
            self._watch_events: 2,
            self._save_and_load: 2,
            self._use_a_container: 2,
            self._make: 2,
            self._reload: 1,
            self._change_the_link: 2,
        }

    def attend(self, running: Daemon) -> None:
        """Ask this daemon from now on."""
        self._running = running
        environment = {"HEADWAY_HOST": running.host, "TMPDIR": str(self._place)}
        self._cli = Cli(running.data_root, environment=environment, names_root=False)

    def ask_until(self, end: float, source: random.Random) -> None:
        """Ask one thing after the other until a moment of the monotonic clock."""
        while time.monotonic() < end:
            (work,) = source.choices(list(self._work), list(self._work.values()))
            self.do(work, source)
            time.sleep(source.uniform(0, 0.1))

    def do(self, work: Callable[[random.Random], None], source: random.Random) -> None:
        """Do one thing and note what came of it."""
        what = work.__name__.strip("_").replace("_", " ")
        try:
            work(source)
            self._seen.done[what] += 1
        except (OSError, http.client.HTTPException) as error:
            if not self.is_killing:
                self._complain(f"{what}: {error!r}")
        except Exception as error:  # whatever it is, the check goes on and tells it
            self._complain(f"{what}: {error!r}")

    def _complain(self, problem: str) -> None:
        self._seen.problems.append(problem)
        print(f"    {problem}", flush=True)

    # How they ask

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """Send a request as Docker's clients do; return the body. What is wrong with the answer is taken down."""
        connection = UnixConnection(self._running.socket, seconds=HANG_SECONDS)
        try:
            answer = connection.ask(method, path, body, {key.replace("_", "-"): text for key, text in headers.items()})
        finally:
            connection.close()
        text = answer.body.decode(errors="replace")
        if answer.status >= 500 or (answer.status >= 400 and not _FINE.search(text)):
            self._judge(f"{method} {path}: {answer.status} {text}")
        elif '"errorDetail"' in text:
            self._judge(f"{method} {path}: {text.splitlines()[-1]}")
        return answer.body

    def command(self, *words: str) -> str:
        """Run headway; return what it printed."""
        process = self._cli.start(*words)
        return self._ended(process, f"headway {' '.join(words)}")

    def _docker(self, *words: str) -> None:
        environment = {**os.environ, "DOCKER_HOST": self._running.host, "DOCKER_CONFIG": str(self._place.parent / "d")}
        process = subprocess.Popen(
            ["docker", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._ended(process, f"docker {' '.join(words)}")

    def _ended(self, process: subprocess.Popen[str], what: str) -> str:
        with process:
            try:
                stdout, stderr = process.communicate(timeout=HANG_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                self._complain(f"{what}: it hangs")
                return ""
        if "Traceback" in stderr:
            self._complain(f"{what}: {stderr}")
        elif process.returncode != 0:
            self._judge(f"{what}: {process.returncode} {stderr}")
        return stdout

    def _judge(self, problem: str) -> None:
        """Take down what failed, unless there is a good reason for it."""
        if not self.is_killing and not _FINE.search(problem):
            self._complain(problem[:500])

    # What they ask

    def _name(self, source: random.Random) -> str:
        return source.choice(self._names)

    def _create(self, source: random.Random) -> str:
        name, _, tag = self._name(source).rpartition(":")
        return f"/v1.41/images/create?fromImage={name}&tag={tag}"

    def _pull_as_docker_does(self, source: random.Random) -> None:
        self.ask("POST", self._create(source))

    def _pull_by_headway(self, source: random.Random) -> None:
        self.command("pull", "-q", self._name(source))

    def _pull_by_docker(self, source: random.Random) -> None:
        self._docker("pull", "-q", self._name(source))

    def _pull_and_be_killed(self, source: random.Random) -> None:
        with self._cli.start("pull", self._name(source)) as process:
            time.sleep(source.uniform(0.2, 2.0))
            process.send_signal(source.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
            process.communicate(timeout=HANG_SECONDS)

    def _pull_and_hang_up(self, source: random.Random) -> None:
        connection = UnixConnection(self._running.socket)
        try:
            connection.request("POST", self._create(source))
            time.sleep(source.uniform(0.0, 0.7))
        finally:
            connection.close()

    def _pull_detached(self, source: random.Random) -> None:
        self.command("pull", "--detach", "--priority", source.choice(["low", "normal", "high"]), self._name(source))

    def _change_a_pull(self, source: random.Random) -> None:
        if pulls := self.command("pulls", "-q").split():
            pull = source.choice(pulls)
            changes = source.choice([["pause", "resume"], ["resume"], ["cancel"]])
            for change in changes:  # who waits for one that is paused waits as long as it is
                self.command("pulls", change, pull)

    def _tagged(self, source: random.Random) -> tuple[str, str]:
        repository, tag = f"{self._link.host}/pushed/{source.choice('ab')}", f"t{source.randrange(4)}"
        self.ask("POST", f"/images/{self._name(source)}/tag?repo={repository}&tag={tag}")
        return repository, tag

    def _push(self, source: random.Random) -> None:
        repository, tag = self._tagged(source)
        self.ask("POST", f"/v1.41/images/{repository}/push?tag={tag}", X_Registry_Auth="e30=")

    def _push_by_headway(self, source: random.Random) -> None:
        self.command("push", "-q", ":".join(self._tagged(source)))

    def _delete(self, source: random.Random) -> None:
        force = source.choice(["", "?force=1"])
        self.ask("DELETE", f"/images/{self._name(source)}{force}")

    def _prune(self, source: random.Random) -> None:
        dangling = source.choice(["true", "false"])
        self.ask("POST", f'/images/prune?filters=%7B"dangling":%5B"{dangling}"%5D%7D')

    def _prune_by_headway(self, source: random.Random) -> None:
        self.command("prune", "-f", *source.choice([[], ["--all"], ["--unfinished"]]))

    def _tag(self, source: random.Random) -> None:
        self.ask("POST", f"/images/{self._name(source)}/tag?repo=local/{source.choice('ab')}&tag=1")

    def _look(self, source: random.Random) -> None:
        name = self._name(source)
        self.ask("GET", source.choice([*_LOOKS, f"/images/{name}/json", f"/images/{name}/history"]))

    def _watch_events(self, source: random.Random) -> None:
        connection = UnixConnection(self._running.socket)
        try:
            connection.request("GET", f"/events?since={int(time.time()) - 5}")
            time.sleep(source.uniform(0.1, 1.0))
        finally:
            connection.close()

    def _save_and_load(self, source: random.Random) -> None:
        archive = self.ask("GET", f"/images/{self._name(source)}/get")
        if archive[:1] not in {b"", b"{"}:
            self.ask("POST", "/images/load?quiet=1", archive, **_TAR)

    def _use_a_container(self, source: random.Random) -> None:
        body = json.dumps({"Image": self._name(source), "Cmd": ["true"]}).encode()
        made = json.loads(self.ask("POST", "/containers/create", body, **_JSON))
        if container := made.get("Id"):
            with suppress(ValueError):
                change = tar(file("etc/changed", b"changed"))
                self.ask("PUT", f"/containers/{container}/archive?path=/", change, **_TAR)
                self.ask("GET", f"/containers/{container}/changes")
                self.ask("GET", f"/containers/{container}/export")
                self.ask("POST", f"/commit?container={container}&repo=local/made&tag=1", b"{}", **_JSON)
            self.ask("DELETE", f"/containers/{container}?force=1")

    def _make(self, source: random.Random) -> None:
        data = tar(file(f"made-{source.randrange(5)}", bytes(source.randrange(100_000))))
        self.ask("POST", "/images/create?fromSrc=-&repo=local/made&tag=2", data, **_TAR)

    # What befalls all of them

    def _reload(self, source: random.Random) -> None:
        settings: dict[str, object] = {
            "max-concurrent-downloads": source.randrange(1, 5),
            "max-concurrent-uploads": source.randrange(1, 6),
            "max-download-attempts": source.randrange(3, 9),
            "download-patience": "10m",
            "max-download-rate": source.choice(["0", "3M"]),
            "labels": [f"round={source.randrange(9)}"],
        }
        path = self._running.socket.with_name("daemon.json")
        new = path.with_suffix(f".{threading.get_ident()}")
        new.write_text(json.dumps(settings))
        shutil.move(new, path)
        self._running.process.send_signal(signal.SIGHUP)

    def _change_the_link(self, source: random.Random) -> None:
        self._link.faults = source.choice(LINKS)
        if source.random() < 0.3:
            self._link.down(source.choice(["refuse", "drop", "reset"]))
            time.sleep(source.uniform(0.1, 3.0))
            self._link.up()

    def settle(self) -> None:
        """Mend the link, end what is paused, and wait until nothing is pulled any more."""
        self._link.up()
        self._link.faults = ()
        deadline = time.monotonic() + HANG_SECONDS
        while pulls := json.loads(self.ask("GET", "/headway/pulls")):
            for pull in pulls:
                self.ask("POST", f"/headway/pulls/{pull['pull_id']}/resume") if pull["state"] == "paused" else None
            if time.monotonic() > deadline:
                self._complain(f"pulls that do not end: {pulls}")
                return
            time.sleep(0.2)

    def empty(self) -> None:
        """Remove everything that is in the store."""
        for container in json.loads(self.ask("GET", "/containers/json?all=1")):
            self.ask("DELETE", f"/containers/{container['Id']}?force=1")
        self.command("prune", "-f", "--all", "--unfinished")
        if left := json.loads(self.ask("GET", "/images/json?all=1")):
            self._complain(f"after a prune of everything: {left}")
