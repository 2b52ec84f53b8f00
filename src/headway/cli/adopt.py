"""`headway adopt docker`: the images of Docker's daemon on this machine, taken over one by one."""

from __future__ import annotations

import os
from argparse import Namespace

from headway.cli.failures import each_of
from headway.cli.remote import certificates, holding_daemon
from headway.cli.session import say, settings_of
from headway.cli.units import size
from headway.client.daemon import Daemon
from headway.client.docker import DEFAULT_HOST, Docker
from headway.composition.loading import loader
from headway.composition.writing import writing
from headway.engine.listeners import Address
from headway.interfaces.files import Pieces
from headway.layers.archives.reader import StreamArchive
from headway.service.archives.adopting import Adopter, ForeignImage


def adopt(options: Namespace) -> int:
    """Take over images with their names and digests; each that cannot be is explained, and the others are."""
    settings = settings_of(options)
    docker = _docker(options.docker_host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST)
    wanted = _wanted(docker, options.names)
    # Docker's address is not Headway's: of that, only what stands before the command and the store's own lock count.
    daemon = holding_daemon(Namespace(host=options.host, data_root=settings.data_root), settings)
    if daemon is not None:
        return each_of(wanted, lambda image: _hand_over(daemon, docker, image), options)
    with writing(settings, say) as stores:
        adopter = Adopter(stores, loader(settings, stores))
        return each_of(wanted, lambda image: _adopt(adopter, docker, image), options)


def _docker(host: str) -> Docker:
    return Docker(Address.parse(host), certificates(os.environ) if host.startswith("tcp:") else None)


def _wanted(docker: Docker, names: list[str]) -> list[ForeignImage]:
    """Return what is to be adopted; every name is looked up before the first image moves."""
    return [docker.image(name) for name in names] if names else docker.images()


def _adopt(adopter: Adopter, docker: Docker, image: ForeignImage) -> None:
    adopted = adopter.adopt(image, lambda: StreamArchive(Pieces(docker.save(image))))
    record = adopted.record
    for name in image.tags or ("<none>",):
        what = "already here" if adopted.was_here else size(record.size)
        print(f"{name}  {record.image_id.short}  {what}", flush=True)


def _hand_over(daemon: Daemon, docker: Docker, image: ForeignImage) -> None:
    """Let a daemon load an image. Digest references stay behind: Docker's API has no way to give them."""
    for line in daemon.load(docker.save(image), None):
        print(line, end="", flush=True)
