"""Where a layer may be already, and how much it is worth to ask."""

from __future__ import annotations

import pytest

from headway.interfaces.registries import Mount
from headway.oci.digest import Digest
from headway.records import LayerBlob
from headway.service.pushing.candidates import Effort, effort_for, is_seen_in, to_check, to_mount

A, B, C = (Digest(f"sha256:{letter * 64}") for letter in "abc")
TARGET = "r.test/team/app"


@pytest.mark.parametrize(
    ("size", "effort"),
    [
        (0, Effort(1, 1, foreign=False, made=False)),
        (100 << 10, Effort(1, 1, foreign=False, made=False)),
        ((100 << 10) + 1, Effort(3, 1, foreign=False, made=True)),
        (10 << 20, Effort(3, 1, foreign=False, made=True)),
        ((10 << 20) + 1, Effort(4, 3, foreign=True, made=True)),
    ],
)
def test_a_larger_layer_is_worth_more_questions(size: int, effort: Effort) -> None:
    assert effort_for(size) == effort


def test_what_was_seen_in_the_repository_is_asked_for_first_and_there_the_images_own() -> None:
    blobs = [LayerBlob(A, "r.test/other"), LayerBlob(B, TARGET), LayerBlob(C, TARGET), LayerBlob(A, "q.test/x")]

    assert to_check(blobs, TARGET, C) == [C, B, A]
    assert to_check(blobs, TARGET, None) == [B, C, A]
    assert is_seen_in(blobs, B, TARGET)
    assert not is_seen_in(blobs, A, TARGET)


def test_mounts_come_from_the_same_registry_the_images_own_blob_and_the_nearest_name_first() -> None:
    blobs = [
        LayerBlob(A, "r.test/far"),
        LayerBlob(A, "r.test/team/base"),
        LayerBlob(B, "r.test/far"),
        LayerBlob(A, TARGET),
        LayerBlob(A, "q.test/team/app"),
    ]

    assert to_mount(blobs, TARGET, B) == [Mount(B, "far"), Mount(A, "team/base"), Mount(A, "far")]
    assert to_mount(blobs, TARGET, None) == [Mount(A, "team/base"), Mount(A, "far"), Mount(B, "far")]


def test_nothing_known_is_nothing_to_ask() -> None:
    assert (to_check([], TARGET, A), to_mount([], TARGET, A)) == ([], [])
