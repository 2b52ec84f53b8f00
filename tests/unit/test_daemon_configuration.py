"""A daemon's flags and file, with dockerd's rules for the two."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from headway.daemon.configuration import Configuration, DaemonSettings, Flags, configured
from headway.daemon_file import DAEMON_KEYS
from headway.errors import InvalidSettingError


def loaded(directory: Path, document: object, **flags: object) -> Configuration:
    path = directory / "daemon.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    ours = {"hosts", "labels", "log_level", "tls", "tlsverify", "group", "tlscacert"}
    return configured(
        Flags(
            config_file=path,
            data_root=directory / "data",
            shared={key: value for key, value in flags.items() if key not in ours},
            daemon={key: value for key, value in flags.items() if key in ours},
        )
    )


def refusal(directory: Path, document: object, **flags: object) -> str:
    with pytest.raises(InvalidSettingError) as caught:
        loaded(directory, document, **flags)
    prefix = f"unable to configure the Docker daemon with file {directory / 'daemon.json'}: "
    assert str(caught.value).startswith(prefix)
    return str(caught.value).removeprefix(prefix)


def test_file_and_flags_make_one_configuration(tmp_path: Path) -> None:
    file = {"hosts": ["unix:///run/a.sock"], "labels": ["a=b"], "max-download-attempts": 3, "tlscacert": "/ca.pem"}

    configuration = loaded(tmp_path, file, debug=True, log_level="debug")

    assert configuration.daemon.hosts == ("unix:///run/a.sock",)
    assert configuration.daemon.tlscacert == Path("/ca.pem")
    assert configuration.daemon.log_level == "debug"
    assert (configuration.settings.max_download_attempts, configuration.settings.debug) == (3, True)


@pytest.mark.parametrize(
    ("document", "flags", "words"),
    [
        (
            {"debug": True},
            {"debug": True},
            "the following directives are specified both as a flag and in the configuration file:"
            " debug: (from flag: true, from file: true)",
        ),
        (
            {"hosts": ["unix:///a"], "labels": ["a=b"]},
            {"labels": ("c=d",), "hosts": ("fd://",)},
            "the following directives are specified both as a flag and in the configuration file:"
            " hosts: (from flag: [fd://], from file: [unix:///a]), labels: (from flag: [c=d], from file: [a=b])",
        ),
        (
            {"graph": "/old"},
            {"data_root": "/new"},
            "the following directives are specified both as a flag and in the configuration file:"
            " graph: (from flag: /new, from file: /old)",
        ),
        (
            {"max-download-attempts": 0},
            {},
            "configuration validation from file failed: invalid max download attempts: 0",
        ),
        (
            {},
            {"max_download_attempts": 0},
            "merged configuration validation from file and command line flags failed: invalid max download attempts: 0",
        ),
        (
            {"max-concurrent-uploads": -1},
            {},
            "configuration validation from file failed: invalid max concurrent uploads: -1",
        ),
        ({"labels": ["a"]}, {}, "configuration validation from file failed: bad attribute format: a"),
        (
            {"labels": ["a=b", "a=c"]},
            {},
            "configuration validation from file failed: conflict labels for a=c and a=b",
        ),
        (
            {"log-level": "loud"},
            {},
            "configuration validation from file failed: invalid logging level: loud;"
            " it is one of debug, info, warn, error, fatal",
        ),
        (
            {"log-format": "xml"},
            {},
            "configuration validation from file failed: invalid log format: xml; it is text or json",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_dockerds_words(
    tmp_path: Path, document: object, flags: dict[str, object], words: str
) -> None:
    assert refusal(tmp_path, document, **flags) == words


def test_what_file_and_flags_both_say_can_be_taken_out_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        loaded(tmp_path, {"debug": True}, debug=True)

    assert caught.value.file == str(tmp_path / "daemon.json")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("hosts", "unix:///a", 'hosts must be a list of texts, not "unix:///a"'),
        ("labels", [5], "labels must be a list of texts, not [5]"),
        ("group", 5, "group must be a text"),
        ("pidfile", 5, "pidfile must be a path, not 5"),
        ("tls", "yes", 'tls must be true or false, not "yes"'),
        ("shutdown-timeout", "15", 'shutdown-timeout must be a whole number, not "15"'),
        ("shutdown-timeout", True, "shutdown-timeout must be a whole number, not true"),
    ],
)
def test_a_value_of_another_kind_names_its_key_and_what_it_wants(
    tmp_path: Path, key: str, value: object, words: str
) -> None:
    assert refusal(tmp_path, {key: value}).endswith(f"daemon.json: {words}")


@pytest.mark.parametrize("key", ["default", "debug", "data-root"])
def test_a_section_of_proxies_holds_nothing_else(tmp_path: Path, key: str) -> None:
    assert refusal(tmp_path, {"proxies": {key: True}}).endswith(f"daemon.json: proxies: unknown key '{key}'")


def test_every_key_of_a_daemons_own_is_a_field_of_its_settings() -> None:
    assert {key.replace("-", "_") for key in DAEMON_KEYS} == {f.name for f in msgspec.structs.fields(DaemonSettings)}


def test_the_seeds_own_text_is_shown_its_mistake(tmp_path: Path) -> None:
    words = refusal(tmp_path, '{"max-download-attempts"=3}')

    assert "line 1, column 25" in words
    assert "'=' where JSON wants ':'" in words


def test_an_empty_text_in_the_file_says_nothing_as_for_dockerd(tmp_path: Path) -> None:
    file = dict.fromkeys(("data-root", "storage-driver", "auth-file", "group", "log-level", "log-format"), "")
    file |= dict.fromkeys(("metrics-addr", "pidfile", "tlscacert", "tlscert", "tlskey"), "")

    configuration = loaded(tmp_path, file)

    nothing = loaded(tmp_path, {})
    assert (configuration.settings, configuration.daemon) == (nothing.settings, nothing.daemon)


def test_an_empty_proxy_stands_in_for_the_environments(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"proxies": {"http-proxy": ""}}).settings.http_proxy == ""


@pytest.mark.parametrize(
    "key",
    [
        *("allow-direct-routing", "bip6", "bridge-accept-fwmark", "cdi-spec-dirs", "containerd-plugins-namespace"),
        *("default-ulimits", "deprecated-key-path", "features", "firewall-backend", "min-api-version", "nri-opts"),
    ],
)
def test_a_key_of_any_dockerds_is_taken_with_a_warning(tmp_path: Path, key: str) -> None:
    (warning,) = loaded(tmp_path, {key: "anything"}).warnings

    assert f"daemon.json: {key}: of no use to an image service, ignored" in warning


def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    assert "unknown key 'pull-detatch'; did you mean pull-detach?" in refusal(tmp_path, {"pull-detatch": True})


@pytest.mark.parametrize("host", ["https://ghcr.io", "ghcr.io/acme", "ghcr", "index.docker.io", ""])
def test_mirrors_of_what_no_image_is_named_by_are_refused(tmp_path: Path, host: str) -> None:
    words = refusal(tmp_path, {"mirrors": {host: ["https://mirror.example"]}})

    assert f"mirrors: {host!r} is no registry as images name it, such as ghcr.io or docker.io" in words


@pytest.mark.parametrize("host", ["ghcr.io", "docker.io", "localhost", "10.0.0.1:5000", "[::1]:5000", "registry:5000"])
def test_mirrors_of_any_registry_are_taken(tmp_path: Path, host: str) -> None:
    file = {"mirrors": {host: ["https://mirror.example"]}}

    assert loaded(tmp_path, file).settings.mirrors_of(host) == ("https://mirror.example",)


def test_tls_cannot_be_asked_for_and_refused(tmp_path: Path) -> None:
    assert "set one of the two" in refusal(tmp_path, {"tlsverify": True, "tls": False})


def test_a_default_file_need_not_be_there(tmp_path: Path) -> None:
    configuration = configured(Flags(config_file=None, data_root=tmp_path))

    assert configuration.settings.max_download_attempts == 5
