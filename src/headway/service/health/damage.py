"""The result of `headway check`: what is damaged, which images are affected, and how to repair it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from headway.interfaces.inventory import StoredImage
from headway.oci.digest import ImageID


class Kind(StrEnum):
    """What can be damaged."""

    LAYER = "layer"
    DERIVED = "derived layer"
    BLOB = "blob"
    IMAGE = "image"
    CONTAINER = "container"
    RECORDS = "records"


class Remedy(StrEnum):
    """What mends something."""

    FETCH = "fetch"
    REBUILD = "rebuild"
    """From what is here."""
    FORGET = "forget"
    """No image needs it: the pull that wants it fetches it again."""
    NONE = "none"


class HurtImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that something damaged belongs to.

    Attributes:
        image_id: Its ID.
        names: What stands for it, in short spelling.
    """

    image_id: ImageID
    names: tuple[str, ...]


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not what was stored.

    Attributes:
        kind: What it is.
        name: Its digest, or its name.
        faults: What is wrong with it, the first `service.health.check.MOST_FAULTS` of them.
        images: Which images it hurts.
        remedy: What mends it.
        fetch: Bytes that mending fetches; None where nobody can tell before it is asked for.
    """

    kind: Kind
    name: str
    faults: tuple[str, ...]
    images: tuple[HurtImage, ...] = ()
    remedy: Remedy = Remedy.NONE
    fetch: int | None = 0


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a check has found.

    Attributes:
        is_full: Whether every byte was read.
        layers: How many layers were looked at.
        unread: How many of those have no recipe, so that only the sum of their files' sizes is known.
        blobs: How many blobs were read.
        images: How many images are recorded.
        damage: What is damaged, worst first.
        hurt: The images to be mended, and those that were lost: what mends others may bring them back.
    """

    is_full: bool
    layers: int = 0
    unread: int = 0
    blobs: int = 0
    images: int = 0
    damage: tuple[Damage, ...] = ()
    hurt: tuple[StoredImage, ...] = ()

    @property
    def fetch(self) -> int:
        """Bytes that mending everything fetches, as far as they are known."""
        return sum(damage.fetch or 0 for damage in self.damage)

    @property
    def is_exact(self) -> bool:
        """Whether `fetch` is all."""
        return all(damage.fetch is not None for damage in self.damage)

    @property
    def mendable(self) -> bool:
        """Whether there is anything that can be mended."""
        return any(damage.remedy is not Remedy.NONE for damage in self.damage)
