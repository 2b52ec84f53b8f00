"""What patterns of names find, as Go's expressions do, and that none of them can hold up the process."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidFilterError
from headway.service.queries.name_patterns import NamePattern

ATOMS = ("a", "b", "-", "[ab]", "[^a]", ".", r"\w", r"\D", "^", "$", r"\b")
TIMES = ("*", "+", "?", "{2}", "{1,2}", "{2,}", "*?")


def larger(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.tuples(parts, parts).map("".join)
        | st.tuples(parts, parts).map(lambda two: f"({two[0]}|{two[1]})")
        | st.tuples(parts, st.sampled_from(TIMES)).map(lambda two: f"(?:{two[0]}){two[1]}")
    )


@given(st.recursive(st.sampled_from(ATOMS), larger, max_leaves=8), st.text("ab-1", max_size=8))
def test_where_python_and_go_mean_the_same_they_find_the_same(pattern: str, name: str) -> None:
    assert NamePattern(pattern).is_in(name) == (re.search(pattern, name) is not None)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        *(("", "any"), ("^/web$", "/web"), ("(?i)WEB", "my-web"), ("(?i:w)eb", "Web"), ("w(?-i)eb", "web")),
        *(("[[:digit:]]", "a1"), ("[^[:^alpha:]]", "a"), (r"[\d_]$", "a_"), ("[]a]", "a"), ("[a-c.-]+", "-")),
        *((r"web\z", "web"), (r"\Aweb", "web-1"), (r"a\.b", "a.b"), ("(?P<n>a)b", "ab"), ("(?<n>a)b", "ab")),
        *(("a{,2}", "a{,2}"), ("a|", "zzz"), ("(a|b){2,3}c", "babc"), ("()*a", "a"), (r"\B", "")),
    ],
)
def test_what_go_finds_is_found(pattern: str, name: str) -> None:
    assert NamePattern(pattern).is_in(name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("^web$", "/web"),
        ("WEB", "web"),
        ("(?i:w)eb", "wEB"),
        ("[[:digit:]]", ":t"),
        (r"a\.b", "ab"),
        ("^a{2,3}$", "aaaa"),
    ],
)
def test_and_nothing_else(pattern: str, name: str) -> None:
    assert not NamePattern(pattern).is_in(name)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", ")", "a)", "[", "[]", "[z-a]", "[[:nope:]]", "*", "a**", "a++", "\\", "(?=a)", "(?!a)", r"(a)\1"),
        *("{2}", "(?i)*", r"[a-\d]"),
        *(r"a\Z", "a{1001}", "a{3,2}", r"\pL", r"\x41", "(a{1000}){1000}", "(" * 5_000),
    ],
)
def test_what_is_no_pattern_of_go_s_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidFilterError, match="invalid filter 'name="):
        NamePattern(pattern)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a?){50}a{400}$", "((a*)*)*-b"])
def test_no_pattern_takes_years(pattern: str) -> None:
    assert not NamePattern(pattern).is_in("a" * 400 + "-")
