"""Which pages a daemon gives back when it has started."""

from __future__ import annotations

from headway.daemon.memory import unwritten

SMAPS = """\
5581a2c00000-5581a2c01000 r--p 00000000 08:01 1234                       /usr/bin/python3.11
Rss:                   4 kB
Anonymous:             0 kB
5581a2c01000-5581a2c02000 r-xp 00001000 08:01 1234                       /usr/bin/python3.11
Rss:                   4 kB
Anonymous:             0 kB
5581a2c02000-5581a2c03000 r--p 00002000 08:01 1234                       /usr/bin/python3.11
Rss:                   4 kB
Anonymous:             4 kB
5581a2c03000-5581a2c04000 rw-p 00003000 08:01 1234                       /usr/bin/python3.11
Rss:                   4 kB
Anonymous:             0 kB
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
Rss:                   4 kB
Anonymous:             4 kB
7ffd5b5e4000-7ffd5b5e6000 r-xp 00000000 00:00 0                          [vdso]
Rss:                   4 kB
Anonymous:             0 kB
"""
MAPS = [line for line in SMAPS.splitlines() if "-" in line.split()[0]]


def test_only_what_is_as_in_its_file_is_given_back() -> None:
    assert list(unwritten(SMAPS.splitlines(), MAPS)) == [
        (0x5581A2C00000, 0x5581A2C01000),
        (0x5581A2C01000, 0x5581A2C02000),
    ]


def test_addresses_that_only_one_of_the_two_lists_knows_are_left_alone() -> None:
    """Under qemu those of smaps are the host's, and mean something else to the program."""
    shifted = [line.replace("5581a2c0", "5581a2d0") for line in MAPS]

    assert not list(unwritten(SMAPS.splitlines(), shifted))
