"""Reads daemon.json: its keys, and the values they take.

Rule 1: a key that neither Headway nor Docker knows is refused by name: a typo must not become a setting without effect.
Rule 2: Docker's other keys are accepted with one warning, so that one file can serve both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeGuard

from headway.errors import InvalidSettingError
from headway.quantities import parse_duration, parse_size

_DOCKER_KEYS = frozenset(
    """
    allow-direct-routing allow-nondistributable-artifacts api-cors-header authorization-plugins bip bip6 bridge
    bridge-accept-fwmark builder cdi-spec-dirs cgroup-parent cluster-advertise cluster-store cluster-store-opts
    containerd containerd-namespace containerd-plugin-namespace containerd-plugins-namespace cpu-rt-period
    cpu-rt-runtime cri-containerd default-address-pools default-cgroupns-mode default-gateway default-gateway-v6
    default-ipc-mode default-network-opts default-runtime default-shm-size default-ulimits deprecated-key-path dns
    dns-opts dns-search exec-opts exec-root experimental features firewall-backend fixed-cidr fixed-cidr-v6
    host-gateway-ip host-gateway-ips icc init init-path ip ip-forward ip-forward-no-drop ip-masq ip6tables iptables
    ipv6 live-restore log-driver log-opts min-api-version mtu network-control-plane-mtu network-diagnostic-port
    no-new-privileges node-generic-resources nri-opts oom-score-adjust raw-logs rootless runtimes seccomp-profile
    selinux-enabled storage-opts swarm-default-advertise-addr userland-proxy userland-proxy-path userns-remap
    """.split()  # noqa: SIM905  # a hundred lines of quotes would say less
)
"""Keys of dockerd, of any version since 19.03, that an image service has no use for (moby-behaviour 7.1)."""


_EMPTY_IS_DEFAULT = frozenset(
    """
    auth-file data-root graph group log-format log-level metrics-addr pidfile storage-driver tlscacert tlscert tlskey
    """.split()  # noqa: SIM905  # as above
)
"""Keys whose empty text means the default, as for dockerd: in its own example of a file most of them are empty."""

_UNSPEAKABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that JSON can spell, but file names and UTF-8 cannot hold: NUL, and lone surrogates."""


def read_document(path: Path, *, required: bool) -> dict[str, object]:
    """Return what a file says, by key; what says null or nothing is left out, Docker's ``proxies`` is flattened.

    Raises:
        InvalidSettingError: It is not there though `required`, is no JSON object, has a key that nobody knows, or both
            names of the data root.
    """
    document = {key: value for key, value in _read(path, required=required).items() if value is not None}
    section = document.pop("proxies", {})  # Docker has the keys of proxies in this section
    if not isinstance(section, dict):
        raise InvalidSettingError(f"{path}: proxies must be a JSON object")
    _check_keys(section, f"{path}: proxies", _PROXY_KEYS)
    _check_keys(document, str(path), (*KEYS, *DAEMON_KEYS, *_DOCKER_KEYS))
    document |= section
    said = {key: value for key, value in document.items() if value != "" or key not in _EMPTY_IS_DEFAULT}
    if {"graph", "data-root"} <= said.keys():
        raise InvalidSettingError('cannot specify both "graph" and "data-root" config file options')
    return said


def _read(path: Path, *, required: bool) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if required:
            raise InvalidSettingError(f"there is no {path}") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSettingError(f"cannot read {path}: {said}") from None
    document = _parsed(text, path) if text.strip() else {}
    if not isinstance(document, dict):
        raise InvalidSettingError(f"{path} must hold a JSON object")
    return document


def _parsed(text: str, path: Path) -> object:
    import json  # noqa: PLC0415  # unlike msgspec it names the line; not needed where there is no file

    try:
        return json.loads(text, parse_int=_whole_number)
    except OverflowError as error:
        raise InvalidSettingError(f"{path}: {error} is larger than any number may be") from None
    except json.JSONDecodeError as error:
        mend = _mend(text[: error.pos].rstrip(), text[error.pos :], error.msg)
        raise InvalidSettingError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}{mend}") from None
    except RecursionError:
        raise InvalidSettingError(f"{path}: nested too deeply") from None


def _whole_number(text: str) -> int:
    """Return the number that digits spell; as in Go, it has to fit into 64 bits."""
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise OverflowError(text if len(text) <= 40 else f"{text[:40]}...")
    return int(text)


def _mend(before: str, rest: str, said: str) -> str:
    """Return advice on a common mistake in JSON; an empty text for other mistakes.

    Args:
        before: The text before the mistake, without white space at its end.
        rest: The text from the mistake on.
        said: The parser's message.
    """
    after = rest[1:].lstrip()
    mends = {
        "the file ends before its JSON does": not rest.strip(),
        "'=' where JSON wants ':'": rest.startswith("="),
        "remove the ',' before it": before.endswith(",") and rest.startswith(("}", "]")),
        "remove that ','": rest.startswith(",") and after.startswith(("}", "]")),  # the place that Python 3.13 names
        "JSON writes true, false and null": rest.startswith(("True", "False", "None")),
        "JSON has no comments": rest.startswith(("//", "/*", "#")),
        'JSON writes text in "double quotes"': rest.startswith("'"),
        "put a ',' before it": said.startswith("Expecting ','"),
    }
    return next((f"; {mend}" for mend, is_it in mends.items() if is_it), "")


def _check_keys(document: Mapping[str, object], where: str, known: Collection[str]) -> None:
    for key in document:
        if key not in known:
            import difflib  # noqa: PLC0415  # needed after a mistake only

            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidSettingError(f"{where}: unknown key {key!r}{hint}")


def remarks(document: Mapping[str, object], path: Path) -> tuple[str, ...]:
    """Return warnings, a sentence each, about a file that can be used."""
    said = []
    if ignored := sorted(key for key in document if key in _DOCKER_KEYS):
        said.append(f"{path}: {', '.join(ignored)}: of no use to an image service, ignored")
    insecure = document.get("insecure-registries")
    said += [
        f"{path}: insecure-registries: {entry} is a URL, and taken for {without_scheme(entry)}"
        for entry in (insecure if isinstance(insecure, list) else ())
        if entry != without_scheme(entry)
    ]
    return tuple(said)


def without_scheme(registry: str) -> str:
    """Return the registry that an entry of ``insecure-registries`` names; of a URL the host, as for dockerd."""
    scheme, separator, host = registry.partition("://")
    return host.rstrip("/") if separator and scheme.lower() in ("http", "https") else registry


def _shown(value: object) -> str:
    import json  # noqa: PLC0415  # needed after a mistake only; msgspec refuses large numbers

    return json.dumps(value)


def _integer(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidSettingError(f"{where} must be a whole number, not {_shown(value)}")
    return value


def _boolean(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidSettingError(f"{where} must be true or false, not {_shown(value)}")
    return value


def _is_text(value: object) -> TypeGuard[str]:
    """Tell whether a value is a text that paths, headers and UTF-8 can hold."""
    return isinstance(value, str) and _UNSPEAKABLE.search(value) is None


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_text(item) for item in value):
        raise InvalidSettingError(f"{where} must be a list of texts, not {_shown(value)}")
    return tuple(value)


def _path(value: object, where: str) -> Path:
    if not _is_text(value) or not Path(value).is_absolute():
        raise InvalidSettingError(f"{where} must be an absolute path, not {_shown(value)}")
    return Path(value)


def _file(value: object, where: str) -> Path:
    if not _is_text(value):
        raise InvalidSettingError(f"{where} must be a path, not {_shown(value)}")
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
    if not _is_text(value):
        raise InvalidSettingError(f"{where} must be a text")  # without the value: a proxy's URL may hold a password
    return value


KEYS = {
    "graph": ("data_root", _path),  # Docker's name for it until v23
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
    "max-unpack-memory": ("max_unpack_memory", _size),
    "record-recipes": ("record_recipes", _boolean),
    "retain-layer-blobs": ("retain_layer_blobs", _boolean),
    "storage-driver": ("storage_driver", _text),
    "auth-file": ("auth_file", _path),
    "mirrors": ("mirrors", _mirrors),
    "http-proxy": ("http_proxy", _text),
    "https-proxy": ("https_proxy", _text),
    "no-proxy": ("no_proxy", _text),
}
"""For each key, the field of `settings.Settings`, and the function that checks and converts its value."""

_PROXY_KEYS = ("http-proxy", "https-proxy", "no-proxy")

DAEMON_KEYS: Mapping[str, Callable[[object, str], object]] = {
    "group": _text,
    "hosts": _texts,
    "labels": _texts,
    "log-format": _text,
    "log-level": _text,
    "metrics-addr": _text,
    "pidfile": _file,
    "pull-detach": _boolean,
    "shutdown-timeout": _integer,
    "tls": _boolean,
    "tlscacert": _file,
    "tlscert": _file,
    "tlskey": _file,
    "tlsverify": _boolean,
}
"""Keys for a daemon only: each is a field of `daemon.configuration.DaemonSettings`, converted as in `KEYS`."""
