"""What is left when a benchmark is told to end, at once or twice."""

import signal
from collections.abc import Iterator

import pytest

from bench.endings import SIGNALS, STOPPED, ended
from bench.processes import BenchError


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_end_unwinds_and_a_second_one_does_not_interrupt_the_cleaning_up(number: signal.Signals) -> None:
    cleaned: list[str] = []

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            for again in SIGNALS:
                signal.raise_signal(again)
            cleaned.append("all")

    status = ended(work)

    assert (status, cleaned) == (STOPPED, ["all"])


def test_what_a_benchmark_cannot_do_is_one_sentence_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise BenchError("no room")

    status = ended(work)

    assert (status, capsys.readouterr().err) == (1, "bench: no room\n")


def test_work_that_is_done_has_status_0() -> None:
    assert ended(lambda: None) == 0
