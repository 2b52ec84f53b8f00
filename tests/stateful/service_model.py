"""Moby's rules for images, in plain dicts: what the image service is compared with.

Rule: this knows nothing of Headway's code. An image is a tuple: its layers, bottom first, and a mark that keeps
images of the same layers apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Image = tuple[tuple[str, ...], str]
Record = tuple[str, str]


class RefusedError(Exception):
    """The model says no: ``not found`` or ``conflict``."""


@dataclass(slots=True)
class Model:
    """What there is.

    Attributes:
        images: Images, and what each was made from.
        tags: Tags, ``repository:tag``, and the image each stands for.
        digests: Digest references, ``repository@image``, by repository and image.
        containers: Containers, and the image each was created from; its layers stay as long as it does.
    """

    images: dict[Image, Image | None] = field(default_factory=dict)
    tags: dict[str, Image] = field(default_factory=dict)
    digests: set[tuple[str, Image]] = field(default_factory=set)
    containers: dict[str, Image] = field(default_factory=dict)

    def names(self, image: Image) -> list[str]:
        tags = [tag for tag, known in self.tags.items() if known == image]
        return sorted([*tags, *(f"{repository}@" for repository, known in self.digests if known == image)])

    def children(self, image: Image) -> bool:
        return image in self.images.values()

    def used(self, image: Image) -> bool:
        return image in self.containers.values()

    # --- what is done ---

    def pull(self, tag: str, image: Image) -> None:
        self.images.setdefault(image, None)
        self.tags[tag] = image
        self.digests.add((tag.partition(":")[0], image))

    def make(self, image: Image, parent: Image) -> None:
        self.images.setdefault(image, parent)

    def tag(self, source: str, target: str) -> None:
        if source not in self.tags:
            raise RefusedError("not found")
        self.tags[target] = self.tags[source]

    def untag(self, tag: str, *, force: bool) -> None:
        """Remove a tag; moby-behaviour 6.9, "By reference"."""
        if tag not in self.tags:
            raise RefusedError("not found")
        image, repository = self.tags[tag], tag.partition(":")[0]
        self._require_free(image, force=force)
        del self.tags[tag]
        if not any(other.startswith(f"{repository}:") for other in self.names(image)):
            self.digests.discard((repository, image))
        if not self.names(image):
            self._delete(image, force=force, quiet=True)

    def untag_digest(self, repository: str, image: Image, *, force: bool) -> None:
        """Remove a digest reference."""
        if (repository, image) not in self.digests:
            raise RefusedError("not found")
        self._require_free(image, force=force)
        self.digests.remove((repository, image))
        if not self.names(image):
            self._delete(image, force=force, quiet=True)

    def _require_free(self, image: Image, *, force: bool) -> None:
        if not force and self._single(image) and self.used(image):
            raise RefusedError("conflict")

    def delete(self, image: Image, *, force: bool) -> None:
        """Remove an image; moby-behaviour 6.9, "By ID"."""
        if image not in self.images:
            raise RefusedError("not found")
        if self._single(image):
            if self.children(image) or (self.used(image) and not force):
                raise RefusedError("conflict")
            self._forget_names(image)
        self._delete(image, force=force, quiet=False)

    def _single(self, image: Image) -> bool:
        names = self.names(image)
        tags = [name for name in names if not name.endswith("@")]
        repositories = {name.rstrip("@").partition(":")[0] for name in names}
        return len(names) == 1 or (len(names) > 1 and len(tags) <= 1 and len(repositories) == 1)

    def _delete(self, image: Image, *, force: bool, quiet: bool) -> None:
        """Moby's helper: it stops quietly, or says why."""
        is_hard = self.children(image)
        is_soft = not force and (bool(self.names(image)) or self.used(image))
        if is_hard or is_soft:
            is_dangling = not self.names(image) and not self.children(image)
            if quiet and (not is_dangling or (not is_hard and self.used(image))):
                return
            raise RefusedError("conflict")
        self._forget_names(image)
        parent = self.images.pop(image)
        if parent is not None:
            self._delete(parent, force=False, quiet=True)

    def _forget_names(self, image: Image) -> None:
        self.tags = {tag: known for tag, known in self.tags.items() if known != image}
        self.digests = {pair for pair in self.digests if pair[1] != image}

    def prune(self, *, every: bool) -> None:
        """Remove what nobody uses, children first: dangling images, or all (moby-behaviour 6.10)."""
        for image in [image for image in reversed(self.images) if self._may_go(image, every=every)]:
            if image in self.images and not self.used(image):
                self._forget_names(image)
                self._delete(image, force=False, quiet=True)

    def _may_go(self, image: Image, *, every: bool) -> bool:
        if self.children(image):
            return every and bool(self.names(image))
        return every or image not in self.tags.values()

    # --- what follows ---

    def layers(self) -> set[tuple[str, ...]]:
        """Return every chain that somebody needs."""
        stacks = [layers for layers, _ in [*self.images, *self.containers.values()]]
        return {stack[: length + 1] for stack in stacks for length in range(len(stack))}
