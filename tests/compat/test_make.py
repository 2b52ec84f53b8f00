"""`make` as a stranger finds it: a fresh clone, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("home", "said"), [("home", ""), ("nonexistent", "true"), (None, "true")])
def test_who_has_no_home_is_set_up_without_a_cache(tmp_path: Path, home: str | None, said: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "uv.lock", "home/.profile", ".venv/bin/python", ".venv/bin/uv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('#!/bin/sh\necho "${UV_NO_CACHE-}" >said\n')
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": os.environ["PATH"]} | ({} if home is None else {"HOME": str(tmp_path / home)})

    subprocess.run(["make", "--silent", "install", "PYTHON=true"], cwd=tmp_path, env=environment, check=True)

    assert (tmp_path / "said").read_text().strip() == said
