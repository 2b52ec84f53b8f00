"""A session with the docker command: what a person types, and what is left of the answers when chance is taken out.

Rule 1: images are the same bytes on both sides, so that their IDs, digests, sizes and dates are compared as they are.
Rule 2: what chance decides is masked: containers' IDs, times, places on the disk, and the order in which layers come.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile  # noqa: TID251 - tars as any program writes them
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fakes import images
from tests.fakes.images import File, Files
from tests.fakes.servers import DockerRegistry

SECONDS = 60.0
_LAYER_LINE = re.compile(r"^[0-9a-f]{12}: ")
_CHANCE = (
    # Whether it is seen depends on how fast something else was.
    re.compile(r"^[0-9a-f]{12}: (Waiting|Verifying Checksum|Download complete)$"),
    re.compile(r'^time="<time>" level=error msg="Can.t (add file|close tar writer)'),  # the command about itself
)
_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"(Less than a second|About an? \w+|\d+ (seconds?|minutes?)) ago"), "<a moment> ago"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC"), "<time>"),
    (re.compile(r"(?<=\S) {2,}"), "  "),  # a column is as wide as what chance put into it
)
_MAKES = ("create", "commit", "import")
"""Commands that print the ID of what they have made."""
BUILT = "2026-01-02T03:04:05Z"


class Session:
    """Runs the command on one daemon and keeps what it answers, by step.

    Args:
        host: The daemon's address.
        place: A directory of its own, which is the command's home.
        masks: Further text that is chance, and what stands for it.
        version: The API that is spoken; empty lets the two find out.
    """

    def __init__(self, host: str, place: Path, masks: Sequence[tuple[str, str]] = (), *, version: str = "1.41") -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.answers: dict[str, str] = {}
        self.place = place
        self._masks = [*masks, (str(place), "<here>")]
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(place), "DOCKER_HOST": host, "LANG": "C.UTF-8"}
        if version:
            self._environment["DOCKER_API_VERSION"] = version

    def __call__(
        self, step: str, *words: str | Path, raw: Callable[[bytes], str] = bytes.decode, in_order: bool = True
    ) -> str:
        """Run a command, keep its answer under the step's name, and return what it printed.

        Args:
            step: Says what is looked at; a name is used once.
            words: The command without ``docker``.
            raw: Makes text of what it prints, where that is none.
            in_order: Whether the order of its lines means something; images of one date come in any.
        """
        if step in self.answers:
            raise ValueError(f"two steps are called {step}")
        status, stdout, stderr = self.run(*words)
        printed = raw(stdout)
        if words[0] in _MAKES and status == 0:
            made = printed.strip().removeprefix("sha256:")
            self._masks += [(made, f"<id of {step}>"), (made[:12], f"<short id of {step}>")]
        told = self.masked(f"{printed}{stderr.decode()}").splitlines()
        self.answers[step] = "\n".join([f"status {status}", *(told if in_order else sorted(told))])
        return printed.strip()

    def run(self, *words: str | Path) -> tuple[int, bytes, bytes]:
        """Run a command whose answer is not compared; return its status and what it printed."""
        done = subprocess.run(
            ["docker", *words],
            stdin=subprocess.DEVNULL,
            env=self._environment,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
        return done.returncode, done.stdout, done.stderr

    def masked(self, text: str) -> str:
        """Return `text` without what chance decided."""
        for word, mask in self._masks:
            text = text.replace(word, mask)
        text = text.replace(BUILT, "<when it was built>")
        for pattern, mask in _MASKS:
            text = pattern.sub(mask, text)
        return _in_order(text)


def _in_order(text: str) -> str:
    """Return `text` with the lines about layers sorted, which come as downloads do."""
    kept = [line for line in text.splitlines() if not any(pattern.match(line) for pattern in _CHANCE)]
    layers = sorted(line for line in kept if _LAYER_LINE.match(line))
    return "\n".join([*(line for line in kept if not _LAYER_LINE.match(line)), *layers])


class Shelf:
    """What both daemons pull: images in an open registry, and one behind a login.

    Args:
        open_registry: Takes all of them.
        closed: Takes one.
    """

    def __init__(self, open_registry: DockerRegistry, closed: DockerRegistry) -> None:
        self.host, self.closed = open_registry.host, closed.host
        config = {
            "Cmd": ["sh", "-c", "echo hello"],
            "Env": ["PATH=/bin", "A=1"],
            "Labels": {"team": "edge", "tier": "1"},
            "ExposedPorts": {"80/tcp": {}},
            "WorkingDir": "/etc",
            "User": "7:8",
        }
        below: Files = {
            "etc/": b"",
            "etc/hello": b"hello\n",
            "etc/link": File(link="hello"),
            "old": b"to be removed\n",
            "bin/": b"",
            "bin/tool": File(b"#!/bin/sh\n", 0o4755),
        }
        more: Files = {"big": images.noise(200_000), ".wh.old": b""}
        for tag, layers in (("1", [below]), ("2", [below, more]), ("3", [below, {"third": b"3"}])):
            image = images.image(layers, tag=tag, config=config, media="docker")
            open_registry.push(image, "team/app")
            if tag == "2":
                self.digest, self.image_id = image.manifest_digest, image.image_id
        multi = images.image([{"multi": b"m"}], tag="1", index=True, media="docker", config={"Cmd": ["x"]})
        self.multi_digest = multi.manifest_digest
        open_registry.push(multi, "team/multi")
        arm = images.image([{"arm": b"a"}], tag="1", platforms=["linux/arm64"], media="docker", config={"Cmd": ["x"]})
        open_registry.push(arm, "team/arm")
        moved = [
            images.image([{"moved": word}], tag="1", media="docker", config={"Cmd": ["x"]}) for word in (b"1", b"2")
        ]
        self._moved = (open_registry, moved)
        closed.push(images.image([{"secret": b"s"}], media="docker"), "team/secret")

    def move(self, number: int) -> None:
        """Let ``team/moved:1`` be its first or its second image."""
        registry, moved = self._moved
        registry.push(moved[number], "team/moved")


def names_in(tar: bytes) -> str:
    """Return what a tar holds: mode, owner, size, name and target of each entry.

    Docker 20 writes the kind of file into the mode too, which means nothing in a tar, and which later ones leave out.
    """
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return "\n".join(
            f"{entry.mode & 0o7777:o} {entry.uid}:{entry.gid} {entry.size} {entry.name} {entry.linkname}".strip()
            for entry in sorted(archive.getmembers(), key=lambda entry: entry.name)
        )


def play(docker: Session, shelf: Shelf) -> None:
    """Do everything that touches images, in the order in which a person might."""
    began = time.time()
    app, multi = f"{shelf.host}/team/app", f"{shelf.host}/team/multi"
    pulls(docker, shelf, app, multi)
    lists(docker, shelf, app)
    names(docker, shelf, app)
    containers(docker, shelf, app)
    makings(docker, shelf, app)
    archives(docker, shelf, app)
    pushes(docker, shelf, app)
    removals(docker, shelf, app)
    refusals(docker, shelf)
    span = ["--since", f"{began:.9f}", "--until", f"{time.time():.9f}"]
    docker("events", "events", *span, in_order=False)
    tags = ["--filter", "type=image", "--filter", "event=tag"]
    docker("events of one action", "events", *span, *tags, "--format", "{{.Type}} {{.Action}} {{.Actor.ID}}")


def pulls(docker: Session, shelf: Shelf, app: str, multi: str) -> None:
    """Pull in all forms."""
    docker("pull a tag", "pull", f"{app}:1")
    docker("pull it again", "pull", f"{app}:1")
    docker("pull, layers shared", "pull", f"{app}:2")
    docker("pull a digest", "pull", f"{app}@{shelf.digest}")
    docker("pull quietly", "pull", "-q", f"{app}:3")
    docker("pull all tags", "pull", "-a", app)
    docker("pull a platform", "pull", "--platform", "linux/arm64", f"{multi}:1")
    docker("pull the host's platform", "pull", f"{multi}:1")
    docker("pull an index by digest", "pull", f"{multi}@{shelf.multi_digest}")
    docker("pull a platform that is missing", "pull", "--platform", "linux/s390x", f"{multi}:1")
    docker("pull a platform that is none", "pull", "--platform", "a/b/c/d", f"{multi}:1")
    docker("pull another architecture", "pull", f"{shelf.host}/team/arm:1")
    docker("pull a missing tag", "pull", f"{app}:nope")
    docker("pull a missing repository", "pull", f"{shelf.host}/team/nope:1")
    docker("pull a missing digest", "pull", f"{app}@sha256:{'0' * 64}")
    docker("pull all tags of a missing repository", "pull", "-a", f"{shelf.host}/team/nope")
    docker("pull scratch", "pull", "scratch")
    docker("pull what is no name", "pull", f"{shelf.host}/team/UPPER")
    docker("pull without a login", "pull", f"{shelf.closed}/team/secret")
    docker("pull from nobody", "pull", "127.0.0.1:1/team/app:1")
    shelf.move(0)
    docker("pull a tag that will move", "pull", f"{shelf.host}/team/moved:1")
    shelf.move(1)
    docker("pull the tag that moved", "pull", f"{shelf.host}/team/moved:1")


def lists(docker: Session, shelf: Shelf, app: str) -> None:
    """Look at what is there."""
    docker("images", "images", "--no-trunc", in_order=False)
    docker("images, digests", "images", "--digests", in_order=False)
    docker("images -q", "images", "-q", in_order=False)
    docker("images -a", "images", "-a", in_order=False)
    docker("images of a repository", "images", app, in_order=False)
    docker("images of a tag", "images", f"{app}:2")
    docker("images of nothing", "images", "nope")
    docker(
        "images, a template",
        "images",
        "--format",
        "{{.Repository}}|{{.Tag}}|{{.ID}}|{{.Size}}|{{.Digest}}",
        in_order=False,
    )
    docker("images as JSON", "images", "--format", "json", in_order=False)
    for name, value in (
        ("dangling", "dangling=true"),
        ("not dangling", "dangling=false"),
        ("label", "label=team=edge"),
        ("label without value", "label=tier"),
        ("no such label", "label=team=other"),
        ("reference", "reference=*/team/app:*"),
        ("reference of nothing", "reference=nope*"),
        ("before", f"before={app}:2"),
        ("since", f"since={app}:2"),
        ("before what is not there", "before=nope"),
        ("an unknown filter", "nope=1"),
        ("dangling, neither yes nor no", "dangling=maybe"),
    ):
        docker(f"images, filter: {name}", "images", "--filter", value, in_order=False)
    docker("inspect an image", "image", "inspect", f"{app}:2")
    docker("inspect by ID", "inspect", shelf.image_id)
    docker("inspect by a short ID", "inspect", "-f", "{{.Id}} {{.RepoTags}}", shelf.image_id[7:19])
    docker("inspect by digest", "inspect", "-f", "{{.Id}} {{.RepoDigests}}", f"{app}@{shelf.digest}")
    docker("inspect nothing", "inspect", "nope")
    docker("inspect an image that is none", "image", "inspect", "nope")
    docker("inspect what is no name", "image", "inspect", "UPPER")
    docker("history", "history", f"{app}:2")
    docker(
        "history in full",
        "history",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.CreatedBy}} {{.Size}} {{.Comment}}",
        f"{app}:2",
    )
    docker("history -q", "history", "-q", f"{app}:1")
    docker("history of nothing", "history", "nope")


def names(docker: Session, shelf: Shelf, app: str) -> None:
    """Give names."""
    docker("tag", "tag", f"{app}:2", "local/second:v1")
    docker("tag without a tag", "tag", f"{app}:2", "local/third")
    docker("tag by ID", "tag", shelf.image_id, "local/fourth:v1")
    docker("tag again", "tag", f"{app}:2", "local/second:v1")
    docker("tag moves", "tag", f"{app}:1", "local/third")
    docker("tag nothing", "tag", "nope", "local/x")
    docker("tag with what is no name", "tag", f"{app}:2", "UPPER")
    docker("tag with a digest", "tag", f"{app}:2", f"local/x@{shelf.digest}")
    docker("tag sha256", "tag", f"{app}:2", "sha256:abc")
    docker("images after tags", "images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", in_order=False)


def containers(docker: Session, shelf: Shelf, app: str) -> None:
    """Make containers, write to them, read from them."""
    place = docker.place
    docker("create c1", "create", "--name", "c1", "--label", "own=1", f"{app}:2")
    docker(
        "create c2", "create", "--name", "c2", "-e", "B=2", "-w", "/", "--memory", "64m", f"{app}:1", "run", "this one"
    )
    docker("create with a name that is taken", "create", "--name", "c1", f"{app}:2")
    docker("create with a bad name", "create", "--name", "-bad", f"{app}:2")
    docker("create of nothing", "create", "--pull", "never", "nope")
    docker("create pulls", "create", "--name", "c3", f"{shelf.host}/team/app:3")
    form = "{{.ID}} {{.Image}} {{.Command}} {{.Status}} {{.Names}} {{.Labels}}"
    docker("ps -a", "ps", "-a", "--no-trunc")
    docker("ps", "ps")
    docker("ps -aq", "ps", "-aq")
    for value in ("name=c1", "label=own", "label=own=2", "status=created", "status=exited", f"ancestor={app}:2",
                  "before=c2", "since=c1", "id=nope", "exited=0", "status=nope", "nope=1"):  # fmt: skip
        step = value.replace(shelf.host, "<registry>")
        docker(f"ps -a, filter: {step}", "ps", "-a", "--filter", value, "--format", form)
    docker("ps -n 1", "ps", "-n", "1", "--format", "{{.Names}}")
    docker("inspect a container", "inspect", "-f",
           "{{.Name}} {{.Path}} {{.Args}} {{.State.Status}} {{.Image}} {{.Config.Image}} {{.Config.Env}} "
           "{{.Config.Labels}} {{.HostConfig.Memory}} {{.Config.WorkingDir}} {{.GraphDriver.Name}} {{.Platform}} "
           "{{.HostConfig.NetworkMode}} {{.Config.User}} {{.Config.ExposedPorts}}", "c1", "c2")  # fmt: skip
    files(docker, place)
    docker("rename", "rename", "c3", "third")
    docker("rename to a name that is taken", "rename", "third", "c1")
    docker("rename nothing", "rename", "nope", "x")
    docker("df", "system", "df")
    docker("df -v", "system", "df", "-v", in_order=False)


def files(docker: Session, place: Path) -> None:
    """Copy files in and out."""
    (place / "own").mkdir()
    (place / "own" / "new").write_bytes(b"new\n")
    os.chmod(place / "own" / "new", 0o640)
    os.utime(place / "own" / "new", (images.MTIME, images.MTIME))
    docker("diff of nothing", "diff", "c1")
    docker("cp in a file", "cp", place / "own" / "new", "c1:/etc/copied")
    docker("cp in a directory", "cp", place / "own", "c1:/etc")
    docker("cp in the content of a directory", "cp", f"{place / 'own'}/.", "c1:/bin")
    docker("cp in to nowhere", "cp", place / "own" / "new", "c1:/nope/nope/x")
    docker("cp a directory over a file", "cp", place / "own", "c1:/etc/hello")
    docker("cp out", "cp", "c1:/etc/hello", place / "out")
    docker("cp out a tar", "cp", "c1:/etc", "-", raw=names_in)
    docker("cp out through a link", "cp", "-L", "c1:/etc/link", "-", raw=names_in)
    docker("cp out a link", "cp", "c1:/etc/link", "-", raw=names_in)
    docker("cp out nothing", "cp", "c1:/nope", "-")
    docker("cp from no container", "cp", "nope:/etc", "-")
    docker.answers["what was copied out"] = (place / "out").read_text()
    docker("diff", "diff", "c1", in_order=False)
    docker("diff of no container", "diff", "nope")
    docker("export", "export", "c1", raw=names_in)
    docker("export no container", "export", "nope")


def makings(docker: Session, shelf: Shelf, app: str) -> None:
    """Make images of containers and of tars; each is looked at, and goes again."""
    look = "{{.Config.Cmd}} {{.Config.Env}} {{.Config.Labels}} {{.Author}} {{.Comment}} {{.Os}} {{len .RootFS.Layers}}"
    changes = ["--change", "CMD run it", "--change", "ENV B=2", "--change", "LABEL own=1"]
    docker("commit", "commit", "-q", "-a", "me", "-m", "why", *changes, "c1", "made/commit:v1")
    docker("inspect what was committed", "inspect", "-f", look, "made/commit:v1")
    docker(
        "history of what was committed",
        "history",
        "--format",
        "{{.CreatedBy}} {{.Size}} {{.Comment}}",
        "made/commit:v1",
    )
    docker("commit of no container", "commit", "nope", "made/x")
    docker("commit with a bad change", "commit", "--change", "RUN x", "c1", "made/x")
    docker("commit to what is no name", "commit", "c1", "UPPER")
    docker("rmi of a parent, child there", "rmi", shelf.image_id)
    tar = docker.place / "c1.tar"
    docker("export to a file", "export", "-o", tar, "c1")
    docker("import", "import", "-m", "from a file", *changes, tar, "made/import:v1")
    docker("inspect what was imported", "inspect", "-f", look, "made/import:v1")
    docker("import of no tar", "import", docker.place / "own" / "new", "made/x")
    docker("import to what is no name", "import", tar, "UPPER")
    docker("import from nobody", "import", "http://127.0.0.1:1/x.tar", "made/x")
    docker("rmi what was made", "rmi", "made/import:v1", "made/commit:v1", raw=_digest)


def archives(docker: Session, shelf: Shelf, app: str) -> None:
    """Save and load."""
    saved = docker.place / "saved.tar"
    docker("save", "save", "-o", saved, f"{app}:2", f"{app}:3")
    docker("save nothing", "save", "-o", docker.place / "x.tar", "nope")
    docker("save a missing tag", "save", "-o", docker.place / "x.tar", f"{app}:nope")
    docker("load what is here", "load", "-i", saved, in_order=False)
    docker("rmi before a load", "rmi", f"{app}:3")
    docker("load quietly", "load", "-q", "-i", saved, in_order=False)
    docker("images after a load", "images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", in_order=False)
    docker("load what is no archive", "load", "-i", docker.place / "own" / "new")


def pushes(docker: Session, shelf: Shelf, app: str) -> None:
    """Push, and log in."""
    docker("tag for a push", "tag", f"{app}:2", f"{shelf.host}/pushed/app:v1")
    docker("tag for a closed registry", "tag", f"{app}:2", f"{shelf.closed}/pushed/app:v1")
    docker("push of nothing", "push", f"{shelf.host}/pushed/none:v1")
    docker("push of a missing tag", "push", f"{shelf.host}/pushed/app:nope")
    docker("push without a login", "push", f"{shelf.closed}/pushed/app:v1")
    docker("login with a wrong password", "login", "-u", "user", "-p", "wrong", shelf.closed)
    docker("login to nobody", "login", "-u", "user", "-p", "secret", "127.0.0.1:1")
    docker("login", "login", "-u", "user", "-p", "secret", shelf.closed)
    docker("pull with a login", "pull", f"{shelf.closed}/team/secret")
    docker("logout", "logout", shelf.closed)
    docker("rmi what was for pushes", "rmi", f"{shelf.host}/pushed/app:v1", f"{shelf.closed}/pushed/app:v1")


def _digest(printed: bytes) -> str:
    """Return what is printed without digests: what is made has the time in it."""
    return re.sub("sha256:[0-9a-f]{64}", "sha256:<made>", printed.decode())


def removals(docker: Session, shelf: Shelf, app: str) -> None:
    """Remove, and be refused."""
    docker("rmi of a container's image", "rmi", f"{app}:1")
    docker("rmi by ID of several repositories", "rmi", shelf.image_id)
    docker("rmi a name of many", "rmi", "local/fourth:v1")
    docker("rmi a name that a container uses, forced", "rmi", "-f", f"{app}:3")
    docker("ps -a after that", "ps", "-a", "--format", "{{.Names}} {{.Image}}")
    docker("rmi nothing", "rmi", "nope")
    docker("rmi nothing, forced", "rmi", "-f", "nope")
    docker("rmi what is no name", "rmi", "UPPER")
    docker("rmi a digest", "rmi", f"{shelf.host}/team/multi@{shelf.multi_digest}")
    docker("rm", "rm", "third")
    docker("rm two", "rm", "c2", "nope")
    docker("rmi the rest of it", "rmi", "local/third:latest", f"{app}:1")
    docker("image prune", "image", "prune", "-f")
    docker("rmi by ID, forced, under a container", "rmi", "-f", shelf.image_id)
    docker("export after that", "export", "c1", raw=names_in)
    docker("rm the last", "rm", "-f", "c1")
    docker("container prune", "container", "prune", "-f")
    docker("image prune by label", "image", "prune", "-a", "-f", "--filter", "label=nobody")
    docker("image prune until", "image", "prune", "-a", "-f", "--filter", "until=2020-01-01")
    docker("image prune with a bad filter", "image", "prune", "-f", "--filter", "nope=1")
    docker("image prune of all", "image", "prune", "-a", "-f", in_order=False)
    docker("images at the end", "images", "-a")
    docker("df at the end", "system", "df")


def refusals(docker: Session, shelf: Shelf) -> None:
    """Ask for what does not work, and who answers."""
    docker("search from nobody", "search", "127.0.0.1:1/nothing")
    docker("search with a bad limit", "search", "--limit", "101", "127.0.0.1:1/nothing")
    docker("search with a bad filter", "search", "--filter", "nope=1", "127.0.0.1:1/nothing")
    docker("volume ls", "volume", "ls")
    docker("info", "info")
    docker("version", "version")
