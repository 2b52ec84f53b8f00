"""Digests and the IDs that are made of them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidDigestError
from headway.oci.digest import DiffID, Digest, chain_ids, digest_fault

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("text", [f"sha256:{HEX}", "sha384:" + "a" * 96, f"sha512:{HEX}{HEX}"])
def test_a_registered_digest_is_taken_as_it_is(text: str) -> None:
    digest = Digest.parse(text)

    assert (str(digest), digest.algorithm, digest.hex) == (text, *text.split(":"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "invalid checksum digest format"),
        (HEX, "invalid checksum digest format"),
        (f"SHA256:{HEX}", "invalid checksum digest format"),
        (f"sha256:{HEX}\n", "invalid checksum digest format"),
        (f"sha256:{HEX.upper()}", "invalid checksum digest format"),
        (f"sha256:../{HEX[3:]}", "invalid checksum digest format"),
        (f"md5:{HEX}", "unsupported digest algorithm"),
        (f"sha256+b64:{HEX}", "unsupported digest algorithm"),
        (f"sha256:{HEX[1:]}", "invalid checksum digest length"),
        (f"sha512:{HEX}", "invalid checksum digest length"),
    ],
)
def test_what_is_no_digest_is_refused_in_dockers_words(text: str, fault: str) -> None:
    with pytest.raises(InvalidDigestError) as caught:
        Digest.parse(text)

    assert str(caught.value) == f"{fault}: {text!r}"


@given(st.binary(), st.sampled_from(["sha256", "sha384", "sha512"]))
def test_what_is_computed_is_valid(data: bytes, algorithm: str) -> None:
    digest = Digest.of(data, algorithm)

    assert digest_fault(digest) == ""
    assert digest.hex == hashlib.new(algorithm, data).hexdigest()


def test_the_short_form_has_twelve_digits() -> None:
    digest = Digest.parse(f"sha256:{HEX}")

    assert digest.short == HEX[:12]


def test_a_chain_id_hashes_the_chain_below_and_the_layer() -> None:
    first, second, third = (DiffID(Digest.of(data)) for data in (b"1", b"2", b"3"))

    chain = chain_ids([first, second, third])

    middle = Digest.of(f"{first} {second}".encode())
    assert chain == [first, middle, Digest.of(f"{middle} {third}".encode())]


def test_no_layers_have_no_chain() -> None:
    assert chain_ids(()) == []
