"""Which events somebody asks for."""

from __future__ import annotations

import pytest

from headway.errors import InvalidTimeError
from headway.records import Event
from headway.service.events.event_query import EventQuery
from headway.service.queries.moments import SECOND

NOW = 1_800_000_000 * SECOND
ID = f"sha256:{'ab' * 32}"

TAG = Event(
    sequence=1,
    time_nano=5,
    type="image",
    action="tag",
    actor=ID,
    attributes={"name": "ghcr.io/acme/edge:2.1", "stage": "test"},
)
CREATE = Event(
    sequence=2,
    time_nano=6,
    type="container",
    action="create",
    actor="c0ffee" * 10,
    attributes={"image": "alpine:3", "name": "brave_otter"},
)
RELOAD = Event(sequence=3, time_nano=7, type="daemon", action="reload", actor="ABCD:EFGH", attributes={"name": "ship"})


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, [TAG, CREATE, RELOAD]),
        ({"type": ["image"]}, [TAG]),
        ({"type": ["image", "daemon"]}, [TAG, RELOAD]),
        ({"event": ["tag"]}, [TAG]),
        ({"event": ["ta"]}, []),
        ({"image": [ID]}, [TAG]),
        ({"image": ["ghcr.io/acme/edge:2.1"]}, [TAG]),
        ({"image": ["ghcr.io/acme/edge"]}, [TAG]),
        ({"image": ["ghcr.io/acme"]}, []),
        ({"image": ["alpine"]}, [CREATE]),
        ({"image": ["alpine:3"]}, [CREATE]),
        ({"container": ["c0ff"]}, [CREATE]),
        ({"container": ["brave"]}, [CREATE]),
        ({"daemon": ["ABCD"]}, [RELOAD]),
        ({"network": ["bridge"]}, []),
        ({"volume": ["data"], "type": ["container"]}, []),
        ({"service": ["brave"]}, [CREATE]),
        ({"label": ["stage=test"]}, [TAG]),
        ({"label": ["stage=prod"]}, []),
        ({"scope": ["local"]}, [TAG, CREATE, RELOAD]),
        ({"scope": ["swarm"]}, []),
        ({"type": ["image"], "event": ["create"]}, []),
        ({"nonsense": ["x"]}, [TAG, CREATE, RELOAD]),
    ],
)
def test_filters_let_through_what_docker_lets_through(filters: dict[str, list[str]], wanted: list[Event]) -> None:
    query = EventQuery(filters=filters)

    assert [event for event in (TAG, CREATE, RELOAD) if query.wants(event)] == wanted


def test_the_beginning_is_outside_and_the_end_inside() -> None:
    query = EventQuery(since=5, until=6)

    assert [event for event in (TAG, CREATE, RELOAD) if query.wants(event)] == [CREATE]


def test_a_query_is_spelled_by_texts() -> None:
    query = EventQuery.parse("10m", "1799999999.5", {"type": ["image"]}, now=NOW)

    assert query == EventQuery(NOW - 600 * SECOND, NOW - SECOND // 2, {"type": ["image"]})
    assert query.looks_back
    assert not EventQuery.parse("", "", {}, now=NOW).looks_back


def test_an_end_before_the_beginning_is_refused_in_dockers_words() -> None:
    with pytest.raises(InvalidTimeError, match=r"^`since` time \(20\) cannot be after `until` time \(10\)$"):
        EventQuery.parse("20", "10", {}, now=NOW)


def test_an_action_with_a_detail_is_matched_by_its_beginning() -> None:
    event = Event(sequence=1, time_nano=1, type="container", action="health_status: healthy", actor="c", attributes={})

    assert EventQuery(filters={"event": ["health_status"]}).wants(event)
    assert not EventQuery(filters={"event": ["health"]}).wants(event)
