"""What a run that was killed has left, and how the next one finds it."""

import subprocess
from pathlib import Path

from bench.disk import mounts_below
from bench.prerequisites import NOTHING_STARTS, no_service_starts
from bench.scratch import PREFIX, own_name, scratch, sweep

MOUNTINFO = """\
21 1 8:1 / / rw - ext4 /dev/root rw
30 21 7:0 / /home/me/my\\040work/.disk rw,noatime - ext4 /dev/loop0 rw
31 30 0:40 / /home/me/my\\040work/.disk/data/merged rw - overlay overlay rw
32 21 0:41 / /home/me/my\\040workshop rw - tmpfs none rw
"""


def test_mounts_come_innermost_first_also_where_a_path_has_blanks() -> None:
    assert mounts_below(Path("/home/me/my work"), MOUNTINFO) == [
        "/home/me/my work/.disk/data/merged",
        "/home/me/my work/.disk",
    ]


def test_what_a_dead_run_left_is_removed_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    dead, alive, other = tmp_path / f"{PREFIX}{ended.pid}-x", tmp_path / own_name("y"), tmp_path / "other"
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "dockerd.log").write_text("")

    sweep(tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted([alive, other])


def test_a_scratch_folder_is_gone_after_its_block() -> None:
    with scratch() as place:
        (place / "socket").touch()

    assert not place.exists()


def test_services_may_start_again_after_an_install_and_after_one_that_was_killed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    for _ in ("first", "after a kill"):
        with no_service_starts(policy):
            assert subprocess.run([policy], check=False).returncode == 101
        assert not policy.exists()
        policy.write_text(NOTHING_STARTS)


def test_a_policy_of_the_machine_is_left_as_it_is(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")

    with no_service_starts(policy):
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"

    assert policy.exists()
