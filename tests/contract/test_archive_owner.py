"""Whose the files are that ``docker cp -a`` brings into a container."""

from __future__ import annotations

import grp
import pwd

import pytest

from headway.engine.queries import InvalidQueryError
from headway.engine.routes.archive import owner

NOBODY = pwd.getpwnam("nobody")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", None),
        ("nobody", (NOBODY.pw_uid, NOBODY.pw_gid)),
        (str(NOBODY.pw_uid), (NOBODY.pw_uid, NOBODY.pw_gid)),
        ("54321", (54321, 54321)),
        ("0:12", (0, 12)),
        ("root:daemon", (0, grp.getgrnam("daemon").gr_gid)),
        ("4294967294", (4294967294, 4294967294)),
    ],
)
def test_a_containers_user_is_looked_up_on_this_machine(user: str, expected: tuple[int, int] | None) -> None:
    assert owner(user) == expected


@pytest.mark.parametrize("user", ["-1", "nobody-has-this", "root:nobody-has-this", "4294967295", "0:9999999999", "٣"])
def test_whom_this_machine_does_not_know_nobody_is(user: str) -> None:
    with pytest.raises(InvalidQueryError, match="no such user here"):
        owner(user)
