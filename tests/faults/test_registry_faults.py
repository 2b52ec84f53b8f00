"""The registry client in a bad world: real sockets, and a registry that follows a script."""

from __future__ import annotations

import base64
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from pathlib import Path

import pytest

from headway.distribution.credentials import Credentials
from headway.errors import (
    DigestMismatchError,
    Fault,
    HeadwayError,
    InvalidDocumentError,
    InvalidSettingError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)
from headway.oci.digest import Digest
from headway.registry.address import Address
from headway.registry.blob import RegistryBlob
from headway.registry.credentials import AuthFiles, auth_files
from headway.registry.failures import retry_after_seconds
from headway.registry.tls import tls_context
from tests.fakes import images
from tests.faults.auth import Auth, Basic, Bearer
from tests.faults.client import BLOB, IMAGE, LAYER, MANIFEST, PATH, SECRET, SIZE, Client, client_of, knowing, world
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.sockets import listen
from tests.faults.story import (
    CaptivePortal,
    CutAfter,
    Effect,
    ExpireToken,
    IgnoreRange,
    LongBody,
    NoContentLength,
    NoDigestHeader,
    RateLimit,
    RawResponse,
    RedirectTo,
    ResetAfter,
    ShortBody,
    SlowResponse,
    StallAfter,
    Status,
    WrongContentRange,
    WrongTotal,
)
from tests.faults.story import Fault as On
from tests.faults.tls import Certificate, make_certificate

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
        assert {line.user_agent for line in registry.log} == {"test"}
        assert registry.connections == 1


def test_what_crosses_the_network_is_counted_with_headers() -> None:
    with world() as (_, client):
        client.resolve()
        head = client.registry.received_bytes
        client.manifest()
        stream = client.blob()
        stream.open()
        while stream.read():
            pass
        during = stream.received_bytes
        stream.close()

        assert 100 < head < 1000
        assert client.registry.received_bytes > head + len(IMAGE.blobs[MANIFEST])
        assert SIZE < during == stream.received_bytes < SIZE + 1000


# --- who asks -----------------------------------------------------------------------------------------------------


def test_basic_credentials_are_sent_when_they_are_asked_for() -> None:
    with world(auth=Basic("me", SECRET), credentials=knowing("me", SECRET)) as (registry, client):
        client.manifest()
        client.fetch()

        assert [(line.status, line.authorized) for line in registry.log] == [(401, False), (200, True), (200, True)]
        assert registry.connections == 1


@pytest.mark.parametrize("auth", [Basic("me", "other"), Bearer(user="me", password="other")])
def test_a_wrong_password_is_refused_and_sent_once(auth: Auth) -> None:
    with world(auth=auth, credentials=knowing("me", SECRET)) as (registry, client):
        with pytest.raises(RefusedError) as caught:
            client.manifest()

        assert caught.value.status == 401
        assert SECRET not in f"{caught.value!r}{caught.value}"
        assert sum(line.authorized for line in registry.log) == 1


def test_without_credentials_a_closed_registry_is_refused() -> None:
    with world(auth=Basic("me", SECRET)) as (registry, client):
        with pytest.raises(RefusedError, match="no basic auth credentials"):
            client.manifest()

        assert len(registry.log) == 1


@pytest.mark.parametrize("legacy", [False, True])
def test_one_token_serves_a_whole_pull(*, legacy: bool) -> None:
    auth = Bearer(user="me", password=SECRET, legacy_field=legacy)
    with world(auth=auth, credentials=knowing("me", SECRET)) as (registry, client):
        client.resolve()
        client.manifest()
        client.fetch()

        assert len(registry.requests("token")) == 1
        assert [line.status for line in registry.log] == [401, 200, 200, 200, 200]


def test_an_anonymous_token_is_asked_for_without_credentials() -> None:
    with world(auth=Bearer()) as (registry, client):
        client.fetch()

        assert [line.authorized for line in registry.requests("token")] == [False]


def test_an_identity_token_stands_in_for_the_password() -> None:
    auth = Bearer(user="me", password="unknown", identity_token=SECRET)
    with world(auth=auth, credentials=knowing("", "", SECRET)) as (registry, client):
        client.fetch()

        assert [line.method for line in registry.requests("token")] == ["POST"]


def test_a_token_that_expires_in_the_middle_of_a_pull_is_renewed() -> None:
    with world(On(ExpireToken(), kind="blob", nth=2), auth=Bearer()) as (registry, client):
        client.fetch()
        start, data = client.fetch(SIZE // 2)

        assert (start, data) == (SIZE // 2, BLOB[SIZE // 2 :])
        assert len(registry.requests("token")) == 2


def test_requests_at_the_same_time_share_one_token() -> None:
    with world(On(SlowResponse(0.1), kind="token"), auth=Bearer()) as (registry, client):
        threads = [threading.Thread(target=client.fetch) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(registry.requests("token")) == 1
        assert len(registry.requests("blob", status=200)) == 4


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        ('Bearer realm="http://[::1/token"', "does not say where"),
        ('Bearer realm="ftp://example.com/token"', "does not say where"),
        ("Bearer", "does not say where"),
        ('Bearer realm="http://127.0.0.1:99999/token"', "not a host and port"),
    ],
)
def test_a_challenge_that_leads_nowhere_is_named(challenge: str, said: str) -> None:
    with (
        world(On(Status(401, headers={"WWW-Authenticate": challenge}))) as (_, client),
        pytest.raises(MisbehavedError, match=said),
    ):
        client.manifest()


@pytest.mark.parametrize(
    "answer", [b"[]", b"not json", b"{}", b'{"token": 5}', b'{"token": "a\\nb"}', '{"token": "€"}'.encode(), b"\xff"]
)
def test_a_token_answer_without_a_usable_token_is_named(answer: bytes) -> None:
    with (
        world(On(Status(200, body=answer), kind="token"), auth=Bearer()) as (_, client),
        pytest.raises(MisbehavedError, match="token"),
    ):
        client.manifest()


def test_a_password_is_not_sent_to_a_token_server_without_tls_for_a_secure_registry(certificate: Certificate) -> None:
    challenge = 'Bearer realm="http://127.0.0.1:1/token"'
    fault = On(Status(401, headers={"WWW-Authenticate": challenge}))
    with ExitStack() as stack:
        registry = stack.enter_context(Registry([IMAGE], faults=[fault], certificate=certificate))
        client = stack.enter_context(client_of(registry.host, knowing("me", SECRET), secure=True, scheme="https"))
        trust(client, certificate)

        with pytest.raises(MisbehavedError, match="without TLS"):
            client.manifest()


def write_auth(file: Path, entries: object) -> Path:
    file.write_text(json.dumps({"auths": entries}))
    return file


def encoded(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("key", ["HOST", "https://HOST", "http://HOST", "https://HOST/v1/", "HOST/v2/"])
def test_credentials_come_from_the_users_auth_files(tmp_path: Path, key: str) -> None:
    file = tmp_path / "auth.json"
    source = AuthFiles([tmp_path / "none.json", file])
    with world(auth=Basic("me", SECRET), credentials=source) as (registry, client):
        write_auth(file, {"other": {}, key.replace("HOST", registry.host): {"auth": encoded("me", SECRET)}})

        assert client.manifest()


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"auth": encoded("u", "p:q")}, Credentials("u", "p:q")),
        ({"username": "u", "password": "p"}, Credentials("u", "p")),
        ({"identitytoken": "t", "auth": encoded("u", "")}, Credentials("u", "", "t")),
        ({"identitytoken": "t"}, Credentials("", "", "t")),
        ({}, None),
        ("text", None),
    ],
)
def test_an_entry_is_read_as_docker_and_podman_write_it(
    tmp_path: Path, entry: object, found: Credentials | None
) -> None:
    file = write_auth(tmp_path / "auth.json", {"example.com": entry})

    assert AuthFiles([file])("example.com") == found
    assert AuthFiles([file])("other.example.com") is None


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"])
def test_docker_hubs_credentials_are_known_by_its_names(tmp_path: Path, key: str) -> None:
    file = write_auth(tmp_path / "auth.json", {key: {"auth": encoded("u", "p")}})

    assert AuthFiles([file])("registry-1.docker.io") == Credentials("u", "p")


@pytest.mark.parametrize(
    "content", ["{", '{"auths": {"example.com": {"auth": "!"}}}', '{"auths": {"example.com": {"auth": "/w=="}}}']
)
def test_an_auth_file_that_cannot_be_read_is_named_without_its_content(tmp_path: Path, content: str) -> None:
    file = tmp_path / "auth.json"
    file.write_text(content)

    with pytest.raises(InvalidSettingError, match=str(file)):
        AuthFiles([file])("example.com")


@pytest.mark.parametrize("content", ["[]", "{}", '{"auths": []}'])
def test_an_auth_file_without_entries_knows_nobody(tmp_path: Path, content: str) -> None:
    file = tmp_path / "auth.json"
    file.write_text(content)

    assert AuthFiles([file])("example.com") is None


def test_where_auth_files_are() -> None:
    home = Path("/home/me")

    assert auth_files({"REGISTRY_AUTH_FILE": "/a", "DOCKER_CONFIG": "/d"}, home) == [Path("/a")]
    assert auth_files({"REGISTRY_AUTH_FILE": "/a"}, home, Path("/named")) == [Path("/named")]
    assert auth_files({}, home, uid=5) == [
        home / ".docker" / "config.json",
        Path("/run/containers/5/auth.json"),
        home / ".config" / "containers" / "auth.json",
    ]
    assert auth_files({"DOCKER_CONFIG": "/d", "XDG_RUNTIME_DIR": "/run", "XDG_CONFIG_HOME": "/c"}, home, uid=5) == [
        Path("/d/config.json"),
        Path("/run/containers/auth.json"),
        Path("/c/containers/auth.json"),
    ]


# --- redirects ----------------------------------------------------------------------------------------------------


def test_a_redirect_to_another_host_keeps_the_range_and_drops_the_authorization() -> None:
    with Registry([IMAGE]) as storage, world(auth=Bearer()) as (registry, client):
        registry.faults = [On(RedirectTo(storage.url), kind="blob", nth=2)]  # the first is refused, for want of a token
        found = client.fetch(1000)

        assert found == (1000, BLOB[1000:])
        assert [line.authorized for line in registry.requests("blob", status=307)] == [True]
        assert [(line.authorized, line.range) for line in storage.log] == [(False, "bytes=1000-")]


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


def test_a_captive_portal_is_named_for_manifests_and_blobs() -> None:
    with world(On(CaptivePortal())) as (_, client):
        for ask in (client.resolve, client.manifest, client.fetch):
            with pytest.raises(MisbehavedError, match="captive portal"):
                ask()


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
        (403, RefusedError),
        (404, NotFoundError),
        (408, UnavailableError),
        (416, MisbehavedError),
        (429, ThrottledError),
        (500, UnavailableError),
        (502, UnavailableError),
        (503, UnavailableError),
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


# --- silence, cuts and ends ---------------------------------------------------------------------------------------


def test_a_reset_after_64_kib_gives_the_64_kib_first() -> None:
    with world(ResetAfter(65_536)) as (_, client):
        _, data, error = client.try_fetch()

        assert data == BLOB[:65_536]
        assert isinstance(error, UnreachableError)
        assert error.fault is Fault.CUT


def test_a_cut_gives_what_arrived_first() -> None:
    with world(CutAfter(100_001)) as (_, client):
        _, data, error = client.try_fetch()

        assert data == BLOB[:100_001]
        assert isinstance(error, UnreachableError)
        assert (error.fault, error.retryable) == (Fault.CUT, True)


@pytest.mark.parametrize(("effect", "fault"), [(StallAfter(1000), Fault.STALLED), (SlowResponse(30), Fault.TIMEOUT)])
def test_silence_ends_within_the_limit(effect: Effect, fault: Fault) -> None:
    with world(effect) as (_, client):
        began = time.monotonic()

        _, data, error = client.try_fetch(limit=0.2)

        assert time.monotonic() - began < 2
        assert data == (BLOB[:1000] if fault is Fault.STALLED else b"")
        assert isinstance(error, UnreachableError)
        assert error.fault is fault


def test_the_limit_may_change_between_reads() -> None:
    with world(StallAfter(1000)) as (_, client):
        stream = client.blob(limit=30)
        stream.open()
        stream.read()
        stream.stall_limit_seconds = 0.1

        with pytest.raises(UnreachableError):
            stream.read()
        stream.close()


def test_a_connection_that_the_server_closed_while_idle_is_replaced_without_an_error() -> None:
    with world() as (registry, client):
        client.fetch()
        registry.drop_connections()
        found = client.fetch(1000)

        assert found == (1000, BLOB[1000:])
        assert registry.connections == 2


def test_a_body_that_was_not_read_to_its_end_ends_its_connection() -> None:
    with world() as (registry, client):
        stream = client.blob()
        stream.open()
        stream.read()
        stream.close()

        assert client.fetch() == (0, BLOB)
        assert registry.connections == 2


def abort_soon(stream: RegistryBlob, act: Callable[[], object]) -> tuple[float, BaseException | None]:
    """Do something that blocks, and abort it; return how long the abort took, and what it raised."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except HeadwayError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    stream.abort()
    thread.join()
    stream.close()
    return time.monotonic() - began, errors[0] if errors else None


@pytest.mark.parametrize(
    ("script", "auth"),
    [
        ([StallAfter(0)], None),
        ([SlowResponse(30)], None),
        ([On(SlowResponse(30), kind="token")], Bearer()),
    ],
)
def test_an_abort_ends_a_wait_for_headers_a_body_or_a_token(script: list[Effect | On], auth: Auth | None) -> None:
    with world(*script, auth=auth) as (_, client):
        stream = client.blob(limit=30)

        seconds, error = abort_soon(stream, lambda: (stream.open(), stream.read()))

        assert seconds < 1
        assert isinstance(error, UnreachableError)


@contextmanager
def black_hole() -> Iterator[str]:
    """Give an address where no connection ever comes about."""
    with listen(backlog=0) as listener, ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_abort_ends_a_connect(scheme: str) -> None:
    with black_hole() as host, client_of(host, scheme=scheme) as client:
        stream = client.blob()

        seconds, error = abort_soon(stream, stream.open)

        assert seconds < 1
        assert isinstance(error, UnreachableError)


def test_an_abort_ends_a_tls_handshake() -> None:
    with listen() as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        with client_of(host, secure=True, scheme="https") as client:
            stream = client.blob()

            seconds, error = abort_soon(stream, stream.open)

            assert seconds < 1
            assert isinstance(error, UnreachableError)


def test_an_abort_before_the_open_ends_it_at_once() -> None:
    with world() as (registry, client):
        stream = client.blob()
        stream.abort()

        with pytest.raises(UnreachableError):
            stream.open()
        stream.close()
        assert registry.log == []


def test_one_abort_leaves_the_others_alone() -> None:
    with world(On(SlowResponse(0.3), kind="token"), auth=Bearer()) as (_, client):
        found: list[tuple[int, bytes]] = []
        stream = client.blob()
        other = threading.Thread(target=lambda: found.append(client.fetch()))

        def both() -> None:
            other.start()
            stream.open()

        abort_soon(stream, both)
        other.join()

        assert found == [(0, BLOB)]


# --- whom one cannot reach ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_where_nobody_listens_is_refused(scheme: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with client_of(f"127.0.0.1:{unused.getsockname()[1]}", scheme=scheme) as client:
            _, _, error = client.try_fetch()

            assert isinstance(error, UnreachableError)
            assert error.fault is Fault.REFUSED


@pytest.mark.parametrize("host", ["host.invalid", f"{'a' * 64}.invalid"])
def test_a_name_that_does_not_exist_is_named(host: str) -> None:
    with client_of(host) as client:
        _, _, error = client.try_fetch()

        assert isinstance(error, UnreachableError)
        assert error.fault in (Fault.UNKNOWN_NAME, Fault.NO_DNS)


@pytest.mark.parametrize(
    ("authority", "address"),
    [
        ("example.com", Address("https", "example.com", 443)),
        ("example.com:", Address("https", "example.com", 443)),
        ("example.com:5000", Address("https", "example.com", 5000)),
        ("[::1]:5000", Address("https", "::1", 5000)),
        ("[::1]", Address("https", "::1", 443)),
    ],
)
def test_an_authority_is_an_address(authority: str, address: Address) -> None:
    assert Address.parse("https", authority) == address
    assert Address.parse("https", str(address)) == address


@pytest.mark.parametrize("authority", ["host:x", "host:²", "host:65536", f"host:{'9' * 5000}"])
def test_a_port_that_cannot_be_one_is_refused(authority: str) -> None:
    with pytest.raises(MisbehavedError):
        Address.parse("http", authority)


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def trust(client: Client, certificate: Certificate) -> None:
    """Let a client trust a certificate, as SSL_CERT_FILE does."""
    context = client.http.context(Address("https", "any", 443, verify=True))
    assert context is not None
    context.load_verify_locations(certificate.certificate)


def test_a_certificate_that_nobody_trusts_is_named_and_not_tried_again(certificate: Certificate) -> None:
    with Registry([IMAGE], certificate=certificate) as registry:
        with client_of(registry.host, secure=True, scheme="https") as client:
            _, _, error = client.try_fetch()

        assert isinstance(error, UnreachableError)
        assert (error.fault, error.retryable) == (Fault.CERTIFICATE, False)
        assert registry.log == []


def test_a_certificate_that_is_trusted_is_accepted(certificate: Certificate) -> None:
    with (
        Registry([IMAGE], certificate=certificate) as registry,
        client_of(registry.host, secure=True, scheme="https") as client,
    ):
        trust(client, certificate)

        assert client.fetch(1000) == (1000, BLOB[1000:])
        assert client.fetch() == (0, BLOB)
        assert registry.connections == 1


def test_an_insecure_registrys_certificate_is_not_looked_at(certificate: Certificate) -> None:
    with Registry([IMAGE], certificate=certificate) as registry, client_of(registry.host, scheme="https") as client:
        assert client.fetch() == (0, BLOB)


@pytest.mark.parametrize("effect", [ResetAfter(100_000), CutAfter(100_000)])
def test_over_tls_a_cut_gives_what_arrived_first(certificate: Certificate, effect: Effect) -> None:
    with Registry([IMAGE], faults=[On(effect, kind="blob")], certificate=certificate) as registry:
        with client_of(registry.host, scheme="https") as client:
            _, data, error = client.try_fetch()

        assert data == BLOB[:100_000]
        assert isinstance(error, UnreachableError)
        assert error.fault in (Fault.CUT, Fault.TLS)


def test_over_tls_silence_ends_within_the_limit(certificate: Certificate) -> None:
    with Registry([IMAGE], faults=[On(StallAfter(1000), kind="blob")], certificate=certificate) as registry:
        with client_of(registry.host, scheme="https") as client:
            _, data, error = client.try_fetch(limit=0.2)

        assert data == BLOB[:1000]
        assert isinstance(error, UnreachableError)
        assert error.fault is Fault.STALLED


def test_over_tls_an_idle_connection_that_was_closed_is_replaced(certificate: Certificate) -> None:
    with Registry([IMAGE], certificate=certificate) as registry, client_of(registry.host, scheme="https") as client:
        client.fetch()
        registry.drop_connections()

        assert client.fetch() == (0, BLOB)


def test_a_slow_link_is_not_silent_while_a_tls_record_arrives(certificate: Certificate) -> None:
    with (
        Registry([IMAGE], certificate=certificate) as registry,
        Link(target=registry.address, faults=[RateLimit(40_000)]) as link,
        client_of(f"127.0.0.1:{link.port}", scheme="https") as client,
    ):
        stream = client.blob(end=20_000, limit=5)
        stream.open()
        stream.stall_limit_seconds = 0.15  # a record of 16 KiB takes 0.4 s

        data = b""
        while piece := stream.read():
            data += piece
        stream.close()

    assert data == BLOB[:20_000]


# --- insecure registries: HTTPS first, then HTTP ------------------------------------------------------------------


def test_a_plain_registry_is_found_behind_https_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Registry([IMAGE]) as registry, client_of(registry.host, scheme="https") as client:
        began = time.monotonic()
        client.manifest()
        first = time.monotonic() - began
        client.fetch()

        assert first < 1
        assert registry.connections == 2  # the TLS hello, and one for everything else
        assert [line.kind for line in registry.log] == ["manifest", "blob"]


class Mute:
    """A plain HTTP server that waits for more whenever it does not understand, as some small ones do."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = listen()
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.hello_bytes = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Mute:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                data = sock.recv(65_536)
                if data.startswith(b"\x16"):
                    self.hello_bytes += len(data)
                    while sock.recv(65_536):
                        pass
                else:
                    sock.sendall(self._answer)


def test_a_plain_registry_that_is_silent_on_a_tls_hello_costs_a_moment() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (SIZE, BLOB)
    with Mute(answer) as server, client_of(server.host, scheme="https", hello_seconds=0.2) as client:
        began = time.monotonic()

        assert client.fetch() == (0, BLOB)

        assert 0.2 <= time.monotonic() - began < 2
        assert 0 < server.hello_bytes < 4096


def test_a_secure_registry_is_never_asked_without_tls() -> None:
    with Registry([IMAGE]) as registry:
        with client_of(registry.host, secure=True, scheme="https") as client:
            _, _, error = client.try_fetch()

        assert isinstance(error, UnreachableError)
        assert error.fault in (Fault.TLS, Fault.CUT)
        assert registry.log == []


def test_once_tls_worked_plain_http_is_not_tried(certificate: Certificate) -> None:
    with Registry([IMAGE], faults=[On(RedirectTo("http://127.0.0.1:1"), nth=1)], certificate=certificate) as registry:
        with client_of(registry.host, scheme="https") as client:
            _, _, error = client.try_fetch()

        assert isinstance(error, UnreachableError)
        assert registry.connections == 1


def test_a_server_that_answers_400_to_plain_http_is_not_taken_for_a_plain_one() -> None:
    answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    with Mute(answer) as server, client_of(server.host, scheme="https", hello_seconds=0.1) as client:
        for _ in range(2):
            hellos = server.hello_bytes
            with pytest.raises(MisbehavedError, match="HTTP 400"):
                client.fetch()

            assert server.hello_bytes > hellos


# --- secrets ------------------------------------------------------------------------------------------------------


def test_secrets_are_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = Credentials("me", SECRET, SECRET + "2")
    shown = [repr(credentials), str(credentials), f"{credentials}", repr([credentials])]
    for auth in (Basic("me", "no"), Bearer(user="me", password="no")):
        with world(auth=auth, credentials=knowing("me", SECRET)) as (_, client):
            with pytest.raises(RefusedError) as caught:
                client.manifest()
            shown += [str(caught.value), repr(caught.value), repr(vars(caught.value))]

    assert not any(SECRET in text or encoded("me", SECRET) in text for text in [*shown, caplog.text])


def test_insecure_tls_settings_look_at_nothing() -> None:
    assert tls_context(verify=False).verify_mode is ssl.CERT_NONE
    assert tls_context(verify=True).verify_mode is ssl.CERT_REQUIRED
