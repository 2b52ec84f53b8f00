"""A pull in this process, with everything real but the pace of its clock."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from headway.cli.failures import exit_status, explain
from headway.composition import writing as composition
from headway.composition.pulls import pulling
from headway.composition.reading import reading
from headway.composition.writing import writing
from headway.distribution.endpoints import InsecureRegistries
from headway.errors import HeadwayError
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.registry.names import Resolve
from headway.service.pulling.pull import Puller
from headway.service.registries.remote_image import PullRequest
from headway.service.transfers.progress import LayerProgress, Phase, PullDone, PullEvent
from headway.settings import Settings
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot

AMD64 = Platform.parse("linux/amd64", Platform(os="linux", architecture="amd64"))

Stop = Callable[[PullEvent], bool]


@dataclass(slots=True)
class Outcome:
    """How a pull ended, and what it told meanwhile.

    Attributes:
        done: Its result; None where it failed or was cancelled.
        error: Why it failed.
        events: All it reported.
        told: What the opening of the stores had to say.
        seconds: How long it took.
    """

    done: PullDone | None = None
    error: HeadwayError | None = None
    events: list[PullEvent] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def said(self) -> str:
        """What the command line would print for the failure; nothing after a success."""
        return explain(self.error, "pull") if self.error is not None else ""

    @property
    def status(self) -> int:
        """What the command line would leave with."""
        return exit_status(self.error) if self.error is not None else 0

    @property
    def retries(self) -> dict[str, int]:
        """Failures by cause, as the receipt has them."""
        return self.done.receipt.retries if self.done is not None else {}

    @property
    def causes(self) -> set[str]:
        """What the lines about retries named."""
        return {e.cause for e in self.events if isinstance(e, LayerProgress) and e.phase is Phase.RETRYING}


def pull(
    name: str,
    root: Path,
    *,
    attempts: int = 5,
    patience_seconds: float = 600.0,
    times: float = 1.0,
    stop: Stop = lambda _: False,
    boot_id: str = "",
    platform: Platform = AMD64,
    mirrors: Sequence[str] = (),
    insecure: Sequence[str] = (),
    resolve: Resolve | None = None,
    wall: Callable[[], float] = time.time,
    layers_at_once: int = 3,
) -> Outcome:
    """Pull an image and return how that ended.

    Args:
        name: Reference of the image.
        root: The data root.
        attempts: ``max-download-attempts``.
        patience_seconds: ``download-patience``.
        times: How much faster the clock of retries and rates goes; time-outs of sockets stay as they are.
        stop: Cancels the pull at the first event for which it says so.
        boot_id: Of the boot this pretends to be; this one where it is empty.
        platform: Wanted platform.
        mirrors: URLs that stand in for the registry.
        insecure: Hosts that may be asked without verified TLS; loopback always may.
        resolve: In the place of `socket.getaddrinfo`.
        wall: What this machine takes for the time, in seconds since the epoch.
        layers_at_once: ``max-concurrent-downloads``.
    """
    settings = Settings(
        data_root=root,
        max_download_attempts=attempts,
        download_patience=patience_seconds,
        max_concurrent_downloads=layers_at_once,
    )
    request = PullRequest(
        reference=Reference.parse(name).with_default_tag(),
        platform=platform,
        mirrors=tuple(mirrors),
        insecure=InsecureRegistries(insecure),
    )
    outcome = Outcome()
    began = time.monotonic()
    with _booted(boot_id), writing(settings, tell=outcome.told.append) as stores:
        open_puller = pulling(settings, stores, clock=lambda: time.monotonic() * times, resolve=resolve, wall=wall)
        asyncio.run(_pull(open_puller, request, outcome, stop=stop))
    outcome.seconds = time.monotonic() - began
    return outcome


def _booted(boot_id: str) -> AbstractContextManager[object]:
    """Let the stores that are opened find themselves in this boot, for all that they keep from one to the next."""
    return patch.object(composition, "boot_id", lambda: boot_id) if boot_id else nullcontext()


async def _pull(
    open_puller: AbstractAsyncContextManager[Puller], request: PullRequest, outcome: Outcome, *, stop: Stop
) -> None:
    task: asyncio.Task[None]

    def report(event: PullEvent) -> None:
        outcome.events.append(event)
        if stop(event):
            task.cancel()

    async def run() -> None:
        try:
            outcome.done = await puller.pull(request, report)
        except HeadwayError as error:
            outcome.error = error

    async with open_puller as puller, asyncio.TaskGroup() as group:
        task = group.create_task(run())


def images_listed(root: Path) -> list[str]:
    """Return the IDs of the images that a reader of the data root sees."""
    with reading(Settings(data_root=root)) as stores:
        return [str(record.image_id) for record in stores.images.list()]


def bytes_kept(root: Path) -> int:
    """Return how many bytes of unfinished blobs are on record."""
    return sum(held for _, held, _ in FileIngestStore(DataRoot(root), boot_id=str(uuid.uuid4())).walk())


def litter(root: Path) -> list[str]:
    """Return what lies around below a data root that no image needs."""
    return [str(path.relative_to(root)) for part in ("tmp", "ingest") for path in sorted((root / part).iterdir())]
