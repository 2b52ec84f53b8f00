"""Columns give back what they were given, and take little where rows are alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.layers.recipes.columns import (
    LIMIT,
    HeaderColumns,
    checksum,
    join_headers,
    pack_numbers,
    planes,
    rows,
    split_headers,
    unpack_numbers,
)
from headway.layers.recipes.format import Form
from tests.fakes.tars import GNU, header

FORMS = st.sampled_from(list(Form))
BLOCKS = st.lists(
    st.one_of(
        st.binary(min_size=512, max_size=512),
        st.binary(max_size=99).map(lambda name: name.ljust(512, b"\0")),
        st.just(header(b"plain", magic=GNU)),
    ),
    min_size=1,
    max_size=20,
)


@given(numbers=st.lists(st.integers(0, LIMIT - 1), max_size=50))
def test_any_numbers_come_back(numbers: list[int]) -> None:
    assert unpack_numbers(pack_numbers(numbers), len(numbers)) == numbers


@given(data=st.binary(min_size=60, max_size=60), width=st.sampled_from([1, 4, 5, 12, 60]))
def test_any_rows_come_back(data: bytes, width: int) -> None:
    assert rows(planes(data, width), 60 // width, width) == data


@given(blocks=BLOCKS)
def test_any_blocks_come_back_with_whatever_checksum_they_have(blocks: list[bytes]) -> None:
    # No reader takes digits that are not the sum: only such blocks come here.
    blocks = [block if not block[148:154].isdigit() else _right(block) for block in blocks]

    assert join_headers(split_headers(b"".join(blocks)), len(blocks)) == blocks


@given(blocks=BLOCKS)
def test_any_blocks_with_the_usual_checksum_come_back_without_it(blocks: list[bytes]) -> None:
    blocks = [_right(block) for block in blocks]

    columns = split_headers(b"".join(blocks))

    assert columns[1][0] == Form.COMPUTED
    assert join_headers(columns, len(blocks)) == blocks


@pytest.mark.parametrize("name", [b"plain", b"caf\xc3\xa9"])
@pytest.mark.parametrize("spelling", [b"%6o\0 ", b"%07o\0", b"%06o \0"])
def test_checksums_that_are_spelt_otherwise_come_back(name: bytes, spelling: bytes) -> None:
    blocks = [header(name, magic=GNU), header(name, mode=0o600)]
    total = int(blocks[1][148:154], 8)
    blocks[1] = blocks[1][:148] + spelling % total + blocks[1][156:]

    columns = split_headers(b"".join(blocks))

    assert columns[1][0] == Form.PLANES
    assert join_headers(columns, 2) == blocks


def test_names_take_no_more_than_they_say() -> None:
    names = [b"%d" % number for number in range(1000, 1999)]

    (form, data), *_ = split_headers(b"".join(header(name) for name in names))

    assert (form, data) == (Form.TEXT, b"\0".join(names))


@given(
    names=st.tuples(FORMS, st.binary(max_size=300)),
    fields=st.tuples(FORMS, st.binary(max_size=300)),
    tails=st.tuples(FORMS, st.one_of(st.binary(max_size=300), st.just(bytes(355)), st.just(bytes(710)))),
    count=st.integers(1, 3),
)
def test_garbage_is_a_value_error_or_blocks(
    names: tuple[Form, bytes], fields: tuple[Form, bytes], tails: tuple[Form, bytes], count: int
) -> None:
    columns: HeaderColumns = (names, fields, tails)
    try:
        blocks = join_headers(columns, count)
    except ValueError:
        return

    assert [len(block) for block in blocks] == [512] * count


def _right(block: bytes) -> bytes:
    return block[:148] + checksum(block) + block[156:]
