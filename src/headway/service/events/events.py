"""Records events, and wakes those who listen.

Rule: an event is recorded inside the transaction of the change that it describes, where there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock

from headway.interfaces.events import EventLog
from headway.oci.digest import ImageID
from headway.records import Event, ImageRecord


class Events:
    """The events of one store: any thread adds one with `tell`, and `service.events.listening` follows them.

    Attributes:
        log: Where events are recorded.
        clock: Nanoseconds since the epoch.
    """

    def __init__(self, log: EventLog, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.log = log
        self.clock = clock
        self._listeners: set[Callable[[], None]] = set()
        self._lock = Lock()

    @property
    def listeners(self) -> int:
        """How many listeners there are now."""
        return len(self._listeners)

    def tell(self, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> Event:
        """Record an event and wake the listeners; inside a transaction they see it when that has ended.

        Args:
            kind: ``image``, ``container`` or ``daemon``.
            action: ``pull``, ``tag``, ``untag``, ``delete`` and so on.
            actor: ID or familiar name of what it happened to.
            attributes: Whatever else clients show.

        Raises:
            StoreError: The disk failed.
        """
        plain = {key: str(value) for key, value in attributes.items()}  # IDs are a subclass of str
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
        attributes: Mapping[str, str] = {},  # never modified
    ) -> Event:
        """Record an event of an image.

        The image's labels are added and win over `attributes`; `name`, unless it is empty, wins over both.
        """
        labels = image.labels if image is not None and image.labels is not None else {}
        named = {"name": name} if name else {}
        return self.tell("image", action, actor, {**attributes, **labels, **named})

    def tell_of_untag(self, image_id: ImageID, image: ImageRecord | None) -> Event:
        """Record that a name no longer stands for an image."""
        return self.tell_of_image("untag", image_id, image_id, image)

    def attach(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each event from now on, in the thread that records it; `wake` must not block."""
        with self._lock:
            self._listeners.add(wake)

    def detach(self, wake: Callable[[], None]) -> None:
        """Stop calling `wake`."""
        with self._lock:
            self._listeners.discard(wake)
