"""What somebody can do about a registry that cannot be reached, or refuses."""

from __future__ import annotations

import socket

import pytest

from headway.distribution.remedies import SPEAKS_NO_TLS, refusal_remedy, remedy
from headway.errors import Fault, ProxyRefusedError, RefusedError, Side, UnreachableError
from headway.registry.translation import translated

HOST = "reg.test:5000"


@pytest.mark.parametrize(
    ("fault", "said", "does"),
    [
        (Fault.UNKNOWN_NAME, "", "check the spelling of its name"),  # which may be a proxy's
        (Fault.CLOCK, "", "set this machine's clock"),
        (Fault.CERTIFICATE, "unable to get local issuer certificate", f"as ca.crt, into /etc/headway/certs.d/{HOST} "),
        (Fault.CERTIFICATE, "self-signed certificate", f"or allow it with --insecure-registry {HOST}"),
        (Fault.CERTIFICATE, "certificate has expired", f"let whoever runs {HOST} renew it, or allow it"),
        (Fault.CERTIFICATE, "certificate is not yet valid", f"let whoever runs {HOST} look at its dates"),
        (
            Fault.CERTIFICATE,
            "Hostname mismatch, certificate is not valid for 'reg.test'.",
            "ask by a name that is in it",
        ),
        (Fault.CERTIFICATE, "IP address mismatch, certificate is not valid for '10.0.0.1'.", "ask by a name"),
        (Fault.TLS, SPEAKS_NO_TLS, f"if it speaks plain HTTP, allow that with --insecure-registry {HOST} "),
        (Fault.TLS, "SSLV3_ALERT_BAD_CERTIFICATE", f"put client.cert and client.key into /etc/headway/certs.d/{HOST}"),
        (Fault.TLS, "TLSV13_ALERT_CERTIFICATE_REQUIRED", "it wants to be shown a certificate"),
        (Fault.TLS, "SSLV3_ALERT_BAD_CERTIFICATE", "or renew those that are there"),
        (Fault.TLS, "SSLV3_ALERT_CERTIFICATE_EXPIRED", "it does not take the certificate that it is shown"),
        (Fault.TLS, "TLSV1_ALERT_UNKNOWN_CA", f"let whoever runs {HOST} trust who signed it"),
    ],
)
def test_what_helps_depends_on_what_is_wrong(fault: Fault, said: str, does: str) -> None:
    assert does in remedy(UnreachableError(HOST, fault, said))


def test_who_wants_an_image_of_docker_hub_has_not_misspelt_its_name() -> None:
    with pytest.raises(UnreachableError) as caught, translated("registry-1.docker.io"):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    assert caught.value.side is Side.WAY
    assert "set a mirror (registry-mirrors)" in remedy(caught.value)


@pytest.mark.parametrize(
    ("fault", "said"), [(Fault.CUT, ""), (Fault.TLS, "no answer to the TLS hello"), (Fault.NO_ROUTE, "")]
)
def test_where_only_time_helps_nothing_is_advised(fault: Fault, said: str) -> None:
    assert remedy(UnreachableError(HOST, fault, said)) == ""


def test_a_certificate_that_was_good_a_moment_ago_is_of_somebody_in_between() -> None:
    error = UnreachableError(HOST, Fault.CERTIFICATE, "self-signed certificate; it was trusted before")
    error.retryable = True

    assert remedy(error).startswith("log in to the network that is in between")


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [(HOST, f"headway login {HOST}"), ("registry-1.docker.io", "headway login"), ("", "headway login HOST")],
)
def test_a_login_is_at_who_refuses(endpoint: str, words: str) -> None:
    assert refusal_remedy(RefusedError(endpoint, 401)).endswith(f": {words}")


@pytest.mark.parametrize(
    "said",
    [
        "denied: Quota has been exceeded on namespace",
        "denied: adding 1.2 MiB of storage resource, which when updated to current usage of 9.9 GiB will exceed the "
        "configured upper limit of 10.0 GiB.",
    ],
)
def test_where_a_project_is_full_no_login_helps(said: str) -> None:
    assert refusal_remedy(RefusedError(HOST, 403, "DENIED", said)).startswith("remove there what nobody needs, or let")


@pytest.mark.parametrize(
    ("status", "does"),
    [(407, "put http://user:password@host:port"), (403, "let whoever runs the proxy allow cdn.test, or put that")],
)
def test_a_proxy_wants_a_login_or_lets_nobody_through(status: int, does: str) -> None:
    assert refusal_remedy(ProxyRefusedError("proxy.test:3128", status, "cdn.test")).startswith(does)
