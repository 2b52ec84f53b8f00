"""How this process reaches registries: connections and credentials, as environment and settings have them."""

from __future__ import annotations

import os
from pathlib import Path

from headway.distribution.proxies import ProxyRules, proxy_rules
from headway.registry.certificates import Certificates, certificate_directories
from headway.registry.credentials import AuthFiles, auth_files
from headway.registry.http import HttpClient
from headway.registry.logins import LoginFile
from headway.settings import Settings
from headway.version import VERSION


def http_client(settings: Settings) -> HttpClient:
    """Return a client that trusts what this user and this machine trust, and goes through their proxies."""

    def proxies() -> ProxyRules:
        http, https, none = settings.http_proxy, settings.https_proxy, settings.no_proxy
        return proxy_rules(os.environ, http=http, https=https, none=none)

    certificates = Certificates(certificate_directories(os.environ, _home()))
    return HttpClient(f"headway/{VERSION}", certificates, proxies)


def credential_source(settings: Settings) -> AuthFiles:
    """Return what knows the user's logins."""
    return AuthFiles(auth_files(os.environ, _home(), settings.auth_file, uid=os.getuid()))


def login_file(settings: Settings) -> LoginFile:
    """Return where this user's logins are saved: the first of the files that are read."""
    return LoginFile(auth_files(os.environ, _home(), settings.auth_file, uid=os.getuid())[0])


def _home() -> Path:
    return Path(os.environ.get("HOME") or "/")
