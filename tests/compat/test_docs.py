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


def test_what_the_documents_name_as_proof_is_there() -> None:
    tests = {path.name: path.read_text() for path in (HOME / "tests").rglob("*.py")}
    checks = "\n".join(path.read_text() for path in (HOME / "tests/prove").glob("*.py"))
    missing = []
    for page in (HOME / "README.md", HOME / "CHANGELOG.md", *(HOME / "docs").rglob("*.md")):
        text = page.read_text()
        missing += [
            f"{page.name}: {path}"
            for path in re.findall(r"`(tests/[\w/.]+)`", text)
            if not (HOME / path.rstrip("/")).exists()
        ]
        missing += [f"{page.name}: {name}" for name in re.findall(r"`(test_\w+\.py)`", text) if name not in tests]
        missing += [
            f"{page.name}: {name}"
            for name in re.findall(r"`(test_\w+)`", text)
            if not any(f"def {name}(" in source for source in tests.values())
        ]
        missing += [
            f"{page.name}: make prove ONLY={name}"
            for name in re.findall(r"make prove ONLY=([\w-]+)", text)
            if f'"{name}"' not in checks
        ]

    assert missing == []
