"""Layers of real software, made by the programs that people make them with."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bench.disk import unmount_below
from tests.fakes.buildah import Buildah
from tests.fakes.docker import docker
from tests.fakes.makers import MAKERS, Maker, layout_of
from tests.fakes.nasty import make_nasty
from tests.fakes.round_trip import compared
from tests.fakes.servers import docker_registry, skopeo
from tests.fakes.umoci import run
from tests.prove.sheet import Sheet, check

LAYERS = 10


@check(
    "makers",
    "Layers of debootstrap, apt, npm, pip, buildah, umoci, docker, podman, dpkg, GNU tar, bsdtar, busybox, "
    "zstd:chunked, eStargz and of odd padding: each tree is GNU tar's and umoci's, each tar comes back by its diff ID.",
    needs_root=True,
)
def makers(sheet: Sheet) -> None:
    """Make an image with each program and compare what comes of it; needs Debian's mirror, PyPI and npm's registry."""
    system = _debootstrap(sheet.place)
    layers = 0
    with docker_registry(sheet.place / "registry") as registry:
        for name, make in {**MAKERS, **_with_network(system)}.items():
            made, work = sheet.place / name, sheet.place / f"{name}-work"
            made.mkdir()
            work.mkdir()
            found = list(compared(make(made), registry, work))
            layers += sum(what.endswith(": the tar") for what, _ in found)
            problems = [f"{what}: {problem}" for what, problem in found if problem]
            sheet.right(f"{name}: {len(found)} comparisons", "; ".join(problems))
            for place in (made, work):
                unmount_below(place)
                shutil.rmtree(place)
    sheet.at_least("layers", layers, LAYERS)


def _with_network(system: Path) -> dict[str, Maker]:
    """Return makers of more than a test's own files; `system` is Debian's smallest system."""
    return {
        "debootstrap": lambda place: _of_tree(place, system),
        "apt": lambda place: _apt(place, system),
        "pip": _pip,
        "npm": _npm,
        "docker": _docker,
        "podman": _podman,
    }


def _debootstrap(place: Path) -> Path:
    run("debootstrap", "--variant=minbase", "bookworm", place / "system")
    return place / "system"


def _of_tree(place: Path, tree: Path) -> Path:
    """Return an image of a directory that GNU tar packed, as Debian's own images are made."""
    run("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-cf", place / "tar", "-C", tree, ".")
    return layout_of(place, (place / "tar").read_bytes())


def _apt(place: Path, system: Path) -> Path:
    """Let apt install something in a build, which changes dpkg's files and removes its lists again."""
    builder = Buildah(place / "buildah")
    base = _of_tree(place, system)
    context = place / "context"
    context.mkdir()
    (context / "Containerfile").write_text(
        f"FROM oci:{base}:latest\nRUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "
        "--no-install-recommends less libcap2-bin && rm -rf /var/lib/apt/lists/* && setcap cap_net_raw+ep /bin/less\n"
    )
    builder.build_in(context, "apt")
    builder.write("apt", place / "built")
    return place / "built"


def _pip(place: Path) -> Path:
    """Let buildah copy what pip installed, byte code included."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--target"]
    run(*pip, place / "site-packages", "rich", "pytest")
    builder = Buildah(place / "buildah")
    builder.copied(place / "site-packages", "copied")
    builder.write("copied", place / "layout")
    return place / "layout"


def _npm(place: Path) -> Path:
    """Let umoci insert what npm installed, with its many small files and links."""
    (place / "app").mkdir()
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", place / "app", "express", "typescript")
    name = f"{place / 'layout'}:latest"
    run("umoci", "init", "--layout", place / "layout")
    run("umoci", "new", "--image", name)
    run("umoci", "insert", "--image", name, place / "app", "/srv/app")
    return place / "layout"


def _docker(place: Path) -> Path:
    """Let dockerd import a tar, take files into a container, and save what it commits."""
    with docker(place) as run_docker:
        _container(place, run_docker)
        run_docker("save", "-o", place / "saved.tar", "made:committed")
    skopeo("copy", f"docker-archive:{place}/saved.tar", f"oci:{place}/layout:latest")
    return place / "layout"


def _podman(place: Path) -> Path:
    """Let podman do the same."""
    store: list[str | Path] = ["--root", place / "storage", "--runroot", place / "run", "--storage-driver", "overlay"]
    _container(place, lambda *words: run("podman", *store, *words))
    run("podman", *store, "save", "--format", "oci-archive", "-o", place / "saved.tar", "made:committed")
    skopeo("copy", f"oci-archive:{place}/saved.tar", f"oci:{place}/layout:latest")
    return place / "layout"


def _container(place: Path, engine: Callable[..., str]) -> None:
    """Import files that are hard to keep, and commit a container that changed some."""
    for name in ("first", "second"):
        (place / name).mkdir()
    make_nasty(place / "first", long_names=True)
    (place / "second" / "d").mkdir()
    (place / "second" / "d" / "new").write_bytes(b"new")
    (place / "second" / "f5").write_bytes(b"changed")
    (place / "second" / "f5").chmod(0o4711)
    run("tar", "--xattrs", "--xattrs-include=*", "-cf", place / "first.tar", "-C", place / "first", ".")
    engine("import", place / "first.tar", "made:imported")
    engine("create", "--name", "made", "made:imported", "/none")
    engine("cp", f"{place}/second/.", "made:/")
    engine("commit", "made", "made:committed")
