"""What pulls and pushes say as lines, for logs and pipes."""

from __future__ import annotations

from io import StringIO

import pytest

from headway.cli.progress import PlainView
from headway.cli.push_progress import PlainPush
from headway.service.progress import Waiting


@pytest.mark.parametrize("view_of", [PlainView, PlainPush])
def test_a_wait_is_a_line_and_not_one_for_each_second(view_of: type[PlainView | PlainPush]) -> None:
    stream = StringIO()
    view = view_of(stream)
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
