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
        "headway run NAME says what does",
    ),
    ("container cp create diff rename", "what is in a container, docker asks a daemon", _CONTAINER),
    ("info search", "docker asks that of a daemon", _THROUGH_A_DAEMON),
    ("image", "it stands before one", "headway image ls, which is headway ls"),
    ("system", "its parts are commands by themselves", "headway df, headway prune, headway events"),
    ("manifest", "others ask a registry", "headway pull --dry-run NAME, or headway doctor NAME"),
    (
        "compose config network node plugin secret service stack swarm volume",
        "Headway keeps images; the rest is the engine's that runs containers",
        "headway save NAME | docker load hands an image over to it, or podman load",
    ),
)


def instead_of(word: str) -> tuple[str, str] | None:
    """Return why one of docker's words is no command, and what to do instead; None where it is not docker's."""
    for words, why, instead in _SAID:
        if word in words.split():
            return why, instead.format(word=word)
    return None
