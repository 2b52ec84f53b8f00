"""How a container's config and its image's become one."""

from __future__ import annotations

from typing import Any

import pytest

from headway.errors import RequestError
from headway.oci.run_config import checked, complete, container_config, merge, require_runnable


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


def test_a_container_runs_as_its_image_does_where_nobody_says_otherwise() -> None:
    image = {"cmd": "run", "WorkingDir": "srv/../data/", "Entrypoint": [""], "Env": None}

    assert container_config({"Image": "a:1"}, image) == {
        "Image": "a:1",
        "WorkingDir": "/data",
        "Cmd": ["run"],
        "Entrypoint": None,
    }
    with pytest.raises(RequestError, match="Labels"):
        container_config({}, {"Labels": []})


def test_what_nobody_knows_stays_the_containers() -> None:
    assert merge({"Tty": True, "X": 1}, {"Y": 2}) == {"Tty": True, "X": 1, "Cmd": None, "Entrypoint": None}


def test_keys_are_known_in_any_case_as_go_reads_them() -> None:
    own = {"cmd": ["a"], "ENV": ["A=b"], "workingdir": "/", "x-mine": 1}

    assert checked(own) == {"Cmd": ["a"], "Env": ["A=b"], "WorkingDir": "/", "x-mine": 1}


def test_a_healthchecks_keys_are_known_in_any_case_too() -> None:
    own = checked({"healthcheck": {"test": ["CMD", "x"], "startperiod": 5}})

    assert own == {"Healthcheck": {"Test": ["CMD", "x"], "StartPeriod": 5}}
    with pytest.raises(RequestError, match="StartPeriod in Healthcheck cannot be less than 1ms"):
        require_runnable(own)


def test_a_config_may_say_one_word_for_a_list_and_null_for_nothing() -> None:
    own = {"Cmd": "run", "Entrypoint": None, "Env": ["A=1"], "Labels": {"a": None}, "Unknown": 1}

    assert checked(own) == {
        "Cmd": ["run"],
        "Env": ["A=1"],
        "Labels": {"a": ""},
        "Unknown": 1,
    }


def test_null_in_a_list_is_an_empty_text_as_for_go() -> None:
    own = {"Cmd": [None], "Env": ["A=1", None], "OnBuild": [None], "Healthcheck": {"Test": [None]}}

    assert checked(own) == {**own, "Cmd": [""], "Env": ["A=1", ""], "OnBuild": [""]}
    assert complete(own)["Env"] == ["A=1", ""]


def test_keys_in_any_case_are_shown_as_docker_writes_them() -> None:
    config = complete({"cmd": "run", "env": ["A=1"], "LABELS": {"a": None}})

    assert (config["Cmd"], config["Env"], config["Labels"]) == (["run"], ["A=1"], {"a": ""})


@pytest.mark.parametrize(
    ("key", "value"),
    [("Image", []), ("Cmd", [1]), ("Entrypoint", {}), ("Env", "A=1"), ("Labels", {"a": 1}), ("Volumes", ["/a"]),
     ("Tty", "yes"), ("StopTimeout", 1.5), ("Healthcheck", []),
     ("Healthcheck", {"Timeout": "1s"}), ("Healthcheck", {"Test": 5})],
)  # fmt: skip
def test_a_config_with_another_kind_of_value_is_refused_by_its_key(key: str, value: object) -> None:
    with pytest.raises(RequestError, match=key):
        checked({key: value})


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"WorkingDir": "srv"}, "the working directory 'srv' is invalid, it needs to be an absolute path"),
        ({"StopSignal": "SIGNOPE"}, "Invalid signal: SIGNOPE"),
        ({"Env": ["A=1", "=2"]}, "invalid environment variable: =2"),
        ({"Env": [""]}, "invalid environment variable: "),
        ({"Healthcheck": {"Interval": 999_999}}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Healthcheck": {"StartPeriod": -1}}, "StartPeriod in Healthcheck cannot be less than 1ms"),
        ({"Healthcheck": {"Retries": -1}}, "Retries in Healthcheck cannot be negative"),
    ],
)
def test_what_could_never_be_started_is_refused_in_dockers_words(own: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as refused:
        require_runnable(own)

    assert str(refused.value) == message


def test_what_can_be_started_is_taken() -> None:
    health = {"Test": ["NONE"], "Interval": 1_000_000, "Timeout": 0, "Retries": 3}

    require_runnable({})
    require_runnable({"WorkingDir": "/srv", "StopSignal": "RTMIN+3", "Env": ["A", "B="], "Healthcheck": health})


def test_a_command_that_is_a_text_is_shown_as_its_one_word() -> None:
    config = complete({"Cmd": "sh -c x", "Entrypoint": "/init", "User": "me"})

    assert (config["Cmd"], config["Entrypoint"], config["User"]) == (["sh -c x"], ["/init"], "me")


def test_what_says_nothing_is_left_out_and_a_timeout_of_no_seconds_says_something() -> None:
    config = complete({"StopTimeout": 0, "Healthcheck": {}, "NetworkDisabled": False, "Shell": [], "StopSignal": ""})

    assert (config["StopTimeout"], config["Healthcheck"]) == (0, {})
    assert not config.keys() & {"NetworkDisabled", "Shell", "StopSignal"}
    assert "StopTimeout" not in complete({"StopTimeout": None})
