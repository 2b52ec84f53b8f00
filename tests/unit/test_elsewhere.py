"""Where images are that a user may be looking for."""

from __future__ import annotations

from pathlib import Path

from headway.cli.elsewhere import other_stores


def no_home(user: str) -> Path:
    raise KeyError(user)


def test_a_user_may_mean_the_systems_daemon_or_its_data_root(tmp_path: Path) -> None:
    socket, root = tmp_path / "s", tmp_path / "root"
    socket.touch()
    root.mkdir()

    places = list(other_stores({}, 1000, home_of=no_home, system_root=root, system_socket=socket))
    absent = list(other_stores({}, 1000, home_of=no_home, system_root=tmp_path / "x", system_socket=tmp_path / "y"))

    assert [place[:2] for place in places] == [("-H", f"unix://{socket}"), ("--data-root", str(root))]
    assert places[1].images() == 0
    assert absent == []


def test_root_may_mean_the_store_of_who_has_called_sudo(tmp_path: Path) -> None:
    theirs = tmp_path / ".local/share/headway"
    theirs.mkdir(parents=True)

    (place,) = other_stores({"SUDO_USER": "ada"}, 0, home_of=lambda _: tmp_path)

    assert place[:2] == ("--data-root", str(theirs))
    assert place.images() == 0


def test_root_alone_means_nobody_else(tmp_path: Path) -> None:
    assert list(other_stores({}, 0, home_of=lambda _: tmp_path)) == []
    assert list(other_stores({"SUDO_USER": "ghost"}, 0, home_of=no_home)) == []
