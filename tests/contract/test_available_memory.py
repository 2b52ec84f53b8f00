"""What a control group leaves a process of the machine's memory, by the files that the kernel shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headway.layers.available_memory import available_memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MIB = 1 << 20


def seen(root: Path, memberships: str, **limits: str) -> int:
    """Write what the kernel would show, and ask."""
    for path, limit in limits.items():
        file = root / path.replace("__", "/").replace("DOT", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    (root / "memberships").write_text(memberships)
    return available_memory(root / "memberships", root)


@pytest.mark.parametrize(
    ("memberships", "limits", "expected"),
    [
        ("0::/a/b\n", {"a__b__memoryDOTmax": f"{128 * MIB}", "a__memoryDOTmax": "max"}, 128 * MIB),
        ("0::/a/b\n", {"a__b__memoryDOTmax": "max", "a__memoryDOTmax": f"{64 * MIB}"}, 64 * MIB),
        ("3:cpu:/x\n4:memory:/x\n0::/\n", {"memory__x__memoryDOTlimit_in_bytes": f"{32 * MIB}"}, 32 * MIB),
        ("4:memory:/docker/1\n", {"memory__memoryDOTlimit_in_bytes": f"{32 * MIB}"}, 32 * MIB),
        ("4:memory:/x\n", {"memory__x__memoryDOTlimit_in_bytes": f"{2**63 - 4096}"}, MACHINE),
        ("0::/\n", {}, MACHINE),
    ],
    ids=["its own", "one above", "version 1", "in a container", "none in version 1", "none"],
)
def test_the_least_limit_counts(tmp_path: Path, memberships: str, limits: dict[str, str], expected: int) -> None:
    assert seen(tmp_path, memberships, **limits) == expected


def test_without_control_groups_all_of_the_machine_counts(tmp_path: Path) -> None:
    assert available_memory(tmp_path / "none", tmp_path) == MACHINE
