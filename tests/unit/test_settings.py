"""Settings: built-in values, then daemon.json, then flags."""

from __future__ import annotations

import json
import math
import os
import pwd
import re
from pathlib import Path

import pytest

from headway.errors import InvalidSettingError
from headway.quantities import parse_duration, parse_size
from headway.settings import Loaded, Settings, default_data_root, home_directory, load
from tests.fakes.nobody import as_nobody, home_of_nobody

ROOT = Path("/data")


def write(directory: Path, content: object) -> Path:
    """Write daemon.json: a text as it is, anything else as JSON."""
    file = directory / "daemon.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def loaded(directory: Path, content: object, **flags: object) -> Loaded:
    return load(flags, data_root=ROOT, config_file=write(directory, content))


def settings(directory: Path, content: object, **flags: object) -> Settings:
    return loaded(directory, content, **flags).settings


def refusal(directory: Path, content: object, **flags: object) -> str:
    """Return why settings are refused."""
    with pytest.raises(InvalidSettingError) as caught:
        loaded(directory, content, **flags)
    return str(caught.value)


# --- which value wins -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", " \n", "{}", "\ufeff{}", '{"debug": null, "max-download-attempts": null}'])
def test_who_says_nothing_gets_the_built_in_values(tmp_path: Path, content: str) -> None:
    assert loaded(tmp_path, content) == Loaded(
        Settings(
            data_root=ROOT,
            debug=False,
            registry_mirrors=(),
            insecure_registries=(),
            max_concurrent_downloads=3,
            max_concurrent_uploads=5,
            max_download_attempts=5,
            download_patience=600.0,
            file=tmp_path / "daemon.json",
        )
    )


def test_the_file_wins_over_built_in_values(tmp_path: Path) -> None:
    content = {
        "data-root": "/elsewhere",
        "debug": True,
        "registry-mirrors": ["https://m.example"],
        "insecure-registries": ["10.0.0.0/8"],
        "max-concurrent-downloads": 7,
        "max-concurrent-uploads": 8,
        "max-download-attempts": 9,
        "download-patience": "2h",
    }

    assert settings(tmp_path, content) == Settings(
        data_root=Path("/elsewhere"),
        debug=True,
        registry_mirrors=("https://m.example",),
        insecure_registries=("10.0.0.0/8",),
        max_concurrent_downloads=7,
        max_concurrent_uploads=8,
        max_download_attempts=9,
        download_patience=7200.0,
        file=tmp_path / "daemon.json",
    )


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    content = {"data-root": "/elsewhere", "debug": True, "max-download-attempts": 9, "max-concurrent-downloads": 7}

    found = settings(tmp_path, content, data_root=Path("/flag"), debug=False, max_download_attempts=2)

    assert (found.data_root, found.debug, found.max_download_attempts) == (Path("/flag"), False, 2)
    assert found.max_concurrent_downloads == 7


def test_a_flag_that_says_nothing_leaves_the_file_its_say(tmp_path: Path) -> None:
    assert settings(tmp_path, {"max-download-attempts": 9}, max_download_attempts=None).max_download_attempts == 9


@pytest.mark.parametrize(
    ("content", "flags", "patience"),
    [
        ({}, {}, 600.0),
        ({"max-download-attempts": 3}, {}, 0.0),
        ({}, {"max_download_attempts": 3}, 0.0),
        ({"max-download-attempts": 5}, {}, 0.0),
        ({"max-download-attempts": None}, {}, 600.0),
        ({"max-download-attempts": 3, "download-patience": "1m"}, {}, 60.0),
        ({"download-patience": "1m"}, {"max_download_attempts": 3}, 60.0),
        ({"max-download-attempts": 3}, {"download_patience": math.inf}, math.inf),
        ({"download-patience": "forever"}, {"download_patience": 0.0}, 0.0),
    ],
)
def test_attempts_that_are_set_decide_alone_unless_the_patience_is_set_too(
    tmp_path: Path, content: object, flags: dict[str, object], patience: float
) -> None:
    assert settings(tmp_path, content, **flags).download_patience == patience


@pytest.mark.parametrize(
    ("content", "flags"),
    [({"max-concurrent-downloads": 0}, {}), ({"max-concurrent-downloads": 7}, {"max_concurrent_downloads": 0})],
)
def test_no_downloads_at_once_means_the_default(tmp_path: Path, content: object, flags: dict[str, object]) -> None:
    assert settings(tmp_path, content, **flags).max_concurrent_downloads == 3


def test_no_uploads_at_once_means_the_default(tmp_path: Path) -> None:
    assert settings(tmp_path, {"max-concurrent-uploads": 0}).max_concurrent_uploads == 5


@pytest.mark.parametrize(
    ("environment", "root", "path"),
    [
        ({}, True, "/var/lib/headway"),
        ({"XDG_DATA_HOME": "/x"}, True, "/var/lib/headway"),
        ({}, False, "/home/me/.local/share/headway"),
        ({"XDG_DATA_HOME": "/x"}, False, "/x/headway"),
        ({"XDG_DATA_HOME": ""}, False, "/home/me/.local/share/headway"),
    ],
)
def test_where_data_is_kept(environment: dict[str, str], path: str, *, root: bool) -> None:
    assert default_data_root(environment, Path("/home/me"), root=root) == Path(path)


def test_who_has_no_variable_for_it_has_the_home_that_the_system_knows() -> None:
    known = Path(pwd.getpwuid(os.geteuid()).pw_dir)

    assert [home_directory({"HOME": "/home/me"}), home_directory({"HOME": ""}), home_directory({})] == [
        Path("/home/me"),
        known,
        known,
    ]


# --- what is refused, and how it is said ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("max-download-attempt", "; did you mean max-download-attempts?"),
        ("max_download_attempts", "; did you mean max-download-attempts?"),
        ("download-patence", "; did you mean download-patience?"),
        ("log-drive", "; did you mean log-driver?"),
        ("zzz", ""),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path, key: str, hint: str) -> None:
    assert refusal(tmp_path, {key: 3}) == f"{tmp_path}/daemon.json: unknown key {key!r}{hint}"


def test_dockers_other_keys_get_one_warning(tmp_path: Path) -> None:
    found = loaded(tmp_path, {"storage-opts": [], "debug": True, "log-driver": "journald"})

    assert found.warnings == (
        f"{tmp_path}/daemon.json: log-driver, storage-opts: of no use to an image service, ignored",
    )
    assert found.settings.debug


def test_an_equals_sign_for_a_colon_is_shown_where_it_is(tmp_path: Path) -> None:
    assert refusal(tmp_path, '{"max-download-attempts"=3}') == (
        f"{tmp_path}/daemon.json, line 1, column 25: Expecting ':' delimiter; '=' where JSON wants ':'"
    )


@pytest.mark.parametrize(
    ("content", "mend"),
    [
        ('{"labels": ["a=b",]}', "remove"),  # before it, or that one: Pythons tell different places
        ('{"debug": true,\n}', "remove"),
        ('{"debug": True}', "; JSON writes true, false and null"),
        ('{"debug": true // for now\n}', "; JSON has no comments"),
        ("{'debug': true}", '; JSON writes text in "double quotes"'),
        ('{"debug": true "tls": true}', "; put a ',' before it"),
        ('{"debug": true', "; the file ends before its JSON does"),
        ('{"labels": [\n', "; the file ends before its JSON does"),
        ('{"debug": }', ": Expecting value"),
    ],
)
def test_a_mistake_that_people_make_in_json_comes_with_its_mend(tmp_path: Path, content: str, mend: str) -> None:
    said = refusal(tmp_path, content)

    assert "remove" in said if mend == "remove" else said.endswith(mend)


@pytest.mark.parametrize("key", ["max-download-attempts", "mtu"])
def test_a_number_that_does_not_fit_into_64_bits_is_refused_whoever_has_a_use_for_it(tmp_path: Path, key: str) -> None:
    large, endless = (refusal(tmp_path, f'{{"{key}": {digits}}}') for digits in (str(2**63), "9" * 5000))

    assert large == f"{tmp_path}/daemon.json: {2**63} is larger than any number may be"
    assert endless == f"{tmp_path}/daemon.json: {'9' * 40}... is larger than any number may be"


def test_json_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[" * 100_000) == f"{tmp_path}/daemon.json: nested too deeply"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{\n  "debug": true,\n  debug}', "line 3, column 3"),
        ("{'debug': true}", "line 1, column 2"),
        ("{", "line 1, column 2"),
    ],
)
def test_broken_json_is_shown_where_it_is(tmp_path: Path, content: str, place: str) -> None:
    said = refusal(tmp_path, content)

    assert said.startswith(f"{tmp_path}/daemon.json, {place}: ")


@pytest.mark.parametrize("content", ["[]", "3", '"debug"', "null"])
def test_json_that_is_not_an_object_is_refused(tmp_path: Path, content: str) -> None:
    assert refusal(tmp_path, content) == f"{tmp_path}/daemon.json must hold a JSON object"


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match=re.escape(f"there is no {tmp_path}/none.json")):
        load({}, data_root=ROOT, config_file=tmp_path / "none.json")


@pytest.mark.parametrize(
    ("content", "flags", "is_the_files"),
    [
        ("{", {}, True),
        ({"debug": "yes"}, {"max_download_attempts": 2}, True),
        ({"max-download-attempts": 0}, {}, True),
        ({"max-download-attempts": 2}, {"max_download_attempts": 0}, False),
        ({"max-download-attempts": 0}, {"max_concurrent_downloads": -1, "max_download_attempts": 2}, False),
    ],
)
def test_what_has_to_be_mended_is_the_file_or_the_command_line(
    tmp_path: Path, content: object, flags: dict[str, object], *, is_the_files: bool
) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        loaded(tmp_path, content, **flags)

    assert caught.value.file == (f"{tmp_path}/daemon.json" if is_the_files else "")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
def test_a_file_that_this_user_may_not_look_at_is_to_be_mended_and_no_mistake_of_ours() -> None:
    with home_of_nobody() as home:
        file = home / "closed" / "daemon.json"
        file.parent.mkdir(mode=0o700)
        file.write_text("{}")
        with as_nobody(), pytest.raises(InvalidSettingError, match="Permission denied") as caught:
            load({}, data_root=ROOT, config_file=file)

    assert caught.value.file == str(file)


@pytest.mark.parametrize("kind", ["directory", "not text"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "file"
    if kind == "directory":
        file.mkdir()
    else:
        file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InvalidSettingError, match=re.escape(f"cannot read {file}")):
        load({}, data_root=ROOT, config_file=file)


@pytest.mark.parametrize("attempts", [0, -1])
def test_attempts_below_one_are_refused_in_mobys_words(tmp_path: Path, attempts: int) -> None:
    said = f"invalid max download attempts: {attempts}"

    assert refusal(tmp_path, {"max-download-attempts": attempts}) == f"{tmp_path}/daemon.json: {said}"
    assert refusal(tmp_path, {}, max_download_attempts=attempts) == said


@pytest.mark.parametrize("what", ["downloads", "uploads"])
def test_fewer_than_none_at_once_is_refused_in_mobys_words(tmp_path: Path, what: str) -> None:
    said = f"invalid max concurrent {what}: -1"

    assert refusal(tmp_path, {f"max-concurrent-{what}": -1}) == f"{tmp_path}/daemon.json: {said}"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("max-download-attempts", "3", 'must be a whole number, not "3"'),
        ("max-download-attempts", 3.5, "must be a whole number, not 3.5"),
        ("max-download-attempts", True, "must be a whole number, not true"),
        ("debug", 1, "must be true or false, not 1"),
        ("debug", 10**18, f"must be true or false, not {10**18}"),
        ("debug", "\ud800", r'must be true or false, not "\ud800"'),
        ("registry-mirrors", ["https://\ud800"], r'must be a list of texts, not ["https://\ud800"]'),
        ("data-root", "/a\0b", r'must be an absolute path, not "/a\u0000b"'),
        ("auth-file", "/a\ud800", r'must be an absolute path, not "/a\ud800"'),
        ("storage-driver", "vfs\0", "must be a text"),
        ("registry-mirrors", "https://m", 'must be a list of texts, not "https://m"'),
        ("insecure-registries", [1], "must be a list of texts, not [1]"),
        ("data-root", "relative", 'must be an absolute path, not "relative"'),
        ("data-root", 5, "must be an absolute path, not 5"),
        ("download-patience", 600, 'must be a text such as "10m", not 600'),
        ("download-patience", "10", ": invalid duration '10': write 90s, 10m, 2h, 0 or forever"),
    ],
)
def test_a_value_of_another_kind_is_refused_where_it_is(tmp_path: Path, key: str, value: object, said: str) -> None:
    separator = "" if said.startswith(":") else " "

    assert refusal(tmp_path, {key: value}) == f"{tmp_path}/daemon.json: {key}{separator}{said}"


# --- registries -------------------------------------------------------------------------------------------------


def test_mirrors_stand_in_for_the_registry_that_they_are_named_for(tmp_path: Path) -> None:
    content = {
        "registry-mirrors": ["https://a.example"],
        "mirrors": {"ghcr.io": ["https://g.example"], "docker.io": ["https://b.example"]},
    }

    found = settings(tmp_path, content)

    assert found.mirrors_of("docker.io") == ("https://a.example", "https://b.example")
    assert found.mirrors_of("ghcr.io") == ("https://g.example",)
    assert found.mirrors_of("quay.io") == ()


@pytest.mark.parametrize("section", [True, False])
def test_proxies_stand_in_a_section_of_their_own_or_not(tmp_path: Path, *, section: bool) -> None:
    proxies = {"http-proxy": "http://p.example:1", "https-proxy": "p.example:2", "no-proxy": ".example"}

    found = loaded(tmp_path, {"proxies": proxies} if section else proxies)

    assert found.warnings == ()
    assert found.settings.http_proxy == "http://p.example:1"
    assert (found.settings.https_proxy, found.settings.no_proxy) == ("p.example:2", ".example")


def test_an_insecure_registry_that_is_a_url_is_taken_for_its_host_as_by_dockerd(tmp_path: Path) -> None:
    found = loaded(tmp_path, {"insecure-registries": ["http://a.example:5000/", "b.example", "HTTPS://10.0.0.0/8"]})
    by_flag = settings(tmp_path, {}, insecure_registries=("http://a.example",))

    assert found.settings.insecure_registries == ("a.example:5000", "b.example", "10.0.0.0/8")
    assert found.warnings == (
        f"{tmp_path}/daemon.json: insecure-registries: http://a.example:5000/ is a URL, and taken for a.example:5000",
        f"{tmp_path}/daemon.json: insecure-registries: HTTPS://10.0.0.0/8 is a URL, and taken for 10.0.0.0/8",
    )
    assert by_flag.insecure_registries == ("a.example",)


def test_dockers_old_name_of_the_data_root_is_taken_for_it(tmp_path: Path) -> None:
    assert settings(tmp_path, {"graph": "/old"}).data_root == Path("/old")
    assert settings(tmp_path, {"data-root": "/new", "graph": ""}).data_root == Path("/new")
    with pytest.raises(InvalidSettingError, match='cannot specify both "graph" and "data-root" config file options'):
        settings(tmp_path, {"data-root": "/new", "graph": "/old"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"mirrors": ["https://a.example"]}, 'must be like {"ghcr.io": ["https://mirror"]}'),
        ({"mirrors": {"ghcr.io": "https://a.example"}}, "mirrors: ghcr.io must be a list of texts"),
        ({"mirrors": {"ghcr.io": ["a.example"]}}, "invalid mirror 'a.example'"),
        ({"registry-mirrors": ["ftp://a.example"]}, "invalid mirror 'ftp://a.example'"),
        ({"proxies": "http://p.example"}, "proxies must be a JSON object"),
        ({"http-proxy": ["secret"]}, "http-proxy must be a text"),
        ({"https-proxy": "socks5://u:secret@p.example"}, "socks5 proxies are not supported"),
        ({"auth-file": "secret"}, "auth-file must be an absolute path"),
    ],
)
def test_how_registries_are_reached_is_checked_before_anybody_is_asked(
    tmp_path: Path, content: object, said: str
) -> None:
    why = refusal(tmp_path, content)

    assert said in why
    assert "u:secret" not in why


# --- durations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("90s", 90.0),
        ("10m", 600.0),
        ("2h", 7200.0),
        ("1d", 86_400.0),
        ("250ms", 0.25),
        ("1.5h", 5400.0),
        ("1h30m", 5400.0),
        ("1m30s500ms", 90.5),
        ("forever", math.inf),
    ],
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "-5s", "5 s", "1h 30m", "5x", "1e3s", "Forever", "inf", "nan", ".5s"])
def test_what_is_not_a_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="write 90s, 10m, 2h, 0 or forever"):
        parse_duration(text)


# --- sizes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("500k", 500_000), ("2 MB", 2_000_000), ("1.5G", 1_500_000_000), ("1MiB", 1 << 20)],
)
def test_sizes_are_decimal_unless_they_say_otherwise(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1iB", "1X", "1.G", "1e9", "forever", "9223372037G", "9" * 400])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="invalid size"):
        parse_size(text)


def test_limits_of_unfinished_downloads_are_none_unless_they_are_set(tmp_path: Path) -> None:
    unset = settings(tmp_path, {})
    given = settings(tmp_path, {"unfinished-max-age": "30d", "unfinished-max-size": "2G"})
    number = settings(tmp_path, {"unfinished-max-size": 0})

    assert (unset.unfinished_max_age, unset.unfinished_max_size) == (math.inf, None)
    assert (given.unfinished_max_age, given.unfinished_max_size) == (30 * 86_400, 2_000_000_000)
    assert number.unfinished_max_size == 0
    assert "unfinished-max-size must not be below 0" in refusal(tmp_path, {"unfinished-max-size": -1})
    assert "unfinished-max-size: invalid size" in refusal(tmp_path, {"unfinished-max-size": "much"})


def test_settings_that_are_printed_by_mistake_show_no_password() -> None:
    settings = Settings(data_root=ROOT, https_proxy="http://me:correct-horse@proxy:3128")

    assert "correct-horse" not in f"{settings} {settings!r} {Loaded(settings)}"


def test_a_file_that_is_nested_for_ever_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[" * 100_000) == f"{tmp_path}/daemon.json: nested too deeply"
