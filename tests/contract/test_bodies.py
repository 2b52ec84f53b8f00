"""The content of large files."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from headway.layers.unpacking.bodies import STEP, write


@pytest.mark.parametrize("length", [STEP - 1, STEP, 2 * STEP + 1])
def test_a_file_of_any_size_is_written_whole_behind_what_is_there(tmp_path: Path, length: int) -> None:
    content = random.Random(length).randbytes(length)
    pieces = [memoryview(content)[start : start + (1 << 18)] for start in range(0, length, 1 << 18)]
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"before")

    write(descriptor, pieces)
    os.close(descriptor)

    assert (tmp_path / "file").read_bytes() == b"before" + content
