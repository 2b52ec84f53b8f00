"""How a container's config and its image's become one."""

from __future__ import annotations

from typing import Any

import pytest

from headway.errors import RequestError
from headway.oci.run_config import checked, merge


@pytest.mark.parametrize(
    ("own", "image", "key", "merged"),
    [
        ({}, {"User": "app"}, "User", "app"),
        ({"User": "root"}, {"User": "app"}, "User", "root"),
        ({"WorkingDir": ""}, {"WorkingDir": "/srv"}, "WorkingDir", "/srv"),
        ({"Env": ["A=1", "B=2"]}, {"Env": ["B=9", "C=3"]}, "Env", ["A=1", "B=2", "C=3"]),
        ({"Labels": {"a": "own"}}, {"Labels": {"a": "image", "b": "image"}}, "Labels", {"a": "own", "b": "image"}),
        ({"Volumes": {"/a": {}}}, {"Volumes": {"/b": {}}}, "Volumes", {"/a": {}, "/b": {}}),
        ({"ExposedPorts": None}, {"ExposedPorts": {"80/tcp": {}}}, "ExposedPorts", {"80/tcp": {}}),
        ({}, {"Cmd": ["run"]}, "Cmd", ["run"]),
        ({"Cmd": ["own"]}, {"Cmd": ["run"], "Entrypoint": ["/e"]}, "Entrypoint", ["/e"]),
        ({"Cmd": ["own"]}, {"Cmd": ["run"], "Entrypoint": ["/e"]}, "Cmd", ["own"]),
        ({"Entrypoint": []}, {"Cmd": ["run"], "Entrypoint": ["/e"]}, "Entrypoint", []),
        (
            {"Healthcheck": {"Retries": 3}},
            {"Healthcheck": {"Test": ["CMD", "true"], "Retries": 1}},
            "Healthcheck",
            {"Test": ["CMD", "true"], "Retries": 3},
        ),
    ],
)
def test_the_container_wins_and_the_image_fills_up(
    own: dict[str, Any], image: dict[str, Any], key: str, merged: object
) -> None:
    assert merge(own, image)[key] == merged


def test_an_entrypoint_of_its_own_takes_no_command_of_the_images() -> None:
    assert "Cmd" not in merge({"Entrypoint": ["/own"]}, {"Cmd": ["run"], "Entrypoint": ["/e"]})


def test_what_nobody_knows_stays_the_containers() -> None:
    assert merge({"Tty": True, "X": 1}, {"Y": 2}) == {"Tty": True, "X": 1, "Cmd": None, "Entrypoint": None}


def test_a_config_may_say_one_word_for_a_list_and_null_for_nothing() -> None:
    assert checked({"Cmd": "run", "Entrypoint": None, "Env": ["A=1"], "Unknown": 1}) == {
        "Cmd": ["run"],
        "Env": ["A=1"],
        "Unknown": 1,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [("Image", []), ("Cmd", [1]), ("Entrypoint", {}), ("Env", "A=1"), ("Labels", {"a": 1}), ("Volumes", ["/a"]),
     ("Tty", "yes"), ("StopTimeout", 1.5), ("Healthcheck", [])],
)  # fmt: skip
def test_a_config_with_another_kind_of_value_is_refused_by_its_key(key: str, value: object) -> None:
    with pytest.raises(RequestError, match=key):
        checked({key: value})
