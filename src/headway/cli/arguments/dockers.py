"""Docker's words that are no commands here: what is said of them, and what to do instead."""

from __future__ import annotations

_THROUGH_A_DAEMON = "docker -H unix:///run/headway.sock {word} (headway daemon serves it)"
_CONTAINER = "headway mount --read-write NAME makes one; or " + _THROUGH_A_DAEMON
_SAID: tuple[tuple[str, str, str], ...] = (
    (
        "build builder buildx",
        "Headway does not build images",
        "buildah build -t NAME . && buildah push NAME docker-archive:/dev/stdout | headway load",
    ),
    (
        "start stop restart kill pause unpause attach exec logs top stats wait",
        "Headway does not run containers",
        "headway run NAME shows what does",
    ),
    ("container cp create diff rename", "containers are managed with docker, through the daemon", _CONTAINER),
    ("info search", "use docker for that, through the daemon", _THROUGH_A_DAEMON),
    ("image", "it needs a command after it", "headway image ls, or simply headway ls"),
    ("system", "its parts are commands of their own", "headway df, headway prune, headway events"),
    ("manifest", "other commands ask the registry", "headway pull --dry-run NAME, or headway doctor NAME"),
    (
        "compose config network node plugin secret service stack swarm volume",
        "Headway only manages images; use the engine that runs your containers",
        "headway save NAME | docker load (or podman load) copies an image to it",
    ),
)


def instead_of(word: str) -> tuple[str, str] | None:
    """Return why one of docker's words is no command, and what to do instead; None where it is not docker's."""
    for words, why, instead in _SAID:
        if word in words.split():
            return why, instead.format(word=word)
    return None
