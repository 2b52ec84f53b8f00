"""Buildah, with a store of its own. Root only."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.fakes.umoci import run

BUSYBOX = Path("/bin/busybox")

CONTAINERFILE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /a/b/c /keep && echo one >/a/b/c/one && echo two >/keep/two && chmod 4711 /keep/two && \\
    ln /keep/two /keep/too && ln -s ../keep /a/keep
RUN rm -r /a/b && mkdir -p /a/b && echo new >/a/b/new && chown 5:6 /keep && \\
    echo through >/a/keep/through && rm /keep/two && mv /a /moved && chmod 0700 /moved
ENV GREETING="hello world"
LABEL note="a \\"quoted\\" label"
WORKDIR /moved
USER 12:34
CMD ["/bin/sh", "-c", "echo $GREETING from $(pwd) as $(id -u):$(id -g)"]
"""


class Buildah:
    """Buildah with a store of its own in `directory`, which it leaves without mounts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._store: list[str | Path] = [
            "--root",
            directory / "storage",
            "--runroot",
            directory / "run",
            "--storage-driver",
            "overlay",
        ]
        self._policy = directory / "policy.json"
        self._to: list[str | Path] = ["--tls-verify=false", "--signature-policy", self._policy]
        directory.mkdir(parents=True, exist_ok=True)
        self._policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def __call__(self, *arguments: str | Path) -> str:
        """Run one of its commands and return what it printed."""
        command, *rest = arguments
        return run("buildah", *self._store, command, *rest)

    def build(self, tag: str) -> None:
        """Build a Docker image from `CONTAINERFILE`, a layer a step."""
        context = self._directory / "context"
        context.mkdir()
        shutil.copy(BUSYBOX, context / "busybox")
        (context / "Containerfile").write_text(CONTAINERFILE)
        self.build_in(context, tag, "--timestamp", "1700000000")

    def build_in(self, context: Path, tag: str, *how: str) -> None:
        """Build a Docker image from the Containerfile in a directory, a layer a step."""
        self("bud", "--isolation", "chroot", "--layers", "--format", "docker", *how,
             "--signature-policy", self._policy, "--tag", tag, context)  # fmt: skip

    def copied(self, source: Path, tag: str) -> None:
        """Make an image of nothing but a copy of a directory."""
        self("from", "--name", tag, "scratch")
        self("copy", tag, source, "/copied")
        self("commit", "--signature-policy", self._policy, tag, tag)

    def push(self, source: str, name: str, media: str = "docker") -> None:
        """Push an image to a registry without TLS, as ``oci`` or ``docker``."""
        format_ = {"oci": "oci", "docker": "v2s2"}[media]
        self("push", "--format", format_, *self._to, source, f"docker://{name}")

    def write(self, source: str, layout: Path, *how: str) -> None:
        """Write an image to an OCI layout as ``latest``."""
        self("push", "--format=oci", *how, "--signature-policy", self._policy, source, f"oci:{layout}:latest")

    def push_index(self, source: str, name: str) -> None:
        """Push an index and all it lists to a registry without TLS."""
        self("manifest", "push", "--all", *self._to, source, f"docker://{name}")

    def index(self, tag: str, layout: str, other: str) -> None:
        """Make an index of an image in a layout and one in another that is made to be for s390x."""
        self("manifest", "create", tag)
        self("manifest", "add", "--arch", "s390x", tag, f"oci:{other}")
        self("manifest", "add", tag, f"oci:{layout}")
