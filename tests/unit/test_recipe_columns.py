"""Columns give back what they were given, and take little where rows are alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.layers.recipe_columns import (
    HEADER_FIELDS,
    LIMIT,
    Form,
    checksum,
    decode,
    encode,
    join_header,
    pack_numbers,
    split_headers,
    unpack_numbers,
)
from tests.fakes.tars import GNU, header

WIDTHS = st.sampled_from(sorted(set(HEADER_FIELDS.values())))
ROW = st.one_of(st.binary(max_size=12), st.sampled_from([b"", b"a\0b", b"00000000017", b"17", b"\xff" * 12]))


@given(rows=st.lists(ROW, min_size=1, max_size=300), width=WIDTHS)
def test_any_rows_come_back(rows: list[bytes], width: int) -> None:
    full = [row[:width].ljust(width, b"\0") for row in rows]

    form, data = encode(full, width)

    assert list(decode(form, data, len(full), width)) == full


@pytest.mark.parametrize(
    ("rows", "form", "length"),
    [
        ([b"root"] * 4096, Form.TABLE, 5),
        ([b"0755", b"0644"] * 2048, Form.TABLE, 1 + 8 + 4096),
        ([b"%011o\0" % number for number in range(999)], Form.OCTAL, 8 * 999),
        ([b"%-12d" % number for number in range(999)], Form.TEXT, 13 * 999 - 1),
        ([b"%d" % number + b"\0" * 96 + b"x" for number in range(1000, 1999)], Form.VERBATIM, 101 * 999),
    ],
    ids=["one value", "few values", "numbers", "text", "anything"],
)
def test_the_form_fits_the_rows(rows: list[bytes], form: Form, length: int) -> None:
    found, data = encode(rows, len(rows[0]))

    assert (found, len(data)) == (form, length)


@given(numbers=st.lists(st.integers(0, LIMIT - 1), max_size=50))
def test_any_numbers_come_back(numbers: list[int]) -> None:
    assert unpack_numbers(pack_numbers(numbers), len(numbers)) == numbers


@given(form=st.integers(0, 7), data=st.binary(max_size=60), count=st.integers(1, 20), width=st.integers(1, 12))
def test_garbage_is_a_value_error_or_rows_of_the_right_shape(form: int, data: bytes, count: int, width: int) -> None:
    try:
        rows = decode(form, data, count, width)
    except ValueError:
        return

    assert (len(rows), {len(row) for row in rows} - {width}) == (count, set()) or form == Form.OCTAL


@given(blocks=st.lists(st.binary(min_size=512, max_size=512), min_size=1, max_size=20))
def test_any_blocks_with_the_usual_checksum_come_back_without_it(blocks: list[bytes]) -> None:
    blocks = [block[:148] + checksum(block) + block[156:] for block in blocks]

    columns = list(split_headers(b"".join(blocks)))

    assert columns[list(HEADER_FIELDS).index("checksum")] == (Form.COMPUTED, b"")
    assert _joined(columns, len(blocks)) == blocks


@pytest.mark.parametrize("name", [b"plain", b"caf\xc3\xa9"])
@pytest.mark.parametrize("spelling", [b"%6o\0 ", b"%07o\0", b"%06o \0"])
def test_checksums_that_are_spelt_otherwise_come_back(name: bytes, spelling: bytes) -> None:
    blocks = [header(name, magic=GNU), header(name, mode=0o600)]
    total = int(blocks[1][148:154], 8)
    blocks[1] = blocks[1][:148] + spelling % total + blocks[1][156:]

    columns = list(split_headers(b"".join(blocks)))

    assert _joined(columns, 2) == blocks


def _joined(columns: list[tuple[Form, bytes]], count: int) -> list[bytes]:
    fields = [
        [b""] * count if form == Form.COMPUTED else decode(form, data, count, width)
        for (form, data), width in zip(columns, HEADER_FIELDS.values(), strict=True)
    ]
    return [join_header(row) for row in zip(*fields, strict=True)]
