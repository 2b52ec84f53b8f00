"""Registries that want to be left alone, mirrors that hang, content that goes away: what is asked of whom, and when."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from headway.service.transfers.progress import Waiting
from tests.fakes import images
from tests.faults.auth import Bearer
from tests.faults.pull import bytes_kept, images_listed, pull
from tests.faults.registry import Registry
from tests.faults.request import Exchange
from tests.faults.story import (
    CutAfter,
    DeleteBlob,
    Effect,
    ExpireToken,
    FlipByte,
    RawResponse,
    RedirectTo,
    SayToo,
    SlowResponse,
    StallAfter,
    Status,
)
from tests.faults.story import Fault as On

IMAGE = images.image([images.noise_layer(300_000 + n, seed=n) for n in range(5)])
FIRST = IMAGE.layers[0]
SIZE = len(IMAGE.blobs[FIRST])
XML = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
SLACK = 0.05  # between the registry's log and the moment at which its answer is read


def gaps_after(refused: Exchange, log: list[Exchange]) -> list[float]:
    """Return how long after a refusal each later request came."""
    return [each.seconds - refused.seconds for each in log if each.seconds > refused.seconds]


# --- 429 ----------------------------------------------------------------------------------------------------------


def in_four_seconds() -> str:
    """Return a date that is still ahead when a busy machine has come so far as to be refused."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 4))


@pytest.mark.parametrize(
    ("headers", "at_least"),
    [({"Retry-After": "1"}, 1.0), ({"Retry-After": "DATE"}, 0.9), ({}, 1.0)],
    ids=["seconds", "date", "nothing"],
)
def test_what_one_request_is_told_every_request_obeys(tmp_path: Path, headers: dict[str, str], at_least: float) -> None:
    times = 1.0 if headers else 5.0  # five seconds of its own where nothing is named
    said = {name: in_four_seconds() if value == "DATE" else value for name, value in headers.items()}
    script = [On(SlowResponse(0.2), kind="blob"), On(Status(429, said), kind="blob", nth=2)]
    with Registry([IMAGE], faults=script) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, times=times)
        (refused,) = registry.requests(status=429)
        under_way = 0.3  # who was sent before the refusal came is not called back

        assert outcome.error is None, outcome.said
        assert [gap for gap in gaps_after(refused, registry.log) if under_way < gap < at_least - SLACK] == []


def test_a_refusal_without_end_is_given_up_after_the_attempts_not_after_those_held_back(tmp_path: Path) -> None:
    script = [On(CutAfter(100_000), kind="blob", digest=FIRST, nth=1), On(Status(429), kind="blob", nth=range(2, 99))]
    with Registry([IMAGE], faults=script) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, times=40, attempts=3, patience_seconds=0)

        assert outcome.status == 75
        assert "too many requests" in outcome.said
        assert len(registry.requests(status=429)) >= 3


@pytest.mark.parametrize("kind", ["manifest", "blob"])
def test_a_wait_that_is_too_long_for_anybody_is_said_at_once_with_the_quota(tmp_path: Path, kind: str) -> None:
    quota = SayToo({"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"})
    script = [
        On(Status(429, {"Retry-After": "20000"}), kind=kind, nth=1),  # type: ignore[arg-type]  # one of its literals
        On(quota, kind=kind),  # type: ignore[arg-type]  # the same
    ]
    with Registry([IMAGE], faults=script) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path)

    assert outcome.status == 75
    assert outcome.seconds < 5
    assert "it asks to wait 20000 s" in outcome.said
    assert "next: run the same command in 5 h 33 m to go on (quota: 0 of 100 left per 6 h)" in outcome.said


def test_with_patience_for_ever_a_long_wait_is_waited_for(tmp_path: Path) -> None:
    script = [On(Status(429, {"Retry-After": "2000"}), kind="manifest", nth=1)]
    with Registry([IMAGE], faults=script) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, patience_seconds=float("inf"), times=2000)

    assert outcome.error is None, outcome.said
    assert any(isinstance(event, Waiting) for event in outcome.events)


def test_a_quota_is_on_the_receipt(tmp_path: Path) -> None:
    said = {
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": "98;w=21600",
        "Docker-RateLimit-Source": "192.0.2.1",
    }
    with Registry([IMAGE], faults=[On(SayToo(said), kind="manifest")]) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path)

        assert outcome.done is not None, outcome.said
        words = {host: quota.words() for host, quota in outcome.done.receipt.quotas.items()}
        assert words == {registry.host: "98 of 100 left per 6 h, counted for 192.0.2.1"}


@pytest.mark.parametrize("status", [500, 503])
def test_a_burst_of_server_errors_costs_no_byte_twice(tmp_path: Path, status: int) -> None:
    script = [On(CutAfter(100_000), kind="blob", nth=1), On(Status(status), kind="blob", nth=range(2, 6))]
    with Registry([IMAGE], faults=script) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, times=60)

        assert outcome.error is None, outcome.said
        assert sum(each.sent for each in registry.requests("blob") if each.status != status) <= 1.01 * IMAGE.size


# --- credentials and addresses that expire ------------------------------------------------------------------------


def test_a_signed_address_that_expires_at_each_turn_is_renewed_at_each_turn(tmp_path: Path) -> None:
    cuts = [On(CutAfter(100_000), kind="blob", digest=FIRST)]
    with Registry([IMAGE], faults=cuts) as storage, Registry([IMAGE]) as registry:
        effects = itertools.cycle([0.0, 30.0])
        registry.faults = [
            On(RedirectTo(storage.url, expires_seconds=next(effects)), kind="blob", digest=FIRST, nth=nth)
            for nth in range(1, 20)
        ]
        outcome = pull(f"{registry.host}/test/image", tmp_path, times=60)

        assert outcome.error is None, outcome.said
        assert sum(each.sent for each in storage.requests("blob") if each.status != 403) == SIZE
        assert len(storage.requests("blob", status=403)) >= 2


def test_a_storage_server_that_refuses_with_a_page_of_its_own_sends_back_to_the_registry(tmp_path: Path) -> None:
    refusal = On(Status(403, {}, XML), kind="blob", nth=1)
    with Registry([IMAGE], faults=[refusal]) as storage, Registry([IMAGE]) as registry:
        registry.faults = [On(RedirectTo(storage.url), kind="blob", digest=FIRST)]
        outcome = pull(f"{registry.host}/test/image", tmp_path)
        asked = [each for each in registry.requests("blob") if each.reply.digest == FIRST]

    assert outcome.error is None, outcome.said
    assert (outcome.retries, len(asked), len(storage.log)) == ({"wrong answer": 1}, 2, 2)


# --- what goes away -----------------------------------------------------------------------------------------------


def test_a_manifest_that_a_tag_names_and_the_registry_does_not_have_is_not_blamed_on_who_asks(tmp_path: Path) -> None:
    with Registry([IMAGE], faults=[On(Status(404), kind="manifest", nth=2)]) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path)

        assert "no such manifest: test/image@" in outcome.said
        assert "(at the registry)" in outcome.said
        assert "if that does not help, tell whoever runs the registry" in outcome.said
        assert outcome.status == 1


def test_a_blob_that_is_deleted_in_mid_pull_ends_it_with_what_is_kept(tmp_path: Path) -> None:
    gone = [On(DeleteBlob(after=100_000), kind="blob", digest=FIRST, nth=1)]
    gone += [On(CutAfter(200_000), kind="blob", digest=FIRST, nth=1)]
    with Registry([IMAGE], faults=gone) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path)

        assert f"no such blob: {FIRST}" in outcome.said
        assert "(at the registry)" in outcome.said
        assert "next: run the same command again: the tag may have moved" in outcome.said
        assert (outcome.status, images_listed(tmp_path)) == (1, [])
        assert bytes_kept(tmp_path) >= 190_000
        assert len([each for each in registry.requests("blob") if each.reply.digest == FIRST]) == 2


def test_a_blob_that_the_mirror_no_longer_has_goes_on_at_the_registry(tmp_path: Path) -> None:
    gone = [On(DeleteBlob(after=100_000), kind="blob", digest=FIRST, nth=1)]
    gone += [On(CutAfter(200_000), kind="blob", digest=FIRST, nth=1)]
    with Registry([IMAGE], faults=gone) as mirror, Registry([IMAGE]) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, mirrors=[mirror.url])
        (asked,) = [each for each in registry.requests("blob") if each.reply.digest == FIRST]

        assert outcome.error is None, outcome.said
        assert asked.reply.start == 200_000


def test_tokens_that_expire_while_every_layer_is_under_way_are_renewed_once_for_all(tmp_path: Path) -> None:
    script = [On(ExpireToken(after=50_000), kind="blob", nth=2), On(CutAfter(150_000), kind="blob", nth=range(1, 4))]
    with Registry([IMAGE], faults=script, auth=Bearer()) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path)

        assert outcome.error is None, outcome.said
        assert len(registry.requests("token")) <= 3


# --- mirrors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "effect",
    [SlowResponse(60.0), StallAfter(1_000), Status(503)],
    ids=["hangs", "hangs in the body", "fails"],
)
def test_a_mirror_that_is_sick_for_blobs_costs_its_wait_once(tmp_path: Path, effect: Effect) -> None:
    with Registry([IMAGE], faults=[On(effect, kind="blob")]) as mirror, Registry([IMAGE]) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, mirrors=[mirror.url], layers_at_once=1)

        assert outcome.error is None, outcome.said
        assert outcome.seconds < 8.0
        assert len(mirror.requests("manifest")) >= 1
        assert len(mirror.requests("blob")) <= 2  # the config, or a layer beside it
        assert registry.sent("blob") <= 1.01 * IMAGE.size + len(IMAGE.blobs[IMAGE.image_id])


def test_a_mirror_that_lies_about_every_blob_gets_no_byte_into_an_image(tmp_path: Path) -> None:
    lies = [On(FlipByte(100), kind="blob", digest=layer) for layer in IMAGE.layers]
    with Registry([IMAGE], faults=lies) as mirror, Registry([IMAGE]) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, mirrors=[mirror.url], layers_at_once=1)

        assert outcome.error is None, outcome.said
        assert images_listed(tmp_path) == [IMAGE.image_id]
        assert mirror.sent("blob") + registry.sent("blob") <= 2.1 * IMAGE.size


def test_a_mirror_that_lies_is_not_believed_because_the_registry_was_cut_off_meanwhile(tmp_path: Path) -> None:
    lie, cut = On(FlipByte(1_000), kind="blob", digest=FIRST), On(RawResponse(b""), kind="blob", digest=FIRST, nth=1)
    with Registry([IMAGE], faults=[lie]) as mirror, Registry([IMAGE], faults=[cut]) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, mirrors=[mirror.url], times=10)

        assert outcome.error is None, outcome.said
        assert images_listed(tmp_path) == [IMAGE.image_id]


def test_a_mirror_that_is_throttled_leaves_the_registry_free(tmp_path: Path) -> None:
    throttled = [On(Status(429, {"Retry-After": "3600"}), kind="blob")]
    with Registry([IMAGE], faults=throttled) as mirror, Registry([IMAGE]) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path, mirrors=[mirror.url])

        assert outcome.error is None, outcome.said
        assert len(mirror.requests(status=429)) <= 3
