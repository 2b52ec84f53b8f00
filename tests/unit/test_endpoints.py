"""Where to ask, in which order, and whom without verified TLS."""

from __future__ import annotations

import pytest

from headway.distribution.endpoints import (
    Endpoint,
    InsecureRegistries,
    endpoints_for,
    foreign_endpoints,
    mirror_endpoint,
    split_port,
)
from headway.errors import InvalidReferenceError, InvalidSettingError

HUB = Endpoint(host="registry-1.docker.io")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.com", "example.com", ""),
        ("example.com:5000", "example.com", "5000"),
        ("10.0.0.1:5000", "10.0.0.1", "5000"),
        ("[::1]:5000", "::1", "5000"),
        ("[::1]", "::1", ""),
        ("::1", "::1", ""),
        ("host:", "host", ""),
    ],
)
def test_a_port_and_brackets_are_not_the_host(text: str, host: str, port: str) -> None:
    assert split_port(text) == (host, port)


@pytest.mark.parametrize(
    ("entries", "host", "insecure"),
    [
        ([], "localhost", True),
        ([], "localhost:5000", True),
        ([], "LOCALHOST:5000", True),
        ([], "127.0.0.1:5000", True),
        ([], "127.9.9.9", True),
        ([], "[::1]:5000", True),
        ([], "example.com", False),
        ([], "10.0.0.1:5000", False),
        ([], "localhost.example.com", False),
        (["example.com:5000"], "example.com:5000", True),
        (["Example.com:5000"], "example.COM:5000", True),
        (["example.com:5000"], "example.com", False),
        (["example.com:5000"], "example.com:5001", False),
        (["example.com"], "example.com:5000", True),
        (["10.0.0.5"], "10.0.0.5:5000", True),
        (["[fd00::1]"], "[fd00::1]:5000", True),
        (["[fd00::1]:5000"], "[fd00::1]:5000", True),
        (["[fd00::1]:5000"], "[fd00::1]:5001", False),
        (["10.0.0.0/8"], "10.1.2.3:5000", True),
        (["10.1.2.3/8"], "10.9.9.9", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.0/8"], "[fd00::1]", False),
        (["fd00::/8"], "[fd00::1]:5000", True),
        (["0.0.0.0/0"], "example.com", False),
    ],
)
def test_insecure_are_loopback_and_what_the_user_names(entries: list[str], host: str, *, insecure: bool) -> None:
    assert (host in InsecureRegistries(entries)) == insecure


@pytest.mark.parametrize("entry", ["http://example.com", "", "10.0.0.0/33", "example.com/path"])
def test_an_insecure_registry_that_cannot_be_one_is_refused_by_name(entry: str) -> None:
    with pytest.raises(InvalidSettingError, match=f"insecure registry {entry!r}"):
        InsecureRegistries([entry])


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://m.example", Endpoint("m.example", secure=True, scheme="https", mirror=True)),
        ("https://m.example/", Endpoint("m.example", secure=True, scheme="https", mirror=True)),
        ("https://m.example:5000/hub/", Endpoint("m.example:5000", mirror=True, prefix="/hub")),
        ("http://m.example", Endpoint("m.example", secure=False, scheme="http", mirror=True)),
        ("https://bad.example", Endpoint("bad.example", secure=False, scheme="https", mirror=True)),
    ],
)
def test_a_mirrors_url_says_how_it_is_asked(url: str, endpoint: Endpoint) -> None:
    assert mirror_endpoint(url, InsecureRegistries(["bad.example"])) == endpoint


@pytest.mark.parametrize(
    "url",
    ["m.example", "ftp://m.example", "https://", "https:///path", "https://u:p@m.example", "https://m?x", "https://m#x",
     "https://a b", "https://m:65536", "https://m:x/path"],
)  # fmt: skip
def test_a_mirror_that_cannot_be_one_is_refused_by_name(url: str) -> None:
    with pytest.raises(InvalidSettingError, match="invalid mirror"):
        mirror_endpoint(url, InsecureRegistries())


def test_a_password_in_a_mirrors_url_is_not_repeated() -> None:
    with pytest.raises(InvalidSettingError) as caught:
        mirror_endpoint("https://u:secret@m.example", InsecureRegistries())

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("domain", "own"), [("docker.io", HUB), ("ghcr.io", Endpoint(host="ghcr.io"))])
def test_mirrors_come_before_the_registry_that_they_stand_in_for(domain: str, own: Endpoint) -> None:
    mirrors = ["https://a.example", "http://b.example"]

    found = endpoints_for(domain, mirrors, InsecureRegistries())

    assert [str(endpoint) for endpoint in found] == ["a.example", "b.example", str(own)]
    assert [endpoint.mirror for endpoint in found] == [True, True, False]
    assert found[-1] == own


@pytest.mark.parametrize("domain", ["localhost:65536", "127.0.0.1:123456", "[::1]:99999"])
def test_a_registry_with_a_port_that_there_cannot_be_is_not_asked(domain: str) -> None:
    with pytest.raises(InvalidReferenceError, match="invalid port"):
        endpoints_for(domain, (), InsecureRegistries())

    assert endpoints_for("[::1]:65535", (), InsecureRegistries()) == [Endpoint("[::1]:65535", secure=False)]


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://a.example/x/layer?y=1", Endpoint("a.example", blob_path="/x/layer?y=1")),
        ("https://a.example/x#part", Endpoint("a.example", blob_path="/x")),
        ("http://a.example:80/x", Endpoint("a.example:80", secure=False, scheme="http", blob_path="/x")),
        ("https://127.0.0.1/x", Endpoint("127.0.0.1", secure=False, blob_path="/x")),
    ],
)
def test_a_foreign_layer_has_urls_of_its_own(url: str, endpoint: Endpoint) -> None:
    assert foreign_endpoints([url], InsecureRegistries()) == [endpoint]


@pytest.mark.parametrize("url", ["ftp://a.example/x", "file:///x", "//a.example/x", "https://u:p@a.example/x", "x",
                                 "https://a.example", "https:///x", "https://a b/x"])  # fmt: skip
def test_other_urls_of_a_foreign_layer_are_left_out(url: str) -> None:
    assert foreign_endpoints([url], InsecureRegistries()) == []


def test_no_more_than_eight_urls_of_a_layer_are_asked() -> None:
    assert len(foreign_endpoints([f"https://a.example/{n}" for n in range(100)], InsecureRegistries())) == 8


@pytest.mark.parametrize(("domain", "secure"), [("example.com", True), ("127.0.0.1:5000", False)])
def test_an_insecure_registry_is_asked_without_a_look_at_its_certificate(domain: str, *, secure: bool) -> None:
    (endpoint,) = endpoints_for(domain, [], InsecureRegistries())

    assert endpoint == Endpoint(host=domain, secure=secure, scheme="https")
