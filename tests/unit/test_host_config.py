"""What a container's host config may be."""

from __future__ import annotations

import pytest

from headway.errors import RequestError
from headway.oci.host_config import checked_host, complete_host


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("x", "invalid HostConfig: Expected `object`, got `str`"),
        ({"Memory": "64"}, "invalid HostConfig: Memory: Expected `int`, got `str`"),
        ({"memory": 1.5}, "invalid HostConfig: Memory: Expected `int`, got `float`"),
        ({"Binds": "a"}, "invalid HostConfig: Binds: Expected `array`, got `str`"),
        ({"CapAdd": 5}, "invalid HostConfig: CapAdd: Expected `str | array`, got `int`"),
        (
            {"RestartPolicy": {"MaximumRetryCount": "3"}},
            "invalid HostConfig: RestartPolicy: Expected `int | null`, got `str` - at `$.MaximumRetryCount`",
        ),
        (
            {"PortBindings": {"80/tcp": 5}},
            "invalid HostConfig: PortBindings: Expected `array | null`, got `int` - at `$[...]`",
        ),
        ({"Init": 1}, "invalid HostConfig: Init: Expected `bool`, got `int`"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_key(config: object, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        checked_host(config)

    assert str(refused.value) == message


def test_null_says_nothing_and_one_word_is_a_list_of_it() -> None:
    given = {"binds": None, "CAPADD": "ALL", "Dns": [None], "Sysctls": {"a": None}, "X-Mine": 1}

    assert checked_host(given) == {
        "Binds": None,
        "CapAdd": ["ALL"],
        "Dns": [None],
        "Sysctls": {"a": None},
        "X-Mine": 1,
    }


def test_what_docker_always_has_is_there_and_what_was_given_wins() -> None:
    config = complete_host({"Memory": 5, "Binds": None, "LogConfig": {"Type": "none"}, "X-Mine": 1, "Init": None})

    assert (config["Memory"], config["Binds"], config["X-Mine"], config["Init"]) == (5, None, 1, None)
    assert (config["LogConfig"], config["NetworkMode"]) == ({"Type": "none", "Config": {}}, "default")
    assert not {"StorageOpt", "Tmpfs", "KernelMemory"} & config.keys()
