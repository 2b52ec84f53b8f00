"""Records of containers: what the image service needs of them, and what the Engine API gives back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from headway.container_records import ContainerRecord
from headway.oci.digest import ImageID


class ContainerStore(Protocol):
    """Containers by ID, by name, and by the beginning of an ID.

    A change is durable when it returns, or with the `Transaction` it is inside of. Headway runs no container: none is
    ever running.
    """

    def get(self, word: str) -> ContainerRecord:
        """Return the container with this ID, else this name, else the only one whose ID begins so (as in Docker).

        Raises:
            NotFoundError: There is none.
            AmbiguousNameError: Several IDs begin so.
        """

    def first(self, wanted: Callable[[ContainerRecord], bool]) -> ContainerRecord | None:
        """Return a container that is `wanted`, None where there is none."""

    def of_image(self, image_id: ImageID) -> list[ContainerRecord]:
        """Return those that were created from an image, newest first; by index."""

    def add(self, container: ContainerRecord) -> None:
        """Record a container.

        Raises:
            ConflictError: Its name or ID is taken; in Moby's words.
        """

    def replace(self, container: ContainerRecord) -> None:
        """Record another name or state of a container that is here.

        Raises:
            ConflictError: Its name is taken.
            NotFoundError: It is gone.
        """

    def delete(self, container_id: str) -> None:
        """Forget a container; nothing happens where it is gone."""

    def list(self) -> list[ContainerRecord]:
        """Return all, newest first."""
