"""Shows every field and every method of the seed's image service by something a person can see (`make seed-tour`).

The seed is Moby's `daemon/images` of September 2019, the change that made max-download-attempts a setting. Docker's own
command asks a daemon of Headway's; what it prints, and what the daemon logs, becomes docs/seed.md. Nothing in that page
is written by hand but the commands: a row whose output is not what it should be ends the tour.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.fakes import images
from tests.fakes.daemon import Daemon, daemon
from tests.fakes.index_server import index_server
from tests.fakes.servers import DockerRegistry, docker_registry
from tests.faults.link import Link
from tests.faults.story import RateLimit

PAGE = Path(__file__).parents[1] / "docs" / "seed.md"
SECONDS = 60
_HEAD = """\
# The seed, shown

Every field and every method of Moby's `ImageService` of September 2019, each by something that a person can see.
Written by `make seed-tour`, which runs all of it against `headway daemon`: the commands are docker's own, and what is
shown is what they printed, or what the daemon logged. `$R` is a registry on this machine, `$F` a directory for files;
IDs, ports and times are masked. Where each one differs from Moby is in [moby-parity.md](moby-parity.md).

"""
_MASKS = (
    (r"sha256:[0-9a-f]{12,64}", "sha256:…"),
    (r"\b[0-9a-f]{64}\b", "…"),
    (r"\b[0-9a-f]{12}\b", "…"),
    (r"\b[A-Z2-7]{4}(:[A-Z2-7]{4}){11}\b", "ABCD:…"),
    (r'time="[^"]*" ', ""),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", "TIME"),
    (r"(About |Less than )?\w+ (second|minute|hour|day|week|month|year)s? ago", "some time ago"),
    (r"127\.0\.0\.1:\d+", "$R"),
)


class Row(NamedTuple):
    """One thing that was shown.

    Attributes:
        names: Fields or methods of the seed.
        command: What was run; empty where the log speaks.
        seen: What it printed, or the line that was logged.
    """

    names: str
    command: str
    seen: str


class Tour:
    """Runs commands against a daemon and keeps what they show.

    Args:
        place: A directory whose path is short.
        running: The daemon.
        registry: Where images come from and go to.
    """

    def __init__(self, place: Path, running: Daemon, registry: DockerRegistry) -> None:
        self._place = place
        self._running = running
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "DOCKER_HOST": running.host,
            "R": registry.host,
            "F": str(place),
            "SOCKET": str(running.socket),
        }
        self.rows: list[Row] = []

    def set(self, **variables: str) -> None:
        """Give commands more variables."""
        self._environment.update(variables)

    def run(self, command: str) -> str:
        """Run a shell command and return what it printed."""
        if "docker events" in command:
            time.sleep(1.1)  # docker asks for whole seconds: what has just happened would not be in them
        done = subprocess.run(
            ["sh", "-c", command], env=self._environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return done.stdout + done.stderr

    def show(self, names: str, command: str, expected: str) -> None:
        """Run a command and keep the part of its output that `expected` describes.

        Raises:
            AssertionError: There is none.
        """
        self._keep(Row(names, command, _found(self.run(command), expected, f"{names}: {command}")))

    def log(self, names: str, expected: str, *, after: str = "") -> None:
        """Keep the first line that the daemon has logged, or will soon log, that `expected` describes."""
        deadline = time.monotonic() + SECONDS
        while not re.search(expected, text := self._running.log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._keep(Row(names, after, f"log: {_found(text, expected, names)}"))

    def _keep(self, row: Row) -> None:
        print(f"  {row.names:<34} {row.command}\n    {row.seen}", flush=True)
        self.rows.append(row)


def _found(text: str, expected: str, what: str) -> str:
    found = re.search(expected, text, re.MULTILINE)
    assert found is not None, f"{what} shows something else than {expected!r}:\n{text[-2000:]}"
    seen = found[0].strip()
    for pattern, mask in _MASKS:
        seen = re.sub(pattern, mask, seen)
    return " ⏎ ".join(" ".join(line.split()) for line in seen.splitlines() if line.strip())


def _fields(tour: Tour) -> None:
    """Show what the service is made of."""
    tour.log("MaxConcurrentDownloads", r".*Max Concurrent Downloads: 3.*")
    tour.log("MaxConcurrentUploads", r".*Max Concurrent Uploads: 5.*")
    tour.log("MaxDownloadAttempts", r".*Max Download Attempts: 3.*")
    tour.show("PullImage, downloadManager", "docker pull $R/tour/app:1", r"^Status: Downloaded newer image.*")
    tour.show("ImageStore", "docker images --no-trunc -q", r"^sha256:\w+")
    tour.show("ReferenceStore", "docker image inspect -f '{{.RepoTags}}' $R/tour/app:1", r"^\[.*tour/app:1\]")
    tour.show("LayerStores, GraphDriverForOS", "docker info -f '{{.Driver}}'", r"^(overlay2|vfs)$")
    tour.show("LayerStoreStatus", "docker info -f '{{json .DriverStatus}}'", r"^\[\[.*")
    tour.show("TrustKey", "docker info -f '{{.ID}}'", r"^[A-Z2-7:]{59}$")
    tour.show("RegistryService", "docker info -f '{{.RegistryConfig.InsecureRegistryCIDRs}}'", r"^\[.*127.*\]")
    tour.show("EventsService", "docker events --since 1h --until 0s --filter event=pull", r"image pull .*tour/app:1.*")


def _images(tour: Tour) -> None:
    """Show what is asked of images, and how they come and go."""
    tour.show("Images", "docker images $R/tour/app", r"^.*tour/app\s+1\s.*B$")
    tour.show("CountImages, Map", "docker info -f '{{.Images}}'", r"^1$")
    tour.show("GetImage", "docker image inspect -f '{{.Id}}' $R/tour/app:1", r"^sha256:\w+")
    tour.show(
        "LookupImage", "docker image inspect -f '{{.Os}}/{{.Architecture}} {{.Size}}' $R/tour/app:1", r"^linux/.*"
    )
    tour.show("ImageHistory", "docker history --format '{{.CreatedBy}} {{.Size}}' $R/tour/app:1", r"^.*\d+k?B$")
    tour.show("TagImage", "docker tag $R/tour/app:1 app:v1 && docker images -q app:v1", r"^\w{12}$")
    tagged = "docker events --since 1h --until 0s --filter event=tag"
    tour.show("TagImageWithReference, LogImageEvent", tagged, r"image tag .*app:v1.*")
    tour.show("ExportImage", "docker save -o $F/app.tar app:v1 && tar tf $F/app.tar manifest.json", r"^manifest.json$")
    tour.show("ImageDelete", "docker rmi app:v1", r"^Untagged: app:v1$")
    tour.show("LoadImage", "docker load -i $F/app.tar", r"^Loaded image: app:v1$")
    tour.show("ImportImage", "tar c -C $F hello | docker import - imported:1", r"^sha256:\w+$")
    attributed = "docker events --since 1h --until 0s --filter event=tag --format '{{json .Actor.Attributes}}'"
    tour.show("LogImageEventWithAttributes", attributed, r"^\{.*stage.*\}$")
    tour.show(
        "GetRepository", "curl -s --unix-socket $SOCKET http://d/distribution/$R/tour/app:1/json", r"^\{.Descriptor.*"
    )
    tour.show("SearchRegistryForImages", "docker search --format '{{.Name}}' $INDEX/tour", r"^.*tour/app$")
    tour.show(
        "PushImage, uploadManager", "docker tag app:v1 $R/tour/copy:1 && docker push $R/tour/copy:1", r"^1: digest: .*"
    )
    mounted = "docker tag app:v1 $R/tour/again:1 && docker push $R/tour/again:1"
    tour.show("DistributionMetadataStore, V2MetadataService", mounted, r"^.*(Mounted from|Layer already exists).*")


def _containers(tour: Tour) -> None:
    """Show what containers need of images."""
    tour.show("CreateLayer", "docker create --name tour app:v1 sh", r"^\w{64}$")
    tour.show("ContainerStore", "docker ps -a --format '{{.Names}} {{.Image}} {{.Status}}'", r"^tour app:v1 Created$")
    mount_id = "docker inspect -f '{{.GraphDriver.Data}}' tour"
    tour.show("GetLayerMountID", mount_id, r"rw/\w+")
    tour.show("GetLayerByID", "docker cp $F/hello tour:/greeting && docker diff tour", r"^A /greeting$")
    sizes = "docker ps -as --format '{{.Size}}'"
    tour.show("GetContainerLayerSize", sizes, r"^\S+ \(virtual .*\)$")
    tour.show("LayerDiskUsage", "docker system df --format '{{.Type}} {{.TotalCount}} {{.Size}}'", r"^Images \d .*")
    tour.show("CommitImage", "docker commit tour child:1", r"^sha256:\w+$")
    tour.show(
        "Children", "docker rmi -f $(docker inspect -f '{{.Image}}' tour)", r".*dependent child images.*|.*conflict.*"
    )
    tour.show("ReleaseLayer", "docker rm tour", r"^tour$")
    prune = "docker rmi child:1 && docker image prune -af"
    tour.show("ImagesPrune", prune, r"^Total reclaimed space: .*B$")
    crowd = "curl -s -Z --parallel-max 50 -X POST --unix-socket $SOCKET 'http://d/images/prune?[1-50]'"
    tour.show("pruneRunning", crowd, r"^\{.message.:.a prune operation is already running.\}")


def _attempts(tour: Tour, running: Daemon, link: Link, settings: Path) -> None:
    """Show the seed's own change by hand: a limit on attempts, and a link that is unplugged."""
    pull = f"docker pull {link.host}/tour/large:1"
    with _meanwhile(lambda: tour.run(pull), lambda: link.bytes_down > 1_500_000):
        link.down("refuse")
    tour.log(
        "MaxDownloadAttempts, in force", r".*Download failed, retrying \(1/3\): .*", after="pull, and unplug the link"
    )
    tour.log("MaxDownloadAttempts, used up", r".*Download failed after 3 attempts: .*")
    link.up()
    tour.show(
        "what had arrived is kept", "headway -H $DOCKER_HOST df --format '{{.Type}} {{.Size}}'", r"^Unfinished.*MB$"
    )
    settings.write_text(json.dumps({"max-concurrent-downloads": 4}))
    running.process.send_signal(signal.SIGHUP)
    tour.log("UpdateConfig", r".*Reset Max Concurrent Downloads: 4.*", after="edit daemon.json, kill -HUP")


@contextmanager
def _meanwhile(work: Callable[[], object], condition: Callable[[], bool]) -> Iterator[None]:
    """Begin `work`, run the block when something is so, and wait for the work's end."""
    with ThreadPoolExecutor() as pool:
        working = pool.submit(work)
        deadline = time.monotonic() + SECONDS
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
        working.result()


def _page(rows: list[Row]) -> str:
    bar = "\\|"
    lines = ["| The seed | Run | Seen |", "|---|---|---|"]
    for row in rows:
        command = f"`{row.command}`".replace("|", bar) if row.command else ""
        lines.append(f"| {row.names} | {command} | `{row.seen.replace('|', bar)}` |")
    return _HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Run the tour and write the page."""
    app = images.image(
        [{"hello": b"hello\n"}, {"etc/app": b"app\n"}], tag="1", config={"Cmd": ["sh"], "Labels": {"stage": "tour"}}
    )
    large = images.image([images.noise_layer(6_000_000, seed=1)], tag="1")
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hwt")))
        (place / "hello").write_text("hello\n")
        registry = stack.enter_context(docker_registry(place / "registry"))
        registry.push(app, "tour/app")
        registry.push(large, "tour/large")
        index = stack.enter_context(index_server(["tour/app"]))
        link = stack.enter_context(Link(target=("127.0.0.1", registry.port), faults=(RateLimit(1_000_000),)))
        running = stack.enter_context(daemon(place / "d", "-D", "--max-download-attempts", "3"))
        tour = Tour(place, running, registry)
        tour.set(INDEX=index.host, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        _fields(tour)
        _images(tour)
        _containers(tour)
        _attempts(tour, running, link, place / "d" / "daemon.json")
        tour.show("DistributionServices", "headway -H $DOCKER_HOST pull -q $R/tour/app:1", r"^.*tour/app:1$")
        running.process.terminate()
        running.process.wait(SECONDS)
        tour.show("Cleanup, at shutdown", "grep -c $F/d /proc/mounts", r"^0$")
    PAGE.write_text(_page(tour.rows))
    print(f"{len(tour.rows)} rows are in {PAGE.relative_to(PAGE.parents[1])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
