"""Where the docker command may see another line from Headway than from dockerd 20.10, and why.

Rule: each is as narrow as it can be said; docs/moby-parity.md has those that a user has to know.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accepted:
    """Lines that may differ.

    Attributes:
        step: Names of the steps, as a regular expression.
        docker: Lines that only dockerd says; empty for none.
        headway: Lines that only Headway says; empty for none.
        reason: Why it is so.
    """

    step: str
    docker: str
    headway: str
    reason: str


_ERROR = "Error response from daemon: "

ACCEPTED: tuple[Accepted, ...] = (
    Accepted(
        "pull a platform that is missing",
        r"no matching manifest for linux/s390x in the manifest list entries",
        r"no matching manifest for linux/s390x in the manifest list entries: it is offered for (linux/\w+(, )?)+",
        "what there is helps who typed it",
    ),
    Accepted(
        "pull a platform that is none",
        rf'{_ERROR}"a/b/c/d": cannot parse platform specifier: invalid argument',
        rf"{_ERROR}'a/b/c/d' is not a platform: it must be os/architecture\[/variant\]",
        "what a platform looks like helps who typed it",
    ),
    Accepted(
        "pull an index by digest",
        r"Digest: sha256:[0-9a-f]{64}",
        "",
        "the digest stands for another platform here: it is said before the digest is, not behind it",
    ),
    Accepted(
        "pull without a login",
        rf'{_ERROR}Head "http://<closed>/v2/team/secret/manifests/latest": no basic auth credentials',
        rf"{_ERROR}<closed>/team/secret:latest not complete: <closed>: no basic auth credentials",
        "a failed pull says what was not completed, by whom, and why",
    ),
    Accepted(
        "pull from nobody",
        rf'{_ERROR}Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
        r"(waiting for the link: 127.0.0.1:1: connection refused; next try in \d+ s"
        r"|127.0.0.1:1/team/app:1 not complete: 127.0.0.1:1: connection refused)",
        "what may get better is tried again for ten seconds, visibly, before it fails",
    ),
    Accepted(
        r"(images, filter: .*|ps -a, filter: .*|image prune with a bad filter|search with a bad filter)",
        rf"{_ERROR}Invalid filter '.*'",
        rf"{_ERROR}invalid filter '.*'",
        "Docker 28's words",
    ),
    Accepted(
        "inspect (an image|by ID)",
        r' +"(Lower|Merged|Upper|Work)Dir": "<data root>/overlay2/[0-9a-f]{64}/(diff|merged|work)",?',
        r' +"(Lower|Upper)Dir": "<data root>/trees/sha256-[0-9a-f]{64}",?',
        "a layer's files are a tree of their own; an image has no directories to mount and work in",
    ),
    Accepted(
        "inspect (an image that is none|what is no name)",
        rf"{_ERROR}no such image: (nope: No such image: nope:latest|UPPER: invalid reference format: .*)",
        rf"{_ERROR}(No such image: nope:latest|invalid reference format: repository name \(library/UPPER\) .*)",
        "Docker 28's words",
    ),
    Accepted(
        "(pull|rmi) what is no name",
        rf"{_ERROR}invalid reference format: repository name must be lowercase",
        rf"{_ERROR}invalid reference format: repository name \([a-z]+/UPPER\) must be lowercase",
        "Docker 28's words",
    ),
    Accepted(
        "search (from nobody|with a bad limit)",
        rf'{_ERROR}invalid registry endpoint "http://127.0.0.1:1/v1/". HTTPS attempt: .*',
        rf"{_ERROR}(127.0.0.1:1: connection refused|Limit 101 is outside the range of \[1, 100\])",
        "Docker 28 looks at the limit first, too; and a refused connection is one, by whatever protocol",
    ),
    Accepted(
        "info",
        r" +(Server Version|Logging Driver|Cgroup Driver|Cgroup Version|Volume|Network|Log|Runtimes|Default Runtime"
        r"|Init Binary|containerd version|runc version|Security Options|ID|Profile): ?.*| +seccomp",
        r" +(Server Version|Logging Driver|Cgroup Driver|Volume|Network|Log|Init Binary|containerd version"
        r"|runc version|ID|Using metacopy): ?.*| +::1/128",
        "Headway runs no containers, and has no runtimes, drivers or plugins; ::1 is loopback as in Docker 28",
    ),
    Accepted(
        "version",
        r"Server:| +(Version|API version|Go version|Git commit|Built|GitCommit): .*| (containerd|runc|docker-init):",
        r"Server: Headway, the image service| +(Version|API version|Go version|Git commit|Built): .*",
        "another program",
    ),
    Accepted(
        "events",
        r"<time> image pull <registry>/team/app \(name=<registry>/team/app\)",
        r"<time> image pull <registry>/team/app:[123] \(name=<registry>/team/app, team=edge, tier=1\)",
        "pull -a is told for each tag",
    ),
    Accepted(
        "events",
        "",
        r"<time> image untag sha256:([0-9a-f]{64}) \(name=sha256:\1(, team=edge, tier=1)?\)",
        "digests that go with the last tag, and tags that move, are told of",
    ),
    Accepted(
        "events",
        r"<time> image prune  \(reclaimed=\d\)",
        r"<time> image prune  \(reclaimed=\d+\)",
        "blocks that the disk got back, not bytes of files",
    ),
    Accepted(
        "import of no tar",
        rf"{_ERROR}Error processing tar file\(exit status 1\): unexpected EOF",
        rf"{_ERROR}broken layer near byte 4 of its tar: truncated: it ends inside a header",
        "what is wrong, and where",
    ),
    Accepted(
        "import from nobody",
        rf'{_ERROR}Get "http://127.0.0.1:1/x.tar": dial tcp 127.0.0.1:1: connect: connection refused',
        r"(waiting for the link: 127.0.0.1:1: connection refused; next try in \d+ s|127.0.0.1:1: connection refused)",
        "what may get better is tried again for ten seconds, visibly, before it fails",
    ),
    Accepted(
        "save (nothing|a missing tag)",
        rf"{_ERROR}(No such image: nope|reference does not exist)",
        rf"{_ERROR}No such image: (nope:latest|<registry>/team/app:nope)",
        "the same words whatever is missing, and its name in them",
    ),
    Accepted(
        "load what is no archive",
        r"Error processing tar file\(exit status 1\): unexpected EOF",
        rf"{_ERROR}the archive cannot be loaded: it is no tar, or a broken one, near byte 4 of its tar: truncated: .*",
        "what is wrong, and where; before anything was streamed it is an HTTP error",
    ),
    Accepted(
        "login with a wrong password",
        rf"{_ERROR}login attempt to http://<closed>/v2/ failed with status: 401 Unauthorized",
        rf'{_ERROR}Get "https://<closed>/v2/": unauthorized: incorrect username or password',
        "the words that Docker has for token servers, everywhere",
    ),
    Accepted(
        "login to nobody",
        rf'{_ERROR}Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
        rf"{_ERROR}127.0.0.1:1: connection refused",
        "whose connection, and what of it",
    ),
)
