"""Decides how long to wait for a connection, for TLS and for an answer: longer after it has turned out too short.

Rule 1: a wait that was too short is doubled for the next attempt, up to a minute: up to two minutes for the answer to a
        piece, which may be buffered in a tunnel, and up to ten if a registry has to store, and may copy, a whole blob.
Rule 2: a stage that took long is given four times as long from then on.
"""

from __future__ import annotations

from typing import Literal

from headway.distribution.recent import Recent

Stage = Literal["connect", "hello", "answer", "piece", "storing"]
BASE_SECONDS: dict[Stage, float] = {
    "connect": 9.0,  # SYNs are sent after 0, 1, 3 and 7 seconds; and a wrong address has to be reported within 10
    "hello": 9.0,
    "answer": 15.0,
    "piece": 15.0,
    "storing": 15.0,
}
MAX_SECONDS: dict[Stage, float] = {"connect": 60.0, "hello": 60.0, "answer": 60.0, "piece": 120.0, "storing": 600.0}
FACTOR = 4.0


class Patience:
    """The waits of one process, by registry and stage.

    Connections report from threads of their own; each report replaces one number.
    """

    def __init__(self) -> None:
        self._seconds: Recent[tuple[str, Stage], float] = Recent()

    def seconds(self, host: str, stage: Stage) -> float:
        """Return how many seconds to wait."""
        return self._seconds.get((host, stage), BASE_SECONDS[stage])

    def factor(self, host: str, stage: Stage) -> float:
        """Return how many times longer than usual to wait."""
        return self.seconds(host, stage) / BASE_SECONDS[stage]

    def too_short(self, host: str, stage: Stage) -> None:
        """Report that a wait was in vain."""
        self._seconds[host, stage] = min(MAX_SECONDS[stage], 2 * self.seconds(host, stage))

    def took(self, host: str, stage: Stage, seconds: float) -> None:
        """Report how long a stage took."""
        self._seconds[host, stage] = min(MAX_SECONDS[stage], max(BASE_SECONDS[stage], FACTOR * seconds))
