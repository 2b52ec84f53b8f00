"""What a registry answers, as it should and otherwise: real sockets, and a registry that follows a script."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from headway.errors import (
    DigestMismatchError,
    Fault,
    HeadwayError,
    HeldBackError,
    InvalidDocumentError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    RegistryError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)
from headway.oci.digest import Digest
from headway.registry.failures import retry_after_seconds
from headway.wire import USER_AGENT
from tests.fakes import images
from tests.fakes.waiting import wait_until
from tests.faults.auth import Basic, Bearer
from tests.faults.client import BLOB, IMAGE, LAYER, MANIFEST, PATH, SECRET, SIZE, knowing, world
from tests.faults.registry import Registry
from tests.faults.story import (
    CaptivePortal,
    CutAfter,
    Effect,
    IgnoreRange,
    LongBody,
    NoContentLength,
    NoDigestHeader,
    RawResponse,
    RedirectTo,
    SayToo,
    ShortBody,
    SlowResponse,
    Status,
    WrongContentRange,
    WrongTotal,
)
from tests.faults.story import Fault as On

# --- without faults -----------------------------------------------------------------------------------------------


def test_a_pull_uses_one_connection_and_asks_for_what_it_needs() -> None:
    with world() as (registry, client):
        found = client.resolve()
        manifest = client.manifest()
        whole = client.fetch()
        rest = client.fetch(1000)
        middle = client.fetch(1000, 2000)

        assert (found.digest, found.size) == (MANIFEST, len(manifest))
        assert found.media_type == "application/vnd.oci.image.manifest.v1+json"
        assert (whole, rest, middle) == ((0, BLOB), (1000, BLOB[1000:]), (1000, BLOB[1000:2000]))
        assert [line.range for line in registry.requests("blob")] == ["", "bytes=1000-", "bytes=1000-1999"]
        assert {line.user_agent for line in registry.log} == {USER_AGENT}
        assert registry.connections == 1


def test_what_crosses_the_network_is_counted_with_headers() -> None:
    with world() as (_, client):
        client.resolve()
        meter = client.transport.meter
        head = meter.received_bytes
        client.manifest()
        manifest = meter.received_bytes - head
        stream = client.blob()
        stream.open()
        while stream.read():
            pass
        during = stream.received_bytes
        stream.close()

        assert 100 < head < 1000
        assert len(IMAGE.blobs[MANIFEST]) < manifest < len(IMAGE.blobs[MANIFEST]) + 1000
        assert SIZE < during == stream.received_bytes < SIZE + 1000


# --- redirects ----------------------------------------------------------------------------------------------------


def test_a_redirect_to_another_host_keeps_the_range_and_drops_the_authorization() -> None:
    with Registry([IMAGE]) as storage, world(auth=Bearer()) as (registry, client):
        registry.faults = [On(RedirectTo(storage.url), kind="blob", nth=2)]  # the first is refused, for want of a token
        found = client.fetch(1000)

        assert found == (1000, BLOB[1000:])
        assert [line.authorized for line in registry.requests("blob", status=307)] == [True]
        assert [(line.authorized, line.range) for line in storage.log] == [(False, "bytes=1000-")]


@pytest.mark.parametrize("effect", [Status(503), CaptivePortal()], ids=["out of order", "page"])
def test_who_has_answered_is_named_and_not_who_has_led_there(effect: Effect) -> None:
    with Registry([IMAGE], faults=[On(effect)]) as storage, world() as (registry, client):
        elsewhere = f"localhost:{storage.address[1]}"
        registry.faults = [On(RedirectTo(f"http://{elsewhere}"), kind="blob")]

        with pytest.raises(RegistryError) as caught:
            client.fetch()

        assert caught.value.endpoint == elsewhere


def test_a_redirect_on_the_same_host_keeps_the_authorization_and_the_connection() -> None:
    first = On(RedirectTo(""), kind="blob", nth=2)  # the first is refused, for want of a token
    with world(first, auth=Bearer()) as (registry, client):
        found = client.fetch(1000)

        assert found == (1000, BLOB[1000:])
        assert [line.authorized for line in registry.requests("blob")] == [False, True, True]
        assert registry.connections == 1


def test_a_redirect_with_a_short_page_keeps_the_connection() -> None:
    fault = On(Status(307, headers={"Location": f"/v2/{PATH}/blobs/{LAYER.digest}"}, body=b"moved"), kind="blob", nth=1)
    with world(fault) as (registry, client):
        assert client.fetch() == (0, BLOB)
        assert registry.connections == 1


def test_redirects_that_never_end_are_left() -> None:
    with world(RedirectTo("")) as (registry, client):
        with pytest.raises(MisbehavedError, match="redirects more than 10 times"):
            client.fetch()

        assert len(registry.log) == 11


@pytest.mark.parametrize(
    "location", ["ftp://example.com/", "http://[::1/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "//"]
)
def test_a_redirect_that_leads_nowhere_is_named(location: str) -> None:
    with (
        world(Status(302, headers={"Location": location})) as (_, client),
        pytest.raises(MisbehavedError, match=r"redirects|not a host"),
    ):
        client.fetch()


def test_a_signed_url_is_followed_as_it_is_and_never_shown() -> None:
    with Registry([IMAGE]) as storage:
        location = f"{storage.url}/v2/{PATH}/blobs/{LAYER.digest}?signature=a b\x7f{SECRET}%2F%3d"
        with world(Status(307, headers={"Location": location})) as (_, client):
            assert client.fetch() == (0, BLOB)


def test_nobody_is_led_on_to_a_storage_server_that_asked_somebody_else_to_wait_meanwhile() -> None:
    refusal = On(Status(429, {"Retry-After": "60"}), kind="blob")
    slowly = On(SlowResponse(0.5), kind="blob", nth=1)
    with Registry([IMAGE], faults=[refusal]) as storage, ThreadPoolExecutor() as pool:
        with world(slowly, RedirectTo(storage.url)) as (registry, client):
            slow = pool.submit(client.try_fetch)
            wait_until(lambda: registry.requests("blob"))
            _, _, refused = client.try_fetch()
            _, _, held_back = slow.result()

        assert (type(refused), type(held_back), len(storage.log)) == (ThrottledError, HeldBackError, 1)


def test_an_expired_signed_url_is_worth_another_try() -> None:
    with Registry([IMAGE]) as storage, world(RedirectTo(storage.url, expires_seconds=-1)) as (_, client):
        _, _, error = client.try_fetch()

        assert isinstance(error, MisbehavedError)
        assert error.retryable
        assert "signature" not in str(error)


def test_a_storage_server_that_wants_a_login_gets_none_and_is_worth_another_try() -> None:
    with Registry([IMAGE], auth=Basic("you", "other")) as storage:
        script = On(RedirectTo(storage.url), kind="blob")
        with world(script, auth=Basic("me", SECRET), credentials=knowing("me", SECRET)) as (registry, client):
            client.manifest()
            _, _, error = client.try_fetch()

            assert isinstance(error, RefusedError | MisbehavedError)
            assert [line.authorized for line in storage.log] == [False]
            assert len(registry.requests("blob")) == 1


# --- answers that cannot be right ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "effect", [WrongContentRange(1), WrongContentRange(-1), WrongTotal(1), LongBody(5), ShortBody(5, honest=False)]
)
def test_a_range_that_is_not_the_one_asked_for_is_refused_before_a_byte_of_it(effect: Effect) -> None:
    with world(effect) as (_, client):
        start, data, error = client.try_fetch(1000)

        assert (start, data) == (-1, b"")
        assert isinstance(error, MisbehavedError)
        assert error.retryable


@pytest.mark.parametrize(
    "content_range",
    ["", "bytes 1000-", "bytes */5", "bytes 1000-999/300000", f"bytes 1000-{'9' * 5000}/*", "bytes 1000-2000/²"],
)
def test_a_content_range_that_cannot_be_read_is_refused(content_range: str) -> None:
    with world(Status(206, headers={"Content-Range": content_range}, body=b"x")) as (_, client):
        with pytest.raises(MisbehavedError) as caught:
            client.fetch(1000)

        assert len(str(caught.value)) < 300


def test_less_than_was_asked_for_is_taken() -> None:
    with world(ShortBody(1000)) as (_, client):
        assert client.fetch(1000) == (1000, BLOB[1000:-1000])


def test_a_server_that_ignores_ranges_starts_at_the_first_byte() -> None:
    with world(IgnoreRange()) as (_, client):
        assert client.fetch(1000) == (0, BLOB)


@pytest.mark.parametrize("effect", [LongBody(1), ShortBody(1)])
def test_a_whole_blob_of_another_length_is_refused_before_a_byte_of_it(effect: Effect) -> None:
    with world(effect) as (_, client):
        start, data, error = client.try_fetch()

        assert (start, data) == (-1, b"")
        assert isinstance(error, MisbehavedError)


@pytest.mark.parametrize("length", ["²", "9" * 5000, "five"])
def test_a_length_that_cannot_be_read_is_no_length(length: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode("latin-1")
    with world(RawResponse(head + BLOB), On(RawResponse(head), kind="manifest", method="HEAD")) as (_, client):
        found = client.resolve()

        assert found.size == len(IMAGE.blobs[MANIFEST])
        assert client.fetch() == (0, BLOB)


def test_where_a_body_comes_in_chunks_a_length_beside_says_nothing() -> None:
    with world(NoContentLength(chunked=True), SayToo({"Content-Length": "5"})) as (_, client):
        assert client.fetch() == (0, BLOB)
        assert client.fetch(1000) == (1000, BLOB[1000:])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_without_a_length_is_read_to_its_end(*, chunked: bool) -> None:
    with world(NoContentLength(chunked=chunked)) as (_, client):
        assert client.fetch(1000) == (1000, BLOB[1000:])
        assert client.fetch() == (0, BLOB)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_without_a_length_that_ends_too_early_is_a_cut(*, chunked: bool) -> None:
    with world(NoContentLength(chunked=chunked), CutAfter(70_000)) as (_, client):
        start, data, error = client.try_fetch(1000)

        assert (start, data) == (1000, BLOB[1000:71_000])
        assert isinstance(error, UnreachableError)
        assert error.fault is Fault.CUT


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_without_a_length_that_runs_over_ends_with_the_blob(*, chunked: bool) -> None:
    with world(NoContentLength(chunked=chunked), LongBody(100_000)) as (_, client):
        assert client.fetch() == (0, BLOB)


def test_a_captive_portal_is_named_whatever_was_asked_for() -> None:
    with world(On(CaptivePortal())) as (_, client):
        for ask in (client.resolve, client.manifest, client.fetch):
            with pytest.raises(MisbehavedError, match="captive portal"):
                ask()
        with pytest.raises(MisbehavedError, match="captive portal"):
            client.registry.tags(client.endpoint, PATH)


def test_a_list_of_tags_is_one_whatever_it_is_called() -> None:
    listed = Status(200, {"Content-Type": "text/html; charset=utf-8"}, b'{"name": "test/image", "tags": ["1", "2"]}')
    with world(On(listed)) as (_, client):
        assert client.registry.tags(client.endpoint, PATH) == ["1", "2"]


@pytest.mark.parametrize(
    "data",
    [b"garbage\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"\x16\x03\x01" * 100, b"SSH-2.0-\x1b[31mOpenSSH\r\n" * 2000],
)
def test_what_does_not_speak_http_is_named_in_printable_words(data: bytes) -> None:
    with world(RawResponse(data)) as (_, client):
        with pytest.raises(MisbehavedError, match="does not speak HTTP") as caught:
            client.fetch()

        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300


def test_a_manifest_that_comes_compressed_is_not_blamed_on_its_publisher() -> None:
    compressed = Status(200, {"Content-Encoding": "gzip"}, body=gzip.compress(IMAGE.blobs[IMAGE.manifest_digest]))
    with (
        world(On(compressed, kind="manifest", method="GET")) as (_, client),
        pytest.raises(MisbehavedError, match="encoded as 'gzip', which it was not asked for") as caught,
    ):
        client.manifest()

    assert caught.value.retryable


def test_a_manifest_that_is_only_said_to_be_compressed_is_taken() -> None:
    with world(On(SayToo({"Content-Encoding": "gzip"}), kind="manifest")) as (_, client):
        assert client.manifest() == IMAGE.blobs[IMAGE.manifest_digest]


@pytest.mark.parametrize("effects", [(), (NoContentLength(chunked=True),)], ids=["length", "chunked"])
def test_a_blob_that_comes_compressed_is_not_blamed_on_its_publisher(effects: tuple[Effect, ...]) -> None:
    packed = Status(200, {"Content-Encoding": "gzip"}, gzip.compress(BLOB[:-1000]))
    with world(packed, *effects) as (_, client):
        _, _, error = client.try_fetch()

        assert "sends the blob encoded as 'gzip', which it was not asked for" in str(error)


@pytest.mark.parametrize("effects", [(), (NoContentLength(chunked=True),)], ids=["length", "chunked"])
def test_a_blob_that_is_only_said_to_be_compressed_is_taken(effects: tuple[Effect, ...]) -> None:
    with world(SayToo({"Content-Encoding": "gzip"}), *effects) as (_, client):
        assert client.fetch() == (0, BLOB)
        assert client.fetch(1000) == (1000, BLOB[1000:])


def test_the_unit_of_a_range_is_bytes_however_it_is_written() -> None:
    with world(SayToo({"Content-Range": f"Bytes 1000-{SIZE - 1}/{SIZE}"})) as (_, client):
        assert client.fetch(1000) == (1000, BLOB[1000:])


def test_a_manifest_with_another_digest_is_refused() -> None:
    other = images.image([{"a": b"a"}])
    with (
        world(On(Status(200, body=other.blobs[other.manifest_digest]), kind="manifest")) as (_, client),
        pytest.raises(DigestMismatchError),
    ):
        client.manifest()


@pytest.mark.parametrize("script", [(), (On(NoDigestHeader(), kind="manifest"),)])
def test_a_name_by_digest_stands_for_that_digest_only(script: tuple[On, ...]) -> None:
    other = images.image([{"a": b"a"}])
    body = other.blobs[other.manifest_digest]
    answer = On(Status(200, {"Docker-Content-Digest": other.manifest_digest}, body), kind="manifest")
    with world(answer, *script) as (_, client), pytest.raises(DigestMismatchError):
        client.resolve(f"@{MANIFEST}")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_without_a_digest_header_a_tag_costs_a_get(algorithm: str) -> None:
    with world(On(NoDigestHeader(), kind="manifest")) as (registry, client):
        found = client.resolve()

        assert (found.digest, [line.method for line in registry.log]) == (MANIFEST, ["HEAD", "GET"])

    digest = Digest.of(IMAGE.blobs[MANIFEST], algorithm)
    with world(On(Status(200, body=IMAGE.blobs[MANIFEST]), kind="manifest")) as (_, client):
        assert client.resolve(f"@{digest}").digest == digest


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_registry_that_knows_no_head_is_asked_by_get(status: int) -> None:
    with world(On(Status(status), kind="manifest", method="HEAD")) as (registry, client):
        found = client.resolve()

        assert (found.digest, found.size) == (MANIFEST, len(IMAGE.blobs[MANIFEST]))
        assert [line.method for line in registry.requests("manifest")] == ["HEAD", "GET"]


def test_an_empty_digest_header_is_none() -> None:
    with world(On(Status(200, {"Docker-Content-Digest": ""}, IMAGE.blobs[MANIFEST]), kind="manifest")) as (_, client):
        assert client.resolve().digest == MANIFEST


def test_a_digest_header_that_is_not_a_digest_is_refused() -> None:
    with (
        world(On(Status(200, headers={"Docker-Content-Digest": "sha256:1"}), kind="manifest")) as (_, client),
        pytest.raises(MisbehavedError, match="Docker-Content-Digest"),
    ):
        client.resolve()


@pytest.mark.parametrize("script", [(), (On(NoContentLength(chunked=True)),), (On(NoContentLength()),)])
def test_a_manifest_above_4_mib_is_refused(script: tuple[On, ...]) -> None:
    with world(On(Status(200, body=b" " * (4 * 1024 * 1024 + 1)), kind="manifest"), *script) as (registry, client):
        with pytest.raises(InvalidDocumentError, match="larger"):
            client.manifest()

        assert registry.sent() <= 4 * 1024 * 1024 + 1


# --- statuses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, MisbehavedError),
        (402, RejectedError),
        (403, RefusedError),
        (404, NotFoundError),
        (408, UnavailableError),
        (410, NotFoundError),
        (416, MisbehavedError),
        (429, ThrottledError),
        (451, RejectedError),
        (500, UnavailableError),
        (502, UnavailableError),
        (501, RejectedError),
        (503, UnavailableError),
        (505, RejectedError),
    ],
)
def test_a_status_becomes_an_error_that_says_whose_fault_it_is(status: int, kind: type[HeadwayError]) -> None:
    body = b'{"errors":[{"code":"SOME_CODE","message":"some\\u001b[31m message"}]}'
    with world(On(Status(status, body=body))) as (_, client):
        for ask in (client.fetch, client.manifest, client.resolve):
            with pytest.raises(kind) as caught:
                ask()

            assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "NAME_INVALID", RejectedError),
        (405, "UNSUPPORTED", RejectedError),
        (400, "UNKNOWN", MisbehavedError),
        (400, "TOOMANYREQUESTS", MisbehavedError),
    ],
)
def test_what_a_registry_refuses_by_a_code_of_the_specification_is_not_asked_again(
    status: int, code: str, kind: type[HeadwayError]
) -> None:
    body = b'{"errors":[{"code":"%s","message":"not like this"}]}' % code.encode()
    with world(On(Status(status, body=body), kind="manifest")) as (_, client), pytest.raises(HeadwayError) as caught:
        client.manifest()

    assert type(caught.value) is kind
    assert caught.value.retryable is (kind is MisbehavedError)
    assert f"answers HTTP {status} ({code.lower().replace('_', ' ')}: not like this)" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b"x" * 200_000, b"\xff", b"[]", b'{"errors": []}', b'{"errors": [1]}', b'{"errors": [{"code": 1}]}'],
)
def test_an_error_page_of_any_kind_does_not_hide_the_status(body: bytes) -> None:
    with world(On(Status(404, body=body))) as (_, client), pytest.raises(NotFoundError):
        client.manifest()


def test_an_error_page_that_is_cut_does_not_hide_the_status() -> None:
    with world(On(Status(429, body=b"x" * 1000)), On(CutAfter(10))) as (_, client), pytest.raises(ThrottledError):
        client.manifest()


@pytest.mark.parametrize(
    ("name", "said"), [(":sha-1a2b3c", f"{PATH}:sha-1a2b3c"), (f"@sha256:{'0' * 64}", f"{PATH}@sha256:00")]
)
def test_what_is_not_there_is_named_as_it_was_asked_for(name: str, said: str) -> None:
    with world() as (_, client), pytest.raises(NotFoundError, match=said):
        client.resolve(name)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("value", "seconds"), [("90", 90.0), ("", None), ("soon", None)])
def test_retry_after_is_passed_on(status: int, value: str, seconds: float | None) -> None:
    headers = {"Retry-After": value} if value else {}
    with world(Status(status, headers=headers)) as (_, client):
        _, _, error = client.try_fetch()

        assert isinstance(error, ThrottledError | UnavailableError)
        assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("999999999", 86_400.0),
        ("9" * 5000, 86_400.0),
        ("²", None),
        ("-5", None),
        ("1.5", None),
        (formatdate(1_000_090, usegmt=True), 90.0),
        (formatdate(1_000_000 - 90, usegmt=True), 0.0),
        ("Thu, 99 Foo 2020", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, now=1_000_000.0) == seconds
