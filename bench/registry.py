"""Debian's registry on loopback, which every program pulls from.

Rule: its storage is not on the measured disk, and its blobs are read once before each pull, so that a
program waits for its own work and not for the registry's.
"""

import json
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.corpus import Image
from bench.processes import BenchError, background, free_port, run

READ_BYTES = 1 << 20
# Apache's combined format: "GET /v2/... HTTP/1.1" 200 1234. HEAD has no body whatever the log says.
ANSWER = re.compile(r'"GET \S+ HTTP/[0-9.]+" \d{3} (\d+) ')


class Registry:
    """A running registry.

    Args:
        address: Such as ``127.0.0.1:5000``.
        storage: Its root directory.
        log: Its access log.
    """

    def __init__(self, address: str, storage: Path, log: Path) -> None:
        self.address = address
        self._storage = storage
        self._log = log

    def push(self, image: Image) -> str:
        """Put an image there as it is in its layout and return the reference to pull.

        Raises:
            BenchError: skopeo failed.
        """
        reference = f"{self.address}/{image.name}:{image.compression}"
        source = f"oci:{image.layout}:{image.compression}"
        options = ["--quiet", "--preserve-digests", "--dest-tls-verify=false"]
        run(["skopeo", "--insecure-policy", "copy", *options, source, f"docker://{reference}"])
        return reference

    def read_blobs(self, image: Image) -> None:
        """Bring what the registry stores of an image into the page cache.

        Raises:
            BenchError: It does not store all of it.
        """
        stored = {path.parent.name: path for path in self._storage.rglob("data")}
        if missing := [each.name for each in image.blobs() if each.name not in stored]:
            raise BenchError(f"the registry does not store {', '.join(missing)}")
        for each in image.blobs():
            with stored[each.name].open("rb", buffering=0) as blob:
                while blob.read(READ_BYTES):
                    pass

    def bytes_sent(self) -> int:
        """Return the bytes of all bodies sent so far, by the access log."""
        return body_bytes(self._log.read_text(errors="replace"))


def body_bytes(access_log: str) -> int:
    """Add up the bodies of the answers to GET in an access log in combined format."""
    return sum(int(size) for size in ANSWER.findall(access_log))


@contextmanager
def serving(folder: Path) -> Iterator[Registry]:
    """Run a registry inside the block, with all it has in ``folder``, which is emptied before and gone after.

    Raises:
        BenchError: It did not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    port = free_port()
    config, log, storage = folder / "config.yml", folder / "docker-registry.log", folder / "storage"
    # YAML is a superset of JSON.
    settings = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "cache": {"blobdescriptor": "inmemory"}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    config.write_text(json.dumps(settings))
    try:
        with background(["docker-registry", "serve", str(config)], log=log, ready=lambda: _answers(port)):
            yield Registry(f"127.0.0.1:{port}", storage, log)
    finally:
        shutil.rmtree(folder)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
