"""How the programs that are compared are set up; that they run is for `make bench` to show."""

from pathlib import Path

from bench.image_ids import whole
from bench.measure import Group
from bench.more_peers import Podman


def test_what_podman_downloads_waits_on_the_measured_disk(tmp_path: Path) -> None:
    measured, scratch = tmp_path / "measured", tmp_path / "scratch"
    measured.mkdir()
    scratch.mkdir()

    with Podman().running(measured / "data", scratch, Group(tmp_path)) as client:
        waiting = Path(client.environment["TMPDIR"])

    assert waiting.is_dir()
    assert waiting.is_relative_to(measured)


def test_an_image_that_containerd_has_not_unpacked_does_not_count_as_pulled() -> None:
    listed = (
        "REF TYPE DIGEST STATUS SIZE UNPACKED\n"
        "a:1 application/vnd.oci.image.manifest.v1+json sha256:aa complete (3/3) 40.1 MiB/40.1 MiB true\n"
        "a:2 application/vnd.oci.image.manifest.v1+json sha256:bb complete (3/3) 40.1 MiB/40.1 MiB false\n"
        "a:3 application/vnd.oci.image.manifest.v1+json sha256:cc incomplete (1/3) 1.0 MiB/40.1 MiB false\n"
    )

    assert list(whole(listed)) == ["sha256:aa"]
