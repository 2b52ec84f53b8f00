"""References: Docker's grammar, its limits and its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidReferenceError
from headway.oci.digest import Digest
from headway.oci.reference import Reference, parse_any

DIGEST = Digest.of(b"manifest")
HEX = DIGEST.hex

components = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
paths = st.lists(components, min_size=1, max_size=4).map("/".join)
hosts = st.sampled_from(["localhost", "example.com", "a-b.example", "UPPER", "127.0.0.1", "docker.io", "[::1]"])
domains = st.builds(str.__add__, hosts, st.sampled_from(["", ":5000"])) | st.just("registry:5000")
tags = st.just("") | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
digests = st.none() | st.binary(max_size=4).map(Digest.of)


@st.composite
def references(draw: st.DrawFn) -> Reference:
    domain, path = draw(domains), draw(paths)
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return Reference(domain, path, draw(tags), draw(digests))


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/team/app:x", "docker.io/team/app:x", "team/app:x"),
        ("docker.io", "docker.io/library/docker.io", "docker.io"),
        ("team/app", "docker.io/team/app", "team/app"),
        ("team/app/part", "docker.io/team/app/part", "team/app/part"),
        ("library/distros/x", "docker.io/library/distros/x", "library/distros/x"),
        ("docker.io/library/library", "docker.io/library/library", "library"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost", "docker.io/library/localhost", "localhost"),
        ("localhost:5000/app", "localhost:5000/app", "localhost:5000/app"),
        ("registry:5000/a/b:c", "registry:5000/a/b:c", "registry:5000/a/b:c"),
        ("registry:5000", "docker.io/library/registry:5000", "registry:5000"),
        ("example.com/app:1", "example.com/app:1", "example.com/app:1"),
        ("example.com/library/app", "example.com/library/app", "example.com/library/app"),
        ("UPPER/app", "UPPER/app", "UPPER/app"),
        ("[2001:db8::1]/app", "[2001:db8::1]/app", "[2001:db8::1]/app"),
        ("[::1]:5000/a/b", "[::1]:5000/a/b", "[::1]:5000/a/b"),
        ("a--b__c.d_e", "docker.io/library/a--b__c.d_e", "a--b__c.d_e"),
        ("x:TAG_.-", "docker.io/library/x:TAG_.-", "x:TAG_.-"),
        (f"x@{DIGEST}", f"docker.io/library/x@{DIGEST}", f"x@{DIGEST}"),
        (f"x:1@{DIGEST}", f"docker.io/library/x:1@{DIGEST}", f"x:1@{DIGEST}"),
        (f"{HEX}:1", f"docker.io/library/{HEX}:1", f"docker.io/library/{HEX}:1"),
        (f"sha256:{HEX}", f"docker.io/library/sha256:{HEX}", f"sha256:{HEX}"),
        (f"x{HEX}", f"docker.io/library/x{HEX}", f"x{HEX}"),
        # Docker prints "example.com/app" for this one, which is another image.
        ("docker.io/example.com/app", "docker.io/example.com/app", "docker.io/example.com/app"),
    ],
)
def test_a_short_name_means_what_it_means_to_docker(text: str, full: str, familiar: str) -> None:
    reference = Reference.parse(text)

    assert (str(reference), reference.familiar) == (full, familiar)


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "x/", "/x", "a//b", ":tag", "x:", "x:-tag", "x:.tag", "x:a/b", "x:" + "a" * 129, "x y", "x\n",
        "-x", "x-", "x___y", "x..y", "x._y", "x@", "x@sha256", "x@sha256:abc", f"x@{DIGEST}:tag", f"@{DIGEST}",
        "http://example.com/x", "example.com:x/y", "-example.com/x", "example-.com/x",
        "a_b.example/x", "[::1/x", "[::g]/x", "::1/x", ".com/x", "é", "x:é", "example.com:\u0663/x",
    ],
)  # fmt: skip
def test_what_the_grammar_refuses_is_an_invalid_format(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(text)

    assert str(caught.value) == "invalid reference format"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("example.com/App:1", "invalid reference format: repository name (App) must be lowercase"),
        (f"X@{DIGEST}", "invalid reference format: repository name (library/X@sha256) must be lowercase"),
        ("x/" + "a" * 244, "repository name must not be more than 255 characters"),
        ("example.com/" + "a" * 244, "repository name must not be more than 255 characters"),
        (f"x@md5:{HEX}", "unsupported digest algorithm"),
        (f"x@sha256:{HEX[:40]}", "invalid checksum digest length"),
        (f"x@sha256:{HEX.upper()}", "invalid checksum digest format"),
        (f"x@SHA256:{HEX}", "invalid reference format: repository name (library/x@SHA256) must be lowercase"),
    ],
)
def test_a_refusal_is_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(text)

    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["example.com/" + "a" * 243, "x:" + "a" * 128])
def test_a_name_and_a_tag_may_be_as_long_as_the_limit(text: str) -> None:
    assert Reference.parse(text).familiar == text


@given(references())
def test_the_full_spelling_reads_as_the_same_reference(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


@given(references())
def test_the_short_spelling_reads_as_the_same_reference(reference: Reference) -> None:
    assert Reference.parse(reference.familiar) == reference


@given(st.text(st.sampled_from("aA0.:/@-_[]%é\n")) | st.text())
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError:
        return

    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize("length", [1_000, 100_000])
def test_a_long_refused_name_costs_no_more_than_its_length(length: int) -> None:
    text = "example" + "-a" * length + "-.com/x" + "_a" * length + "_"

    with pytest.raises(InvalidReferenceError):
        Reference.parse(text)


def test_the_repository_is_the_name_in_full() -> None:
    reference = Reference.parse(f"busybox:1@{DIGEST}")

    assert (reference.repository, reference.familiar_name) == ("docker.io/library/busybox", "busybox")
    assert reference.name_only() == Reference("docker.io", "library/busybox")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x", "x:latest"), ("x:1", "x:1"), (f"x@{DIGEST}", f"x@{DIGEST}"), (f"x:1@{DIGEST}", f"x:1@{DIGEST}")],
)
def test_the_default_tag_is_for_bare_names_only(text: str, expected: str) -> None:
    reference = Reference.parse(text).with_default_tag()

    assert reference.familiar == expected


def test_a_tag_and_a_digest_replace_their_like_and_keep_the_other() -> None:
    reference = Reference.parse(f"x:1@{DIGEST}")
    other = Digest.of(b"other")

    assert reference.with_tag("2").familiar == f"x:2@{DIGEST}"
    assert reference.with_digest(other).familiar == f"x:1@{other}"


@pytest.mark.parametrize("tag", ["", "a b", "-a", "a" * 129, "a\n", "a/b"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(InvalidReferenceError, match=r"^invalid tag format$"):
        Reference.parse("x").with_tag(tag)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEX, DIGEST),
        (f"sha256:{HEX}", DIGEST),
        (HEX[:12], Reference("docker.io", f"library/{HEX[:12]}")),
        (f"sha256:{HEX[:12]}", Reference("docker.io", "library/sha256", HEX[:12])),
        ("x:1", Reference("docker.io", "library/x", "1")),
    ],
)
def test_a_whole_id_is_a_digest_and_everything_else_a_name(text: str, expected: Reference | Digest) -> None:
    assert parse_any(text) == expected


def test_what_is_neither_an_id_nor_a_name_is_refused() -> None:
    with pytest.raises(InvalidReferenceError, match=r"^invalid reference format$"):
        parse_any(f"md5:{HEX}:x")
