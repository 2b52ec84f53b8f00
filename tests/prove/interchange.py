"""Archives and images between Headway and the engines that people come from and go to."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile  # noqa: TID251 - another implementation
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Uncounted
from bench.peers import containerd
from tests.fakes.cli import Cli
from tests.fakes.docker import Docker, docker
from tests.fakes.makers import layout_of
from tests.fakes.nasty import make_nasty
from tests.fakes.servers import DockerRegistry, docker_registry, skopeo
from tests.fakes.trees import differences
from tests.fakes.umoci import run
from tests.prove.scene import run as run_headway
from tests.prove.sheet import Sheet, check

NAMES = ("test/nasty:1", "test/second:1")


@check(
    "interchange",
    "dockerd, podman and containerd load what Headway saves, Headway loads what they save, and every entry and digest "
    "comes over; images adopted from Docker cost no layer byte when they are pulled afterwards.",
    needs_root=True,
)
def interchange(sheet: Sheet) -> None:
    """Hand images round; needs dockerd, podman and containerd."""
    place = sheet.place
    with docker_registry(place / "registry") as registry:
        names = _published(place, registry)
        ours, kept = Headway(place / "ours"), Headway(place / "kept")
        for headway, retain in ((ours, False), (kept, True)):
            headway("pull", "--config-file", _settings(place, retain=retain), *names)
            headway("save", "-o", _saved(headway), *names)
        _as_the_registry_has_it(sheet, kept, names, registry)
        with docker(place / "d") as run_docker:
            _through_docker(sheet, ours, kept, names, run_docker)
            _piped(sheet, names, run_docker)
            _adopted(sheet, names, run_docker)
        _through_podman(sheet, ours, kept, names)
        _through_containerd(sheet, ours, kept, names)


class Headway:
    """The command on a data root of its own, which must do what it is told."""

    def __init__(self, place: Path) -> None:
        self.cli = Cli(place)

    def __call__(self, *words: str | Path) -> str:
        """Run it and return what it printed."""
        said = run_headway(self.cli, *words)
        assert not said.problem, said.problem
        return said.stdout

    def image(self, name: str) -> dict[str, object]:
        """Return what it knows of an image."""
        found: dict[str, object] = json.loads(self("inspect", name))[0]
        return found

    def id_of(self, name: str) -> str:
        """Return an image's ID."""
        return str(self.image(name)["Id"])


def _published(place: Path, registry: DockerRegistry) -> list[str]:
    """Put an image with files of every kind into a registry, and a second one on top of it.

    Not umoci's of the tests: dockerd 20.10 refuses whiteouts below what became a file in the same layer.
    """
    for name in ("files", "made"):
        (place / name).mkdir()
    make_nasty(place / "files", long_names=True)
    run("tar", "--xattrs", "--xattrs-include=*", "-cf", place / "files.tar", "-C", place / "files", ".")
    made = layout_of(place / "made", (place / "files.tar").read_bytes())
    (place / "file").write_bytes(b"second" * 20_000)
    run("umoci", "insert", "--image", f"{made}:latest", "--tag", "second", place / "file", "/second")
    names = [f"{registry.host}/{name}" for name in NAMES]
    for tag, name in zip(("latest", "second"), names, strict=True):
        skopeo("copy", "--dest-tls-verify=false", f"oci:{made}:{tag}", f"docker://{name}")
    return names


def _settings(place: Path, *, retain: bool) -> Path:
    path = place / f"daemon-{retain}.json"
    path.write_text(json.dumps({"record-recipes": True, "retain-layer-blobs": retain}))
    return path


def _saved(headway: Headway) -> Path:
    """Return the archive that was saved from a data root."""
    return headway.cli.data_root.with_suffix(".tar")


def _as_the_registry_has_it(sheet: Sheet, kept: Headway, names: list[str], registry: DockerRegistry) -> None:
    """Compare an archive of retained blobs with what lies in the registry's storage."""
    missing = []
    with tarfile.open(_saved(kept)) as archive:
        found = set(archive.getnames())
    for name in names:
        raw = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{name}").encode()
        manifest = json.loads(raw)
        wanted = [f"sha256:{hashlib.sha256(raw).hexdigest()}", manifest["config"]["digest"]]
        wanted += [layer["digest"] for layer in manifest["layers"]]
        missing += [digest for digest in wanted if f"blobs/{digest.replace(':', '/')}" not in found]
    sheet.right("retained: the registry's digests in the archive", ", ".join(missing))


def _through_docker(sheet: Sheet, ours: Headway, kept: Headway, names: list[str], run_docker: Docker) -> None:
    for what, headway in (("retained", kept), ("tars", ours)):
        run_docker("load", "-i", _saved(headway))
        ids = [run_docker("image", "inspect", "-f", "{{.Id}}", name).strip() for name in names]
        sheet.right(f"dockerd: the images by their IDs, {what}", _other(ids, [ours.id_of(name) for name in names]))
        run_docker("save", "-o", sheet.place / "dockers.tar", *names)
        run_docker("rmi", *names)
    _come_back(sheet, "dockerd", ours, names, sheet.place / "dockers.tar")


def _piped(sheet: Sheet, names: list[str], run_docker: Docker) -> None:
    """Do what the documentation says, as it is typed: everything that Docker has, by IDs; then pull the same tags."""
    for name in names:
        run_docker("pull", name)
    headway, docker_place, bin_place = Headway(sheet.place / "piped"), sheet.place / "d", sheet.place / "bin"
    bin_place.mkdir()
    command = bin_place / "headway"
    root = headway.cli.data_root
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m headway --data-root {root} "$@"\n')
    command.chmod(0o755)
    environment = {
        "PATH": f"{bin_place}:{os.environ['PATH']}",
        "DOCKER_HOST": f"unix://{docker_place}/docker.sock",
        "DOCKER_CONFIG": f"{docker_place}/client",
    }
    typed = "docker save $(docker images -q) | headway load"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", typed],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    sheet.right(typed, "" if done.returncode == 0 else done.stderr)
    log = sheet.place / "registry" / "registry.log"
    asked = log.read_text().count("/blobs/")
    headway("pull", *names)
    sheet.at_most("piped: blobs asked for by a pull", log.read_text().count("/blobs/") - asked, 0, decimals=0)


def _adopted(sheet: Sheet, names: list[str], run_docker: Docker) -> None:
    """Let Docker pull what Headway adopts from it, and Headway pull the same names afterwards."""
    for name in names:
        run_docker("pull", name)
    headway = Headway(sheet.place / "adopted")
    headway("adopt", "docker", "--host", f"unix://{sheet.place}/d/docker.sock")
    digests = {name: headway.image(name)["RepoDigests"] for name in names}
    theirs = {name: json.loads(run_docker("image", "inspect", "-f", "{{json .RepoDigests}}", name)) for name in names}
    sheet.right("adopted: the digests that Docker knew", "" if digests == theirs else f"{digests} for {theirs}")
    log = sheet.place / "registry" / "registry.log"
    asked = log.read_text().count("/blobs/")
    headway("pull", *names)
    sheet.at_most("adopted: blobs asked for by a pull", log.read_text().count("/blobs/") - asked, 0, decimals=0)
    before = sum(_size(path) for path in (sheet.place / "adopted" / "trees").iterdir())
    headway("adopt", "docker", "--host", f"unix://{sheet.place}/d/docker.sock", names[0])
    after = sum(_size(path) for path in (sheet.place / "adopted" / "trees").iterdir())
    sheet.at_most("adopted again: bytes of new layers", after - before, 0, decimals=0)


def _through_podman(sheet: Sheet, ours: Headway, kept: Headway, names: list[str]) -> None:
    store: list[str | Path] = [
        "--root",
        sheet.place / "p" / "storage",
        "--runroot",
        sheet.place / "p" / "run",
        "--storage-driver",
        "vfs",
    ]

    def podman(*words: str | Path) -> str:
        return run("podman", *store, *words)

    for what, headway in (("retained", kept), ("tars", ours)):
        podman("load", "-i", _saved(headway))
        ids = ["sha256:" + podman("image", "inspect", "-f", "{{.Id}}", name).strip() for name in names]
        sheet.right(f"podman: the images by their IDs, {what}", _other(ids, [ours.id_of(name) for name in names]))
    # What podman writes has configs that it wrote anew: other IDs, the same layers.
    podman("save", "--format", "oci-archive", "-o", sheet.place / "podmans-oci.tar", names[1])
    _come_back(sheet, "podman, oci-archive", ours, names[1:], sheet.place / "podmans-oci.tar", keeps_ids=False)
    podman("save", "--format", "docker-archive", "-m", "-o", sheet.place / "podmans.tar", *names)
    _come_back(sheet, "podman, docker-archive", ours, names, sheet.place / "podmans.tar", keeps_ids=False)


def _through_containerd(sheet: Sheet, ours: Headway, kept: Headway, names: list[str]) -> None:
    place = sheet.place / "c"
    place.mkdir()
    with containerd(place, Uncounted(), root=place / "root") as address:

        def ctr(*words: str | Path) -> str:
            return run("ctr", "-a", address, *words)

        for what, headway in (("retained", kept), ("tars", ours)):
            ctr("images", "import", _saved(headway))
            listed = ctr("images", "list", "-q").split()
            sheet.right(f"containerd: the images by their names, {what}", _other(listed, sorted(names)))
            ctr("images", "export", sheet.place / f"containerds-{what}.tar", *names)
            ctr("images", "remove", *names)
    for what in ("retained", "tars"):
        _come_back(sheet, f"containerd, {what}", ours, names, sheet.place / f"containerds-{what}.tar")


def _come_back(
    sheet: Sheet, engine: str, ours: Headway, names: list[str], archive: Path, *, keeps_ids: bool = True
) -> None:
    """Load what an engine saved into an empty store, and compare images and files."""
    fresh = Headway(sheet.place / f"from-{archive.stem}")
    fresh("load", "-i", archive)
    if keeps_ids:
        ids = [fresh.id_of(name) for name in names]
        sheet.right(f"{engine}: they come back by their IDs", _other(ids, [ours.id_of(name) for name in names]))
    for name in names:
        ours("unpack", name, sheet.place / "a")
        fresh("unpack", name, sheet.place / "b")
        found = differences(sheet.place / "b", sheet.place / "a")
        what = name.rpartition("/")[2]
        sheet.right(f"{engine}: every entry of {what}", "; ".join(f"{each}: {pair}" for each, pair in found.items()))
        run("rm", "-r", sheet.place / "a", sheet.place / "b")


def _other(found: Sequence[str], wanted: Sequence[str]) -> str:
    return "" if list(found) == list(wanted) else f"{found} for {wanted}"


def _size(tree: Path) -> int:
    return sum(path.lstat().st_size for path in tree.rglob("*"))
