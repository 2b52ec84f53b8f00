"""Images of other tools, pulled from a real registry, come out as umoci unpacks them: entry by entry.

The command line is what pulls and unpacks, as users do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headway.composition.reading import reading
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.service.images.lookup import Lookup
from headway.service.stores import Records
from headway.settings import Settings
from tests.fakes.buildah import Buildah
from tests.fakes.cli import Cli
from tests.fakes.nobody import UID, home_of_nobody
from tests.fakes.servers import DockerRegistry, skopeo
from tests.fakes.trees import differences, look
from tests.fakes.umoci import run, umoci_image


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """umoci's layout with every kind of file and change, beside `tree`, what umoci makes of it."""
    directory = tmp_path_factory.mktemp("everything")
    layout = umoci_image(directory)
    run("umoci", "raw", "unpack", "--image", f"{layout}:latest", directory / "tree")
    return layout


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    builder = Buildah(tmp_path_factory.mktemp("buildah"))
    builder.build("built")
    return builder


@pytest.fixture
def headway(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "root")


def as_it_is(layout: Path, name: str, _: Path) -> None:
    skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}:latest", f"docker://{name}")


def as_schema_2(layout: Path, name: str, _: Path) -> None:
    skopeo("copy", "--format=v2s2", "--dest-tls-verify=false", f"oci:{layout}:latest", f"docker://{name}")


def as_zstd(layout: Path, name: str, scratch: Path) -> None:
    # skopeo compresses only what is not compressed yet.
    skopeo("copy", "--dest-decompress", f"oci:{layout}:latest", f"dir:{scratch}/dir")
    zstd = ["--format=oci", "--dest-compress-format=zstd", "--dest-tls-verify=false"]
    skopeo("copy", *zstd, f"dir:{scratch}/dir", f"docker://{name}")


def as_index(layout: Path, name: str, scratch: Path) -> None:
    other = scratch / "other"
    run("umoci", "init", "--layout", other)
    run("umoci", "new", "--image", f"{other}:latest")
    builder = Buildah(scratch / "buildah")
    builder.index("all", f"{layout}:latest", f"{other}:latest")
    builder.push_index("all", name)


FORMS: dict[str, Callable[[Path, str, Path], None]] = {
    "oci": as_it_is,
    "schema-2": as_schema_2,
    "zstd": as_zstd,
    "index": as_index,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_file_and_change_comes_out_as_umoci_has_it(
    everything: Path, registry: DockerRegistry, headway: Cli, tmp_path: Path, form: str
) -> None:
    name = f"{registry.host}/everything/{form}:latest"
    FORMS[form](everything, name, tmp_path)

    pulled = headway("pull", name)
    unpacked = headway("unpack", name, tmp_path / "tree")

    assert (pulled.returncode, unpacked.returncode, unpacked.stderr) == (0, 0, "")
    assert differences(tmp_path / "tree", everything.parent / "tree") == {}


@pytest.mark.parametrize("media", ["docker", "oci"])
def test_a_built_image_comes_out_as_umoci_has_it(
    buildah: Buildah, registry: DockerRegistry, headway: Cli, tmp_path: Path, media: str
) -> None:
    name = f"{registry.host}/built/{media}:latest"
    buildah.push("built", name, media)
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path}/layout:latest")
    run("umoci", "raw", "unpack", "--image", f"{tmp_path}/layout:latest", tmp_path / "umoci")

    pulled = headway("pull", name)
    unpacked = headway("unpack", name, tmp_path / "tree")

    assert (pulled.returncode, unpacked.returncode, unpacked.stderr) == (0, 0, "")
    assert differences(tmp_path / "tree", tmp_path / "umoci") == {}


def test_runc_runs_the_bundle_of_a_built_image(
    buildah: Buildah, registry: DockerRegistry, headway: Cli, tmp_path: Path
) -> None:
    name = f"{registry.host}/built/to-run:latest"
    buildah.push("built", name)
    headway("pull", name)

    bundled = headway("bundle", name, tmp_path / "bundle")
    said = run("runc", "--root", tmp_path / "runc", "run", "--bundle", tmp_path / "bundle", "headway-built")

    assert bundled.returncode == 0
    assert said == "hello world from /moved as 12:34\n"


def test_the_overlay_mount_of_an_image_shows_what_unpack_writes(
    everything: Path, registry: DockerRegistry, headway: Cli, tmp_path: Path
) -> None:
    name = f"{registry.host}/everything/to-mount:latest"
    as_it_is(everything, name, tmp_path)
    headway("pull", name)
    headway("unpack", name, tmp_path / "tree")

    with reading(Settings(data_root=headway.data_root)) as records, mounted(records, name, tmp_path / "mount") as mount:
        different = differences(mount, tmp_path / "tree")

    # The mount's own directory is the driver's: its time is that of the topmost tree, or of mounting.
    assert set(different) <= {".: mtime"}


@contextmanager
def mounted(records: Records, name: str, target: Path) -> Iterator[Path]:
    target.mkdir()
    driver = Overlay2Driver()
    driver.mount(records.layers.trees(Lookup(records).find(name).chain_id), target)
    try:
        yield target
    finally:
        driver.unmount(target)


def test_a_user_who_is_not_root_gets_what_such_a_user_can_have_and_is_told_the_rest(
    everything: Path, registry: DockerRegistry, tmp_path: Path
) -> None:
    name = f"{registry.host}/everything/rootless:latest"
    as_it_is(everything, name, tmp_path)

    with home_of_nobody() as home:
        headway = Cli(home / "root", uid=UID)
        pulled = headway("pull", name)
        unpacked = headway("unpack", name, home / "tree")
        different = differences(home / "tree", everything.parent / "tree")

    assert (pulled.returncode, unpacked.returncode) == (0, 0)
    assert unpacked.stderr.splitlines() == [
        "headway: not set: owner of 4 entries (links/absolute, links/one, shared/far, ...)",
        "headway: not set: device of 2 entries (dev/loop, dev/null)",
        "headway: not set: extended attribute of 2 entries (bin/capable, posix/attributes)",
    ]
    assert {what for what in different if not what.endswith(": owner")} == {
        "bin/capable: xattrs",
        "posix/attributes: xattrs",
        *(f"dev/{node}: {field}" for node in ("loop", "null") for field in look_fields(everything.parent / "tree")),
    }


def look_fields(tree: Path) -> set[str]:
    """Return what is compared of an entry, but for its owner."""
    return set(look(tree)["."]) - {"owner"}


def test_a_user_who_is_not_root_can_remove_everything(
    everything: Path, registry: DockerRegistry, tmp_path: Path
) -> None:
    name = f"{registry.host}/everything/to-remove:latest"
    as_it_is(everything, name, tmp_path)

    with home_of_nobody() as home:
        headway = Cli(home / "root", uid=UID)
        headway("pull", name)
        removed = headway("rmi", name)
        left = sorted(str(path.relative_to(home / "root")) for path in (home / "root").rglob("*"))

    assert (removed.returncode, removed.stderr) == (0, "")
    made = [
        "blobs",
        "blobs/sha256",
        "blobs/sha384",
        "blobs/sha512",
        "headway.db",
        "ingest",
        "lock",
        "mounts",
        "recipes",
        "records.log",
        "reserve",
        "rw",
        "tmp",
    ]
    assert left == [*made, "trees"]
