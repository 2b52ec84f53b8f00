"""What a request to the Engine API says: versions, routes, queries."""

from __future__ import annotations

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from headway.engine import queries
from headway.engine.api_version import NEWEST, OLDEST, ApiVersion, ApiVersionError, negotiated
from headway.engine.call import Call
from headway.engine.queries import InvalidQueryError
from headway.engine.routing import Route, Router, cleaned, split_version
from headway.oci.platform import Platform


async def first(call: Call) -> web.StreamResponse:
    return web.Response(text=call.request_id)


async def second(call: Call) -> web.StreamResponse:
    return web.Response(text=call.request_id)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (None, NEWEST),
        ("1.41", ApiVersion(1, 41)),
        ("1.24", OLDEST),
        ("1.22", OLDEST),
        ("1.51", NEWEST),
        ("1.051", NEWEST),
    ],
)
def test_a_version_is_what_the_path_says_and_the_newest_without(text: str | None, meaning: ApiVersion) -> None:
    assert negotiated(text) == meaning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.52", "client version 1.52 is too new. Maximum supported API version is 1.51"),
        ("1.21", "client version 1.21 is too old. Minimum supported API version is 1.24, please upgrade"),
        ("1.9", "client version 1.9 is too old. Minimum supported API version is 1.24, please upgrade"),
        ("1", "invalid API version 1"),
        ("1.2.3", "invalid API version 1.2.3"),
        ("9" * 5000, "invalid API version 9999999999999999:"),
    ],
)
def test_a_version_that_is_not_spoken_is_said_in_mobys_words(text: str, words: str) -> None:
    with pytest.raises(ApiVersionError) as caught:
        negotiated(text)

    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("path", "version", "bare"),
    [
        ("/v1.41/images/json", "1.41", "/images/json"),
        ("/images/json", None, "/images/json"),
        ("/v1.41", None, "/v1.41"),
        ("/version", None, "/version"),
        ("/v1.x/info", None, "/v1.x/info"),
    ],
)
def test_a_path_may_begin_with_a_version(path: str, version: str | None, bare: str) -> None:
    assert split_version(path) == (version, bare)


def test_a_name_may_hold_slashes_wherever_it_stands() -> None:
    router = Router([Route("GET", "/images/{name}/json", first), Route("GET", "/containers/{id}/json", second)])

    image = router.match("GET", "/images/localhost:5000/team/app@sha256:0/json")
    container = router.match("GET", "/containers/team/app/json")

    assert image is not None
    assert image.places == {"name": "localhost:5000/team/app@sha256:0"}
    assert container is not None
    assert container.places == {"id": "team/app"}


def test_the_first_route_that_fits_counts_and_methods_are_kept_apart() -> None:
    router = Router([Route("GET", "/images/json", first), Route("GET", "/images/{name}/json", second)])

    assert router.match("POST", "/images/json") is None
    found = router.match("GET", "/images/json")
    assert found is not None
    assert found.handler is first


@given(st.lists(st.sampled_from(["a", "..", ".", "", "b.c"])))
def test_a_cleaned_path_never_climbs(parts: list[str]) -> None:
    path = cleaned("/" + "/".join(parts))

    assert path.startswith("/")
    assert not {"..", ".", ""} & set(path[1:].removesuffix("/").split("/")) or path == "/"
    assert cleaned(path) == path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filters=%zz", 'invalid URL escape "%zz"'),
        ("a=%4&b=1", 'invalid URL escape "%4"'),
        ("a=%", 'invalid URL escape "%"'),
        ("a=1;b=2", "invalid semicolon separator in query"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused_in_gos_words(text: str, words: str) -> None:
    with pytest.raises(queries.InvalidQueryError) as raised:
        queries.parameters(text)

    assert str(raised.value) == words


def test_parameters_are_decoded_and_may_be_empty_or_said_twice() -> None:
    assert list(queries.parameters("a=b%2Bc+d&e=&a=%25").items()) == [("a", "b+c d"), ("e", ""), ("a", "%")]


@pytest.mark.parametrize("text", ["", "0", "no", "False", " none "])
def test_five_spellings_are_false(text: str) -> None:
    assert not queries.flag(MultiDict({"all": text}), "all", default=True)


@pytest.mark.parametrize("text", ["1", "true", "yes", "2", "x"])
def test_everything_else_is_true(text: str) -> None:
    assert queries.flag(MultiDict({"all": text}), "all")


@pytest.mark.parametrize("text", ['{"label":{"a=b":true,"c":true}}', '{"label":["a=b","c"]}'])
def test_filters_come_as_sets_or_as_lists(text: str) -> None:
    assert queries.filters(MultiDict({"filters": text})) == {"label": ["a=b", "c"]}


@pytest.mark.parametrize("text", ["", "{}", "null"])
def test_filters_may_ask_for_nothing(text: str) -> None:
    assert queries.filters(MultiDict({"filters": text})) == {}


def test_a_filter_may_be_null_and_has_no_values_then() -> None:
    assert queries.filters(MultiDict({"filters": '{"label":null}'})) == {"label": []}


@pytest.mark.parametrize("text", ["{", "[]", '{"a":1}', '{"a":{"b":"c"}}', "[" * 30_000, "x" * 70_000])
def test_filters_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(InvalidQueryError, match="invalid filter"):
        queries.filters(MultiDict({"filters": text}))


def test_a_platform_is_one_json_object() -> None:
    query = MultiDict({"platform": '{"os":"linux","architecture":"arm64","variant":"v8"}'})

    assert queries.platform(query) == Platform.parse("linux/arm64/v8")
    assert queries.platform(MultiDict()) is None


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["linux/arm64"], "failed to parse platform"),
        (["{}"], "both OS and Architecture must be provided"),
        (['{"os":"linux"}'], "both OS and Architecture must be provided"),
        (['{"variant":"v8"}'], "optional platform fields provided, but OS and Architecture are missing"),
        (["{}", "{}"], "multiple platform parameters not supported"),
    ],
)
def test_a_platform_that_is_none_is_refused_in_mobys_words(texts: list[str], words: str) -> None:
    with pytest.raises(InvalidQueryError, match=words):
        queries.platform(MultiDict([("platform", text) for text in texts]))


@pytest.mark.parametrize(("text", "meaning"), [("", 0), ("7", 7), ("-1", -1)])
def test_a_number_is_read_and_nothing_is_zero(text: str, meaning: int) -> None:
    assert queries.number(MultiDict({"limit": text}), "limit") == meaning


@pytest.mark.parametrize("text", ["ten", "1.5", "9" * 21, "9" * 10_000, "1_0", "٣", " 7"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidQueryError, match="invalid syntax"):
        queries.number(MultiDict({"limit": text}), "limit")
