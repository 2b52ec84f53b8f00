"""Pulls through a real proxy, with and without a login, by TLS and without."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from headway.composition.network import Proxies
from headway.distribution import backoff
from headway.distribution.endpoints import Endpoint
from headway.distribution.proxies import ProxyRules
from headway.errors import ProxyRefusedError, UnreachableError
from headway.oci.reference import Reference
from headway.registry.address import Address
from headway.registry.client import RegistryClient
from headway.registry.exchange import Exchange
from headway.registry.request import Sender
from headway.registry.transport import Transport
from headway.settings import DEFAULT_CONFIG_FILE, Settings, load
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.names import knowing
from tests.fakes.proxies import Proxy, squid, tinyproxy
from tests.fakes.servers import DockerRegistry, docker_registry
from tests.faults.link import Link
from tests.faults.pull import pull as pulled
from tests.faults.registry import Registry
from tests.faults.story import Fault, RateLimit, Status
from tests.faults.tls import Certificate, make_certificate

NAME = "registry.test"
USER, PASSWORD = "me", "correct-horse-battery"
IMAGE = images.image([images.noise_layer(100_000)])


@pytest.fixture(scope="module")
def plain(registry: DockerRegistry) -> DockerRegistry:
    registry.push(IMAGE, "proxy/image")
    return registry


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("own"), names=f"DNS:{NAME},IP:127.0.0.1")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, own: Certificate) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry"), certificate=own) as running:
        running.push(IMAGE, "proxy/image")
        yield running


PROXIES: dict[str, Callable[..., AbstractContextManager[Proxy]]] = {"tinyproxy": tinyproxy, "squid": squid}


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    with PROXIES[request.param](tmp_path / "proxy", NAME) as running:
        yield running


@pytest.fixture(params=PROXIES)
def closed_proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    with PROXIES[request.param](tmp_path / "proxy", NAME, login=(USER, PASSWORD)) as running:
        yield running


def pull(tmp_path: Path, registry: DockerRegistry, *words: str | Path, **environment: str) -> tuple[int, str, str]:
    """Pull from `registry` by its name, which only the proxy knows unless /etc/hosts is another."""
    headway = Cli(tmp_path / "root", {"XDG_CONFIG_HOME": str(tmp_path / "config"), **environment})
    done = headway("pull", *words, f"{NAME}:{registry.port}/proxy/image")
    return done.returncode, done.stdout, done.stderr


def trust(tmp_path: Path, registry: DockerRegistry, own: Certificate) -> None:
    directory = tmp_path / "config" / "headway" / "certs.d" / f"{NAME}:{registry.port}"
    directory.mkdir(parents=True)
    shutil.copy(own.certificate, directory / "ca.crt")


def test_tls_goes_through_a_tunnel(tmp_path: Path, proxy: Proxy, secure: DockerRegistry, own: Certificate) -> None:
    trust(tmp_path, secure, own)

    status, _, said = pull(tmp_path, secure, https_proxy=f"http://127.0.0.1:{proxy.port}")

    assert (status, "whole, unpacked" in said) == (0, True)
    assert set(proxy.asked()) == {f"CONNECT {NAME}:{secure.port}"}


def test_plain_http_goes_through_as_it_is(tmp_path: Path, proxy: Proxy, plain: DockerRegistry) -> None:
    insecure = ["--insecure-registry", f"{NAME}:{plain.port}"]

    status, _, _ = pull(tmp_path, plain, *insecure, all_proxy=f"127.0.0.1:{proxy.port}")

    assert status == 0
    assert any(line.startswith(f"GET http://{NAME}:{plain.port}/v2/proxy/image/blobs/") for line in proxy.asked())


def test_the_settings_may_name_the_proxy(
    tmp_path: Path, proxy: Proxy, secure: DockerRegistry, own: Certificate
) -> None:
    trust(tmp_path, secure, own)
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"proxies": {"https-proxy": f"http://127.0.0.1:{proxy.port}"}}))

    status, _, _ = pull(tmp_path, secure, "--config-file", file, https_proxy="http://127.0.0.1:1")

    assert status == 0
    assert proxy.asked() != []


def test_no_proxy_is_obeyed(tmp_path: Path, proxy: Proxy, secure: DockerRegistry, own: Certificate) -> None:
    trust(tmp_path, secure, own)
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "https_proxy": f"http://127.0.0.1:{proxy.port}",
        "no_proxy": f".example,{NAME}:{secure.port}",
    }

    done = Cli(tmp_path / "root", environment, before=knowing(tmp_path, NAME))(
        "pull", f"{NAME}:{secure.port}/proxy/image"
    )

    assert done.returncode == 0
    assert proxy.asked() == []


def test_one_host_goes_through_the_proxy_and_another_past_it(
    tmp_path: Path, proxy: Proxy, plain: DockerRegistry
) -> None:
    (tmp_path / "names").mkdir()
    near = f"near.test:{plain.port}"
    far = f"{NAME}:{plain.port}"
    insecure = ["--insecure-registry", near, "--insecure-registry", far]
    environment = {"all_proxy": f"http://127.0.0.1:{proxy.port}", "no_proxy": "near.test"}

    headway = Cli(tmp_path / "root", environment, before=knowing(tmp_path / "names", "near.test"))
    done = headway("pull", *insecure, f"{near}/proxy/image", f"{far}/proxy/image")

    assert done.returncode == 0
    assert proxy.asked()
    assert all(far in line and near not in line for line in proxy.asked())


def test_a_proxys_login_comes_from_its_url_and_is_never_shown(
    tmp_path: Path, closed_proxy: Proxy, secure: DockerRegistry, own: Certificate
) -> None:
    trust(tmp_path, secure, own)
    url = f"http://{USER}:{PASSWORD}@127.0.0.1:{closed_proxy.port}"

    status, out, said = pull(tmp_path, secure, "-D", "--progress=json", https_proxy=url)

    assert status == 0
    for secret in (PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()):
        assert secret not in out + said
        assert all(secret.encode() not in p.read_bytes() for p in (tmp_path / "root").rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("login", "said"),
    [("", r"wants a login \(HTTP 407\)"), (f"{USER}:wrong-horse@", r"does not accept its login \(HTTP 40[17]\)")],
)
def test_a_proxy_that_wants_a_login_is_named(
    tmp_path: Path, closed_proxy: Proxy, secure: DockerRegistry, login: str, said: str
) -> None:
    where = f"127.0.0.1:{closed_proxy.port}"

    status, _, shown = pull(tmp_path, secure, https_proxy=f"http://{login}{where}")

    assert status == 77
    assert re.search(rf"the proxy {where}: {said} \(on the way there\)", shown)
    assert "next: put http://user:password@host:port into https_proxy" in shown
    assert "wrong-horse" not in shown


def test_a_proxy_that_wants_a_login_for_plain_http_is_told_from_the_registry(
    closed_proxy: Proxy, plain: DockerRegistry
) -> None:
    transport = Transport(proxies=lambda: ProxyRules(http=f"http://127.0.0.1:{closed_proxy.port}"))
    exchange = Exchange(transport, Address("http", NAME, plain.port), "GET", "/v2/")

    with pytest.raises(ProxyRefusedError, match="wants a login"):
        exchange.send()

    exchange.close()


def test_another_proxy_serves_from_the_next_request_on(tmp_path: Path, proxy: Proxy, plain: DockerRegistry) -> None:
    with tinyproxy(tmp_path / "second", NAME) as second:
        now = [proxy]
        transport = Transport(proxies=lambda: ProxyRules(http=f"http://127.0.0.1:{now[0].port}"))
        for each in (proxy, second):
            now[0] = each
            exchange = Exchange(transport, Address("http", NAME, plain.port), "GET", "/v2/")
            exchange.send()
            exchange.read_up_to(1000)
            exchange.close()
        transport.close()

        assert len(proxy.asked()) == len(second.asked()) == 1


def test_a_settings_file_that_comes_to_be_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    proxies = Proxies(Settings(data_root=tmp_path, file=file))
    before = proxies()
    file.write_text(json.dumps({"http-proxy": "http://proxy.test:3128"}))

    assert before.http != proxies().http == "http://proxy.test:3128"
    assert load({}, data_root=tmp_path).settings.file == DEFAULT_CONFIG_FILE  # though it need not be there


def test_a_proxy_that_is_not_there_is_named(tmp_path: Path, secure: DockerRegistry) -> None:
    status, _, said = pull(tmp_path, secure, https_proxy="http://127.0.0.1:1")

    assert status == 75
    assert "the proxy 127.0.0.1:1: connection refused" in said


def test_a_proxy_that_cannot_reach_the_registry_is_named(tmp_path: Path, proxy: Proxy) -> None:
    gone = DockerRegistry(port=1, storage=tmp_path)

    status, _, said = pull(tmp_path, gone, https_proxy=f"http://127.0.0.1:{proxy.port}")

    assert status == 75
    assert f"{NAME}:1: the proxy cannot reach it (the proxy 127.0.0.1:{proxy.port} answers HTTP 50" in said


def test_a_proxy_that_cannot_reach_a_registry_by_plain_http_is_no_registry_that_is_out_of_order(
    tmp_path: Path, proxy: Proxy
) -> None:
    gone = DockerRegistry(port=1, storage=tmp_path)
    insecure = ["--insecure-registry", f"{NAME}:1"]
    began = time.monotonic()

    status, _, said = pull(tmp_path, gone, *insecure, all_proxy=f"http://127.0.0.1:{proxy.port}")

    assert status == 75
    assert f"{NAME}:1: the proxy cannot reach it (the proxy 127.0.0.1:{proxy.port} answers HTTP 50" in said
    assert time.monotonic() - began < 12  # a name that is spelled wrong does not wait


def test_a_proxy_that_does_not_say_that_it_is_one_is_known_by_what_it_said_to_a_tunnel() -> None:
    with Registry([], faults=[Fault(Status(502))]) as nameless:
        rules = ProxyRules(http=nameless.url, https=nameless.url)
        sender = Sender(Transport(proxies=lambda: rules), lambda _: None)

        with pytest.raises(UnreachableError, match=f"the proxy {nameless.host} answers HTTP 502"):
            RegistryClient(sender).resolve(
                Endpoint(f"{NAME}:1", secure=False), Reference.parse(f"{NAME}:1/test/image:1")
            )

        sender.transport.close()


def test_a_stranger_who_is_slow_behind_a_proxy_is_given_as_long_as_without_one(
    tmp_path: Path, own: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_CONTACT_SECONDS", 0.5)
    with Registry([IMAGE], certificate=own) as registry, tinyproxy(tmp_path / "proxy", NAME) as proxy:
        registry.hello_seconds = 2.0
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        host = f"{NAME}:{registry.address[1]}"
        outcome = pulled(f"{host}/test/image", tmp_path / "root", insecure=[host])

    assert outcome.error is None, outcome.said


def test_a_socks_proxy_is_refused_by_name(tmp_path: Path, secure: DockerRegistry) -> None:
    status, _, said = pull(tmp_path, secure, all_proxy=f"socks5://{USER}:{PASSWORD}@127.0.0.1:1")

    assert status == 2
    assert "https_proxy: socks5 proxies are not supported: use an http:// proxy (on this machine)\n" in said
    assert "next: correct https_proxy or all_proxy, and run the same command again" in said
    assert PASSWORD not in said


def test_a_proxy_that_goes_away_in_mid_pull_is_followed_to_the_next_one_at_the_same_byte(
    tmp_path: Path, plain: DockerRegistry
) -> None:
    image = images.image([images.noise_layer(3_000_000, seed=7)])
    plain.push(image, "proxy/long")
    config = tmp_path / "daemon.json"

    def write(proxy: Proxy) -> None:
        url = f"http://127.0.0.1:{proxy.port}"
        config.write_text(json.dumps({"proxies": {"http-proxy": url, "https-proxy": url}}))

    with (
        tinyproxy(tmp_path / "first", NAME) as first,
        tinyproxy(tmp_path / "second", NAME) as second,
        Link(target=("127.0.0.1", plain.port), faults=[RateLimit(1_500_000)]) as link,
    ):
        write(first)
        host = f"{NAME}:{link.port}"
        headway = Cli(tmp_path / "root")
        words = ["pull", "--config-file", str(config), "--insecure-registry", host, f"{host}/proxy/long"]
        with headway.start(*words) as process:
            while link.bytes_down < 1_000_000:
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            write(second)
            first.kill()
            _, said = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert second.asked() != []
    assert link.bytes_down <= 1.01 * image.size + 2 * 256 * 1024  # what lay in the first proxy is lost
