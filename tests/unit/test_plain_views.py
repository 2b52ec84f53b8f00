"""What pulls and pushes say as lines, for logs and pipes."""

from __future__ import annotations

from io import StringIO

from headway.cli.progress import PlainView
from headway.cli.sentences import describe_receipt
from headway.errors import Fault, ThrottledError, UnreachableError
from headway.service.transfers.progress import Receipt, Waiting


def test_a_wait_is_a_line_and_not_one_for_each_second() -> None:
    stream = StringIO()
    view = PlainView(stream)
    for cause, *seconds in (("no route", 4.1, 3.1, 2.1, 1.1, 0.1), ("no route", 2.2, 1.2, 0.2), ("cut", 1.1, 0.1)):
        for left in seconds:
            view.report(Waiting("edge:1", cause, left))
            view.report(Waiting("other:1", "refused", 60.0 + left))

    lines = [line.partition("; nothing is lost; next try in ") for line in stream.getvalue().splitlines()]
    waits = [(cause.removeprefix("waiting for the link: "), left) for cause, _, left in lines]
    assert [wait for wait in waits if wait[0] != "refused"] == [
        ("no route", "4.1 s"),
        ("no route", "2.2 s"),
        ("cut", "1.1 s"),
    ]
    assert len(waits) == 6


def test_a_receipt_counts_retries_in_words_that_stand_behind_a_number() -> None:
    faults = [UnreachableError("r", fault).brief for fault in (Fault.CUT, Fault.NO_ROUTE, Fault.STALLED)]
    counted = dict(zip([*faults, ThrottledError("r", None).brief], (3, 1, 8, 2), strict=True))

    line = describe_receipt(Receipt(needed=10, received=10, here=0, retries=counted, seconds=2.0))

    assert "   retries 14 (3 cut, 1 no route, 8 silent, 2 too many requests)   " in line
    assert "   retries 0   " in describe_receipt(Receipt(needed=10, received=10, here=0, retries={}, seconds=2.0))
