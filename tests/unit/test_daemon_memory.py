"""Which pages a daemon gives back when it has started."""

from __future__ import annotations

from headway.daemon.memory import texts

MAPS = """\
5581a2c00000-5581a2c01000 r--p 00000000 08:01 1234                       /usr/bin/python3.11
5581a2c01000-5581a2c02000 r-xp 00001000 08:01 1234                       /usr/bin/python3.11
5581a2c02000-5581a2c03000 r-xp 00000000 00:00 0                          [vdso]
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f0000001000-7f0000003000 r-xp 00000000 08:01 99                         /usr/lib/libc.so.6
7f0000003000-7f0000004000 rwxp 00000000 08:01 99                         /usr/lib/odd.so
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_only_text_of_files_that_nobody_writes_to_is_given_back() -> None:
    assert list(texts(MAPS.splitlines())) == [(0x5581A2C01000, 0x5581A2C02000), (0x7F0000001000, 0x7F0000003000)]
