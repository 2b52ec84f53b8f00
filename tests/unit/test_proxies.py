"""Who is reached through which proxy: Docker's rules, as a table."""

from __future__ import annotations

import base64

import pytest

from headway.distribution.proxies import Proxy, ProxyRules, proxy_rules, without_login
from headway.errors import InvalidSettingError


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "direct"),
    [
        ("", "example.com", 443, False),
        ("", "localhost", 443, True),
        ("", "127.0.0.1", 443, True),
        ("", "127.9.9.9", 5000, True),
        ("", "::1", 443, True),
        ("", "localhost.example.com", 443, False),
        ("*", "example.com", 443, True),
        ("a.example, *", "example.com", 443, True),
        ("example.com", "example.com", 443, True),
        ("EXAMPLE.com", "example.COM", 443, True),
        ("example.com", "www.example.com", 443, True),
        ("example.com", "badexample.com", 443, False),
        (".example.com", "www.example.com", 443, True),
        (".example.com", "example.com", 443, False),
        ("*.example.com", "www.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*example.com", "www.example.com", 443, False),
        (" other.example ,, example.com ", "example.com", 443, True),
        ("example.com:443", "example.com", 443, True),
        ("example.com:443", "www.example.com", 443, True),
        ("example.com:443", "example.com", 5000, False),
        (":443", "example.com", 443, False),
        ("10.0.0.5", "10.0.0.5", 443, True),
        ("10.0.0.5", "10.0.0.50", 443, False),
        ("10.0.0.5:5000", "10.0.0.5", 5000, True),
        ("10.0.0.5:5000", "10.0.0.5", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 5000, True),
        ("10.1.2.3/8", "10.9.9.9", 5000, True),
        ("10.0.0.0/8", "11.1.2.3", 5000, False),
        ("10.0.0.0/8", "example.com", 5000, False),
        ("10.0.0.0/8", "fd00::1", 5000, False),
        ("10.0.0.0/99", "10.1.2.3", 5000, False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 5000, True),
        ("fd00::/8", "fd00::1", 5000, True),
        ("fd00::1", "fd00:0::1", 5000, True),
        ("[fd00::1]", "fd00::1", 5000, True),
        ("[fd00::1]:5000", "fd00::1", 5000, True),
        ("[fd00::1]:5000", "fd00::1", 443, False),
    ],
)
def test_no_proxy_names_who_is_reached_directly(no_proxy: str, host: str, port: int, *, direct: bool) -> None:
    rules = ProxyRules(https="http://proxy.example", no_proxy=no_proxy)

    assert rules.is_direct(host, port) == direct
    assert (rules.proxy_for("https", host, port) is None) == direct


def test_plain_http_and_tls_have_a_proxy_each() -> None:
    rules = ProxyRules(http="http://plain.example:1", https="http://tls.example:2")

    assert rules.proxy_for("http", "example.com", 80) == Proxy("plain.example", 1)
    assert rules.proxy_for("https", "example.com", 443) == Proxy("tls.example", 2)
    assert ProxyRules(http="http://plain.example").proxy_for("https", "example.com", 443) is None


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://p.example:3128", Proxy("p.example", 3128)),
        ("http://p.example:3128/", Proxy("p.example", 3128)),
        ("http://p.example", Proxy("p.example", 80)),
        ("p.example:3128", Proxy("p.example", 3128)),
        ("http://[fd00::1]:3128", Proxy("fd00::1", 3128)),
        ("http://u:p%40ss@p.example", Proxy("p.example", 80, "Basic " + base64.b64encode(b"u:p@ss").decode())),
        ("http://u:p@ss@p.example", Proxy("p.example", 80, "Basic " + base64.b64encode(b"u:p@ss").decode())),
        ("http://u@p.example", Proxy("p.example", 80, "Basic " + base64.b64encode(b"u:").decode())),
        ("http://u:\udce9@p.example", Proxy("p.example", 80, "Basic " + base64.b64encode(b"u:\xe9").decode())),
    ],
)
def test_a_proxys_url_says_where_it_is_and_who_we_are(url: str, proxy: Proxy) -> None:
    assert Proxy.parse(url) == proxy


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "https", "ftp"])
def test_other_kinds_of_proxy_are_refused_by_name_without_their_password(scheme: str) -> None:
    rules = ProxyRules(https=f"{scheme}://u:secret@p.example:1080")

    with pytest.raises(InvalidSettingError, match=f"https_proxy: {scheme} proxies are not supported") as caught:
        rules.proxy_for("https", "example.com", 443)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://", "http://u:secret@", "http://u:secret@p:port", "http://u:secret@p:99999", "http://u:secret@\udce9"],
)
def test_what_is_no_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidSettingError, match="a proxy's URL must be") as caught:
        Proxy.parse(url)

    assert "secret" not in str(caught.value)


def test_a_proxy_shows_host_and_port_only() -> None:
    proxy = Proxy.parse("http://u:secret@[fd00::1]:3128")
    rules = ProxyRules(http="http://u:secret@p", https="http://u:secret@p", no_proxy="a.example")

    assert (str(proxy), repr(proxy)) == ("[fd00::1]:3128", "Proxy([fd00::1]:3128)")
    assert repr(rules) == "ProxyRules(no_proxy='a.example', ...)"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("p.example:3128", "p.example:3128"),
        ("http://p.example", "http://p.example"),
        ("http://u:secret@p.example:3128/", "http://p.example:3128/"),
        ("socks5://u:secret@p.example", "socks5://p.example"),
        ("u:secret@p.example", "p.example"),
        ("http://u:secret://secret@secret@p.example", "http://p.example"),
    ],
)
def test_a_proxys_url_is_shown_without_the_login_in_it(url: str, shown: str) -> None:
    assert without_login(url) == shown


@pytest.mark.parametrize(
    ("environment", "rules"),
    [
        ({}, ProxyRules()),
        ({"http_proxy": "a", "https_proxy": "b", "no_proxy": "c"}, ProxyRules("a", "b", "c")),
        ({"HTTP_PROXY": "a", "HTTPS_PROXY": "b", "NO_PROXY": "c"}, ProxyRules("a", "b", "c")),
        ({"HTTPS_PROXY": "big", "https_proxy": "small"}, ProxyRules(https="big")),
        ({"HTTPS_PROXY": "", "https_proxy": "small"}, ProxyRules(https="small")),
        ({"all_proxy": "a"}, ProxyRules("a", "a")),
        ({"ALL_PROXY": "a", "http_proxy": "b"}, ProxyRules("b", "a")),
    ],
)
def test_the_environment_names_proxies_in_capitals_or_not(environment: dict[str, str], rules: ProxyRules) -> None:
    assert proxy_rules(environment, http=None, https=None, none=None) == rules


def test_settings_win_over_the_environment_one_by_one() -> None:
    environment = {"http_proxy": "a", "https_proxy": "b", "no_proxy": "c"}

    assert proxy_rules(environment, http=None, https="mine", none=None) == ProxyRules("a", "mine", "c")
    assert proxy_rules(environment, http="", https=None, none="") == ProxyRules("", "b", "")
