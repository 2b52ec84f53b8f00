"""What `make bench-outbound` is asked for."""

import pytest

from bench.outbound.__main__ import main
from bench.outbound.tasks import TASKS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "nothing"], f"there is no 'nothing'; there are: {TASKS[0].name}; "),
        (["--rounds", "0"], "there is nothing to measure in 0 rounds"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_can(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)

    assert caught.value.code == 2
    assert said in capsys.readouterr().err
