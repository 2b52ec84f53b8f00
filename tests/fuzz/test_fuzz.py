"""A few seconds of fuzzing, everything that fuzzing ever found, and whether it would find anything."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import campaign

SEED, SECONDS = 3, 8.0
ROOT = Path(__file__).parents[2]
EXAMINE = """\
import random, sys
from pathlib import Path
from tests.fuzz.examine import World, examine
world = World(Path(sys.argv[2]))
for seed in range(8):
    verdict = examine(Path(sys.argv[1]).read_bytes(), world, random.Random(seed))
    assert not verdict.problem, verdict.problem
"""


def test_a_few_seconds_of_blobs_find_nothing(tmp_path: Path) -> None:
    outcome = campaign.run(SEED, SECONDS, tmp_path, processes=2)

    assert outcome.finds == []
    assert outcome.executed > 100
    assert outcome.accepted > outcome.executed / 20


@pytest.mark.parametrize("found", sorted(path.name for path in campaign.CORPUS.iterdir()))
def test_what_was_found_once_stays_mended(tmp_path: Path, found: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXAMINE, campaign.CORPUS / found, tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip

    assert done.stderr == ""


def test_a_number_makes_the_same_blob_again() -> None:
    first, second = campaign.made(1, 5), campaign.made(1, 5)

    assert first[0] == second[0]
    assert first[1].random() == second[1].random()
    assert campaign.made(2, 5)[0] != first[0]
    assert isinstance(first[1], random.Random)


# --- the fuzzer itself: what it would not notice, it could not find ---

DYING = """\
import os, sys
sys.path.insert(0, os.getcwd())
from tests.fuzz import child
child.examine = lambda blob, world, rng: {}
child.main()
"""


@pytest.mark.parametrize(("fault", "said"), [("os.abort()", "Aborted"), ("os._exit(3)", "status 3")])
def test_a_child_that_dies_is_a_find_and_another_one_goes_on(tmp_path: Path, fault: str, said: str) -> None:
    program = tmp_path / "dying.py"
    program.write_text(DYING.format(fault))

    outcome = campaign.run(SEED, 1.5, tmp_path / "place", processes=1, program=[program])

    assert [find.number for find in outcome.finds][:2] == [0, 1]
    assert said in outcome.finds[0].problem


def test_a_child_that_hangs_is_a_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "HANG_SECONDS", 1.5)
    program = tmp_path / "hanging.py"
    program.write_text(DYING.format("__import__('time').sleep(100)"))

    outcome = campaign.run(SEED, 0.5, tmp_path / "place", processes=1, program=[program])

    assert [find.problem.splitlines()[0] for find in outcome.finds] == ["hangs with status -9"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("(world._canary / 'new').touch()", "outside"),
        ("(world._canary / 'file').write_text('dead!')", "outside"),
        ("open('relative', 'w')", "outside"),
        ("held.append(b'x' * (300 << 20))", "MiB of memory"),
        ("held.extend(os.open('/', os.O_RDONLY) for _ in range(50))", "descriptors left open"),
        ("1 / 0", "ZeroDivisionError"),
        ("open('/none/such')", "FileNotFoundError"),
    ],
)
def test_what_must_not_be_is_noticed(tmp_path: Path, fault: str, said: str) -> None:
    program = tmp_path / "faulty.py"
    program.write_text(FAULTY.format(fault))

    done = subprocess.run(
        [sys.executable, program, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True, timeout=100
    )

    assert said in done.stdout


FAULTY = """\
import os, random, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from tests.fuzz import examine
held = []
world = examine.World(Path(sys.argv[1]) / "place")
apply_layer = examine.apply_layer
def faulty(*arguments, **named):
    {}
    return apply_layer(*arguments, **named)
examine.apply_layer = faulty
print(examine.examine(bytes(1024), world, random.Random(1)).problem)
"""
