"""Limits of transfers: what they may be, and that they change as one."""

from __future__ import annotations

import math

import pytest

from headway.distribution.backoff import RetryPolicy
from headway.distribution.transfer_limits import TransferLimits
from headway.errors import InvalidSettingError
from headway.service.limits.live_limits import LiveLimits

GIVEN = TransferLimits(
    max_concurrent_downloads=9, max_concurrent_uploads=8, max_download_attempts=7, download_patience=6.0
)


def test_the_defaults_are_dockers() -> None:
    limits = TransferLimits().checked()

    assert (limits.max_concurrent_downloads, limits.max_concurrent_uploads, limits.max_download_attempts) == (3, 5, 5)


def test_zero_at_once_means_the_default() -> None:
    limits = TransferLimits(max_concurrent_downloads=0, max_concurrent_uploads=0).checked()

    assert limits == TransferLimits()


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (TransferLimits(max_download_attempts=0), "invalid max download attempts: 0"),
        (TransferLimits(max_download_attempts=-1), "invalid max download attempts: -1"),
        (TransferLimits(max_concurrent_downloads=-1), "invalid max concurrent downloads: -1"),
        (TransferLimits(max_concurrent_uploads=-2), "invalid max concurrent uploads: -2"),
        (TransferLimits(download_patience=-1.0), "invalid download patience: -1.0"),
        (TransferLimits(download_patience=math.nan), "invalid download patience: nan"),
    ],
)
def test_what_cannot_be_is_refused_in_mobys_words(limits: TransferLimits, said: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        limits.checked()

    assert str(caught.value) == said


def test_only_what_is_said_changes_and_whoever_runs_transfers_hears_of_it() -> None:
    limits, resized = LiveLimits(GIVEN), list[TransferLimits]()
    limits.attach(resized.append)

    limits.update(max_download_attempts=2)
    limits.update(max_concurrent_downloads=1, download_patience=math.inf)

    assert limits.current == TransferLimits(
        max_concurrent_downloads=1, max_concurrent_uploads=8, max_download_attempts=2, download_patience=math.inf
    )
    assert limits.policy() == RetryPolicy(2, math.inf)
    assert resized[-1] == limits.current


@pytest.mark.parametrize(
    "wrong", [{"max_download_attempts": 0}, {"max_concurrent_uploads": -1}, {"download_patience": -1.0}]
)
def test_an_update_that_cannot_be_changes_nothing(wrong: dict[str, int]) -> None:
    limits, resized = LiveLimits(GIVEN), list[TransferLimits]()
    limits.attach(resized.append)

    with pytest.raises(InvalidSettingError):
        limits.update(**{"max_concurrent_downloads": 1, **wrong})

    assert limits.current == GIVEN
    assert resized == []
