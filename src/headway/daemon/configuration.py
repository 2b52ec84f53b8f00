"""What a daemon keeps to: flags and daemon.json, with dockerd's rules for the two (moby-behaviour 7.1 to 7.4).

Rule 1: what is set as a flag and in the file is refused, even where both say the same: nobody can tell who was meant.
Rule 2: the file alone has to be valid, and what file and flags are together.
Rule 3: a reload is all or nothing; what flags set stays, and a key that left the file has its default again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from headway.daemon import logs
from headway.daemon_file import DAEMON_KEYS, KEYS, read_document, remarks
from headway.engine.listeners import Address, parse_metrics_address
from headway.errors import InvalidSettingError
from headway.settings import DEFAULT_CONFIG_FILE, Settings, blaming, merge, validate


class LiveDaemonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What only a daemon has, and can change while it runs.

    Attributes:
        log_level: From which level on something is logged.
        shutdown_timeout: Seconds that requests have to end at shutdown; -1 for ever.
        labels: ``key=value`` that ``/info`` shows.
        pull_detach: Whether a pull goes on when its client leaves.
    """

    log_level: str = "info"
    shutdown_timeout: int = 15
    labels: tuple[str, ...] = ()
    pull_detach: bool = False


class DaemonSettings(LiveDaemonSettings, frozen=True, kw_only=True):
    """What only a daemon has. What is named here, and not in `LiveDaemonSettings`, is in force after a restart.

    Attributes:
        hosts: Addresses to listen on; none means the default socket.
        group: Who shares unix sockets, besides their owner.
        tls: Whether TCP addresses speak TLS; None means yes, and only False is plain TCP.
        tlsverify: Whether clients need a certificate of `tlscacert`.
        tlscacert: Who signs clients' certificates.
        tlscert: Our certificate.
        tlskey: Its key.
        pidfile: Where the process writes its ID.
        log_format: ``text`` or ``json``.
        metrics_addr: ``host:port`` that serves ``/metrics``; empty for none.
    """

    hosts: tuple[str, ...] = ()
    group: str = ""
    tls: bool | None = None
    tlsverify: bool = False
    tlscacert: Path | None = None
    tlscert: Path | None = None
    tlskey: Path | None = None
    pidfile: Path | None = None
    log_format: str = "text"
    metrics_addr: str = ""


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a daemon keeps to.

    Attributes:
        settings: What it shares with commands.
        daemon: What only a daemon has.
        path: The file that was read, or would be if it were there.
        warnings: What there is to say about it.
    """

    settings: Settings
    daemon: DaemonSettings
    path: Path
    warnings: tuple[str, ...] = ()


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; a reload keeps to it.

    Attributes:
        config_file: None for the default one, which need not be there.
        data_root: Where data is kept unless something else is said.
        shared: By field name of `Settings`; what is not said is not in it.
        daemon: By field name of `DaemonSettings`, alike.
    """

    config_file: Path | None
    data_root: Path
    shared: Mapping[str, object] = {}
    daemon: Mapping[str, object] = {}


def configured(flags: Flags) -> Configuration:
    """Return what file and flags say together.

    Raises:
        InvalidSettingError: They cannot be used; in dockerd's words.
    """
    path = flags.config_file or DEFAULT_CONFIG_FILE
    try:
        with blaming(path):
            document = read_document(path, required=flags.config_file is not None)
            _check_conflicts(document, {**flags.shared, **flags.daemon})
            _validated(document, path, flags, "configuration validation from file failed: ", with_flags=False)
        merged = "merged configuration validation from file and command line flags failed: "
        return _validated(document, path, flags, merged, with_flags=True)
    except InvalidSettingError as error:
        said = f"unable to configure the Docker daemon with file {path}: {error}"
        raise InvalidSettingError(said, file=error.file) from None


def _validated(
    document: Mapping[str, object], path: Path, flags: Flags, prefix: str, *, with_flags: bool
) -> Configuration:
    settings = merge(document, path, flags.shared if with_flags else {}, data_root=flags.data_root)
    daemon = _daemon_settings(document, path, flags.daemon if with_flags else {})
    try:
        validate(settings)
        _validate(daemon)
    except InvalidSettingError as error:
        raise InvalidSettingError(f"{prefix}{error}") from None
    return Configuration(settings=settings, daemon=daemon, path=path, warnings=remarks(document, path))


def _daemon_settings(document: Mapping[str, object], path: Path, flags: Mapping[str, object]) -> DaemonSettings:
    values = {
        key.replace("-", "_"): convert(document[key], f"{path}: {key}")
        for key, convert in DAEMON_KEYS.items()
        if key in document
    }
    return DaemonSettings(**{**values, **flags})  # type: ignore[arg-type]  # each converter gives its field's type


def _check_conflicts(document: Mapping[str, object], flags: Mapping[str, object]) -> None:
    both = [
        f"{key}: (from flag: {_shown(flags[name])}, from file: {_shown(value)})"
        for key, value in document.items()
        if (name := _field_of(key)) in flags
    ]
    if both:
        raise InvalidSettingError(
            "the following directives are specified both as a flag and in the configuration file: " + ", ".join(both)
        )


def _field_of(key: str) -> str:
    return KEYS[key][0] if key in KEYS else key.replace("-", "_")


def _shown(value: object) -> str:
    """Return a value as Go prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{' '.join(str(each) for each in value)}]"
    return str(value)


def _validate(daemon: DaemonSettings) -> None:
    for host in daemon.hosts:
        Address.parse(host)
    logs.require_known(daemon.log_level, daemon.log_format)
    if daemon.metrics_addr:
        parse_metrics_address(daemon.metrics_addr)
    _validate_labels(daemon.labels)
    if daemon.tlsverify and daemon.tls is False:
        raise InvalidSettingError("tlsverify asks for TLS, and tls=false for none: set one of the two")


def _validate_labels(labels: tuple[str, ...]) -> None:
    known: dict[str, str] = {}
    for label in labels:
        key, equals, value = label.partition("=")
        if not key or not equals:
            raise InvalidSettingError(f"bad attribute format: {label}")
        if known.setdefault(key, value) != value:
            raise InvalidSettingError(f"conflict labels for {key}={value} and {key}={known[key]}")
