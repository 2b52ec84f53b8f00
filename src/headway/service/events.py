"""Telling what happened.

Rule: an event is told inside the transaction of the change that it tells of, where there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock

from headway.interfaces.events import EventLog
from headway.oci.digest import ImageID
from headway.records import Event, ImageRecord


class Events:
    """What happens in one store; any thread tells, and `service.listening` listens.

    Attributes:
        log: Where it is written down.
        clock: Nanoseconds since the epoch.
    """

    def __init__(self, log: EventLog, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.log = log
        self.clock = clock
        self._listeners: set[Callable[[], None]] = set()
        self._lock = Lock()

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def tell(self, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> Event:
        """Write an event down and wake who listens; inside a transaction it is seen when that has ended.

        Raises:
            StoreError: The disk failed.
        """
        plain = {key: str(value) for key, value in attributes.items()}  # an ID is more than a text
        event = self.log.append(self.clock, kind, action, str(actor), plain)
        with self._lock:
            for wake in self._listeners:
                wake()
        return event

    def tell_of_image(
        self,
        action: str,
        actor: str,
        name: str,
        image: ImageRecord | None,
        attributes: Mapping[str, str] = {},  # nobody changes it
    ) -> Event:
        """Tell what happened to an image.

        Its labels go along and win over `attributes`; `name`, unless it is empty, wins over both.
        """
        labels = image.labels if image is not None and image.labels is not None else {}
        named = {"name": name} if name else {}
        return self.tell("image", action, actor, {**attributes, **labels, **named})

    def tell_of_untag(self, image_id: ImageID, image: ImageRecord | None) -> Event:
        """Tell that a name does not stand for an image any more."""
        return self.tell_of_image("untag", image_id, image_id, image)

    def attach(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each event from now on, in the thread that tells; it must not wait for anything."""
        with self._lock:
            self._listeners.add(wake)

    def detach(self, wake: Callable[[], None]) -> None:
        """Call it no more."""
        with self._lock:
            self._listeners.discard(wake)
