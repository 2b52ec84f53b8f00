"""An image as a runtime bundle: ``rootfs/`` and the ``config.json`` that runs it.

Rule 1: the conversion is image-spec's (conversion.md): what the image says is taken over verbatim, as a container of
        Docker's would have it (`oci.run_config`).
Rule 2: what the image does not say is what ``runc spec`` gives, in the same words, except that a container
        may write to its root file system and has no terminal.
Rule 3: users, groups and volumes are looked up in the image, never through a symlink that leaves its root.
Rule 4: ``config.json`` is written last, so that a bundle that has one is whole.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from headway.errors import ConflictError, InvalidDocumentError, RequestError
from headway.layers.failures import disk_failures
from headway.layers.rootfs.users import ProcessUser, find_user
from headway.layers.trees.merged import MergedView
from headway.layers.trees.rootfs import UnpackReport, unpack
from headway.oci.document import object_at
from headway.oci.run_config import container_config
from headway.records import LayerReport, Tree

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_CLOSED = ("nosuid", "noexec", "nodev")


class Execution(msgspec.Struct, frozen=True, rename="pascal"):
    """The ``config`` of an image config, as far as a runtime needs it (image-spec, config.md)."""

    user: str | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    volumes: dict[str, Any] | None = None
    exposed_ports: dict[str, Any] | None = None
    stop_signal: str | None = None


def execution_of(image: Mapping[str, Any]) -> Execution:
    """Return how an image wants to be run; `image` is its whole config document.

    Raises:
        InvalidDocumentError: Something in it has the wrong type, or cannot be a path.
    """
    try:
        execution = msgspec.convert(container_config({}, object_at(image, "config")), Execution)
    except (RequestError, msgspec.ValidationError) as error:
        raise InvalidDocumentError(f"the image's config: {error}") from error
    for volume in execution.volumes or {}:
        if "\0" in volume:
            raise InvalidDocumentError(f"the image's config: the volume {volume!r} holds a NUL, as no path can")
    return execution


def runtime_config(
    image: Mapping[str, Any],
    *,
    user: ProcessUser | None = None,
    volumes: Mapping[str, str] | None = None,
    rootless: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Convert an image config, the whole document, to a runtime-spec configuration.

    Args:
        image: The image config document.
        user: Who the image's ``User`` stands for; user 0 where nobody looked it up.
        volumes: Where the content of each of the image's volumes is: destination to source, relative to the
            bundle.
        rootless: User and group ID of who will run it without being root: they become user 0 in the
            container.

    Raises:
        InvalidDocumentError: Something in the document has the wrong type.
    """
    execution = execution_of(image)
    return {
        "ociVersion": "1.0.2",
        # Without root there is one ID to give away: whoever runs the bundle is user 0, alone, and owns every file.
        "process": _process(execution, user if user and rootless is None else ProcessUser()),
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "headway",
        "mounts": [*_mounts(rootless=rootless is not None), *_volume_mounts(volumes or {})],
        "linux": _linux(rootless),
        "annotations": _annotations(image, execution),
    }


def write_bundle(
    directory: Path,
    image: Mapping[str, Any],
    trees: Sequence[Tree],
    *,
    force: bool = False,
    rootless: bool = False,
) -> UnpackReport:
    """Write a bundle: the root file system, its volumes, then ``config.json``.

    A volume is a directory of the bundle, with what the image has there, mounted over its place: its data
    stays apart from the root file system. `force` replaces a bundle's files as `unpack` does.

    Raises:
        ConflictError: The directory is not empty.
        InvalidDocumentError: The image's config cannot be used, or names a user that the image does not have.
        StoreFullError: No space left.
        StoreError: The disk failed.
    """
    execution = execution_of(image)
    with disk_failures(str(directory)):
        directory.mkdir(parents=True, exist_ok=True)
        if not force and os.listdir(directory):
            raise ConflictError(f"{directory} is not empty")
        (directory / "config.json").unlink(missing_ok=True)
    with MergedView(trees) as view:
        user = find_user(view, execution.user or "")
        places = {volume: view.resolve(volume, follow_last=True) for volume in execution.volumes or {}}
        held = {place for place in places.values() if _is_directory(view, place)}
    report = unpack(trees, directory / "rootfs", force=force)
    volumes: dict[str, str] = {}
    for number, (volume, place) in enumerate(sorted(places.items())):
        volumes[volume] = f"volumes/{number}"
        # What is not the image's is left by somebody else, a container maybe, and leads where that likes.
        source = directory / "rootfs" / place if place in held else None
        _seed(source, directory / volumes[volume], force=force)
    ids = (os.geteuid(), os.getegid()) if rootless else None
    config = runtime_config(image, user=user, volumes=volumes, rootless=ids)
    with disk_failures(str(directory)):
        draft = directory / "config.json~"
        draft.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        draft.replace(directory / "config.json")
    return report


def _is_directory(view: MergedView, place: str) -> bool:
    entry = view.lstat(place)
    return entry is not None and stat.S_ISDIR(entry.mode)


def _seed(place: Path | None, target: Path, *, force: bool) -> None:
    # `place` was resolved in the image and is the image's, as is everything above it: no symlink is on the way.
    trees = [] if place is None else [Tree(path=place, report=LayerReport(root_entry=True))]
    unpack(trees, target, force=force)


def _process(execution: Execution, user: ProcessUser) -> dict[str, Any]:
    env = [each for each in execution.env or () if "=" in each]  # dockerd and podman drop the others, and runc refuses
    if not any(variable.startswith("PATH=") for variable in env):
        env = [_PATH, *env]
    who: dict[str, Any] = {"uid": user.uid, "gid": user.gid}
    if user.additional_gids:
        who["additionalGids"] = list(user.additional_gids)
    return {
        "terminal": False,
        "user": who,
        "args": [*(execution.entrypoint or []), *(execution.cmd or [])] or ["sh"],
        "env": env,
        "cwd": execution.working_dir or "/",
        "capabilities": {kind: list(_CAPABILITIES) for kind in ("bounding", "effective", "permitted", "ambient")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    }


def _annotations(image: Mapping[str, Any], execution: Execution) -> dict[str, str]:
    """Return conversion.md's annotations; the image's own labels win over those made from its fields."""
    named = {
        "os": image.get("os"),
        "architecture": image.get("architecture"),
        "variant": image.get("variant"),
        "os.version": image.get("os.version"),
        "os.features": ",".join(image.get("os.features") or ()),
        "author": image.get("author"),
        "created": image.get("created"),
        "stopSignal": execution.stop_signal,
        "exposedPorts": ",".join(sorted(execution.exposed_ports or ())),
    }
    annotations = {f"org.opencontainers.image.{name}": str(value) for name, value in named.items() if value}
    return annotations | (execution.labels or {})


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    mount: dict[str, Any] = {"destination": destination, "type": kind, "source": source}
    return mount | {"options": list(options)} if options else mount


def _mounts(*, rootless: bool) -> list[dict[str, Any]]:
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if rootless:
        system = _mount("/sys", "none", "/sys", "rbind", *_CLOSED, "ro")
    else:
        terminals.append("gid=5")
        system = _mount("/sys", "sysfs", "sysfs", *_CLOSED, "ro")
    return [
        _mount("/proc", "proc", "proc"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "devpts", *terminals),
        _mount("/dev/shm", "tmpfs", "shm", *_CLOSED, "mode=1777", "size=65536k"),  # noqa: S108  # inside
        _mount("/dev/mqueue", "mqueue", "mqueue", *_CLOSED),
        system,
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", *_CLOSED, "relatime", "ro"),
    ]


def _volume_mounts(volumes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [_mount(place, "bind", source, "rbind", "rw") for place, source in volumes.items()]


def _linux(rootless: tuple[int, int] | None) -> dict[str, Any]:
    kinds = ["pid", "network", "ipc", "uts", "mount"]
    linux: dict[str, Any] = {}
    if rootless is None:
        linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    else:
        kinds = ["pid", "ipc", "uts", "mount", "user"]
        for name, host in zip(("uidMappings", "gidMappings"), rootless, strict=True):
            linux[name] = [{"containerID": 0, "hostID": host, "size": 1}]
    linux["namespaces"] = [{"type": kind} for kind in kinds]
    linux["maskedPaths"] = list(_MASKED)
    linux["readonlyPaths"] = list(_READ_ONLY)
    return linux
