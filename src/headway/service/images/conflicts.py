"""What prevents removing an image, in Moby's order and words (moby-behaviour 6.9).

Rule: no I/O: the caller gathers the facts. Force overrides a soft conflict, but not a hard one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from headway.oci.digest import ImageID
from headway.oci.reference import Reference

_SHORT = 12


class Uses(msgspec.Struct, frozen=True, kw_only=True):
    """What an image is used for.

    Attributes:
        children: How many images were made from it here.
        running: The ID of a container whose file system is in use; empty if there is none.
        stopped: The ID of another container of it; empty if there is none.
        mounted: Where it is mounted without a container; empty if it is not.
        names: Its names.
    """

    children: int = 0
    running: str = ""
    stopped: str = ""
    mounted: str = ""
    names: Sequence[Reference] = ()


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Why an image is not removed.

    Attributes:
        reason: The reason in Moby's words.
        is_hard: Whether it holds even with force.
        is_use: Whether its files are in use.
    """

    reason: str
    is_hard: bool = False
    is_use: bool = False

    def message(self, image_id: ImageID) -> str:
        """Return the message that says why the image was not removed."""
        forced = "cannot be forced" if self.is_hard else "must be forced"
        return f"conflict: unable to delete {image_id.short} ({forced}) - {self.reason}"


def conflict_of(uses: Uses, *, force: bool, names_count: bool = True) -> Conflict | None:
    """Return the first thing that prevents removing an image; None if nothing does.

    Args:
        uses: What it is used for.
        force: Whether only hard conflicts count.
        names_count: Whether its names are a conflict; they are none for a caller that is about to remove them.
    """
    if uses.children:
        return Conflict(reason="image has dependent child images", is_hard=True)
    if uses.running:
        reason = f"image is being used by running container {uses.running[:_SHORT]}"
        return Conflict(reason=reason, is_hard=True, is_use=True)
    if force:
        return None
    if names_count and uses.names:
        return Conflict(reason="image is referenced in multiple repositories")
    if uses.stopped:
        return Conflict(reason=f"image is being used by stopped container {uses.stopped[:_SHORT]}", is_use=True)
    if uses.mounted:
        return Conflict(reason=f"image is mounted at {uses.mounted}", is_use=True)
    return None


def untag_conflict(word: str, image_id: ImageID, uses: Uses) -> str:
    """Return why the last name of an image may not be removed without force; empty if it may."""
    if container := uses.running or uses.stopped:
        user = f"container {container[:_SHORT]} is using its referenced image {image_id.short}"
    elif uses.mounted:
        user = f"its image {image_id.short} is mounted at {uses.mounted}"
    else:
        return ""
    return f'conflict: unable to remove repository reference "{word}" (must force) - {user}'


def is_single(names: Sequence[Reference]) -> bool:
    """Tell whether an image's ID is enough to remove it, because all its names amount to one.

    They do if there is one name; or one tag and digests of its repository; or only digests of one repository.
    """
    if len(names) == 1:
        return True
    tags = sum(name.digest is None for name in names)
    return bool(names) and tags <= 1 and len({name.repository for name in names}) == 1


def goes_with(name: Reference, names: Sequence[Reference]) -> list[Reference]:
    """Return the digest references that go with a tag: those of its repository, if it has no other tag there."""
    same = [other for other in names if other.repository == name.repository and other != name]
    if name.digest is not None or any(other.digest is None for other in same):
        return []
    return same


def as_listed(listed: Collection[Reference], names: Sequence[Reference]) -> list[Reference]:
    """Return the names that go when an image's listed names are removed.

    They are the listed ones, and the digest references of repositories in which no other tag is left: see `goes_with`.
    """
    going = frozenset(listed)
    losing = {name.repository for name in going if name.digest is None}
    losing -= {name.repository for name in names if name.digest is None and name not in going}
    return [name for name in names if name in going or (name.digest is not None and name.repository in losing)]
