"""Filters as docker sends them."""

from __future__ import annotations

import pytest

from headway.errors import InvalidFilterError
from headway.service.queries.filters import labels_match, parse_filters, reference_pattern, require_known, truth


def test_words_of_a_command_line_are_collected_by_name() -> None:
    assert parse_filters(["label=a=b", "Label = c", "dangling=true"]) == {"label": ["a=b", "c"], "dangling": ["true"]}


@pytest.mark.parametrize("word", ["dangling", "=x", "", " =x"])
def test_a_word_without_a_name_and_a_value_is_refused(word: str) -> None:
    with pytest.raises(InvalidFilterError):
        parse_filters([word])


def test_an_unknown_filter_is_refused_in_dockers_words() -> None:
    require_known({"label": ["a"]}, {"label", "since"})

    with pytest.raises(InvalidFilterError, match=r"^invalid filter 'foo'$"):
        require_known({"label": ["a"], "foo": ["b"]}, {"label", "since"})


@pytest.mark.parametrize(
    ("values", "meaning"), [(["true"], True), (["1"], True), (["false"], False), (["0", "false"], False)]
)
def test_a_truth_value_may_be_a_number(values: list[str], meaning: bool) -> None:  # noqa: FBT001 - drawn from the table
    assert truth({"dangling": values}, "dangling") is meaning


@pytest.mark.parametrize("values", [["maybe"], ["True"], []])
def test_what_is_no_truth_value_is_refused_in_dockers_words(values: list[str]) -> None:
    shown = f"=[{values[0]}]" if values else ""

    with pytest.raises(InvalidFilterError) as caught:
        truth({"dangling": values}, "dangling")

    assert str(caught.value) == f"invalid filter 'dangling{shown}'"


def test_a_truth_value_and_its_opposite_are_refused() -> None:
    with pytest.raises(InvalidFilterError, match=r"'dangling=\[true false\]'"):
        truth({"dangling": ["true", "false"]}, "dangling")


def test_a_filter_that_is_not_there_says_nothing() -> None:
    assert truth({"label": ["x"]}, "dangling") is None


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ([], True),
        (["a"], True),
        (["a=1"], True),
        (["a=1", "empty"], True),
        (["empty="], True),
        (["a=2"], False),
        (["a", "b"], False),
        (["a="], False),
        (["x=y=z"], True),
    ],
)
def test_every_label_that_is_wanted_must_be_there(wanted: list[str], matches: bool) -> None:  # noqa: FBT001
    assert labels_match(wanted, {"a": "1", "empty": "", "x": "y=z"}) is matches


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("alpine", ["alpine"], ["alpine:3", "xalpine", "alpin"]),
        ("alp*", ["alpine", "alp", "alpine:3"], ["alp/x", "xalp"]),
        ("*/app", ["team/app"], ["app", "a/b/app"]),
        ("*/*", ["team/app"], ["app", "a/b/c"]),
        ("ap?", ["app"], ["ap", "ap/", "appp"]),
        ("[a-c]pp", ["app", "cpp"], ["dpp", "-pp"]),
        ("[^a-c]pp", ["dpp"], ["app"]),
        ("a*b*c", ["abc", "abbcc", "a1b2c"], ["acb", "a/bc", "ab/c", "abcd"]),
        ("**b", ["b", "abb"], ["a/b", "ba"]),
        (r"a\*p", ["a*p"], ["aap"]),
        (r"[\]]x", ["]x"], ["[x"]),
        ("a.p", ["a.p"], ["aap"]),
        ("", [""], ["a"]),
    ],
)
def test_a_pattern_means_what_gos_path_match_means(pattern: str, matching: list[str], others: list[str]) -> None:
    compiled = reference_pattern(pattern)

    assert [name for name in [*matching, *others] if compiled.fullmatch(name)] == matching


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    pattern = reference_pattern("*a" * 30 + "b")

    assert not pattern.fullmatch("a" * 120)
    assert pattern.fullmatch("a" * 119 + "b")


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "a[", "\\", "[^]", "[z-a]", "a]b["])
def test_a_pattern_without_an_end_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidFilterError, match="invalid filter 'reference="):
        reference_pattern(pattern)
