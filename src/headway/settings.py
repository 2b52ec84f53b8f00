"""Headway's own settings: built-in values, then daemon.json (`daemon_file`), then flags."""

from __future__ import annotations

import math
import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from headway.daemon_file import KEYS, read_document, remarks, without_scheme
from headway.distribution.transfer_limits import TransferLimits
from headway.errors import InvalidReferenceError, InvalidSettingError
from headway.oci.reference import DOCKER_HUB, Reference

DEFAULT_CONFIG_FILE = Path("/etc/headway/daemon.json")


class LiveSettings(TransferLimits, frozen=True, kw_only=True):
    """What a daemon that runs can change, the limits of transfers included.

    Attributes:
        debug: Whether tracebacks are shown and debug messages logged.
        registry_mirrors: URLs that stand in for docker.io, first choice first.
        mirrors: The same for any registry, by its host; those for docker.io come behind `registry_mirrors`.
        insecure_registries: Hosts and CIDR blocks that may be asked without verified TLS.
        http_proxy: URL of the proxy for plain HTTP; this and the next two stand in for the environment's, if not None.
        https_proxy: URL of the proxy for TLS.
        no_proxy: Who is reached without one, as in the environment's variable.
    """

    debug: bool = False
    registry_mirrors: tuple[str, ...] = ()
    mirrors: Mapping[str, tuple[str, ...]] = {}
    insecure_registries: tuple[str, ...] = ()
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None


class Settings(LiveSettings, frozen=True, kw_only=True):
    """What can be set. What is named here, and not in `LiveSettings`, is in force after a daemon's restart.

    Attributes:
        data_root: Where everything is kept.
        unfinished_max_age: Seconds after its last byte for which an unfinished download is kept; infinity is for ever.
        unfinished_max_size: Bytes that all unfinished downloads may hold together; None sets no limit.
        max_unpack_memory: Bytes that what layers look back on while they are unpacked, beyond 8 MiB each, may take
            together (`layers.compression.windows`); None for 128 MiB, or half of the memory where that is less.
        record_recipes: Whether a pull records what gives each layer's exact tar back (docs/recipe-format.md).
        retain_layer_blobs: Whether layers' blobs stay beside their trees, as the registry has them: what is saved and
            pushed then has the registry's digests; it costs their size on disk.
        storage_driver: ``overlay2`` or ``vfs``, for containers and mounts; empty for the best that works here.
        auth_file: Where logins are read and saved; None means where docker and podman have them.
        file: What was read, or would have been if it were there: it may come to be.
    """

    data_root: Path
    unfinished_max_age: float = math.inf
    unfinished_max_size: int | None = None
    max_unpack_memory: int | None = None
    record_recipes: bool = True
    retain_layer_blobs: bool = False
    storage_driver: str = ""
    auth_file: Path | None = None
    file: Path | None = None

    def __repr__(self) -> str:
        return f"Settings(data_root={str(self.data_root)!r}, ...)"  # a proxy's URL may hold a password

    @property
    def limits(self) -> TransferLimits:
        """Those of transfers alone."""
        return TransferLimits(**{name: getattr(self, name) for name in TransferLimits.__struct_fields__})

    def mirrors_of(self, domain: str) -> tuple[str, ...]:
        """Return the URLs that stand in for a registry, first choice first."""
        return (self.registry_mirrors if domain == DOCKER_HUB else ()) + self.mirrors.get(domain, ())


class Loaded(msgspec.Struct, frozen=True):
    """Settings, and warnings about the file they came from."""

    settings: Settings
    warnings: tuple[str, ...] = ()


def home_directory(environment: Mapping[str, str]) -> Path:
    """Return this user's home: ``$HOME``, or that of the user database where it is not set, as in a systemd unit."""
    if home := environment.get("HOME"):
        return Path(home)
    with suppress(KeyError):
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    return Path("/")


def default_data_root(environment: Mapping[str, str], home: Path, *, root: bool) -> Path:
    """Return the default data root: `/var/lib/headway` for root, below `$XDG_DATA_HOME` for other users."""
    if root:
        return Path("/var/lib/headway")
    return Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "headway"


def load(flags: Mapping[str, object], *, data_root: Path, config_file: Path | None = None) -> Loaded:
    """Return the settings in force.

    Args:
        flags: Values of the command line, by field name of `Settings`; None for a flag that was not given.
        data_root: The data root unless file or flags name another.
        config_file: The file, which must exist; None reads the default file if there is one.

    Raises:
        InvalidSettingError: A value, a key or the file itself cannot be used.
    """
    path = config_file or DEFAULT_CONFIG_FILE
    with blaming(path):
        document = read_document(path, required=config_file is not None)
        alone = merge(document, path, {}, data_root=data_root)
    settings = merge(document, path, flags, data_root=data_root)
    try:
        validate(settings)
    except InvalidSettingError as error:
        if _said_of(alone) == str(error):
            raise InvalidSettingError(f"{path}: {error}", file=str(path)) from None
        raise
    return Loaded(settings, remarks(document, path))


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Name the file in an `InvalidSettingError` of the block, as the one to correct, unless there is no such file."""
    try:
        yield
    except InvalidSettingError as error:
        error.file = "" if _is_absent(path) else str(path)
        raise


def _is_absent(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)  # otherwise it may exist where this user may not look
    return False


def _said_of(settings: Settings) -> str:
    """Return why settings are not valid; an empty text where they are."""
    try:
        validate(settings)
    except InvalidSettingError as error:
        return str(error)
    return ""


def merge(document: Mapping[str, object], path: Path, flags: Mapping[str, object], *, data_root: Path) -> Settings:
    """Return the settings of a file and flags together, not yet checked by `validate`.

    Args:
        document: See `read_document`.
        path: Path of the file.
        flags: As for `load`; they win.
        data_root: As for `load`.

    Raises:
        InvalidSettingError: A value has the wrong type for its key.
    """
    values: dict[str, object] = {"data_root": data_root, "file": path}
    for key, (name, convert) in KEYS.items():
        if key in document:
            values[name] = convert(document[key], f"{path}: {key}")
    values.update({name: value for name, value in flags.items() if value is not None})
    # If only the attempts are set, they alone decide, as the flag promises.
    if "max_download_attempts" in values and "download_patience" not in values:
        values["download_patience"] = 0.0
    if insecure := values.get("insecure_registries"):
        values["insecure_registries"] = tuple(without_scheme(each) for each in insecure)  # type: ignore[attr-defined]
    for name in ("max_concurrent_downloads", "max_concurrent_uploads"):
        if values.get(name) == 0:
            del values[name]  # 0 means the default, as in Docker 28
    return Settings(**values)  # type: ignore[arg-type]  # each converter above gives its field's type


def _check_addresses(settings: Settings) -> None:
    # Imported here, since a command that lists must start fast and mostly has no address to check.
    from headway.distribution.endpoints import InsecureRegistries, mirror_endpoint  # noqa: PLC0415
    from headway.distribution.proxies import Proxy  # noqa: PLC0415

    for host in settings.mirrors:
        _check_mirrored(host)
    insecure = InsecureRegistries(settings.insecure_registries)
    for urls in (settings.registry_mirrors, *settings.mirrors.values()):
        for url in urls:
            mirror_endpoint(url, insecure)  # report a bad URL now, not at the first pull
    for url in filter(None, (settings.http_proxy, settings.https_proxy)):
        Proxy.parse(url)


def _check_mirrored(host: str) -> None:
    """Refuse a registry that no image's name can begin with: its mirrors would never be used."""
    try:
        is_one = Reference.parse(f"{host}/image").domain == host
    except InvalidReferenceError:
        is_one = False
    if not is_one:
        raise InvalidSettingError(f"mirrors: {host!r} is no registry as images name it, such as ghcr.io or docker.io")


def validate(settings: Settings) -> None:
    """Check the values of settings.

    Raises:
        InvalidSettingError: A value is not valid; in Moby's words where Moby has them (moby-behaviour 7.3).
    """
    addresses = (settings.registry_mirrors, settings.mirrors, settings.insecure_registries)
    if any(addresses) or settings.http_proxy or settings.https_proxy:
        _check_addresses(settings)
    settings.limits.checked()
