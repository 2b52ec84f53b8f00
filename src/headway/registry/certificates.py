"""TLS settings of each registry: its own authorities and client certificates (moby-behaviour 3.1, "TLS files").

Rule 1: files are for hosts whose certificates are verified; an insecure registry gets none of ours.
Rule 2: they are looked at whenever a connection is made, so that a renewed certificate serves without a restart.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from headway.errors import InvalidSettingError
from headway.registry.address import Address
from headway.registry.tls import NO_CHECK_TIME, tls_context


class CertificateFiles(msgspec.Struct, frozen=True):
    """What a directory holds for one host.

    Attributes:
        authorities: Trusted beside those of the system.
        pairs: Client certificates and their keys.
    """

    authorities: tuple[Path, ...] = ()
    pairs: tuple[tuple[Path, Path], ...] = ()

    @property
    def all(self) -> list[Path]:
        """Every file."""
        return [*self.authorities, *(path for pair in self.pairs for path in pair)]


_State = tuple[tuple[Path, int, int], ...]


def certificate_directories(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Return the directories that may hold a directory per host, in the order in which they are asked."""
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    users = [config / name / "certs.d" for name in ("headway", "containers", "docker")]
    return users + [Path("/etc") / name / "certs.d" for name in ("headway", "containers", "docker")]


class Certificates:
    """Makes the TLS settings for each address, and keeps them while its files stay as they are.

    Args:
        directories: Each may hold a directory ``host[:port]``; the first that does decides for that host.
    """

    def __init__(self, directories: Sequence[Path] = ()) -> None:
        self._directories = directories
        self._plain: dict[bool, ssl.SSLContext] = {}
        self._own: dict[tuple[str, ...], tuple[_State, ssl.SSLContext]] = {}
        self._lock = threading.Lock()

    def context(self, address: Address) -> ssl.SSLContext:
        """Return the TLS settings for an address; those of the registry that led there count too, as in Docker.

        Raises:
            InvalidSettingError: A certificate without its key, a key without its certificate, or an unusable file.
        """
        hosts = _hosts(address)
        found = [self._files(host) for host in hosts] if address.verify and self._directories else []
        files = [file for each in found for file in each.all]
        with self._lock:
            if not files:
                if address.verify not in self._plain:
                    self._plain[address.verify] = tls_context(verify=address.verify)
                return self._plain[address.verify]
            state = _state(files)
            known, context = self._own.get(hosts, ((), None))
            if context is None or known != state:
                context = tls_context(verify=True)
                for each in found:
                    _load(context, each)
                self._own[hosts] = state, context
            return context

    def timeless(self, address: Address) -> ssl.SSLContext:
        """Return the same for an address that is verified, but that certificates may be of any time; made anew.

        Raises:
            InvalidSettingError: As `context`.
        """
        context = tls_context(verify=True)
        for host in _hosts(address):
            _load(context, self._files(host))
        context.verify_flags |= NO_CHECK_TIME
        return context

    def _files(self, host: str) -> CertificateFiles:
        names = (host,) if host.rpartition("]")[2].count(":") else (host, f"{host}:443")
        for directory in self._directories:
            for name in names:
                if (files := certificate_files(directory / name)) is not None:
                    return files
        return CertificateFiles()


def _hosts(address: Address) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in (address.registry, str(address)) if name))


def certificate_files(directory: Path) -> CertificateFiles | None:
    """Return what a host's directory holds; None where there is none, or none that this user may read.

    Raises:
        InvalidSettingError: A certificate without its key, or a key without its certificate.
    """
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208  # names, not paths: they are compared below
    except OSError:
        return None
    for name in names:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122  # a name, as above
        if suffix == ".cert" and f"{stem}.key" not in names:
            raise InvalidSettingError(
                f"missing key {stem}.key for client certificate {directory / name}. "
                "Note that CA certificates should use the extension .crt",
                file=str(directory / name),
            )
        if suffix == ".key" and f"{stem}.cert" not in names:
            said = f"missing client certificate {stem}.cert for key {directory / name}"
            raise InvalidSettingError(said, file=str(directory / name))
    return CertificateFiles(
        tuple(directory / name for name in names if name.endswith(".crt")),
        tuple((directory / name, directory / f"{name[:-5]}.key") for name in names if name.endswith(".cert")),
    )


def _state(files: Sequence[Path]) -> _State:
    state = []
    for file in files:
        try:
            status = file.stat()
        except OSError as error:
            raise _unusable(file, error) from None
        state.append((file, status.st_mtime_ns, status.st_size))
    return tuple(state)


def _load(context: ssl.SSLContext, files: CertificateFiles) -> None:
    for authority in files.authorities:
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise _unusable(authority, error) from None
    for certificate, key in files.pairs:
        try:
            context.load_cert_chain(certificate, key, password=partial(_refuse_to_ask, key))
        except (OSError, ValueError) as error:
            raise _unusable(certificate, error) from None


def _refuse_to_ask(key: Path) -> str:
    # Else OpenSSL would ask on the terminal, in the middle of a pull.
    raise InvalidSettingError(f"cannot use {key}: it wants a pass phrase; store it without one", file=str(key))


def _unusable(file: Path, error: Exception) -> InvalidSettingError:
    said = error.reason if isinstance(error, ssl.SSLError) else getattr(error, "strerror", "")
    return InvalidSettingError(f"cannot use {file}: {said or 'not what its name says'}", file=str(file))
