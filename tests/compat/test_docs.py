"""What the documents show really runs."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
MOBYS = "daemon/images"
"""A folder of Moby's, which a comment names."""


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


def test_what_the_documents_lead_to_is_there() -> None:
    pages = [path for path in HOME.rglob("*.md") if not {".venv", "work", "node_modules"} & set(path.parts)]
    missing = []
    for page in pages:
        for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text()):
            file, _, anchor = target.partition("#")
            there = page.parent / file if file else page
            if not there.exists() or (anchor and anchor not in anchors(there.read_text())):
                missing.append(f"{page.relative_to(HOME)}: {target}")

    assert missing == []


def anchors(text: str) -> set[str]:
    """Return what a page's headings are reached by."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_map_names_only_rooms_that_are_there() -> None:
    page = (HOME / "docs/architecture.md").read_text()
    rooms = page.split("## The rooms")[1].split("### The room for a change")[0]
    source = HOME / "src/headway"
    there = {path.stem for path in source.rglob("*.py")} | {path.name for path in source.rglob("*") if path.is_dir()}

    assert set(re.findall(r"`([a-z0-9_]+)`", rooms)) <= there
    assert folders_of(rooms.split("### ")[0]) == folders_in(source)


@pytest.mark.parametrize(("folder", "part"), [("distribution", "Decisions"), ("registry", "Talking to registries")])
def test_the_map_has_every_module_of_a_room(folder: str, part: str) -> None:
    named = re.findall(r"`([a-z0-9_]+)`", section(part))

    assert modules_in(HOME / "src/headway" / folder) - set(named) == set()


@pytest.mark.parametrize(
    ("room", "part"), [("service", "Services"), ("layers", "Files of a layer"), ("store", "The store")]
)
def test_the_map_has_every_module_of_a_large_room_in_its_folder(room: str, part: str) -> None:
    source, named = HOME / "src/headway" / room, dict[str, set[str]]()
    for folder, modules in re.findall(r"^\| (?:`([a-z_]+)/`)? ?\| [^|]+ \| ([^|]+) \|$", section(part), re.M):
        named.setdefault(folder, set()).update(re.findall(r"`([a-z0-9_]+)`", modules))
    there = {folder: modules_in(source / folder) for folder in ["", *folders_in(source)]}

    assert named == there
    assert [folder for folder in named if folder] == [
        folder for folder in checked_order(f"headway.{room}") if folder in there
    ]


def section(heading: str) -> str:
    """Return what stands below a heading of the map."""
    return (HOME / "docs/architecture.md").read_text().split(f"### {heading}\n")[1].split("\n### ")[0]


def folders_of(table: str) -> set[str]:
    """Return the folders that have a line in a table."""
    return set(re.findall(r"^\| `([a-z_]+)/`", table, re.M))


def folders_in(directory: Path) -> set[str]:
    """Return the packages in a directory."""
    return {path.name for path in directory.iterdir() if (path / "__init__.py").exists()}


def modules_in(directory: Path) -> set[str]:
    """Return the modules in a directory itself."""
    return {path.stem for path in directory.glob("*.py")} - {"__init__"}


def checked_order(container: str) -> list[str]:
    """Return the parts of a room from the top of its imports to the bottom, as `make check` holds them."""
    contracts = tomllib.loads((HOME / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each.get("containers") == [container])
    return [part for layer in layers for part in layer.split(" | ")]


def test_the_map_has_the_layers_that_are_checked() -> None:
    page = (HOME / "docs/architecture.md").read_text()
    contract = tomllib.loads((HOME / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    drawn = page.split("Imports point down this list only:")[1].split("```")[1]

    assert " ".join(drawn.split()).split(" → ") == [layer.replace("headway.", "") for layer in contract["layers"]]


def test_what_the_sources_refer_to_by_its_path_is_there() -> None:
    source = HOME / "src/headway"
    rooms = {path.stem for path in source.iterdir()}
    named = {
        (name, str(path.relative_to(source)))
        for path in source.rglob("*.py")
        for name in re.findall(r"`(?:headway\.)?([a-z_]+(?:\.\w+)+)`", path.read_text())
        if name.partition(".")[0] in rooms
    }

    missing = [(name, path) for name, path in sorted(named) if not _is_there(f"headway.{name}")]

    assert len(named) > 50
    assert missing == []


def _is_there(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True
