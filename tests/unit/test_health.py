"""Whom to ask last."""

from __future__ import annotations

from headway.distribution.health import Health


def order(subject: Health, now: float) -> list[str]:
    return subject.ordered(["mirror", "other", "registry"], "blob", host_of=str, now=now)


def test_who_has_failed_is_asked_last_for_a_time() -> None:
    subject = Health()
    subject.failed("mirror", "blob", now=0.0)

    assert order(subject, 59.0) == ["other", "registry", "mirror"]
    assert order(subject, 60.0) == ["mirror", "other", "registry"]


def test_the_time_grows_with_each_failure_up_to_a_quarter_of_an_hour() -> None:
    subject, now, times = Health(), 0.0, []
    for _ in range(6):
        subject.failed("mirror", "blob", now=now)
        healthy = next(t for t in range(2000) if not subject.is_sick("mirror", "blob", now=now + t))
        times.append(healthy)
        now += healthy

    assert times == [60, 120, 240, 480, 900, 900]


def test_failures_at_the_same_time_count_once() -> None:
    subject = Health()
    for now in (0.0, 0.1, 4.0):
        subject.failed("mirror", "blob", now=now)

    assert not subject.is_sick("mirror", "blob", now=60.0)


def test_a_success_clears_it() -> None:
    subject = Health()
    subject.failed("mirror", "blob", now=0.0)
    subject.worked("mirror", "blob")

    assert order(subject, 1.0)[0] == "mirror"


def test_a_mirror_that_answers_for_manifests_may_still_be_sick_for_blobs() -> None:
    subject = Health()
    subject.failed("mirror", "blob", now=0.0)
    subject.worked("mirror", "manifest")

    assert subject.is_sick("mirror", "blob", now=1.0)
    assert not subject.is_sick("mirror", "manifest", now=1.0)


def test_where_all_have_failed_the_order_stays() -> None:
    subject = Health()
    for host in ("registry", "other", "mirror"):
        subject.failed(host, "blob", now=0.0)

    assert order(subject, 1.0) == ["mirror", "other", "registry"]


def test_a_mirror_may_stay_ill_for_weeks() -> None:
    subject = Health()
    for failure in range(2000):
        subject.failed("mirror", "blob", now=failure * 900.0)

    assert subject.is_sick("mirror", "blob", now=2000 * 900.0 - 1.0)
    assert not subject.is_sick("mirror", "blob", now=2000 * 900.0)
