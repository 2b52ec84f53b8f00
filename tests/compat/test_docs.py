"""What the documents show really runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[2]


def test_the_image_service_is_built_from_fakes_as_the_page_says() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (HOME / "docs/image-service.md").read_text(), re.S)

    command = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=60, check=False)

    assert done.stderr == ""
    assert "['hello:1', 'registry.test/test/image:latest']" in done.stdout
    assert "[('Untagged', 'hello:1')]" in done.stdout
    assert len(example.split("async def main")[1].splitlines()) <= 12
