"""Pushes over links and to registries that fail, with everything real but the pace of the clock."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from headway.cli.failures import exit_status, explain
from headway.composition.pushes import pushing
from headway.composition.writing import writing
from headway.distribution.patience import BASE_SECONDS
from headway.errors import HeadwayError, PushIncompleteError
from headway.oci.reference import Reference
from headway.service.images.tagging import tag_image
from headway.service.pushing.progress import PushDone, PushEvent
from headway.service.pushing.push import PushRequest
from headway.settings import Settings
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.auth import Bearer
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import (
    CaptivePortal,
    CutUploadAfter,
    CutUploadEvery,
    Effect,
    ExpireToken,
    SayToo,
    SilentUploadAfter,
    SlowResponse,
    Status,
)
from tests.faults.story import Fault as On

MB = 1_000_000
IMAGE = images.image([images.noise_layer(7 * MB, seed=1), images.noise_layer(300_000, seed=2)])


@dataclass(slots=True)
class Outcome:
    """How a push ended, and what it told meanwhile."""

    done: PushDone | None = None
    error: HeadwayError | None = None
    events: list[PushEvent] = field(default_factory=list)

    @property
    def said(self) -> str:
        return explain(self.error, "push") if self.error is not None else ""

    @property
    def status(self) -> int:
        return exit_status(self.error) if self.error is not None else 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the image, which may be pushed anywhere."""
    place = tmp_path_factory.mktemp("root")
    (place / "daemon.json").write_text(json.dumps({"record-recipes": True}))
    with Registry([IMAGE]) as registry:
        name = f"{registry.host}/test/image"
        done = Cli(place / "data")("pull", "--config-file", place / "daemon.json", name)
        assert done.returncode == 0, done.stderr
        assert Cli(place / "data")("tag", name, "source").returncode == 0
    return place / "data"


def push(root: Path, name: str, *, attempts: int = 5, times: float = 50.0, at_once: int = 5) -> Outcome:
    """Push the image and return how that ended."""
    settings = Settings(
        data_root=root, max_download_attempts=attempts, download_patience=0.0, max_concurrent_uploads=at_once
    )
    outcome, reference = Outcome(), Reference.parse(name).with_default_tag()

    async def run() -> None:
        async with pushing(settings, stores, clock=lambda: times * time.monotonic()) as pusher:
            outcome.done = await pusher.push(PushRequest(reference), outcome.events.append)

    with writing(settings, lambda _: None) as stores:
        tag_image(stores, "source", str(reference))
        try:
            asyncio.run(run())
        except PushIncompleteError as error:
            outcome.error = error
    return outcome


@contextmanager
def linked(*faults: CutUploadEvery | CutUploadAfter | SilentUploadAfter) -> Iterator[tuple[Registry, Link]]:
    with Registry() as registry, Link(target=registry.address, faults=faults) as link:
        yield registry, link


def layers(outcome: Outcome) -> int:
    assert outcome.done is not None, outcome.said
    return outcome.done.receipt.needed


def test_a_cut_costs_one_session_and_connections_end_before_the_next(root: Path) -> None:
    with linked(CutUploadEvery(5 * MB)) as (registry, link):
        # One after the other: whether the large layer explores does not hang on which is packed first.
        first = push(root, f"{link.host}/first/image", at_once=1)
        cuts, up = link.resets, link.bytes_up
        for digest in {exchange.reply.headers.get("Docker-Content-Digest", "") for exchange in registry.log}:
            registry.remove(digest)
        second = push(root, f"{link.host}/second/image", at_once=1)

    assert (first.status, second.status, cuts, link.resets) == (0, 0, 1, 1), first.said
    assert up < layers(first) + 5.2 * MB
    assert link.bytes_up - up < layers(second) * 1.01


def test_a_registry_that_keeps_pieces_gets_the_rest_only(root: Path) -> None:
    with linked(CutUploadAfter(3 * MB), CutUploadAfter(4 * MB)) as (registry, link):
        registry.uploads.keeps_pieces = True
        outcome = push(root, f"{link.host}/test/keeps")
        sent = registry.uploads.received

    assert outcome.status == 0, outcome.said
    assert sent == pytest.approx(layers(outcome), rel=0.001)


@pytest.mark.parametrize("status", [404, 405, 400, 501])
def test_a_registry_that_never_tells_what_it_has_gets_the_layer_anew_after_a_cut(root: Path, status: int) -> None:
    with linked(CutUploadAfter(3 * MB)) as (registry, link):
        registry.faults = [On(Status(status), kind="upload", method="GET")]
        outcome = push(root, f"{link.host}/test/tells-nothing", at_once=1)

    assert outcome.status == 0, outcome.said


def test_where_not_one_piece_comes_over_pieces_become_smaller(root: Path) -> None:
    with linked(CutUploadEvery(700_000)) as (_, link):
        outcome = push(root, f"{link.host}/test/short", attempts=8)

    assert outcome.status == 0, outcome.said
    assert link.bytes_up < layers(outcome) + 3 * MB


def test_a_link_that_falls_silent_is_left(root: Path) -> None:
    with linked(SilentUploadAfter(3 * MB)) as (registry, link):
        registry.uploads.keeps_pieces = True
        began = time.monotonic()
        outcome = push(root, f"{link.host}/test/silent")
        seconds = time.monotonic() - began

    assert outcome.status == 0, outcome.said
    assert 10 < seconds < 25


def test_where_a_piece_is_not_answered_in_time_the_next_one_is_half_as_large_until_pieces_are_answered_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BASE_SECONDS, "piece", 1.0)
    with Registry(faults=[On(SlowResponse(4.0), kind="upload", method="PATCH", nth=1)]) as registry:
        registry.uploads.keeps_pieces = True
        outcome = push(root, f"{registry.host}/test/slow", times=1.0, at_once=1)
        answers = [line.reply.headers for line in registry.requests("upload") if line.method == "PATCH"]

    assert outcome.status == 0, outcome.said
    assert outcome.done is not None
    assert outcome.done.receipt.retries == {"no answer in time": 1}
    unanswered, following, *later = [int(headers["Range"].removeprefix("0-")) + 1 for headers in answers]
    assert following - unanswered // 2 in (0, unanswered)  # anew, or behind it
    assert max(end - start for start, end in pairwise([following, *later])) > 1.9 * MB


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_portal_in_the_middle_costs_no_more_than_what_it_took(root: Path, method: Literal["PATCH", "PUT"]) -> None:
    page = On(CaptivePortal(), kind="upload", method=method, nth=1)
    question = On(CaptivePortal(), kind="upload", method="GET", nth=1)
    with Registry(faults=[page, question]) as registry:
        outcome = push(root, f"{registry.host}/test/portal", at_once=1)
        begun = [line for line in registry.requests("upload") if line.method == "POST"]

    assert outcome.status == 0, outcome.said
    assert len(begun) == 3  # two layers and the config
    assert outcome.done is not None
    assert outcome.done.receipt.sent < layers(outcome) + 2.2 * MB


def test_a_token_that_expires_in_the_middle_is_renewed(root: Path) -> None:
    faults = [On(ExpireToken(), kind="upload", method="PATCH", nth=2)]
    with Registry(auth=Bearer(), faults=faults) as registry:
        outcome = push(root, f"{registry.host}/test/token")
        tokens = registry.requests("token")
        refused = registry.requests("upload", status=401)

    assert outcome.status == 0, outcome.said
    assert len(tokens) == 2
    assert len(refused) >= 1


def test_a_registry_that_takes_blobs_and_forgets_them_is_one_clear_error(root: Path) -> None:
    with Registry() as registry:
        registry.uploads.forgets = True
        outcome = push(root, f"{registry.host}/test/forgets")

    assert outcome.status == 1
    assert "says that it has taken a blob, and does not have it, three times in a row" in outcome.said
    assert outcome.said.splitlines()[-1] == ("next: trying again will not help: tell whoever runs the registry")


@pytest.mark.parametrize(
    ("effect", "pieces"),
    [(Status(405), 1), (Status(404), 2), (Status(501), 1), (SayToo({"Range": "0-0"}), 1), (Status(416), 2)],
    ids=["405", "404", "501", "lies", "416"],
)
def test_a_registry_that_takes_no_pieces_gets_blobs_whole(root: Path, effect: Effect, pieces: int) -> None:
    with Registry(faults=[On(effect, kind="upload", method="PATCH")]) as registry:
        outcome = push(root, f"{registry.host}/test/whole", at_once=1)
        asked = Counter(line.method for line in registry.requests("upload"))

    assert outcome.status == 0, outcome.said
    assert asked["PUT"] == 3
    assert asked["PATCH"] <= 2 * pieces  # two blobs may find out at once that it takes none


def test_a_whole_blob_goes_over_a_link_that_cut_it(root: Path) -> None:
    with linked(CutUploadAfter(9 * MB)) as (registry, link):
        registry.faults = [On(Status(501), kind="upload", method="PATCH")]
        outcome = push(root, f"{link.host}/test/whole", at_once=1)

    assert outcome.status == 0, outcome.said


def test_a_proxy_that_takes_less_at_once_gets_smaller_pieces(root: Path) -> None:
    with Registry() as registry:
        registry.uploads.most = MB
        outcome = push(root, f"{registry.host}/test/nginx")

    assert outcome.status == 0, outcome.said


def test_a_proxy_that_takes_next_to_nothing_is_one_clear_error(root: Path) -> None:
    with Registry() as registry:
        registry.uploads.most = 50_000
        outcome = push(root, f"{registry.host}/test/tiny")

    assert outcome.status == 1
    assert "does not take 65,536 bytes in one request (HTTP 413)" in outcome.said
    assert "next: ask whoever runs the registry, or the proxy before it, to allow larger requests" in outcome.said


def test_a_registry_that_asks_to_wait_is_waited_for(root: Path) -> None:
    faults = [On(Status(429, headers={"Retry-After": "20"}), kind="upload", method="PATCH", nth=2)]
    with Registry(faults=faults) as registry:
        outcome = push(root, f"{registry.host}/test/throttled")
        sent = registry.uploads.received

    assert outcome.status == 0, outcome.said
    assert sent == pytest.approx(layers(outcome), rel=0.001)


def test_a_registry_out_of_order_is_asked_again(root: Path) -> None:
    faults = [
        On(Status(503), kind="upload", method="POST", nth=1),
        On(Status(503), kind="upload", method="PATCH", nth=2),
        On(Status(503), kind="upload", method="PUT", nth=1),
        On(Status(503), kind="blob", method="HEAD", nth=2),
        On(Status(503), kind="manifest", method="PUT", nth=1),
    ]
    with Registry(faults=faults) as registry:
        outcome = push(root, f"{registry.host}/test/busy")

    assert outcome.status == 0, outcome.said


def test_a_manifest_that_is_refused_is_one_clear_error(root: Path) -> None:
    body = b'{"errors":[{"code":"MANIFEST_INVALID","message":"no such thing"}]}'
    with Registry(faults=[On(Status(400, body=body), kind="manifest", method="PUT")]) as registry:
        outcome = push(root, f"{registry.host}/test/refused")

    assert outcome.status == 1
    assert "does not take the manifest: answers HTTP 400 (manifest invalid: no such thing)" in outcome.said
    assert "kept: 2 of 2 layers at the registry; none of it will be sent again" in outcome.said


@pytest.mark.parametrize("status", [200, 202])
def test_a_manifest_that_is_accepted_and_forgotten_is_one_clear_error(root: Path, status: int) -> None:
    with Registry() as registry:
        registry.uploads.forgets_manifests = status
        outcome = push(root, f"{registry.host}/test/forgotten")

    assert outcome.status == 1
    assert f"accepts the manifest (HTTP {status}), and does not have it (at the registry)" in outcome.said
    assert outcome.said.splitlines()[-1] == "next: trying again will not help: tell whoever runs the registry"


def test_a_manifest_that_is_accepted_and_there_is_pushed(root: Path) -> None:
    with Registry(faults=[On(Status(202), kind="manifest", method="PUT")]) as registry:
        outcome = push(root, f"{registry.host}/test/accepted")

    assert outcome.status == 0, outcome.said


def test_nobody_is_asked_for_long_who_never_answered(root: Path) -> None:
    began = time.monotonic()

    outcome = push(root, "127.0.0.1:1/test/nobody", times=1.0)

    assert (outcome.status, time.monotonic() - began < 10) == (75, True)
    assert "connection refused" in outcome.said


def test_nor_for_an_image_of_which_there_is_no_layer_to_ask_for(tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(images.tar({"a": b"a"}))
    assert Cli(tmp_path / "root")("import", tmp_path / "tar", "source").returncode == 0
    began = time.monotonic()

    outcome = push(tmp_path / "root", "127.0.0.1:1/test/nobody", times=1.0)

    assert (outcome.status, time.monotonic() - began < 10) == (75, True)
