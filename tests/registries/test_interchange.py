"""Archives between Headway and skopeo, umoci and buildah: every entry and every digest comes over."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.fakes.buildah import Buildah
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.fakes.servers import skopeo
from tests.fakes.trees import differences
from tests.fakes.umoci import run, umoci_image

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away and makes devices: run it as root")

NAME = "docker.io/test/nasty:1"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image ``latest``, with every kind of file and change."""
    return umoci_image(tmp_path_factory.mktemp("umoci"))


@pytest.fixture(scope="module")
def umocis(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its root file system, as umoci unpacks it."""
    target = tmp_path_factory.mktemp("unpacked") / "rootfs"
    run("umoci", "raw", "unpack", "--image", f"{layout}:latest", target)
    return target


@pytest.fixture(scope="module")
def ours(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Headway saves of it."""
    place = tmp_path_factory.mktemp("ours")
    skopeo("copy", f"oci:{layout}:latest", f"oci-archive:{place}/made.tar:{NAME}")
    headway = Cli(place / "root")
    loaded = headway("load", "-i", place / "made.tar")
    saved = headway("save", "-o", place / "ours.tar", NAME)
    assert (loaded.returncode, saved.returncode) == (0, 0), loaded.stderr + saved.stderr
    return place / "ours.tar"


def diff_ids(archive: str) -> list[str]:
    """Return an image's layers by what skopeo reads of it."""
    config = json.loads(skopeo("inspect", "--config", archive))
    return [str(each) for each in config["rootfs"]["diff_ids"]]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("oci-archive:{place}/archive.tar:docker.io/test/nasty:1", "Loaded image: test/nasty:1\n"),
        ("docker-archive:{place}/archive.tar:docker.io/test/nasty:1", "Loaded image: test/nasty:1\n"),
        ("oci:{place}/directory:docker.io/test/nasty:1", "Loaded image: test/nasty:1\n"),
        ("oci:{place}/directory:latest", "Loaded image ID: sha256:"),
    ],
)
def test_what_skopeo_writes_is_loaded(layout: Path, umocis: Path, tmp_path: Path, how: str, said: str) -> None:
    skopeo("copy", f"oci:{layout}:latest", how.format(place=tmp_path))
    headway = Cli(tmp_path / "root")

    loaded = headway("load", "-i", tmp_path / ("directory" if how.startswith("oci:") else "archive.tar"))

    assert loaded.stdout.startswith(said), loaded.stderr
    image = loaded.stdout.split()[-1].removeprefix("sha256:")
    unpacked = headway("unpack", image, tmp_path / "unpacked")
    assert unpacked.returncode == 0, unpacked.stderr
    assert differences(tmp_path / "unpacked", umocis) == {}


def test_what_buildah_writes_is_loaded(tmp_path: Path) -> None:
    builder = Buildah(tmp_path / "buildah")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_bytes(b"a" * 100_000)
    builder.copied(tmp_path / "files", "made")
    policy: list[str | Path] = ["--signature-policy", tmp_path / "buildah" / "policy.json"]
    headway = Cli(tmp_path / "root")

    for kind in ("oci-archive", "docker-archive"):
        builder("push", *policy, "made", f"{kind}:{tmp_path}/{kind}.tar:localhost/{kind}:1")
        loaded = headway("load", "-i", tmp_path / f"{kind}.tar")

        assert f"Loaded image: localhost/{kind}:1\n" in loaded.stdout, loaded.stderr


def test_skopeo_reads_what_is_saved_as_a_docker_archive(layout: Path, ours: Path) -> None:
    assert diff_ids(f"docker-archive:{ours}:test/nasty:1") == diff_ids(f"oci:{layout}:latest")


def test_skopeo_copies_into_a_daemon_and_out_of_it(layout: Path, tmp_path: Path) -> None:
    with daemon(tmp_path / "d") as running:
        skopeo("copy", "--dest-daemon-host", running.host, f"oci:{layout}:latest", f"docker-daemon:{NAME}")
        skopeo("copy", "--src-daemon-host", running.host, f"docker-daemon:{NAME}", f"oci:{tmp_path}/copy:latest")

    assert diff_ids(f"oci:{tmp_path}/copy:latest") == diff_ids(f"oci:{layout}:latest")


def test_skopeo_reads_what_is_saved_as_an_oci_archive(layout: Path, ours: Path, tmp_path: Path) -> None:
    skopeo("copy", f"oci-archive:{ours}:1", f"oci:{tmp_path}/copy:latest")

    copy, source = (
        json.loads(skopeo("inspect", "--raw", f"oci:{each}:latest")) for each in (tmp_path / "copy", layout)
    )
    assert copy["config"]["digest"] == source["config"]["digest"]
    assert diff_ids(f"oci:{tmp_path}/copy:latest") == diff_ids(f"oci:{layout}:latest")


def test_umoci_unpacks_what_is_saved(ours: Path, umocis: Path, tmp_path: Path) -> None:
    (tmp_path / "layout").mkdir()
    run("tar", "--extract", "--file", ours, "--directory", tmp_path / "layout")
    run("umoci", "raw", "unpack", "--image", f"{tmp_path}/layout:1", tmp_path / "unpacked")

    assert differences(tmp_path / "unpacked", umocis) == {}
