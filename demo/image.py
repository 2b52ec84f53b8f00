"""A real image, built on the spot from this machine's own Python."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from pathlib import Path

from headway.composition.host_platform import host_platform
from tests.fakes.images import File, Image, image

LAYER_BYTES = 28_000_000
"""Uncompressed bytes per layer at the most: the whole stays near 24 MB as blobs."""

_SUFFIXES = {".py", ".so", ".txt", ".pem", ".cfg", ".toml", ".json", ".c", ".h", ".a"}


def build_image() -> tuple[Image, dict[str, str]]:
    """Return an image of three layers, and the sha256 of every file in it by path."""
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    modules = _files(stdlib, "usr/lib/python", lambda path: path.suffix in _SUFFIXES and "test" not in path.parts)
    tests = _files(stdlib / "test", "usr/lib/python/test", lambda path: path.suffix in _SUFFIXES)
    interpreter = Path(sys.executable).resolve()
    program = {"usr/bin/python3": File(interpreter.read_bytes(), 0o755), "app/hello.py": File(b"print('hello')\n")}
    layers = [program, modules, tests or _files(stdlib / "encodings", "srv", lambda path: path.is_file())]
    expected = {name: hashlib.sha256(file.content).hexdigest() for layer in layers for name, file in layer.items()}
    return image(layers=layers, tag="3", platforms=[str(host_platform())]), expected


def _files(root: Path, prefix: str, wanted: object) -> dict[str, File]:
    assert callable(wanted)
    found: dict[str, File] = {}
    total = 0
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        if not path.is_file() or path.is_symlink() or "site-packages" in path.parts or not wanted(path):
            continue
        content = path.read_bytes()
        if total + len(content) > LAYER_BYTES:
            continue
        total += len(content)
        found[f"{prefix}/{path.relative_to(root)}"] = File(content, 0o755 if path.suffix == ".so" else 0o644)
    return found


def compare_tree(tree: Path, expected: dict[str, str]) -> str:
    """Return what differs between a directory and what was built; nothing where all is well."""
    found = {
        str(path.relative_to(tree)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tree.rglob("*")
        if path.is_file()
    }
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            return f"{name} differs"
    return ""
