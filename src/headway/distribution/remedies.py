"""What somebody can do about a registry that cannot be reached, or refuses: the same for a command and for `doctor`."""

from __future__ import annotations

from headway.distribution.endpoints import DOCKER_HUB_HOST
from headway.errors import Fault, ProxyRefusedError, RefusedError, UnreachableError

IN_BETWEEN = "log in to the network that is in between, if it wants that, and run the same command to go on"
"""What helps where a captive portal, or a proxy, answers in the place of a registry."""
SPEAKS_NO_TLS = "what answers there speaks no TLS"
"""The detail of `Fault.TLS` where that is so."""
_QUOTAS = ("quota", "storage resource")
"""What a refusal (403, ``DENIED``) speaks of where a project has used up its room; the second is Harbor's word."""
_WANTS_CERTIFICATE = ("BAD_CERTIFICATE", "CERTIFICATE_REQUIRED")
"""Alerts of servers that were shown no certificate and want one (RFC 5246 section 7.2.2, RFC 8446 section 6.2).

Go sent the first one about every certificate that it does not take, too, until 1.21.
"""
_REFUSES_CERTIFICATE = (
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "UNKNOWN_CA",
)
"""Alerts of servers that do not take the certificate that they were shown (the same sections)."""


def remedy(error: UnreachableError, *, by_flag: bool = True) -> str:
    """Return what to do about a registry that cannot be reached, nothing where there is only to try again.

    Args:
        error: Why it cannot be reached.
        by_flag: Whether the command has ``--insecure-registry``; the setting holds for every one.
    """
    host = error.endpoint or "HOST"
    flag = f"with --insecure-registry {host} (insecure-registries)"
    insecurely = flag if by_flag else "by the setting insecure-registries"
    match error.fault:
        case Fault.UNKNOWN_NAME if host == DOCKER_HUB_HOST:  # nobody has typed that name
            return "this network does not know Docker Hub: set a mirror (registry-mirrors) or its proxy (https_proxy)"
        case Fault.UNKNOWN_NAME:
            return "check the spelling of its name"
        case Fault.CLOCK:
            return "set this machine's clock (timedatectl set-ntp true); with --wait, a pull goes on by itself then"
        case Fault.CERTIFICATE if error.retryable:  # it was good a moment ago
            return IN_BETWEEN
        case Fault.CERTIFICATE:
            return f"{_of_certificate(error.detail, host)}, or allow it {insecurely}"
        case Fault.TLS if error.detail == SPEAKS_NO_TLS:
            return f"if it speaks plain HTTP, allow that {insecurely}"
        case Fault.TLS:
            return _of_tls(error.detail, host)
        case _:
            return ""


def refusal_remedy(error: RefusedError) -> str:
    """Return what to do where a registry, or a proxy before it, refuses."""
    if isinstance(error, ProxyRefusedError):
        if error.wants_login:
            return "put http://user:password@host:port into https_proxy, or the registry into no_proxy"
        return f"let whoever runs the proxy allow {error.to}, or put that into no_proxy"
    if any(word in error.said.lower() for word in _QUOTAS):
        return "remove there what nobody needs, or let whoever runs the registry allow more"
    where = "" if error.endpoint == DOCKER_HUB_HOST else f" {error.endpoint or 'HOST'}"
    return f"check that the name is right, and log in to the registry if it is private: headway login{where}"


def _of_tls(said: str, host: str) -> str:
    """Return what to do about TLS that failed, by OpenSSL's reason."""
    if said.endswith(_WANTS_CERTIFICATE):
        return (
            f"it wants to be shown a certificate: put client.cert and client.key into {_certificates(host)}, "
            "or renew those that are there"
        )
    if said.endswith(_REFUSES_CERTIFICATE):
        return (
            f"it does not take the certificate that it is shown: renew client.cert in {_certificates(host)}, "
            f"or let whoever runs {host} trust who signed it"
        )
    return ""


def _of_certificate(said: str, host: str) -> str:
    """Return what to do about a certificate that is not trusted.

    Args:
        said: OpenSSL's reason (x509_vfy.h, X509_verify_cert_error_string).
        host: Whose it is.
    """
    if "expired" in said:
        return f"let whoever runs {host} renew it"
    if "not yet valid" in said:
        return f"let whoever runs {host} look at its dates"
    if "mismatch" in said:
        return "ask by a name that is in it, or let whoever runs it add this one"
    return f"put its CA, as ca.crt, into {_certificates(host)}"


def _certificates(host: str) -> str:
    return f"/etc/headway/certs.d/{host} (or below ~/.config/headway)"
