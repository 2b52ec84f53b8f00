"""What registries say about how much may be asked of them."""

from __future__ import annotations

import pytest

from headway.distribution.quota import Quota, parse_quota


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        (
            {
                "RateLimit-Limit": "100;w=21600",
                "RateLimit-Remaining": "76;w=21600",
                "Docker-RateLimit-Source": "192.0.2.7",
            },
            Quota(100, 76, 21600, "192.0.2.7"),
        ),
        ({"RateLimit-Limit": "100"}, Quota(100)),
        ({"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "0"}, Quota(100, 0, 60)),
        ({"RateLimit-Limit": " 5 ; comment; w=1", "RateLimit-Remaining": "many"}, Quota(5, None, 1)),
        ({"RateLimit-Remaining": "3;w=60"}, None),
        ({"RateLimit-Limit": "-1"}, None),
        ({"RateLimit-Limit": "9" * 4000}, Quota(999_999_999_999)),
        (
            {"RateLimit-Limit": "1", "Docker-RateLimit-Source": "a\x1b[2J" + "b" * 90},
            Quota(1, source="a[2J" + "b" * 60),
        ),
        ({}, None),
    ],
)  # fmt: skip
def test_a_quota_is_read_as_registries_write_it(headers: dict[str, str], quota: Quota | None) -> None:
    assert parse_quota(headers.get) == quota
