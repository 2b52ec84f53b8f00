"""Image configs: what Headway needs of them, and what it leaves as it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import HeadwayError, InvalidDocumentError, UnsupportedError
from headway.oci.digest import Digest
from headway.oci.image_config import MAX_CONFIG_BYTES, HistoryEntry, ImageConfig, check_config_size

LAYER_1, LAYER_2 = Digest.of(b"1"), Digest.of(b"2")


def document(**changes: object) -> dict[str, Any]:
    return {
        "os": "linux",
        "architecture": "arm64",
        "rootfs": {"type": "layers", "diff_ids": [str(LAYER_1), str(LAYER_2)]},
    } | changes


def parsed(value: object) -> ImageConfig:
    return ImageConfig.parse(msgspec.json.encode(value))


def test_what_headway_needs_is_read() -> None:
    value = document(
        variant="v8",
        created="2019-09-01T10:00:00.123456789Z",
        author="somebody",
        config={"Env": ["A=b"], "Cmd": None, "Labels": {"k": "v"}},
        history=[
            {"created": "2019-09-01T09:00:00Z", "created_by": "ADD file", "comment": "c"},
            {"created_by": "CMD", "empty_layer": True},
            {},
        ],
    )

    config = parsed(value)

    assert str(config.platform) == "linux/arm64"
    assert (config.variant, config.created, config.author) == ("v8", value["created"], "somebody")
    assert config.diff_ids == (LAYER_1, LAYER_2)
    assert config.config == value["config"]
    assert config.labels == {"k": "v"}
    assert config.history == (
        HistoryEntry(created="2019-09-01T09:00:00Z", created_by="ADD file", comment="c"),
        HistoryEntry(created_by="CMD", empty_layer=True),
        HistoryEntry(),
    )


def test_the_image_id_is_the_digest_of_the_bytes() -> None:
    data = msgspec.json.encode(document()) + b"\n"

    assert ImageConfig.parse(data).image_id == Digest.of(data)


def test_what_headway_does_not_know_stays_in_the_document() -> None:
    value = document(docker_version="20.10", container_config={"Tty": False})

    assert parsed(value).document == value


def test_a_windows_version_belongs_to_the_platform() -> None:
    config = parsed(document(os="windows", **{"os.version": "10.0.17763", "os.features": ["win32k"]}))

    assert (config.platform.os_version, config.platform.os_features) == ("10.0.17763", ("win32k",))


def test_an_image_without_an_operating_system_runs_on_linux() -> None:
    assert str(parsed(document(os=None)).platform) == "linux/arm64"


def test_null_means_missing() -> None:
    names = ["variant", "created", "author", "config", "history", "os.version", "os.features", "container_config"]

    config = parsed(document(**dict.fromkeys(names)))

    assert (config.variant, config.created, config.config, config.labels, config.history) == ("", "", {}, {}, ())


def test_how_a_container_runs_may_be_said_as_go_reads_it() -> None:
    config = {"Cmd": "run", "Env": [None], "ExposedPorts": {"80/tcp": None}, "Labels": {"a": None}, "Unknown": 5}

    assert parsed(document(config=config)).config == config


@pytest.mark.parametrize("rootfs", [{"type": "layers"}, {"type": "layers", "diff_ids": None}, {"diff_ids": []}])
def test_an_image_may_have_no_layers(rootfs: object) -> None:
    assert parsed(document(rootfs=rootfs)).diff_ids == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rootfs": None}, "invalid rootfs in image configuration"),
        ({"rootfs": {}}, "invalid rootfs in image configuration"),
        ({"rootfs": {"type": "layers+base"}}, "invalid rootfs in image configuration"),
        ({"rootfs": []}, "rootfs must be an object, not a list"),
        ({"rootfs": {"diff_ids": [str(LAYER_1), None]}}, "rootfs.diff_ids[1]: missing"),
        (
            {"rootfs": {"diff_ids": ["sha256:../.."]}},
            "rootfs.diff_ids[0]: invalid checksum digest format: 'sha256:../..'",
        ),
        ({"history": [{}, {}, {}]}, "too many non-empty layers in History section"),
        ({"history": [None]}, "history[0] must be an object, not null"),
        ({"history": [{"empty_layer": "yes"}]}, "history[0].empty_layer must be true or false, not a string"),
        ({"config": []}, "config must be an object, not a list"),
        ({"config": {"Labels": {"a": 1}}}, "config.Labels.a must be a string, not a number"),
        ({"config": {"Cmd": 5}}, "invalid config: Cmd: Expected `str | array`, got `int`"),
        ({"config": {"env": {"A": "1"}}}, "invalid config: Env: Expected `array`, got `object`"),
        (
            {"config": {"Healthcheck": {"Interval": "1s"}}},
            "invalid config: Healthcheck: Expected `int | null`, got `str` - at `$.Interval`",
        ),
        ({"os": 5}, "os must be a string, not a number"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        parsed(document(**changes))

    assert str(caught.value) == message


def test_a_config_without_a_root_file_system_is_refused() -> None:
    with pytest.raises(InvalidDocumentError, match=r"^invalid rootfs in image configuration$"):
        parsed({"os": "linux"})


def test_layers_that_are_named_by_another_digest_are_refused_before_they_are_fetched() -> None:
    names = [str(LAYER_1), str(Digest.of(b"2", "sha512"))]

    with pytest.raises(UnsupportedError, match="names layers by sha512"):
        parsed(document(rootfs={"type": "layers", "diff_ids": names}))


def test_as_much_history_as_layers_is_allowed_and_empty_layers_do_not_count() -> None:
    steps = [{}, {"empty_layer": True}, {"empty_layer": None}, {"empty_layer": True}]

    assert len(parsed(document(history=steps)).history) == 4


def test_a_config_may_be_as_long_as_the_limit_and_no_longer() -> None:
    data = msgspec.json.encode(document()).ljust(MAX_CONFIG_BYTES)

    assert ImageConfig.parse(data).diff_ids == (LAYER_1, LAYER_2)
    with pytest.raises(InvalidDocumentError, match="8388609 bytes long; 8388608 are allowed"):
        ImageConfig.parse(data + b" ")


leaves = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.just(str(LAYER_1))
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "diff_ids", "Labels", "created", "empty_layer", "x"]), inner)
    ),
    max_leaves=8,
)
names = st.sampled_from(["os", "architecture", "variant", "created", "rootfs", "history", "config", "os.features"])


@given(st.dictionaries(names, json_values))
def test_any_json_is_a_config_or_refused(changes: dict[str, Any]) -> None:
    try:
        config = parsed(document(**changes))
    except HeadwayError:
        return

    assert sum(not step.empty_layer for step in config.history) <= len(config.diff_ids)


def test_a_config_that_would_be_refused_is_not_worth_fetching() -> None:
    check_config_size(MAX_CONFIG_BYTES)

    with pytest.raises(InvalidDocumentError, match="larger than 8388608 bytes"):
        check_config_size(MAX_CONFIG_BYTES + 1)
