"""How long to wait for a connection, for TLS and for an answer: longer where that has turned out too short.

Rule 1: a wait that was too short is doubled for the next try, up to a minute; up to two where a piece was sent, which
        may wait in a tunnel, and up to ten where a registry has to store what it was sent, and may copy all of it.
Rule 2: what took long once is given four times as long from then on.
"""

from __future__ import annotations

from typing import Literal

from headway.distribution.recent import Recent

Stage = Literal["connect", "hello", "answer", "piece", "storing"]
BASE_SECONDS: dict[Stage, float] = {
    "connect": 9.0,  # SYNs go at 0, 1, 3 and 7 seconds; and an error about a wrong address comes within 10
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
        """Return how long to wait."""
        return self._seconds.get((host, stage), BASE_SECONDS[stage])

    def factor(self, host: str, stage: Stage) -> float:
        """Return how many times as long as usual to wait."""
        return self.seconds(host, stage) / BASE_SECONDS[stage]

    def too_short(self, host: str, stage: Stage) -> None:
        """Report that a wait ended without what it was for."""
        self._seconds[host, stage] = min(MAX_SECONDS[stage], 2 * self.seconds(host, stage))

    def took(self, host: str, stage: Stage, seconds: float) -> None:
        """Report how long it really took."""
        self._seconds[host, stage] = min(MAX_SECONDS[stage], max(BASE_SECONDS[stage], FACTOR * seconds))
