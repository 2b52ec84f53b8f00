"""Archives as nobody should write them, made from a random generator: the same generator gives the same bytes.

Rule: most of what is made is nearly right, for what is wrong everywhere is refused at its first block and tests little.
"""

from __future__ import annotations

import random

from tests.fakes.tars import (
    BLOCK,
    END,
    GNU,
    USTAR,
    V7,
    base256,
    header,
    long_name,
    octal,
    padded,
    pax_record,
)

OUTSIDE = b"/headway-fuzz-outside"
"""Nothing may ever make this."""

_NAMES = [
    b"a", b"b", b"d", b"d/a", b"d/e/f", b"./d/b", b"d/e/", b"l", b"l/x", b"l/d/y", b"m/x", b"h",
    b".", b"./", b"", b"/", b"..", b"../canary/file", b"../../canary/new", b"/d/../../canary", b"d/../a", b"d//e///g",
    b"l/../canary/file", b"l/headway-fuzz-outside", OUTSIDE, OUTSIDE + b"/x", b"../" * 40 + OUTSIDE[1:],
    b".wh.a", b"d/.wh.e", b".wh..wh..opq", b"d/.wh..wh..opq", b".wh..wh.plnk/1", b".wh.", b".wh..", b".wh...",
    b"l/.wh.file", b".wh..wh.aufs", b"d/.wh..wh..opq/x", b".wh.d/x",
    b"n" * 99, b"n" * 100, b"n" * 101, b"p" * 155 + b"/" + b"n" * 100, b"n" * 255, b"n" * 256, b"x/" * 120,
    b"y/" * 2047, b"y" * 4095, b"y" * 4096, b"\xff\xfe", b"caf\xe9", b"new\nline", b" ", b"\xc3\xa9\xcc\x81",
    b"d\0x", b"-rf",
]  # fmt: skip
_USUAL = [b"a", b"b", b"d/", b"d/a", b"d/b", b"d/e/f", b"./d/g", b"l", b"l/x", b"h", b".wh.c", b"m", b"d/l", b"n" * 90]
_TARGETS = [
    *_NAMES,
    b"../canary", b"../../canary", b"../canary/file", b"/", b"/etc", b"/proc/self/fd", b"/proc/self/root",
    b"/proc/self/cwd", b"l", b"m", b"d", b"d/e", b"../../../../../../../..", b"d/../../d", b"/d/e", b"..", b".",
]  # fmt: skip
_USUAL_KINDS = [b"0", b"0", b"0", b"\0", b"1", b"2", b"3", b"5", b"5", b"6"]
_KINDS = [b"0", b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"]
_ODD_KINDS = [b"x", b"g", b"L", b"K", b"S", b"A", b"D", b"M", b"N", b"V", b"X", b"8", b"\xff", b" "]
_BODIES = [b"", b"", b"x", b"y" * 511, b"z" * 512, b"w" * 513, b"12345678" * 700, bytes(2000), b"\x1f\x8b\x08" * 100]
_MODES = [0, 0o444, 0o555, 0o644, 0o755, 0o4755, 0o2755, 0o1777, 0o7777]
_OWNERS = [0, 0, 1, 1000, 65534, (1 << 21) - 1]
_DEVICES = [(0, 0), (1, 3), (8, 1), (4095, 0), (4096, 0), (0, (1 << 20) - 1), (0, 1 << 20), (2097151, 2097151)]
_NUMBERS = [
    0,
    1,
    2,
    3,
    5,
    7,
    511,
    512,
    513,
    1024,
    4096,
    65535,
    1 << 20,
    1 << 31,
    (1 << 32) - 1,
    1 << 33,
    1 << 62,
    1 << 63,
]
_KEYS = [
    b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"atime", b"comment", b"hdrcharset", b"uname", b"",
    b"SCHILY.xattr.user.a", b"SCHILY.xattr.security.capability", b"SCHILY.xattr.trusted.overlay.opaque",
    b"SCHILY.xattr.user.overlay.opaque", b"SCHILY.xattr.system.posix_acl_access", b"SCHILY.xattr.trusted.note",
    b"SCHILY.xattr.", b"SCHILY.xattr.\xff", b"SCHILY.xattr.user." + b"k" * 250, b"LIBARCHIVE.xattr.user.a", b"\xff\xfe",
    b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.name", b"GNU.sparse.realsize", b"GNU.sparse.size",
    b"GNU.sparse.map", b"GNU.sparse.offset", b"GNU.sparse.numbytes", b"GNU.sparse.numblocks",
]  # fmt: skip
_VALUES = [
    b"", b"0", b"1", b"-1", b"1.5", b"-1.999999999999", b"1e9", b".5", b"1.", b"0x10", b" 7", b"9" * 30, b"9" * 50,
    b"1,2,9,3", b"0,0", b"0,1,1,1,2,1", b"5,1,0,1", b"1", b"1,", b",", b"18446744073709551616", b"\0", b"a\0b",
    b"\xff" * 9, b"binary", b"y", b"x" * 600, b"x" * 65536, b"\xe2\x88\x9e", b"\xd9\xa1", b"4294967295", b"4294967294",
]  # fmt: skip
_FIELDS = [(0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (148, 8), (156, 1), (157, 100), (257, 8),
           (265, 32), (297, 32), (329, 8), (337, 8), (345, 155), (386, 12), (398, 12), (482, 1), (483, 12)]  # fmt: skip
_ENDS = [END, END, END, END * 10, b"", END[:512], END[:700], END + b"trailing", END + bytes(4000) + b"x" * 600]
_CHECKSUM = slice(148, 156)


def archive(rng: random.Random) -> bytes:
    """Return a tar: entries of all kinds and dialects, then spoilt here and there."""
    parts = [_part(rng) for _ in range(rng.choice((1, 2, 3, 4, 6, 9, 14, 40)))]
    data = b"".join(parts) + rng.choice(_ENDS)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 1, 2, 4))):
        data = rng.choice(_SPOILERS)(rng, data)
    return data


def _part(rng: random.Random) -> bytes:
    if rng.random() < 0.75:
        return _usual(rng)
    return rng.choice((_plain, _plain, _long, _pax, _pax, _global, _old_sparse, _pax_sparse, _strange))(rng)


# --- entries ---


def _usual(rng: random.Random) -> bytes:
    """Return an entry that can be unpacked nearly anywhere."""
    name, kind = rng.choice(_USUAL), rng.choice(_USUAL_KINDS)
    body = rng.choice(_BODIES) if kind == b"0" or (kind == b"\0" and not name.endswith(b"/")) else b""
    block = header(
        name,
        kind=kind,
        size=len(body),
        mode=rng.choice(_MODES),
        uid=rng.choice(_OWNERS),
        mtime=1_600_000_000,
        linkname=rng.choice(_USUAL) if rng.random() < 0.8 else rng.choice(_TARGETS)[:100],
        magic=rng.choice((USTAR, GNU)),
        major=1,
        minor=3,
    )
    return block + padded(body)


def _plain(rng: random.Random) -> bytes:
    kind = rng.choice(_KINDS) if rng.random() < 0.9 else rng.choice(_ODD_KINDS)
    body = rng.choice(_BODIES) if kind in b"\x0007" or rng.random() < 0.1 else b""
    size = len(body) if rng.random() < 0.95 else rng.choice(_NUMBERS[:14])
    major, minor = rng.choice(_DEVICES)
    block = header(
        rng.choice(_NAMES)[:100],
        kind=kind,
        size=size,
        mode=rng.choice(_MODES),
        uid=rng.choice(_OWNERS),
        gid=rng.choice(_OWNERS),
        mtime=rng.choice((0, 1, 1_600_000_000, 8**11 - 1)),
        linkname=rng.choice(_TARGETS)[:100],
        magic=rng.choice((USTAR, USTAR, GNU, V7)),
        major=major,
        minor=minor,
        prefix=rng.choice((b"", b"", b"", b"d", b"/", b"..", b"p" * 155)),
    )
    return block + padded(body)


def _long(rng: random.Random) -> bytes:
    parts = [long_name(rng.choice(_NAMES), kind=rng.choice((b"L", b"K"))) for _ in range(rng.choice((1, 1, 2, 3)))]
    return b"".join(parts) + _plain(rng)


def _pax(rng: random.Random) -> bytes:
    records = [(rng.choice(_KEYS), rng.choice(_VALUES)) for _ in range(rng.choice((0, 1, 1, 2, 4)))]
    if rng.random() < 0.5:
        records.append(
            rng.choice(((b"path", rng.choice(_NAMES)), (b"linkpath", rng.choice(_TARGETS)), (b"mtime", b"1.5")))
        )
    return _extension(rng, b"x", records) + _plain(rng)


def _global(rng: random.Random) -> bytes:
    keys = _KEYS if rng.random() < 0.3 else [b"comment", b"uname", b"atime"]
    count = rng.choice((1, 1, 2, 70))
    return _extension(
        rng, b"g", [(rng.choice(keys) + b"%d" % n * (count > 9), rng.choice(_VALUES)) for n in range(count)]
    )


def _extension(rng: random.Random, kind: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(pax_record(key, value) for key, value in records)
    if rng.random() < 0.15:
        body = _flipped(rng, body) if rng.random() < 0.5 else body[: rng.randrange(len(body) + 1)]
    size = len(body) if rng.random() < 0.95 else rng.choice(_NUMBERS[:14])
    return header(b"PaxHeaders/x", kind=kind, size=size) + padded(body)


def _parts(rng: random.Random) -> tuple[list[int], int, int]:
    """Return offsets and lengths of a sparse file, its size, and how many bytes are stored; usually they fit."""
    numbers: list[int] = []
    at = stored = 0
    for _ in range(rng.choice((0, 1, 2, 4, 5, 26, 70))):
        at += rng.choice((0, 1, 512, 70_000))
        length = rng.choice((0, 1, 5, 512, 513))
        numbers += [at, length]
        at += length
        stored += length
    size = at + rng.choice((0, 0, 1, 100_000))
    if numbers and rng.random() < 0.2:
        numbers[rng.randrange(len(numbers))] = rng.choice(_NUMBERS)
    if rng.random() < 0.1:
        size = rng.choice(_NUMBERS)
    return numbers, size, stored


def _old_sparse(rng: random.Random) -> bytes:
    numbers, size, stored = _parts(rng)
    entries = b"".join(_field(rng, number) for number in numbers)
    block = bytearray(header(rng.choice(_NAMES)[:100], kind=b"S", size=stored, magic=GNU))
    block[386:482] = entries[:96].ljust(96, b"\0")
    block[482] = rng.choice((len(entries) > 96, len(entries) > 96, 0, 1))
    block[483:495] = _field(rng, size)
    blocks = [_signed(block)]
    rest = entries[96:]
    while rest:
        blocks.append(rest[:504].ljust(504, b"\0") + bytes((len(rest) > 504,)) + bytes(7))
        rest = rest[504:]
    return b"".join(blocks) + padded(b"s" * stored)


def _field(rng: random.Random, value: int) -> bytes:
    return octal(value, 12) if value < 8**11 and rng.random() < 0.9 else base256(value, 12)


def _pax_sparse(rng: random.Random) -> bytes:
    numbers, size, stored = _parts(rng)
    name = rng.choice(_NAMES)
    form = rng.choice(("0.0", "0.1", "1.0"))
    body = b"s" * stored
    records: list[tuple[bytes, bytes]] = [(b"GNU.sparse.name", name)]
    if form == "0.0":
        records.append((b"GNU.sparse.size", b"%d" % size))
        for offset, length in zip(numbers[::2], numbers[1::2], strict=True):
            records += [(b"GNU.sparse.offset", b"%d" % offset), (b"GNU.sparse.numbytes", b"%d" % length)]
    elif form == "0.1":
        records += [(b"GNU.sparse.size", b"%d" % size), (b"GNU.sparse.map", b",".join(b"%d" % n for n in numbers))]
    else:
        records += [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"%d" % size)]
        count = len(numbers) // 2 if rng.random() < 0.9 else rng.choice(_NUMBERS)
        body = padded(b"%d\n" % count + b"".join(b"%d\n" % number for number in numbers)) + body
    if rng.random() < 0.1:
        rng.shuffle(records)
    return _extension(rng, b"x", records) + header(b"GNUSparseFile/x", size=len(body)) + padded(body)


def _strange(rng: random.Random) -> bytes:
    """Return an entry with one field that no program of today writes."""
    block = bytearray(_plain(rng)[:BLOCK])
    block[124:136] = octal(0, 12)
    _set_field(rng, block)
    return _signed(block)


def _set_field(rng: random.Random, block: bytearray) -> None:
    at, width = rng.choice(_FIELDS)
    number = rng.choice(_NUMBERS)
    values = [
        b"", b" " * width, b"\xff" * width, b"\x80" + bytes(width - 1), b"\x80" + b"\xff" * (width - 1), b"-1", b"8",
        b"%o" % number, b" %o " % number, b"%o\0junk" % number, b"7" * width, b"0x1f", rng.randbytes(width),
        number.to_bytes(16, "big")[-width:], b"\xc0" + bytes(width - 1),
        rng.choice(_ODD_KINDS + _KINDS), rng.choice(_NAMES),
    ]  # fmt: skip
    block[at : at + width] = rng.choice(values)[:width].ljust(width, b"\0")


def _signed(block: bytearray) -> bytes:
    """Return a header block with a right checksum."""
    block[_CHECKSUM] = b" " * 8
    block[_CHECKSUM] = b"%06o\0 " % sum(block)
    return bytes(block)


# --- damage ---


def _flipped(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[: at - at % BLOCK] if rng.random() < 0.5 else data[:at]


def _blocks_moved(rng: random.Random, data: bytes) -> bytes:
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
    if not blocks:
        return data
    at, other = rng.randrange(len(blocks)), rng.randrange(len(blocks))
    match rng.randrange(4):
        case 0:
            del blocks[at]
        case 1:
            blocks.insert(at, blocks[other])
        case 2:
            blocks[at], blocks[other] = blocks[other], blocks[at]
        case _:
            blocks.insert(at, rng.choice((bytes(BLOCK), rng.randbytes(BLOCK), bytes(2 * BLOCK))))
    return b"".join(blocks)


def _field_changed(rng: random.Random, data: bytes) -> bytes:
    """Change a field of a header, and mostly make the checksum right again."""
    at = BLOCK * rng.randrange(max(1, len(data) // BLOCK))
    block = bytearray(data[at : at + BLOCK])
    if len(block) < BLOCK:
        return data
    _set_field(rng, block)
    return data[:at] + (_signed(block) if rng.random() < 0.9 else bytes(block)) + data[at + BLOCK :]


def _shifted(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 7, 511))) + data[at:]


def _twice(rng: random.Random, data: bytes) -> bytes:
    return data + archive(rng) if rng.random() < 0.5 else data[: -len(END)] + archive(rng)


_SPOILERS = (
    _flipped,
    _cut,
    _blocks_moved,
    _blocks_moved,
    _field_changed,
    _field_changed,
    _field_changed,
    _shifted,
    _twice,
)
