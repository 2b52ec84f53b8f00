"""Records of pulls, in memory."""

from __future__ import annotations

from headway.errors import ConflictError, NotFoundError
from headway.interfaces.pulls import PullRecord


class MemoryPullStore:
    """`PullStore` without a disk."""

    def __init__(self, *, history: int = 200) -> None:
        self._history = history
        self._records: dict[str, PullRecord] = {}

    def put(self, record: PullRecord) -> None:
        """See `PullStore.put`."""
        self._records[record.pull_id] = record
        if record.state.has_ended:
            others = [each for each in self.list() if each.state.has_ended and each.pull_id != record.pull_id]
            for old in others[self._history - 1 :]:
                del self._records[old.pull_id]

    def get(self, prefix: str) -> PullRecord:
        """See `PullStore.get`."""
        found = [record for pull_id, record in self._records.items() if prefix and pull_id.startswith(prefix)]
        if not found:
            raise NotFoundError("pull", prefix)
        if len(found) > 1:
            raise ConflictError(f"several pulls have IDs that begin with {prefix}")
        return found[0]

    def list(self) -> list[PullRecord]:
        """See `PullStore.list`."""
        return sorted(self._records.values(), key=lambda record: (-record.created, record.pull_id))
