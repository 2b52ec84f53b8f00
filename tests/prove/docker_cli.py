"""The docker command on Headway and on dockerd: the same session, and every line that differs accounted for.

Rule: a line that differs is mended in Headway, or stands in `ACCEPTED` with its reason; what stands there and no longer
differs fails too.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from tests.fakes.daemon import daemon
from tests.fakes.docker import docker
from tests.fakes.servers import docker_registry
from tests.prove.cli_deviations import ACCEPTED, Accepted
from tests.prove.cli_session import Session, Shelf, play
from tests.prove.sheet import Sheet, check

LOGIN = ("user", "secret")
NEWER = (28, 0)


@check("docker-cli", "A session with the docker command is answered as dockerd answers it.", needs_root=True)
def docker_cli(sheet: Sheet) -> None:
    """Play the session on both and tell what differs."""
    with (
        docker_registry(sheet.place / "open") as open_registry,
        docker_registry(sheet.place / "closed", login=LOGIN) as closed,
    ):
        shelf = Shelf(open_registry, closed)
        theirs = _on_dockerd(sheet.place / "d", shelf)
        ours = _on_headway(sheet.place / "h", shelf, sheet)
    sheet.tell("steps", len(theirs))
    used: set[Accepted] = set()
    differ = []
    for step in theirs:
        lines = _unaccounted(step, theirs[step], ours.get(step, ""), used)
        if lines:
            differ.append(step)
            print(f"    {step}:", *lines, sep="\n      ", flush=True)
    sheet.right("every step is answered alike, or differs as listed", "; ".join(differ))
    unused = [each for each in ACCEPTED if each not in used]
    sheet.right("every listed difference is one", "; ".join(f"{each.step}: {each.reason}" for each in unused))


def _on_dockerd(place: Path, shelf: Shelf) -> dict[str, str]:
    with docker(place):
        session = _session(f"unix://{place}/docker.sock", place / "home", shelf, (f"{place}/docker", "<data root>"))
        play(session, shelf)
    return session.answers


def _on_headway(place: Path, shelf: Shelf, sheet: Sheet) -> dict[str, str]:
    with daemon(place) as running:
        session = _session(running.host, place / "home", shelf, (str(running.data_root), "<data root>"))
        play(session, shelf)
        _newer(Session(running.host, place / "newer", version=""), shelf, sheet)
        _compose(Session(running.host, place / "compose"), shelf, sheet)
        sheet.right("nothing happened that Headway did not know", "; ".join(running.bugs))
    return session.answers


def _session(host: str, home: Path, shelf: Shelf, root: tuple[str, str]) -> Session:
    return Session(host, home, [(shelf.host, "<registry>"), (shelf.closed, "<closed>"), root])


def _unaccounted(step: str, theirs: str, ours: str, used: set[Accepted]) -> list[str]:
    """Return the lines that differ and are not accepted, as a diff shows them."""
    lines = []
    for line in difflib.ndiff(theirs.splitlines(), ours.splitlines()):
        side, text = line[:1], line[2:]
        if side not in "-+":
            continue
        for each in ACCEPTED:
            pattern = each.docker if side == "-" else each.headway
            if pattern and re.fullmatch(each.step, step) and re.fullmatch(pattern, text):
                used.add(each)
                break
        else:
            lines.append(f"{side} {text}")
    return lines


def _newer(docker: Session, shelf: Shelf, sheet: Sheet) -> None:
    """Do what API 1.47 and later have, which dockerd 20.10 has not: on Headway alone."""
    name = f"{shelf.host}/team/multi:1"
    looks = {
        "images --tree": (["images", "--tree"], name),
        "image inspect --platform": (
            ["image", "inspect", "--platform", "linux/amd64", "-f", "{{.Architecture}}", name],
            "amd64",
        ),
        "image inspect --platform of another": (["image", "inspect", "--platform", "linux/s390x", name], "linux/s390x"),
        "history --platform": (["history", "--platform", "linux/amd64", name], "layer 0"),
        "rmi --platform": (["rmi", "--platform", "linux/amd64", name], f"Untagged: {name}"),
    }
    version = _client_version(docker)
    if version < NEWER:
        sheet.tell("NOT RUN, they need docker 28", ", ".join(looks))
        return
    docker.run("pull", name)
    for look, (words, expected) in looks.items():
        _, stdout, stderr = docker.run(*words)
        said = f"{stdout.decode()}{stderr.decode()}"
        sheet.right(f"{look} (API negotiated)", "" if expected in said else said.strip())


def _compose(docker: Session, shelf: Shelf, sheet: Sheet) -> None:
    """Let compose pull what a file names, where there is a compose."""
    if docker.run("compose", "version")[0] != 0:
        sheet.tell("NOT RUN, it needs docker compose", "compose pull")
        return
    (docker.place / "compose.yaml").write_text(f"services: {{one: {{image: '{shelf.host}/team/app:1'}}}}\n")
    status, stdout, stderr = docker.run("compose", "--project-directory", docker.place, "pull")
    sheet.right("compose pull", "" if status == 0 else f"{stdout.decode()}{stderr.decode()}".strip())


def _client_version(docker: Session) -> tuple[int, ...]:
    _, stdout, _ = docker.run("version", "-f", "{{.Client.Version}}")
    return tuple(int(part) for part in re.findall(r"\d+", stdout.decode())[:2])
