"""What a pull does for the disk, before it fetches layers and after: trims old downloads, and checks for room.

Rule: old downloads are trimmed first, then room is looked for; what a running pull needs is never touched.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from headway.errors import HeadwayError
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID
from headway.service.concurrency.executors import Executors
from headway.service.pulling.preflight import Preflight
from headway.service.pulling.unfinished import UnfinishedDownloads


class DiskCare:
    """Looks after the disk of one data root.

    Args:
        executors: Threads for blocking work.
        preflight: Checks whether layers fit.
        unfinished: Trims unfinished downloads.
    """

    def __init__(self, executors: Executors, preflight: Preflight, unfinished: UnfinishedDownloads) -> None:
        self._executors = executors
        self.preflight = preflight
        self._unfinished = unfinished

    @asynccontextmanager
    async def around(
        self, layers: Sequence[tuple[DiffID, Descriptor]], tell: Callable[[str], None]
    ) -> AsyncIterator[None]:
        """Enter a block that fetches layers, if there is room for them.

        Args:
            layers: All layers of the image.
            tell: Called with sentences for the user.

        Raises:
            NoRoomError: The layers cannot fit.
            StoreError: The disk failed.
        """
        with self._unfinished.needed(descriptor.digest for _, descriptor in layers):
            await self._trim(tell)
            if warning := await self._executors.disk(self.preflight.check, layers):
                tell(warning)
            try:
                yield
            except HeadwayError:
                await self._trim(tell)
                raise
            await self._trim(tell)

    async def _trim(self, tell: Callable[[str], None]) -> None:
        if said := await self._executors.disk(self._unfinished.trim):
            tell(said)
