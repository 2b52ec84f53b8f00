"""A push in Docker's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headway.engine.failures import failure
from headway.engine.messages import Message
from headway.engine.push_messages import PushMessages, push_error
from headway.errors import Fault, HeadwayError, NotFoundError, PushIncompleteError, RefusedError, UnreachableError
from headway.oci.digest import DiffID, Digest
from headway.oci.reference import Reference
from headway.service.pushing.progress import LayerPush, PushDone, PushEvent, PushPhase, PushReceipt
from headway.service.transfers.progress import Notice, Waiting

DIFF_ID = DiffID(Digest(f"sha256:{'ab' * 32}"))
REFERENCE = Reference.parse("busybox:1")


def told_of(*events: PushEvent) -> list[dict[str, Any]]:
    """Return the messages for events, behind the first line."""
    messages: list[Message] = []
    watch = PushMessages(REFERENCE, lambda message, _: messages.append(message))
    for event in events:
        watch(event)
    first, *rest = [json.loads(message.encode()) for message in messages]
    assert first == {"status": "The push refers to repository [docker.io/library/busybox]"}
    return rest


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        (PushPhase.PREPARING, "Preparing"),
        (PushPhase.WAITING, "Waiting"),
        (PushPhase.PUSHED, "Pushed"),
        (PushPhase.THERE, "Layer already exists"),
        (PushPhase.SKIPPED, "Skipped foreign layer"),
    ],
)
def test_a_step_is_told_once(phase: PushPhase, status: str) -> None:
    step = LayerPush(DIFF_ID, phase)

    assert told_of(step, step) == [{"status": status, "progressDetail": {}, "id": "abababababab"}]


def test_a_mount_names_the_repository() -> None:
    [message] = told_of(LayerPush(DIFF_ID, PushPhase.MOUNTED, source="library/debian"))

    assert message["status"] == "Mounted from library/debian"


@pytest.mark.parametrize(("phase", "status"), [(PushPhase.PACKING, "Preparing"), (PushPhase.PUSHING, "Pushing")])
def test_what_takes_time_has_a_bar(phase: PushPhase, status: str) -> None:
    [message] = told_of(LayerPush(DIFF_ID, phase, 500, 1000))

    assert (message["status"], message["progressDetail"]) == (status, {"current": 500, "total": 1000})
    assert message["progress"].startswith("[=====")


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(0.2, "Retrying in 1 second"), (1.0, "Retrying in 1 second"), (4.5, "Retrying in 5 seconds")],
)
def test_a_retry_counts_down(seconds: float, status: str) -> None:
    [message] = told_of(LayerPush(DIFF_ID, PushPhase.RETRYING, retry_seconds=seconds))

    assert message["status"] == status


def test_the_end_is_told_to_people_and_to_programs() -> None:
    digest = Digest(f"sha256:{'cd' * 32}")
    receipt = PushReceipt(needed=1, sent=1, there=0, retries={}, seconds=1.0)

    assert told_of(PushDone("busybox:1", "1", digest, 528, None, receipt)) == [
        {"status": f"1: digest: {digest} size: 528"},
        {"progressDetail": {}, "aux": {"Tag": "1", "Digest": digest, "Size": 528}},
    ]


def test_what_the_user_should_know_is_a_line() -> None:
    waits = [Waiting("busybox:1", "no route", left) for left in (4.2, 3.2, 2.2)]
    messages = told_of(Notice("busybox:1", "its digest changes"), *waits)

    assert [message["status"] for message in messages] == [
        "its digest changes",
        "waiting for the link: no route; next try in 5 s",
    ]


@pytest.mark.parametrize(
    ("cause", "status", "words"),
    [
        (
            RefusedError("r", 403, "DENIED", "denied: requested access to the resource is denied"),
            500,
            "denied: requested access to the resource is denied",
        ),
        (RefusedError("r", 403, "DENIED"), 500, "denied: requested access to the resource is denied"),
        (RefusedError("r", 401, "UNAUTHORIZED", "no basic auth credentials"), 500, "no basic auth credentials"),
        (NotFoundError("upload", "x"), 404, "no such upload: x"),
    ],
)
def test_a_refusal_is_told_in_the_registrys_words(cause: HeadwayError, status: int, words: str) -> None:
    answer = failure(push_error(PushIncompleteError("busybox:1", cause)))

    assert (answer.status, answer.message) == (status, words)


def test_a_link_that_failed_is_told_as_it_is() -> None:
    error = PushIncompleteError("busybox:1", UnreachableError("r", Fault.CUT))

    assert push_error(error) is error
