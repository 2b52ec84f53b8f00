"""Values and errors between Headway's command and its daemon."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from headway import wire
from headway.cli.failures import exit_status, explain
from headway.container_records import KeptMount
from headway.engine.failures import ForbiddenError
from headway.errors import (
    Fault,
    GaveUpError,
    HeadwayError,
    InvalidSettingError,
    NoRoomError,
    NotFoundError,
    PullIncompleteError,
    RefusedError,
    RequestError,
    StoreBusyError,
    StoreFullError,
    ThrottledError,
    UnreachableError,
    WindowTooLargeError,
)
from headway.oci.digest import Digest
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.requests.plans import PlanRequest
from headway.service.requests.requests import MountRequest
from headway.service.transfers.progress import Notice, PullStarted

CUT = UnreachableError("ghcr.io", Fault.CUT)
ERRORS = [
    InvalidSettingError("invalid duration"),
    NotFoundError("platform", "linux/arm64 in a:1", "it is offered for linux/amd64"),
    StoreFullError("/var/lib/headway"),
    NoRoomError("/var", needed=10, free=3, to_fetch=2),
    StoreBusyError("/var/lib/headway", 12),
    WindowTooLargeError(64 << 20, 32 << 20),
    RefusedError("ghcr.io", 403, "DENIED", "no"),
    ThrottledError("ghcr.io", 7.0),
    UnreachableError("ghcr.io", Fault.UNKNOWN_NAME),
    GaveUpError(5, CUT),
    PullIncompleteError("a:1", GaveUpError(5, CUT), kept_bytes=7, total_bytes=9, whole_layers=1, layers=2),
]


def sent(error: HeadwayError) -> HeadwayError:
    return wire.decode(wire.encode(error), HeadwayError)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_explained_on_the_other_side_as_it_is_here(error: HeadwayError) -> None:
    heard = sent(error)

    assert type(heard) is type(error)
    assert (str(heard), heard.side, heard.retryable) == (str(error), error.side, error.retryable)
    assert (explain(heard), exit_status(heard)) == (explain(error), exit_status(error))


def test_notes_go_along() -> None:
    error = RequestError("no")
    error.add_note("because")

    assert sent(error).__notes__ == ["because"]


def test_an_error_that_names_what_is_no_text_is_told_all_the_same() -> None:
    error = NotFoundError("file", "caf\udce9")
    error.add_note("also: \udcff")

    heard = sent(error)

    assert "caf\ufffd" in str(heard)
    assert vars(heard)["name"] == "caf\ufffd"
    assert heard.__notes__ == ["also: \ufffd"]


def test_an_error_of_one_module_arrives_as_its_base() -> None:
    assert type(sent(ForbiddenError("not you"))) is RequestError


@pytest.mark.parametrize("kind", ["NewestError", "Side", "Iterable", "OutOfOrderError"])
def test_what_is_no_error_here_is_a_plain_one(kind: str) -> None:
    heard = wire.error_of(wire.ErrorDocument(kind, "something new"))

    assert (type(heard), str(heard)) == (HeadwayError, "something new")


def test_an_error_with_a_fact_that_is_new_is_a_plain_one() -> None:
    heard = wire.error_of(
        wire.ErrorDocument("UnreachableError", "gone", {"endpoint": "ghcr.io", "fault": "a newer one"})
    )

    assert (type(heard), str(heard)) == (HeadwayError, "gone")


def test_events_arrive_as_they_were_and_new_kinds_of_them_are_left_out() -> None:
    event = Notice("edge:1", "it goes on")
    line = wire.decode(wire.EventLine.of(event).encode(), wire.EventLine)

    assert line.decoded((PullStarted, Notice)) == event
    assert line.decoded((PullStarted,)) is None
    with pytest.raises(RequestError, match="no more"):
        wire.EventLine(error=RequestError("no more")).decoded((Notice,))


@pytest.mark.parametrize(
    "value",
    [
        Reference.parse("ghcr.io/acme/edge:2.1"),
        Platform.parse("linux/arm64"),
        KeptMount(target=Path("/mnt"), image_id=None, chain_id=None, driver="vfs"),
    ],
)
def test_a_value_arrives_as_it_was(value: object) -> None:
    assert wire.decode(wire.encode(value), type(value)) == value


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (b'{"name":"a","directory":"/x\\u0000y"}', MountRequest),
        (b'{"wishes":[{"reference":"a:1"}],"logins":[]}', PlanRequest),
    ],
)
def test_what_nobody_can_do_is_refused_where_it_is_read(document: bytes, kind: type) -> None:
    with pytest.raises(msgspec.ValidationError):
        wire.decode(document, kind)


def test_a_digest_stays_a_digest() -> None:
    digest = Digest.of(b"")

    assert type(wire.decode(wire.encode([digest]), list[Digest])[0]) is Digest
