"""Which of a host's addresses to try, and in which order."""

from __future__ import annotations

import pytest

from headway.distribution.addresses import AddressBook, race_order


@pytest.mark.parametrize(
    ("found", "good", "order"),
    [
        ([], [], []),
        (["192.0.2.1"], [], ["192.0.2.1"]),
        (["2001:db8::1", "2001:db8::2", "192.0.2.1"], [], ["2001:db8::1", "192.0.2.1", "2001:db8::2"]),
        (["192.0.2.1", "2001:db8::1"], ["2001:db8::1"], ["2001:db8::1", "192.0.2.1"]),
        (["192.0.2.1", "192.0.2.1"], [], ["192.0.2.1"]),
        (["192.0.2.2"], ["192.0.2.1"], ["192.0.2.2"]),
    ],
)
def test_what_worked_comes_first_and_then_the_families_take_turns(
    found: list[str], good: list[str], order: list[str]
) -> None:
    assert race_order(found, good) == order


def test_what_fell_silent_comes_last_and_the_latest_of_it_behind_the_rest() -> None:
    found, good = ["2001:db8::1", "192.0.2.1", "192.0.2.2"], ["192.0.2.2", "2001:db8::1"]
    subject = AddressBook()
    orders = [race_order(found, good, subject.silent("r"))]
    for address in ("192.0.2.2", "2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.9"):
        subject.fell_silent("r", address)
        orders.append(race_order(found, good, subject.silent("r")))

    assert [order[0] for order in orders] == [*good, "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::1"]
    assert race_order(found, good, subject.silent("another")) == ["192.0.2.2", "2001:db8::1", "192.0.2.1"]


def test_what_took_a_connection_is_remembered_the_latest_first() -> None:
    subject = AddressBook({"r": ["192.0.2.9"]})
    for last in "12123456":
        subject.connected("r", f"192.0.2.{last}")

    assert subject.good("r") == ("192.0.2.6", "192.0.2.5", "192.0.2.4", "192.0.2.3")
    assert subject.good("another") == ()


def test_only_what_is_new_is_given_to_be_kept_and_once() -> None:
    subject = AddressBook({"r": ["192.0.2.1"], "q": ["192.0.2.5"]})
    subject.connected("r", "192.0.2.1")
    unchanged = subject.take_new()
    subject.connected("r", "192.0.2.2")

    assert (unchanged, subject.take_new(), subject.take_new()) == ({}, {"r": ("192.0.2.2", "192.0.2.1")}, {})
