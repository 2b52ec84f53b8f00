"""Headway's own settings: built-in values, then daemon.json, then flags.

Rule 1: a key that neither Headway nor Docker knows is refused by name; a typo must not be a setting that does nothing.
Rule 2: Docker's other keys are accepted with one warning, so that one file can serve both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from headway.distribution.transfer_limits import TransferLimits
from headway.errors import InvalidSettingError
from headway.oci.reference import DOCKER_HUB

DEFAULT_CONFIG_FILE = Path("/etc/headway/daemon.json")

_DOCKER_KEYS = frozenset(
    """
    allow-nondistributable-artifacts api-cors-header authorization-plugins bip bridge builder cgroup-parent
    cluster-advertise cluster-store cluster-store-opts containerd containerd-namespace containerd-plugin-namespace
    cpu-rt-period cpu-rt-runtime cri-containerd default-address-pools default-cgroupns-mode default-gateway
    default-gateway-v6 default-ipc-mode default-network-opts default-runtime default-shm-size default-ulimits dns
    dns-opts dns-search exec-opts exec-root experimental features firewall-backend fixed-cidr fixed-cidr-v6 graph
    host-gateway-ip host-gateway-ips icc init init-path ip ip-forward
    ip-forward-no-drop ip-masq ip6tables iptables ipv6 live-restore log-driver
    log-opts mtu network-control-plane-mtu network-diagnostic-port no-new-privileges
    node-generic-resources oom-score-adjust raw-logs rootless runtimes seccomp-profile
    selinux-enabled storage-opts swarm-default-advertise-addr
    userland-proxy userland-proxy-path userns-remap
    """.split()  # noqa: SIM905  # a hundred lines of quotes would say less
)
"""What dockerd of any version since 19.03 takes and an image service has no use for (moby-behaviour 7.1)."""


DAEMON_KEYS = frozenset(
    """
    group hosts labels log-format log-level metrics-addr pidfile pull-detach shutdown-timeout tls tlscacert tlscert
    tlskey tlsverify
    """.split()  # noqa: SIM905  # as above
)
"""What only a daemon has a use for, and `headway.daemon.configuration` reads from the same file."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set.

    Attributes:
        data_root: Where everything is kept.
        debug: Whether tracebacks are shown and debug messages logged.
        registry_mirrors: URLs that stand in for docker.io, first choice first.
        mirrors: The same for any registry, by its host; those for docker.io come behind `registry_mirrors`.
        insecure_registries: Hosts and CIDR blocks that may be asked without verified TLS.
        max_concurrent_downloads: Downloads at once in this process.
        max_concurrent_uploads: Uploads at once in this process.
        max_download_attempts: Consecutive attempts, in total, that brought no new byte.
        download_patience: Seconds without a new byte after which a download is given up, once the attempts are used
            up too; 0 lets attempts alone decide, infinity waits for ever.
        max_download_rate: Bytes a second of all downloads together; 0 sets no limit.
        unfinished_max_age: Seconds after its last byte for which an unfinished download is kept; infinity is for ever.
        unfinished_max_size: Bytes that all unfinished downloads may hold together; None sets no limit.
        record_recipes: Whether a pull records what gives each layer's exact tar back (docs/recipe-format.md).
        retain_layer_blobs: Whether layers' blobs stay beside their trees, as the registry has them: what is saved and
            pushed then has the registry's digests; it costs their size on disk.
        storage_driver: ``overlay2`` or ``vfs``, for containers and mounts; empty for the best that works here.
        auth_file: Where logins are read and saved; None means where docker and podman have them.
        http_proxy: URL of the proxy for plain HTTP; this and the next two stand in for the environment's, if not None.
        https_proxy: URL of the proxy for TLS.
        no_proxy: Who is reached without one, as in the environment's variable.
        file: What was read; None where there was no file.
    """

    data_root: Path
    debug: bool = False
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5
    download_patience: float = 600.0
    max_download_rate: int = 0
    unfinished_max_age: float = math.inf
    unfinished_max_size: int | None = None
    record_recipes: bool = True
    retain_layer_blobs: bool = False
    storage_driver: str = ""
    auth_file: Path | None = None
    mirrors: Mapping[str, tuple[str, ...]] = {}
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    file: Path | None = None

    @property
    def limits(self) -> TransferLimits:
        """Those of transfers."""
        return TransferLimits(
            max_concurrent_downloads=self.max_concurrent_downloads,
            max_concurrent_uploads=self.max_concurrent_uploads,
            max_download_attempts=self.max_download_attempts,
            download_patience=self.download_patience,
            max_download_rate=self.max_download_rate,
        )

    def mirrors_of(self, domain: str) -> tuple[str, ...]:
        """Return the URLs that stand in for a registry, first choice first."""
        return (self.registry_mirrors if domain == DOCKER_HUB else ()) + self.mirrors.get(domain, ())


class Loaded(msgspec.Struct, frozen=True):
    """Settings, and what there is to say about where they came from."""

    settings: Settings
    warnings: tuple[str, ...] = ()


def default_data_root(environment: Mapping[str, str], home: Path, *, root: bool) -> Path:
    """Return where data is kept unless it is said: `/var/lib/headway` for root, below `$XDG_DATA_HOME` otherwise."""
    if root:
        return Path("/var/lib/headway")
    return Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "headway"


def load(flags: Mapping[str, object], *, data_root: Path, config_file: Path | None = None) -> Loaded:
    """Return the settings in force.

    Args:
        flags: What the command line says, by field name of `Settings`; None means it says nothing.
        data_root: Where data is kept unless file or flags say otherwise.
        config_file: Must exist; None reads the default file if there is one.

    Raises:
        InvalidSettingError: A value, a key or the file itself cannot be used; it says where, and how to mend it.
    """
    path = config_file or DEFAULT_CONFIG_FILE
    document = read_document(path, required=config_file is not None)
    settings = merge(document, path, flags, data_root=data_root)
    validate(settings)
    return Loaded(settings, ignored(document, path))


def merge(document: Mapping[str, object], path: Path, flags: Mapping[str, object], *, data_root: Path) -> Settings:
    """Return what a file and flags say together; whether it can be used is not looked at (`validate`).

    Args:
        document: See `read_document`.
        path: Where it is from.
        flags: As for `load`; they win.
        data_root: As for `load`.

    Raises:
        InvalidSettingError: A value is of another kind than its key asks for.
    """
    values: dict[str, object] = {"data_root": data_root, "file": path if path.exists() else None}
    for key, (name, convert) in _KEYS.items():
        if key in document:
            values[name] = convert(document[key], f"{path}: {key}")
    values.update({name: value for name, value in flags.items() if value is not None})
    # Who sets attempts and says nothing of patience wants attempts to decide, as the flag promises.
    if "max_download_attempts" in values and "download_patience" not in values:
        values["download_patience"] = 0.0
    for name in ("max_concurrent_downloads", "max_concurrent_uploads"):
        if values.get(name) == 0:
            del values[name]  # 0 means the default, as in Docker 28
    return Settings(**values)  # type: ignore[arg-type]  # each converter above gives its field's type


def read_document(path: Path, *, required: bool) -> dict[str, object]:
    """Return what a file says, by key; keys that say null are left out, Docker's section ``proxies`` is flattened.

    Raises:
        InvalidSettingError: It is not there though `required`, is no JSON object, or has a key that nobody knows.
    """
    document = {key: value for key, value in _read(path, required=required).items() if value is not None}
    section = document.pop("proxies", {})  # Docker has them in a section of their own, or not
    if not isinstance(section, dict):
        raise InvalidSettingError(f"{path}: proxies must be a JSON object")
    document |= section
    _check_keys(document, path)
    return document


def _read(path: Path, *, required: bool) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if required:
            raise InvalidSettingError(f"there is no {path}") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettingError(f"cannot read {path}: {error}") from None
    if not text.strip():
        return {}
    import json  # noqa: PLC0415  # msgspec names no line; and without a file, nobody pays for it

    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        mend = "; '=' where JSON wants ':'" if text[error.pos : error.pos + 1] == "=" else ""
        raise InvalidSettingError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}{mend}") from None
    except RecursionError:
        raise InvalidSettingError(f"{path}: nested too deeply") from None
    if not isinstance(document, dict):
        raise InvalidSettingError(f"{path} must hold a JSON object")
    return document


def _check_keys(document: Mapping[str, object], path: Path) -> None:
    for key in document:
        if key not in _DOCKER_KEYS and key not in DAEMON_KEYS and key not in _KEYS:
            import difflib  # noqa: PLC0415  # only mistakes pay for it

            near = difflib.get_close_matches(key, [*_KEYS, *DAEMON_KEYS, *_DOCKER_KEYS], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidSettingError(f"{path}: unknown key {key!r}{hint}")


def ignored(document: Mapping[str, object], path: Path) -> tuple[str, ...]:
    """Return what there is to say about keys of Docker's that change nothing here: one sentence, or none."""
    ignored = sorted(key for key in document if key in _DOCKER_KEYS)
    return (f"{path}: {', '.join(ignored)}: of no use to an image service, ignored",) if ignored else ()


def _check_addresses(settings: Settings) -> None:
    # Imported here: a command that lists, with no address set, must not pay for what understands addresses.
    from headway.distribution.endpoints import InsecureRegistries, mirror_endpoint  # noqa: PLC0415
    from headway.distribution.proxies import Proxy  # noqa: PLC0415

    insecure = InsecureRegistries(settings.insecure_registries)
    for urls in (settings.registry_mirrors, *settings.mirrors.values()):
        for url in urls:
            mirror_endpoint(url, insecure)  # one that cannot be a mirror is said before anything is asked
    for url in filter(None, (settings.http_proxy, settings.https_proxy)):
        Proxy.parse(url)


def validate(settings: Settings) -> None:
    """Refuse settings that nobody can keep to.

    Raises:
        InvalidSettingError: It says which, in Moby's words where Moby has them (moby-behaviour 7.3).
    """
    addresses = (settings.registry_mirrors, settings.mirrors, settings.insecure_registries)
    if any(addresses) or settings.http_proxy or settings.https_proxy:
        _check_addresses(settings)
    settings.limits.checked()


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Return ``90s``, ``2h``, ``1h30m``, ``0`` or ``forever`` in seconds.

    Raises:
        InvalidSettingError: It is none of them.
    """
    if text == "forever":
        return math.inf
    if text == "0":
        return 0.0
    if not text or _DURATION.sub("", text):
        raise InvalidSettingError(f"invalid duration {text!r}: write 90s, 10m, 2h, 0 or forever")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?([kKMGT]?)(iB|B)?\Z")
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str) -> int:
    """Return ``500k``, ``2M``, ``1.5G`` or ``512MiB`` in bytes: decimal units, binary where an ``i`` says so.

    Raises:
        InvalidSettingError: It is none of them.
    """
    found = _SIZE.match(text)
    if found is None or (found[3] == "iB" and not found[2]):
        raise InvalidSettingError(f"invalid size {text!r}: write 500k, 2M, 1.5G or 512MiB")
    unit: int = (1024 if found[3] == "iB" else 1000) ** _POWERS[found[2]]
    return round(float(found[1]) * unit)


def _shown(value: object) -> str:
    import json  # noqa: PLC0415  # only mistakes pay for it; msgspec refuses large numbers

    return json.dumps(value)


def _integer(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidSettingError(f"{where} must be a whole number, not {_shown(value)}")
    return value


def _boolean(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidSettingError(f"{where} must be true or false, not {_shown(value)}")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidSettingError(f"{where} must be a list of texts, not {_shown(value)}")
    return tuple(value)


def _path(value: object, where: str) -> Path:
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise InvalidSettingError(f"{where} must be an absolute path, not {_shown(value)}")
    return Path(value)


def _duration(value: object, where: str) -> float:
    if not isinstance(value, str):
        raise InvalidSettingError(f'{where} must be a text such as "10m", not {_shown(value)}')
    try:
        return parse_duration(value)
    except InvalidSettingError as error:
        raise InvalidSettingError(f"{where}: {error}") from None


def _size(value: object, where: str) -> int:
    if isinstance(value, str):
        try:
            return parse_size(value)
        except InvalidSettingError as error:
            raise InvalidSettingError(f"{where}: {error}") from None
    size = _integer(value, where)
    if size < 0:
        raise InvalidSettingError(f"{where} must not be below 0")
    return size


def _mirrors(value: object, where: str) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise InvalidSettingError(f'{where} must be like {{"ghcr.io": ["https://mirror"]}}, not {_shown(value)}')
    return {host: _texts(urls, f"{where}: {host}") for host, urls in value.items()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidSettingError(f"{where} must be a text")  # without the value: a proxy's URL may hold a password
    return value


_KEYS = {
    "data-root": ("data_root", _path),
    "debug": ("debug", _boolean),
    "registry-mirrors": ("registry_mirrors", _texts),
    "insecure-registries": ("insecure_registries", _texts),
    "max-concurrent-downloads": ("max_concurrent_downloads", _integer),
    "max-concurrent-uploads": ("max_concurrent_uploads", _integer),
    "max-download-attempts": ("max_download_attempts", _integer),
    "download-patience": ("download_patience", _duration),
    "max-download-rate": ("max_download_rate", _size),
    "unfinished-max-age": ("unfinished_max_age", _duration),
    "unfinished-max-size": ("unfinished_max_size", _size),
    "record-recipes": ("record_recipes", _boolean),
    "retain-layer-blobs": ("retain_layer_blobs", _boolean),
    "storage-driver": ("storage_driver", _text),
    "auth-file": ("auth_file", _path),
    "mirrors": ("mirrors", _mirrors),
    "http-proxy": ("http_proxy", _text),
    "https-proxy": ("https_proxy", _text),
    "no-proxy": ("no_proxy", _text),
}
