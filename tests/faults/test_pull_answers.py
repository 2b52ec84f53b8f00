"""Pulls from a registry, or something in front of it, that answers wrongly: what is kept, and what the user reads."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Literal

import pytest

from headway.distribution import download
from headway.service.transfers.progress import Waiting
from tests.fakes import images
from tests.faults.auth import Bearer
from tests.faults.pull import Outcome, bytes_kept, images_listed, litter, pull
from tests.faults.registry import Registry
from tests.faults.request import Exchange
from tests.faults.story import (
    CaptivePortal,
    ChangeTagBetweenRequests,
    CutAfter,
    Effect,
    ExpireToken,
    Fault,
    FlipByte,
    IgnoreRange,
    LongBody,
    NoContentLength,
    NoDigestHeader,
    RawResponse,
    RedirectTo,
    ShortBody,
    SlowResponse,
    Status,
    WrongBlob,
    WrongContentRange,
    WrongTotal,
)

IMAGE = images.image([images.noise_layer(400_000, seed=1), {"small": b"small\n"}])
OTHER = images.image([images.noise_layer(300_000, seed=2)])
LAYER = IMAGE.layers[0]
SIZE = len(IMAGE.blobs[LAYER])
HALF = 200_000
IN_FLIGHT = 256 * 1024  # what a server's kernel takes before it hears that nobody wants it
FOREVER = range(1, 1_000)
XML = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'


def layer(effect: Effect, nth: int | range | None = None) -> Fault:
    """Let something happen to requests for the first layer."""
    return Fault(effect, kind="blob", nth=nth, digest=LAYER)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry([IMAGE]) as registry:
        yield registry


def asked(registry: Registry) -> list[Exchange]:
    """Return the requests for the first layer."""
    return [each for each in registry.requests("blob") if each.reply.digest == LAYER]


def sent(registry: Registry, *statuses: int) -> int:
    """Return how many bytes of the first layer's bodies were sent, with these statuses or with any."""
    return sum(each.sent for each in asked(registry) if not statuses or each.status in statuses)


def complete(outcome: Outcome, root: Path) -> None:
    """Check that a pull ended well, and left only the image."""
    assert outcome.error is None, outcome.said
    assert outcome.done is not None
    assert str(outcome.done.digest) == IMAGE.manifest_digest
    assert images_listed(root) == [IMAGE.image_id]
    assert litter(root) == []


def stopped(outcome: Outcome, root: Path) -> None:
    """Check that a pull failed with one message and no image."""
    assert outcome.done is None
    assert outcome.said.count("headway: ") == 1, outcome.said
    assert outcome.said.count("next: ") == 1
    assert images_listed(root) == []
    assert [name for name in litter(root) if name.startswith("tmp")] == []


def hold(registry: Registry, root: Path) -> None:
    """Leave the first half of the layer in the data root."""
    registry.faults = [layer(CutAfter(HALF), nth=1), layer(Status(404), nth=2)]
    pull(f"{registry.host}/test/image", root)
    registry.log.clear()


WRONG_ANSWERS = [
    (WrongContentRange(), "wrong answer", f"answers bytes {HALF + 1}-"),
    (WrongContentRange(shift=-HALF), "wrong answer", "answers bytes 0-"),
    (WrongTotal(), "wrong answer", f"has {SIZE + 1} bytes where {SIZE} belong to this blob"),
    (ShortBody(by=1_000, honest=False), "wrong answer", f"sends {SIZE - HALF - 1_000} bytes for {SIZE - HALF}"),
    (LongBody(by=10), "wrong answer", f"sends {SIZE - HALF + 10} bytes for {SIZE - HALF}"),
    (CaptivePortal(), "wrong answer", "captive portal"),
    (Status(511), "wrong answer", "captive portal"),
    (Status(500), "registry out of order", "answers HTTP 500"),
    (Status(503), "registry out of order", "answers HTTP 503"),
    (Status(302), "wrong answer", "answers HTTP 302"),
    (Status(416), "wrong answer", "answers HTTP 416"),
    (Status(403, {}, XML), "wrong answer", "a storage server behind it answers HTTP 403"),
    (RawResponse(b""), "connection lost", "closed without an answer"),
    (RawResponse(b"SSH-2.0-OpenSSH_9.2\r\n"), "wrong answer", "does not speak HTTP"),
    (RawResponse(b"HTTP/1.1 206 P\r\nContent-Length: -5\r\n\r\n"), "wrong answer", "Content-Range ''"),
    (RawResponse(b"HTTP/1.1 206 P\r\nContent-Range: bytes 200000-9/x\r\n\r\n"), "wrong answer", "Content-Range"),
]


@pytest.mark.parametrize(("effect", "brief", "words"), WRONG_ANSWERS, ids=lambda value: str(value)[:30])
def test_a_wrong_answer_in_the_middle_costs_no_layer_bytes(
    registry: Registry, tmp_path: Path, effect: Effect, brief: str, words: str
) -> None:
    del words
    hold(registry, tmp_path)
    registry.faults = [layer(effect, nth=1)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    # A kept-alive connection that ends without an answer is no failure: another is opened at once.
    assert outcome.retries == ({} if effect == RawResponse(b"") else {brief: 1})
    assert (asked(registry)[-1].reply.start, asked(registry)[-1].sent) == (HALF, SIZE - HALF)


@pytest.mark.parametrize(("effect", "brief", "words"), WRONG_ANSWERS, ids=lambda value: str(value)[:30])
def test_a_wrong_answer_that_stays_is_named_and_what_was_held_is_kept(
    registry: Registry, tmp_path: Path, effect: Effect, brief: str, words: str
) -> None:
    del brief
    hold(registry, tmp_path)
    registry.faults = [layer(effect)]

    outcome = pull(f"{registry.host}/test/image", tmp_path, attempts=1, patience_seconds=0)

    stopped(outcome, tmp_path)
    assert words in outcome.said
    assert "none of it will be fetched again" in outcome.said
    assert bytes_kept(tmp_path) - HALF in {0, len(IMAGE.blobs[IMAGE.layers[1]])}  # the small layer may be stopped too
    assert outcome.status == 75


def test_an_honest_short_answer_is_used_and_the_rest_asked_for(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [layer(CutAfter(100_000), nth=1), layer(ShortBody(by=200_000), nth=2)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    starts = [each.reply.start for each in asked(registry)]
    assert starts == [0, 100_000, SIZE - 200_000]


def test_a_registry_that_ignores_ranges_costs_twice_the_layer_at_the_most(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [layer(IgnoreRange()), layer(CutAfter(240_000), nth=1)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    assert sent(registry) == 240_000 + SIZE


def test_of_two_storage_servers_the_one_that_serves_ranges_goes_on(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CHEAP_SKIP_BYTES", 250_000)
    with Registry([IMAGE], faults=[layer(CutAfter(300_000), nth=1)]) as one, Registry([IMAGE]) as other:
        other.faults = [layer(IgnoreRange())]
        registry.faults = [layer(RedirectTo((one, other, one)[nth - 1].url), nth=nth) for nth in (1, 2, 3)]

        outcome = pull(f"{registry.host}/test/image", tmp_path)

        complete(outcome, tmp_path)
        assert sent(one) == SIZE
        assert [each.reply.start for each in asked(other)] == [0]
        assert len(asked(registry)) == 3
    assert outcome.retries == {"connection lost": 1, "wrong answer": 1}


def test_a_registry_that_ignores_ranges_and_cuts_is_stopped_and_the_bytes_are_kept(
    registry: Registry, tmp_path: Path
) -> None:
    registry.faults = [layer(IgnoreRange()), layer(CutAfter(300_000))]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    stopped(outcome, tmp_path)
    assert "ignores Range requests" in outcome.said
    assert "tell whoever runs the registry" in outcome.said
    assert bytes_kept(tmp_path) >= 300_000
    assert sent(registry) <= 2.0 * SIZE + IN_FLIGHT


def test_a_byte_that_was_flipped_once_is_repaired(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [layer(FlipByte(123_456), nth=1)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    assert sent(registry) <= 2.0 * SIZE


IN_PARTS = b"HTTP/1.1 206 P\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
UNLIKE_RANGES = [
    Status(416),
    WrongContentRange(),
    WrongContentRange(shift=-HALF),
    LongBody(by=10),
    ShortBody(by=1_000, honest=False),
    RawResponse(IN_PARTS % (HALF, SIZE - 1, SIZE) + b"--x\r\n" + images.noise(SIZE - HALF - 5)),
]


@pytest.mark.parametrize("effect", UNLIKE_RANGES, ids=lambda effect: str(effect)[:40])
def test_where_ranges_are_never_served_right_the_whole_is_asked_for_in_the_end(
    registry: Registry, tmp_path: Path, effect: Effect
) -> None:
    hold(registry, tmp_path)
    registry.faults = [layer(effect, nth=range(1, 3))]  # to a request without a range it would be no such answer

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    assert [each.range for each in asked(registry)] == [f"bytes={HALF}-", f"bytes={HALF}-", ""]


@pytest.mark.parametrize("effect", [FlipByte(123_456), WrongBlob(images.noise(SIZE, seed=9))], ids=["flip", "other"])
def test_wrong_bytes_are_never_committed_nor_called_kept(registry: Registry, tmp_path: Path, effect: Effect) -> None:
    registry.faults = [layer(effect)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    stopped(outcome, tmp_path)
    assert f"instead of {LAYER}" in outcome.said
    assert "next: trying again will not help: tell whoever runs the registry" in outcome.said
    assert "2 of 2 layers whole" not in outcome.said
    assert f"ingest/{LAYER.replace(':', '-')}" not in litter(tmp_path)
    assert outcome.status == 1
    assert sent(registry) == 2 * SIZE


def test_after_wrong_bytes_a_good_registry_finishes_the_pull(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [layer(FlipByte(123_456))]
    pull(f"{registry.host}/test/image", tmp_path)
    registry.faults = []

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)


@pytest.mark.parametrize("content", [b"", images.noise(SIZE - 1), images.noise(SIZE + 1)], ids=["no", "less", "more"])
def test_another_length_under_the_digest_is_refused_before_a_byte_is_kept(
    registry: Registry, tmp_path: Path, content: bytes
) -> None:
    registry.faults = [layer(WrongBlob(content))]

    outcome = pull(f"{registry.host}/test/image", tmp_path, attempts=1, patience_seconds=0)

    stopped(outcome, tmp_path)
    assert f"has {len(content)} bytes where {SIZE} belong to this blob" in outcome.said
    assert outcome.status == 75


@pytest.mark.parametrize("chunked", [False, True])
def test_a_registry_that_says_three_times_that_a_blob_has_another_size_is_believed(
    registry: Registry, tmp_path: Path, *, chunked: bool
) -> None:
    effects: list[Effect] = [WrongBlob(IMAGE.blobs[LAYER][:HALF])]
    effects += [NoContentLength(chunked=True)] if chunked else []
    registry.faults = [layer(effect) for effect in effects]

    outcome = pull(f"{registry.host}/test/image", tmp_path, times=10)

    stopped(outcome, tmp_path)
    assert f"has {HALF} bytes where {SIZE} belong to this blob" in outcome.said
    assert "trying again will not help: tell whoever runs the registry" in outcome.said
    assert outcome.status == 1
    starts = [each.range for each in asked(registry)]
    assert starts == (["", *[f"bytes={HALF}-"] * 3] if chunked else [""] * 3)  # what ends so may have been cut


def test_a_mirror_whose_blob_has_another_size_is_left_for_the_registry(registry: Registry, tmp_path: Path) -> None:
    short = [layer(WrongBlob(IMAGE.blobs[LAYER][:-1]))]
    registry.faults = [layer(CutAfter(HALF), nth=1), layer(Status(503), nth=range(2, 5))]
    with Registry([IMAGE], faults=short) as mirror:
        outcome = pull(f"{registry.host}/test/image", tmp_path, mirrors=[mirror.url], times=10)

        complete(outcome, tmp_path)
        assert sent(registry) == SIZE
        assert len(asked(mirror)) == 4  # once before there were bytes


def test_a_mirror_that_has_not_the_blob_is_no_failure(registry: Registry, tmp_path: Path) -> None:
    with Registry([IMAGE], faults=[layer(Status(404))]) as mirror:
        outcome = pull(f"{registry.host}/test/image", tmp_path, mirrors=[mirror.url])

        complete(outcome, tmp_path)
        assert (len(asked(mirror)), sent(registry)) == (1, SIZE)
        assert outcome.retries == {}


@pytest.mark.parametrize(
    ("effect", "status", "words"),
    [
        (Status(404), 1, "no such blob"),
        (Status(403, {}, b'{"errors":[{"code":"DENIED","message":"not yours"}]}'), 77, "denied: not yours"),
        (Status(401, {"WWW-Authenticate": 'Basic realm="r"'}), 77, "log in to the registry"),
        (Status(401), 1, "wants a login, and does not say how"),
        (Status(500), 75, "answers HTTP 500; stopped after 1 attempt without a new byte"),
        (Status(400), 75, "answers HTTP 400"),
    ],
)
def test_a_status_ends_a_pull_with_the_exit_code_it_deserves(
    registry: Registry, tmp_path: Path, effect: Effect, status: int, words: str
) -> None:
    registry.faults = [layer(CutAfter(100_000), nth=1), layer(effect, nth=FOREVER[1:])]

    outcome = pull(f"{registry.host}/test/image", tmp_path, attempts=1, patience_seconds=0)

    stopped(outcome, tmp_path)
    assert (outcome.status, words in outcome.said) == (status, True), outcome.said
    assert "none of it will be fetched again" in outcome.said
    assert bytes_kept(tmp_path) >= 100_000


def test_a_name_that_a_known_registry_calls_invalid_is_not_waited_for(registry: Registry, tmp_path: Path) -> None:
    complete(pull(f"{registry.host}/test/image", tmp_path), tmp_path)
    refusal = Status(400, {}, b'{"errors":[{"code":"NAME_INVALID","message":"too deep"}]}')
    registry.faults = [Fault(refusal, kind="manifest")]

    outcome = pull(f"{registry.host}/test/other", tmp_path)

    assert (outcome.status, len(registry.requests("manifest", status=400))) == (1, 2), outcome.said  # HEAD and GET
    assert "answers HTTP 400 (name invalid: too deep)" in outcome.said
    assert "tell whoever runs the registry" in outcome.said


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("kind", ["blob", "manifest"])
def test_a_registry_that_asks_to_wait_is_never_asked_earlier(
    registry: Registry, tmp_path: Path, code: int, kind: str
) -> None:
    digest = LAYER if kind == "blob" else IMAGE.manifest_digest
    registry.faults = [Fault(Status(code, {"Retry-After": "1"}), kind="any", digest=digest, nth=1)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    first, second, *_ = [each.seconds for each in registry.requests(kind) if each.reply.digest == digest]
    assert 1.0 <= second - first < 2.5


@pytest.mark.parametrize("ahead", [0, 7200, -7200])
def test_a_date_to_wait_for_is_kept_too_whatever_clock_it_is_by(registry: Registry, tmp_path: Path, ahead: int) -> None:
    date, moment = (formatdate(time.time() + ahead + seconds, usegmt=True) for seconds in (0, 2))
    registry.faults = [layer(Status(503, {"Retry-After": moment, "Date": date}), nth=1)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    first, second = [each.seconds for each in asked(registry)]
    assert 0.9 <= second - first < 4


def test_a_token_that_expires_in_mid_pull_is_renewed(tmp_path: Path) -> None:
    script = [layer(ExpireToken(after=100_000), nth=1), layer(CutAfter(200_000), nth=1)]
    with Registry([IMAGE], faults=script, auth=Bearer()) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path)

        complete(outcome, tmp_path)
        assert len(registry.requests("token")) == 2
        assert sent(registry, 206) == SIZE - 200_000


@pytest.mark.parametrize("seconds", [-1.0, 0.2])
def test_a_signed_address_that_expired_is_asked_for_anew(registry: Registry, tmp_path: Path, seconds: float) -> None:
    with Registry([IMAGE], faults=[layer(CutAfter(150_000), nth=1)]) as storage:
        registry.faults = [
            layer(RedirectTo(storage.url, expires_seconds=seconds), nth=1),
            layer(RedirectTo(storage.url, expires_seconds=30.0), nth=FOREVER[1:]),
        ]

        outcome = pull(f"{registry.host}/test/image", tmp_path)

        complete(outcome, tmp_path)
        assert sent(registry, 200, 206) == 0
        assert sent(storage, 200, 206) == SIZE


def test_a_portal_in_place_of_the_registry_is_named_and_nothing_of_it_kept(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [Fault(CaptivePortal())]

    outcome = pull(f"{registry.host}/test/image", tmp_path, times=20)

    stopped(outcome, tmp_path)
    assert "captive portal" in outcome.said
    assert "(at the registry)" not in outcome.said
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("framing", [NoContentLength(), NoContentLength(chunked=True)], ids=["close", "chunked"])
@pytest.mark.parametrize("cut", [None, 200_000])
def test_a_body_without_a_length_is_taken_and_resumed(
    registry: Registry, tmp_path: Path, framing: Effect, cut: int | None
) -> None:
    registry.faults = [Fault(framing), *([layer(CutAfter(cut), nth=1)] if cut else [])]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    assert sent(registry) == SIZE


def test_rubbish_behind_a_body_without_a_length_is_not_the_blob(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [layer(NoContentLength()), layer(LongBody(by=5_000))]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)


def test_no_digest_header_is_needed(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [Fault(NoDigestHeader())]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_tag_that_moves_meanwhile_gives_one_image_or_the_other(
    registry: Registry, tmp_path: Path, moment: int
) -> None:
    registry.add(OTHER)
    registry.move_tag("test/image", "latest", IMAGE.manifest_digest)
    move = ChangeTagBetweenRequests("latest", OTHER.manifest_digest)
    registry.faults = [Fault(NoDigestHeader()), Fault(move, kind="manifest", nth=moment)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    assert outcome.done is not None, outcome.said
    pairs = {each.manifest_digest: each.image_id for each in (IMAGE, OTHER)}
    assert images_listed(tmp_path) == [pairs[str(outcome.done.digest)]] == [str(outcome.done.image_id)]


def test_a_slow_answer_is_waited_for(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [Fault(SlowResponse(0.4))]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    complete(outcome, tmp_path)
    assert outcome.retries == {}


@pytest.mark.parametrize("kind", ["manifest", "blob"])  # the config is the first blob
def test_who_has_to_wait_before_there_are_layers_is_told_so(
    registry: Registry, tmp_path: Path, kind: Literal["manifest", "blob"]
) -> None:
    registry.faults = [Fault(Status(500), kind=kind, nth=range(1, 4))]

    outcome = pull(f"{registry.host}/test/image", tmp_path, times=20)

    complete(outcome, tmp_path)
    waits = [event for event in outcome.events if isinstance(event, Waiting)]
    assert {wait.cause for wait in waits} == {f"{registry.host}: answers HTTP 500"}
    assert max(wait.retry_seconds for wait in waits) > 1


def test_a_wrong_manifest_under_a_digest_is_not_taken(registry: Registry, tmp_path: Path) -> None:
    wrong = Fault(WrongBlob(OTHER.blobs[OTHER.manifest_digest]), kind="manifest", method="GET")
    registry.faults = [wrong]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    stopped(outcome, tmp_path)
    assert f"instead of {IMAGE.manifest_digest}" in outcome.said


def test_what_is_no_image_is_told_by_its_kind_before_anything_else_is_fetched(tmp_path: Path) -> None:
    kind = b"vnd.docker.plugin.v1+json"
    data = IMAGE.blobs[IMAGE.manifest_digest].replace(b"vnd.oci.image.config.v1+json", kind)
    digest = images.digest_of(data)
    types = {digest: IMAGE.media_types[IMAGE.manifest_digest]}
    plugin = dataclasses.replace(IMAGE, blobs={**IMAGE.blobs, digest: data}, media_types=types, manifest_digest=digest)

    with Registry([plugin]) as registry:
        outcome = pull(f"{registry.host}/test/image", tmp_path)

    stopped(outcome, tmp_path)
    assert "it is no image: its config is of type 'application/vnd.docker.plugin.v1+json'" in outcome.said
    assert registry.requests("blob") == []


def test_a_config_that_is_flipped_is_not_taken(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [Fault(FlipByte(40), kind="blob", digest=IMAGE.image_id)]

    outcome = pull(f"{registry.host}/test/image", tmp_path)

    stopped(outcome, tmp_path)
    assert f"instead of {IMAGE.image_id}" in outcome.said
    assert litter(tmp_path) == []


def test_redirects_in_a_circle_end(registry: Registry, tmp_path: Path) -> None:
    registry.faults = [layer(RedirectTo(registry.url))]

    outcome = pull(f"{registry.host}/test/image", tmp_path, attempts=1, patience_seconds=0)

    stopped(outcome, tmp_path)
    assert "redirects more than" in outcome.said


def test_a_new_fault_at_every_request_is_survived(registry: Registry, tmp_path: Path) -> None:
    effects: list[Effect] = [
        CutAfter(50_000), CaptivePortal(), CutAfter(50_000), WrongTotal(), CutAfter(50_000), Status(500),
        CutAfter(50_000), LongBody(), ShortBody(by=100_000), IgnoreRange(),
    ]  # fmt: skip
    registry.faults = [layer(effect, nth=n) for n, effect in zip(itertools.count(1), effects)]

    outcome = pull(f"{registry.host}/test/image", tmp_path, times=20)

    complete(outcome, tmp_path)
