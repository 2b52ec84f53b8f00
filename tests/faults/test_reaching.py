"""Before the first byte: name servers, addresses, TLS and clocks on a bad day."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from headway.distribution import backoff
from headway.distribution.addresses import AddressBook
from headway.distribution.clock import AGAIN_SECONDS
from headway.distribution.patience import BASE_SECONDS
from headway.distribution.proxies import ProxyRules
from headway.distribution.standing import Standing
from headway.errors import Fault, Side, UnreachableError
from headway.registry.address import Address
from headway.registry.certificates import Certificates, certificate_directories
from headway.registry.dialing import Race
from headway.registry.exchange import Exchange
from headway.registry.names import STAND_IN_SECONDS
from headway.registry.names import Names as Finder
from headway.registry.translation import translated
from headway.registry.transport import Transport
from headway.service.transfers.progress import PullEvent, Waiting
from headway.store.database.database import Database
from headway.store.hosts import SqliteHostMemory
from tests.fakes import images
from tests.faults.dns import NameFault, Names, later
from tests.faults.link import Link
from tests.faults.pull import pull
from tests.faults.registry import Registry
from tests.faults.sockets import listen
from tests.faults.story import AddressChange, CutEvery, LargePacketsVanish, RedirectTo, StallAfter
from tests.faults.story import Fault as On
from tests.faults.tls import Certificate, make_certificate, make_certificate_for_another_time

HOST = "registry.test"
IMAGE = images.image([images.noise_layer(400_000, seed=1), images.noise_layer(100_000, seed=2)])
HERE = "127.0.0.1"


def named(link: Link) -> tuple[str, str]:
    """Return an image's name by which only a test's name server knows the registry, and the host in it."""
    host = f"{HOST}:{link.port}"
    return f"{host}/test/image", host


def closed_port() -> int:
    """Return a port that nobody listens at."""
    with listen() as listener:
        return int(listener.getsockname()[1])


def test_an_error_says_what_could_not_be_connected_to_until_a_look_finds_it_again() -> None:
    port = closed_port()
    place = (HERE, port)
    transport = Transport()

    with pytest.raises(UnreachableError, match="connection refused") as caught:
        Exchange(transport, Address("http", HERE, port), "GET", "/").send()

    assert caught.value.unconnected == place
    transport.look(place)
    assert transport.standing.outages.is_away(place)
    with socket.create_server(place):
        transport.look(place)
    assert not transport.standing.outages.is_away(place)


def test_where_a_proxy_leads_there_it_is_the_proxy_that_could_not_be_connected_to() -> None:
    port = closed_port()
    transport = Transport(proxies=lambda: ProxyRules(http=f"http://{HERE}:{port}"))

    with pytest.raises(UnreachableError, match=r"the proxy .* connection refused") as caught:
        Exchange(transport, Address("http", HOST, 80), "GET", "/").send()

    assert caught.value.unconnected == (HERE, port)


def test_a_connection_that_says_nothing_is_one() -> None:
    with listen() as listener:
        exchange = Exchange(Transport(), Address("http", HERE, listener.getsockname()[1]), "GET", "/")
        exchange.limit_seconds = 0.2

        with contextlib.closing(exchange), pytest.raises(UnreachableError, match="no answer in time") as caught:
            exchange.send()

    assert caught.value.unconnected is None


def in_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a first contact have one second, and what is connected to as much, as they have nine otherwise."""
    monkeypatch.setattr(backoff, "FIRST_CONTACT_SECONDS", 1.0)
    monkeypatch.setitem(BASE_SECONDS, "connect", 1.0)


def test_a_silent_proxy_is_not_called_a_silent_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_one_second(monkeypatch)
    with swallowing("127.0.0.2") as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.2:{port}")
        outcome = pull(f"{HOST}/test/image", tmp_path)

    assert f"the proxy 127.0.0.2:{port}: no answer in time" in outcome.said


def test_a_proxy_that_tries_for_long_to_reach_a_registry_is_named_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one_second(monkeypatch)
    with listen() as listener:
        proxy = f"{HERE}:{listener.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://{proxy}")
        outcome = pull(f"{HOST}/test/image", tmp_path)

    assert f"{HOST}: no answer in time (from the proxy {proxy})" in outcome.said


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "fails_as"), [("NXDOMAIN", Fault.UNKNOWN_NAME), ("SERVFAIL", Fault.NO_DNS), ("silence", Fault.NO_DNS)]
)
@pytest.mark.parametrize("good", [(), ("127.0.0.9",)])
def test_a_name_server_on_a_bad_day_is_named_or_stood_in_for(
    fault: NameFault, fails_as: Fault, good: tuple[str, ...]
) -> None:
    with Names({}, fault) as names:
        book = AddressBook({HOST: good} if good else {})
        transport = Transport(names=Finder(book, names))
        exchange = Exchange(transport, Address("http", HOST, 1), "GET", "/")
        exchange.connect_seconds = 0.3
        began = time.monotonic()

        with pytest.raises(UnreachableError) as caught:
            exchange.send()

        assert caught.value.fault is (Fault.REFUSED if good else fails_as)  # nobody listens at port 1
        assert time.monotonic() - began < STAND_IN_SECONDS + 1


def test_a_lookup_that_hangs_is_left_behind_and_its_answer_serves_the_next(tmp_path: Path) -> None:
    with Names({HOST: [HERE]}, "silence") as names:
        finder = Finder(resolve=names)
        with pytest.raises(TimeoutError):
            finder.lookup(HOST, seconds=0.1)
        with pytest.raises(TimeoutError):
            finder.lookup(HOST, seconds=0.1)

        assert names.asked == [HOST]  # the question was still open


def test_an_abort_ends_a_lookup() -> None:
    with Names({}, "silence") as names:
        exchange = Exchange(Transport(names=Finder(resolve=names)), Address("http", HOST, 1), "GET", "/")
        began = time.monotonic()
        with later(0.2, exchange.abort), pytest.raises(UnreachableError):
            exchange.send()

        assert time.monotonic() - began < 1.0


def test_a_link_that_is_cut_all_the_time_asks_for_the_name_once(tmp_path: Path) -> None:
    with (
        Registry([IMAGE]) as registry,
        Link(target=registry.address, faults=[CutEvery(64_000)]) as link,
        Names({HOST: [HERE]}) as names,
    ):
        name, host = named(link)
        outcome = pull(name, tmp_path, insecure=[host], resolve=names)

        assert outcome.error is None, outcome.said
        assert link.cuts > 5
        assert names.asked == [HOST]


@pytest.mark.parametrize("fault", ["NXDOMAIN", "SERVFAIL"])
def test_while_name_servers_are_down_the_last_good_address_serves_even_another_process(
    tmp_path: Path, fault: NameFault
) -> None:
    with Registry([IMAGE]) as registry, Link(target=registry.address) as link, Names({HOST: [HERE]}) as names:
        name, host = named(link)
        other = images.image([images.noise_layer(50_000, seed=3)], tag="other")
        registry.add(other)
        assert pull(name, tmp_path, insecure=[host], resolve=names).error is None

        names.fault = fault
        outcome = pull(f"{name}:other", tmp_path, insecure=[host], resolve=names)

        assert outcome.error is None, outcome.said
        assert outcome.retries == {}
    with Database.open(tmp_path / "headway.db") as database:
        assert SqliteHostMemory(database).addresses() == {HOST: (HERE,)}


def test_a_name_that_was_never_seen_and_does_not_exist_is_asked_for_once_and_said_at_once(tmp_path: Path) -> None:
    with Names({}) as names:
        outcome = pull(f"{HOST}/test/image", tmp_path, resolve=names)

        assert f"{HOST}: its name does not exist" in outcome.said
        assert "next: check the spelling" in outcome.said
        assert (outcome.status, names.asked) == (1, [HOST])
        assert outcome.seconds < 2


@pytest.mark.parametrize("kind", ["blob", "manifest"])
def test_a_name_that_the_registry_leads_to_and_that_does_not_exist_is_not_blamed_on_who_asks(
    tmp_path: Path, kind: Literal["blob", "manifest"]
) -> None:
    with Registry([IMAGE]) as registry, Link(target=registry.address) as link, Names({HOST: [HERE]}) as names:
        registry.faults = [On(RedirectTo("http://storage.test"), kind=kind)]
        name, host = named(link)
        outcome = pull(name, tmp_path, insecure=[host], resolve=names, attempts=2, patience_seconds=0.0)

    assert f"{host}: it leads to a name that does not exist (storage.test)" in outcome.said
    assert "(in the request)" not in outcome.said
    assert "next: run the same command to go on" in outcome.said
    assert outcome.status == 75


def test_where_no_name_server_works_a_stranger_is_waited_for(tmp_path: Path) -> None:
    with Registry([IMAGE]) as registry, Link(target=registry.address) as link, Names({}, "SERVFAIL") as names:
        name, host = named(link)

        def mend() -> None:
            names.known, names.fault = {HOST: [HERE]}, ""

        with later(0.5, mend, after=lambda: names.asked):
            outcome = pull(name, tmp_path, insecure=[host], resolve=names, times=10)

        assert outcome.error is None, outcome.said
        assert "no name server answers" in " ".join(e.cause for e in outcome.events if isinstance(e, Waiting))


def test_name_servers_that_are_silent_for_longer_than_a_stranger_is_asked_are_waited_for_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one_second(monkeypatch)
    with (
        Registry([IMAGE]) as registry,
        Link(target=registry.address) as link,
        Names({HOST: [HERE]}, "SERVFAIL") as names,
    ):

        def resolve(host: str, port: object, **options: object) -> Iterable[Sequence[object]]:
            if names.asked:
                names.fault = ""
            else:
                time.sleep(1.2)  # as the C library has two of five seconds for each name server
            return names(host, port, **options)

        name, host = named(link)
        outcome = pull(name, tmp_path, insecure=[host], resolve=resolve, times=5)

        assert outcome.error is None, outcome.said
        assert "no name server answers" in " ".join(e.cause for e in outcome.events if isinstance(e, Waiting))


def test_a_registry_that_moves_to_another_address_is_found_there(tmp_path: Path) -> None:
    with Registry([IMAGE]) as registry, Link(target=registry.address) as link, Names({HOST: ["127.0.0.9"]}) as names:
        name, host = named(link)
        with later(0.5, lambda: names.known.update({HOST: [HERE]}), after=lambda: names.asked):
            outcome = pull(name, tmp_path, insecure=[host], resolve=names, times=3)

        assert outcome.error is None, outcome.said
        assert len(names.asked) >= 2


# --- addresses ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def swallowing(address: str) -> Iterator[int]:
    """Give a port of another loopback address where every packet vanishes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_of_several_addresses_the_first_that_answers_is_taken_after_a_quarter_of_a_second() -> None:
    with swallowing("127.0.0.2") as port, listen(port):
        began = time.monotonic()
        sock, address = Race(["127.0.0.2", HERE], port, seconds=5).run()
        seconds = time.monotonic() - began
        sock.close()

    assert address == HERE
    assert 0.2 <= seconds < 1.0


def test_an_address_that_refuses_costs_no_time() -> None:
    with listen() as listener:
        began = time.monotonic()
        sock, address = Race(["127.0.0.9", HERE], listener.getsockname()[1], seconds=5).run()
        sock.close()

    assert address == HERE
    assert time.monotonic() - began < 0.2


@pytest.mark.parametrize("good", [(), ("127.0.0.2",)])
def test_an_address_that_takes_connections_and_says_nothing_is_tried_behind_the_others(
    good: tuple[str, ...],
) -> None:
    book = AddressBook({HOST: good} if good else {})
    with Registry([IMAGE]) as registry, Names({HOST: ["127.0.0.2", HERE]}) as names, socket.socket() as silent:
        port = registry.address[1]
        silent.bind(("127.0.0.2", port))
        silent.listen()
        transport = Transport(names=Finder(book, names))
        for status in (0, 200, 200):
            exchange = Exchange(transport, Address("http", HOST, port), "GET", "/v2/")
            exchange.limit_seconds = 0.3
            with contextlib.nullcontext() if status else pytest.raises(UnreachableError):
                exchange.send()
            exchange.close()
            transport.idle.drop(exchange.address)

            assert exchange.status == status
        transport.close()


def test_without_name_servers_too_an_address_that_fell_silent_is_tried_behind_the_others() -> None:
    book = AddressBook({HOST: ["127.0.0.2", HERE]})
    with Names({}, "SERVFAIL") as names:
        finder = Finder(book, names)
        finder.fell_silent(HOST, "127.0.0.2")

        assert finder.lookup(HOST, seconds=1.0) == [HERE, "127.0.0.2"]


NOWHERE = "255.255.255.255"
"""An address that the kernel has no TCP route to, as those of IPv6 are where there is none."""


@pytest.mark.parametrize("addresses", [[HERE, NOWHERE], [NOWHERE, HERE]])
def test_a_port_that_is_closed_is_no_network_that_is_down(addresses: list[str]) -> None:
    with pytest.raises(ConnectionRefusedError):
        Race(addresses, 1, seconds=5).run()
    with pytest.raises(OSError, match="Network is unreachable"):
        Race([NOWHERE], 1, seconds=5).run()


def test_where_no_address_answers_each_has_its_time_and_an_abort_ends_it() -> None:
    with swallowing("127.0.0.2") as port:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            Race(["127.0.0.2"], port, seconds=0.3).run()
        lasted = time.monotonic() - began
        race = Race(["127.0.0.2"], port, seconds=30)
        with later(0.2, race.abort), pytest.raises(ConnectionAbortedError):
            race.run()

    assert 0.3 <= lasted < 0.6
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("code", [errno.EPERM, errno.EACCES])
def test_a_connection_that_this_machine_forbids_is_not_called_a_lost_one(code: int) -> None:
    with pytest.raises(UnreachableError) as caught, translated(HOST):
        raise OSError(code, os.strerror(code))

    said = f"{errno.errorcode[code]}: {os.strerror(code)}"
    assert str(caught.value) == f"{HOST}: this machine does not let headway connect ({said})"
    assert (caught.value.side, caught.value.retryable) == (Side.HERE, True)


# --- another network ----------------------------------------------------------------------------------------------


def test_when_the_machine_changes_networks_everything_open_is_left_and_the_rest_comes_over_the_new_one(
    tmp_path: Path,
) -> None:
    image = images.image([images.noise_layer(400_000, seed=1)])
    with Registry([image]) as registry, Link(target=registry.address, faults=[AddressChange(200_000)]) as link:
        outcome = pull(f"{link.host}/test/image", tmp_path)

        assert outcome.error is None, outcome.said
        assert outcome.seconds < 15
        assert link.bytes_down <= 1.01 * image.size + 64 * 1024


def test_one_silent_connection_condemns_the_idle_ones_to_the_same_address() -> None:
    with Registry([IMAGE]) as registry, Link(target=registry.address) as link:
        transport, address = Transport(), Address("http", HERE, link.port)
        exchanges = [Exchange(transport, address, "GET", "/v2/") for _ in range(3)]
        for exchange in exchanges:
            exchange.send()
            exchange.read_up_to(1000)
        for exchange in exchanges:
            exchange.close()
        link.faults = [AddressChange(0)]
        silent = Exchange(transport, address, "GET", "/v2/")
        silent.limit_seconds = 0.3
        with pytest.raises(UnreachableError):
            silent.send()
        silent.close()
        again = Exchange(transport, address, "GET", "/v2/")
        again.limit_seconds = 0.3
        again.send()

        assert (again.status, transport.idle.take(address, None)) == (200, None)
        again.close()
        transport.close()


def test_one_that_is_ended_while_it_connects_condemns_no_idle_ones() -> None:
    with Registry([IMAGE]) as registry, Names({HOST: [HERE]}) as names:
        finder = Finder(resolve=names)
        transport, address = Transport(names=finder), Address("http", HOST, registry.address[1])
        first, second = Exchange(transport, address, "GET", "/v2/"), Exchange(transport, address, "GET", "/v2/")
        first.send()
        first.read_up_to(1000)
        finder.forget(HOST)
        names.fault = "silence"
        with later(0.3, first.close), later(0.6, second.abort), pytest.raises(UnreachableError):
            second.send()

        idle = transport.idle.take(address, None)
        assert idle is not None
        idle.close()
        transport.close()


def test_where_large_packets_vanish_the_next_connections_ask_for_small_ones() -> None:
    head_first = On(StallAfter(0, seconds=0.1), kind="blob")
    with (
        Registry([IMAGE], faults=[head_first]) as registry,
        Link(target=registry.address, faults=[LargePacketsVanish()]) as link,
    ):
        transport, address = Transport(), Address("http", HERE, link.port)
        path = f"/v2/test/image/blobs/{IMAGE.layers[0]}"

        def fetch() -> bytes:
            exchange = Exchange(transport, address, "GET", path)
            exchange.limit_seconds = 0.5
            try:
                exchange.send()
                return exchange.read_up_to(1_000_000)
            finally:
                exchange.close()

        said = []
        for _ in range(2):
            with pytest.raises(UnreachableError) as caught:
                fetch()
            said.append(str(caught.value))

        assert fetch() == IMAGE.blobs[IMAGE.layers[0]]
        assert all("are large packets lost on the way?" in each for each in said)
        transport.close()


# --- TLS and clocks -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def trusting(place: Path, monkeypatch: pytest.MonkeyPatch, *certificates: Certificate) -> Iterator[Registry]:
    """Give a registry that shows the first of some certificates, which this user trusts; the last is shown to it."""
    with Registry([IMAGE], certificate=certificates[0]) as registry:
        directory = place / "config" / "headway" / "certs.d" / f"{HOST}:{registry.address[1]}"
        directory.mkdir(parents=True)
        for number, each in enumerate(certificates):
            (directory / f"{number}.crt").write_bytes(each.certificate.read_bytes())
        (directory / "client.cert").write_bytes(certificates[-1].certificate.read_bytes())
        (directory / "client.key").write_bytes(certificates[-1].key.read_bytes())
        monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
        yield registry


@pytest.mark.parametrize("wants_ours", [False, True], ids=["", "clients-have-certificates"])
@pytest.mark.parametrize(("days", "seems"), [(1, "not yet valid"), (-3, "expired")])
def test_a_wrong_clock_is_named_and_a_clock_that_gets_set_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, seems: str, *, wants_ours: bool
) -> None:
    set_by, is_waiting = [0.0], threading.Event()
    now_good = make_certificate(tmp_path, names=f"DNS:{HOST}")
    other = replace(
        make_certificate_for_another_time(tmp_path, name=HOST, days_from_now=days),
        clients=now_good.certificate if wants_ours else None,
    )
    with trusting(tmp_path, monkeypatch, other, now_good) as registry, Names({HOST: [HERE]}) as names:
        registry.date = lambda: time.time() + (days + 1) * 86_400

        def set_the_clock() -> None:  # the machine's own clock cannot be set here: the certificate's time comes to it
            registry.show(now_good)
            set_by[0] = days * 86_400.0

        def note(event: PullEvent) -> bool:
            if isinstance(event, Waiting):
                is_waiting.set()
            return False

        with later(0.5, set_the_clock, after=is_waiting.is_set):
            outcome = pull(
                f"{HOST}:{registry.address[1]}/test/image",
                tmp_path / "root",
                resolve=names,
                wall=lambda: time.time() + set_by[0],
                times=3,
                stop=note,
            )

    waited = [event for event in outcome.events if isinstance(event, Waiting)]
    assert outcome.error is None, outcome.said
    assert f"its certificate seems {seems}" in waited[0].cause
    assert "this machine's clock is wrong (it says 20" in waited[0].cause
    assert outcome.seconds < AGAIN_SECONDS / 2


def test_where_the_clock_was_found_wrong_nobody_is_asked_again_until_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, asked = [0.0], []
    other = make_certificate_for_another_time(tmp_path, name=HOST, days_from_now=1)
    with trusting(tmp_path, monkeypatch, other) as registry, Names({HOST: [HERE]}) as names:
        registry.date = lambda: time.time() + 2 * 86_400
        transport = Transport(
            Certificates(certificate_directories(os.environ, tmp_path)),
            names=Finder(resolve=names),
            wall=lambda: time.time() + ahead[0],
        )
        port = registry.address[1]
        for ahead[0] in (0.0, 0.0, 60.0):
            exchange = Exchange(transport, Address("https", HOST, port, registry=f"{HOST}:{port}"), "GET", "/v2/")
            with contextlib.closing(exchange), pytest.raises(UnreachableError, match="clock is wrong"):
                exchange.send()
            asked.append(registry.connections)
        transport.close()

    assert 0 < asked[0] == asked[1] < asked[2]


def test_a_certificate_that_is_out_of_date_by_the_servers_own_clock_is_the_registrys_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_certificate_for_another_time(tmp_path, name=HOST, days_from_now=-3)
    with trusting(tmp_path, monkeypatch, other) as registry, Names({HOST: [HERE]}) as names:
        registry.date = time.time
        outcome = pull(f"{HOST}:{registry.address[1]}/test/image", tmp_path / "root", resolve=names)

    assert outcome.status == 1
    assert "its certificate is not trusted (certificate has expired)" in outcome.said
    assert outcome.seconds < 5


def test_a_portal_that_shows_its_own_certificate_in_mid_pull_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = make_certificate(tmp_path, names=f"DNS:{HOST}")
    (tmp_path / "portal").mkdir()
    portal = make_certificate(tmp_path / "portal", names=f"DNS:{HOST}")
    with trusting(tmp_path, monkeypatch, good) as registry, Names({HOST: [HERE]}) as names:

        def lapse(event: PullEvent) -> bool:
            if type(event).__name__ == "PullStarted":
                registry.show(portal)
                registry.drop_connections()
                threading.Timer(0.5, lambda: registry.show(good)).start()
            return False

        outcome = pull(
            f"{HOST}:{registry.address[1]}/test/image", tmp_path / "root", resolve=names, stop=lapse, times=5
        )

    assert outcome.error is None, outcome.said


def test_a_name_that_led_to_a_certificate_that_is_not_trusted_is_asked_for_anew(tmp_path: Path) -> None:
    portal = make_certificate(tmp_path, names=f"DNS:{HOST}")
    with Registry([IMAGE], certificate=portal) as registry, Names({HOST: [HERE]}) as names:
        transport = Transport(names=Finder(resolve=names))
        for _ in range(2):
            exchange = Exchange(transport, Address("https", HOST, registry.address[1]), "GET", "/v2/")
            with contextlib.closing(exchange), pytest.raises(UnreachableError, match="certificate is not trusted"):
                exchange.send()
        transport.close()

    assert names.asked == [HOST, HOST]  # a portal's own name server may have led there, for as long as it stood there


def test_a_handshake_that_takes_longer_than_it_should_is_waited_for_longer_each_time(
    tmp_path: Path,
) -> None:
    good = make_certificate(tmp_path, names=f"IP:{HERE}")
    standing = Standing()
    with Registry([IMAGE], certificate=good) as registry:
        registry.hello_seconds = 0.5
        transport = Transport(standing=standing)
        address = Address("https", HERE, registry.address[1], verify=False)
        for seconds in (0.1, None):
            exchange = Exchange(transport, address, "GET", "/v2/")
            exchange.hello_seconds = seconds
            with contextlib.suppress(UnreachableError):
                exchange.send()
            exchange.close()
        transport.close()

    assert exchange.status == 200
    assert standing.patience.seconds(address.owner, "hello") == 9.0  # twice as long after the first, and then as usual


def test_a_stranger_who_takes_a_connection_is_given_more_than_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one_second(monkeypatch)
    good = make_certificate(tmp_path, names=f"DNS:{HOST}")
    with trusting(tmp_path, monkeypatch, good) as registry, Names({HOST: [HERE]}) as names:
        registry.hello_seconds = 2.0
        outcome = pull(f"{HOST}:{registry.address[1]}/test/image", tmp_path / "root", resolve=names)

    assert outcome.error is None, outcome.said
