"""How the programs that are compared are set up; that they run is for `make bench` to show."""

from pathlib import Path

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
