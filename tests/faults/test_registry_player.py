"""Each fault of the scripted registry, as a plain HTTP client meets it."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes import images
from tests.faults.auth import Auth, Basic, Bearer
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import (
    CaptivePortal,
    ChangeTagBetweenRequests,
    CutAfter,
    CutEvery,
    DeleteBlob,
    Effect,
    ExpireToken,
    Fault,
    FlipByte,
    IgnoreRange,
    LongBody,
    NoContentLength,
    NoDigestHeader,
    RawResponse,
    RedirectTo,
    ResetAfter,
    SayToo,
    ShortBody,
    SlowResponse,
    StallAfter,
    Status,
    TrickleBody,
    WrongBlob,
    WrongContentRange,
    WrongTotal,
)
from tests.faults.tls import make_certificate

IMAGE = images.image([images.noise_layer(300_000)])
LAYER = IMAGE.layers[0]
BLOB = IMAGE.blobs[LAYER]
BLOB_PATH = f"/v2/test/image/blobs/{LAYER}"
TAG_PATH = "/v2/test/image/manifests/latest"


@contextmanager
def registry_with(
    *script: Effect | Fault, auth: Auth | None = None
) -> Iterator[tuple[Registry, http.client.HTTPConnection]]:
    """Give a registry and a client of it; an effect alone is for every blob."""
    faults = [each if isinstance(each, Fault) else Fault(each, kind="blob") for each in script]
    with Registry([IMAGE], faults=faults, auth=auth) as registry:
        client = http.client.HTTPConnection(registry.host, timeout=5)
        try:
            yield registry, client
        finally:
            client.close()


def get(
    client: http.client.HTTPConnection, path: str, asked: str = "", *, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """Return the answer to one request, and its body as far as it comes."""
    client.request(method, path, headers=headers | ({"Range": asked} if asked else {}))
    response = client.getresponse()
    try:
        return response, response.read()
    except http.client.IncompleteRead as cut:
        return response, cut.partial


# --- without faults -----------------------------------------------------------------------------------------


def test_without_faults_it_serves_manifests_by_tag_and_digest_and_blobs_on_one_connection() -> None:
    with registry_with() as (registry, client):
        base, _ = get(client, "/v2/")
        by_tag, manifest = get(client, TAG_PATH)
        by_digest, again = get(client, f"/v2/test/image/manifests/{IMAGE.manifest_digest}")
        _, blob = get(client, BLOB_PATH)

        assert [base.status, by_tag.status, by_digest.status] == [200, 200, 200]
        assert manifest == again == IMAGE.blobs[IMAGE.manifest_digest]
        assert by_tag.headers["Docker-Content-Digest"] == IMAGE.manifest_digest
        assert by_tag.headers["Content-Type"] == "application/vnd.oci.image.manifest.v1+json"
        assert blob == BLOB
        assert registry.connections == 1
        assert registry.sent("blob") == len(BLOB)


def test_head_tells_what_get_would_and_sends_nothing() -> None:
    with registry_with() as (registry, client):
        response, body = get(client, BLOB_PATH, method="HEAD")
        _, manifest = get(client, TAG_PATH)

        assert (response.status, body, response.headers["Content-Length"]) == (200, b"", str(len(BLOB)))
        assert manifest
        assert registry.sent("blob") == 0


@pytest.mark.parametrize(
    ("asked", "status", "start", "stop"),
    [
        ("bytes=0-", 206, 0, len(BLOB)),
        ("bytes=1000-", 206, 1000, len(BLOB)),
        ("bytes=1000-1999", 206, 1000, 2000),
        ("bytes=1000-99999999", 206, 1000, len(BLOB)),
        ("bytes=-10", 206, len(BLOB) - 10, len(BLOB)),
        ("bytes=99999999-", 416, 0, 0),
        ("bytes=0-1,5-6", 200, 0, len(BLOB)),
        ("lines=1-2", 200, 0, len(BLOB)),
    ],
)
def test_ranges_are_answered_as_the_rfc_says(asked: str, status: int, start: int, stop: int) -> None:
    with registry_with() as (registry, client):
        response, body = get(client, BLOB_PATH, asked)

        assert (response.status, body) == (status, BLOB[start:stop])
        content_range = {206: f"bytes {start}-{stop - 1}/{len(BLOB)}", 416: f"bytes */{len(BLOB)}"}.get(status)
        assert response.headers["Content-Range"] == content_range
        assert registry.requests("blob")[0].range == asked


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v2/test/image/manifests/none", "MANIFEST_UNKNOWN"),
        ("/v2/test/image/blobs/sha256:" + "0" * 64, "BLOB_UNKNOWN"),
        ("/v2/other/manifests/latest", "NAME_UNKNOWN"),
    ],
)
def test_what_it_does_not_hold_is_404_with_the_specifications_code(path: str, code: str) -> None:
    with registry_with() as (_, client):
        response, body = get(client, path)

        assert (response.status, json.loads(body)["errors"][0]["code"]) == (404, code)


# --- bodies that end badly ----------------------------------------------------------------------------------


def test_a_cut_delivers_exactly_its_bytes_and_the_next_request_is_whole() -> None:
    with registry_with(Fault(CutAfter(1234), kind="blob", nth=1)) as (registry, client):
        first, cut = get(client, BLOB_PATH)
        client.close()
        _, whole = get(client, BLOB_PATH)

        assert (first.status, cut, whole) == (200, BLOB[:1234], BLOB)
        assert [line.sent for line in registry.requests("blob")] == [1234, len(BLOB)]


def test_a_reset_raises_after_its_bytes() -> None:
    with registry_with(ResetAfter(1234)) as (_, client):
        client.request("GET", BLOB_PATH)
        response = client.getresponse()

        assert response.read(1234) == BLOB[:1234]
        with pytest.raises(ConnectionResetError):
            response.read(1)


def test_a_stall_sends_nothing_more_and_keeps_the_connection() -> None:
    with registry_with(StallAfter(1234)) as (_, client):
        client.request("GET", BLOB_PATH)
        response = client.getresponse()
        taken = response.read(1234)
        client.sock.settimeout(0.1)

        with pytest.raises(TimeoutError):
            response.read(1)
        assert taken == BLOB[:1234]
        response.close()


def test_a_stall_for_a_time_goes_on() -> None:
    with registry_with(StallAfter(1234, seconds=0.15)) as (_, client):
        started = time.monotonic()
        _, body = get(client, BLOB_PATH)

        assert body == BLOB
        assert time.monotonic() - started > 0.15


def test_a_trickle_takes_its_time() -> None:
    with registry_with(TrickleBody(1_500_000)) as (_, client):
        started = time.monotonic()
        _, body = get(client, BLOB_PATH)

        assert body == BLOB
        assert 0.19 < time.monotonic() - started < 0.6


def test_a_slow_response_waits_before_its_head() -> None:
    with registry_with(SlowResponse(0.15)) as (_, client):
        started = time.monotonic()
        client.request("GET", BLOB_PATH)
        response = client.getresponse()

        assert time.monotonic() - started > 0.15
        response.read()


# --- bodies and headers that lie ----------------------------------------------------------------------------


def test_an_ignored_range_answers_200_with_everything() -> None:
    with registry_with(IgnoreRange()) as (_, client):
        response, body = get(client, BLOB_PATH, "bytes=1000-")
        beyond, all_of_it = get(client, BLOB_PATH, "bytes=99999999-")

        assert (response.status, response.headers["Content-Range"], body) == (200, None, BLOB)
        assert (beyond.status, beyond.headers["Content-Range"], all_of_it) == (200, None, BLOB)


TOTAL = len(BLOB)


@pytest.mark.parametrize(
    ("effect", "content_range", "body"),
    [
        (WrongContentRange(5), f"bytes 105-204/{TOTAL}", BLOB[100:200]),
        (WrongTotal(7), f"bytes 100-199/{TOTAL + 7}", BLOB[100:200]),
        (ShortBody(10), f"bytes 100-189/{TOTAL}", BLOB[100:190]),
        (ShortBody(10, honest=False), f"bytes 100-199/{TOTAL}", BLOB[100:190]),
        (LongBody(3), f"bytes 100-199/{TOTAL}", BLOB[100:200] + b"\xff" * 3),
        (WrongBlob(b"x" * TOTAL), f"bytes 100-199/{TOTAL}", b"x" * 100),
    ],
)
def test_a_partial_answer_lies_in_one_point(effect: Effect, content_range: str, body: bytes) -> None:
    with registry_with(effect) as (_, client):
        response, taken = get(client, BLOB_PATH, "bytes=100-199")

        assert (response.status, response.headers["Content-Range"], taken) == (206, content_range, body)
        assert response.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    ("effect", "body"),
    [
        (ShortBody(10), BLOB[:-10]),
        (LongBody(3), BLOB + b"\xff" * 3),
        (WrongBlob(b"other"), b"other"),
        (WrongContentRange(), BLOB),
    ],
)
def test_a_whole_answer_lies_about_the_content_only(effect: Effect, body: bytes) -> None:
    with registry_with(effect) as (_, client):
        response, taken = get(client, BLOB_PATH)

        assert (response.status, response.headers["Content-Range"], taken) == (200, None, body)


def test_a_flipped_byte_is_one_byte_wherever_a_range_includes_it() -> None:
    with registry_with(FlipByte(1500)) as (_, client):
        _, whole = get(client, BLOB_PATH)
        _, with_it = get(client, BLOB_PATH, "bytes=1000-1999")
        _, without_it = get(client, BLOB_PATH, "bytes=2000-2999")

        assert [i for i in range(TOTAL) if whole[i] != BLOB[i]] == [1500]
        assert with_it == whole[1000:2000]
        assert without_it == BLOB[2000:3000]


@pytest.mark.parametrize(("chunked", "encoding", "connection"), [(True, "chunked", None), (False, None, "close")])
def test_a_length_may_be_missing(*, chunked: bool, encoding: str | None, connection: str | None) -> None:
    with registry_with(NoContentLength(chunked=chunked)) as (_, client):
        response, body = get(client, BLOB_PATH)

        assert body == BLOB
        assert response.headers["Content-Length"] is None
        assert (response.headers["Transfer-Encoding"], response.headers["Connection"]) == (
            encoding,
            connection,
        )


def test_a_cut_in_a_body_without_length_looks_like_its_end() -> None:
    with registry_with(NoContentLength(), CutAfter(1234)) as (_, client):
        response, body = get(client, BLOB_PATH)

        assert (response.status, body) == (200, BLOB[:1234])


def test_the_digest_header_may_be_missing() -> None:
    with registry_with(Fault(NoDigestHeader())) as (_, client):
        response, _ = get(client, TAG_PATH)

        assert response.headers["Docker-Content-Digest"] is None


def test_a_captive_portal_says_200_and_html() -> None:
    with registry_with(Fault(CaptivePortal())) as (_, client):
        response, body = get(client, TAG_PATH)

        assert (response.status, response.headers["Content-Type"]) == (200, "text/html")
        assert response.headers["Docker-Distribution-Api-Version"] is None
        assert body.startswith(b"<html>")


def test_a_raw_response_need_not_be_http() -> None:
    with registry_with(RawResponse(b"SSH-2.0-OpenSSH\r\n")) as (registry, client):
        client.request("GET", BLOB_PATH)

        with pytest.raises(http.client.BadStatusLine):
            client.getresponse()
        assert registry.requests("blob")[0].status == 0


# --- which request suffers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nth", "statuses"),
    [(2, [200, 429, 200]), (range(1, 3), [429, 429, 200]), (None, [429, 429, 429])],
)
def test_a_status_strikes_the_nth_request(nth: int | range | None, statuses: list[int]) -> None:
    slow_down = Status(429, {"Retry-After": "2"}, b"slow down")
    with registry_with(Fault(slow_down, nth=nth)) as (_, client):
        answers = [get(client, BLOB_PATH) for _ in range(3)]

        assert [response.status for response, _ in answers] == statuses
        refused = next(answer for answer in answers if answer[0].status == 429)
        assert (refused[0].headers["Retry-After"], refused[1]) == ("2", b"slow down")


def test_a_fault_may_concern_one_digest_or_one_method() -> None:
    config = f"/v2/test/image/blobs/{IMAGE.image_id}"
    script = [
        Fault(Status(500), kind="blob", digest=LAYER),
        Fault(Status(405), kind="manifest", method="HEAD"),
    ]
    with registry_with(*script) as (_, client):
        answers = [
            get(client, BLOB_PATH)[0].status,
            get(client, config)[0].status,
            get(client, TAG_PATH)[0].status,
            get(client, TAG_PATH, method="HEAD")[0].status,
        ]

        assert answers == [500, 200, 200, 405]


def test_a_tag_may_move_between_two_requests() -> None:
    other = images.image([{"other": b"other"}])
    effect = ChangeTagBetweenRequests("latest", to=other.manifest_digest)
    with registry_with(Fault(effect, kind="manifest", nth=1)) as (registry, client):
        registry.add(other, tag="next")

        first, _ = get(client, TAG_PATH, method="HEAD")
        _, second = get(client, TAG_PATH)

        assert first.headers["Docker-Content-Digest"] == IMAGE.manifest_digest
        assert second == other.blobs[other.manifest_digest]


def test_a_blob_may_be_deleted_while_it_is_sent() -> None:
    with registry_with(Fault(DeleteBlob(after=1_000), kind="blob", nth=1)) as (_, client):
        _, body = get(client, BLOB_PATH)
        later, _ = get(client, BLOB_PATH)

        assert (body, later.status) == (BLOB, 404)


def test_it_says_what_else_the_script_wants_and_what_it_takes_for_the_time() -> None:
    with registry_with(SayToo({"RateLimit-Limit": "100;w=21600"})) as (registry, client):
        registry.date = lambda: 0.0
        response, _ = get(client, BLOB_PATH)

        assert response.headers["RateLimit-Limit"] == "100;w=21600"
        assert response.headers["Date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


# --- redirects, credentials, TLS ----------------------------------------------------------------------------


def test_a_signed_redirect_works_until_it_expires() -> None:
    with Registry([IMAGE]) as far, registry_with(RedirectTo(far.url, expires_seconds=0.2)) as (near, client):
        response, _ = get(client, BLOB_PATH)
        location = response.headers["Location"].removeprefix(far.url)
        other = http.client.HTTPConnection(far.host, timeout=5)
        _, body = get(other, location)
        time.sleep(0.25)
        late, answer = get(other, location)
        other.close()

        assert (response.status, body, late.status) == (307, BLOB, 403)
        assert answer.startswith(b"<?xml")
        assert near.sent("blob") == 0
        assert [line.path for line in far.log] == [BLOB_PATH, BLOB_PATH]


def bearer(client: http.client.HTTPConnection, scope: str, **headers: str) -> str:
    _, answer = get(client, f"/token?service=registry.test&scope={scope}", **headers)
    return f"Bearer {json.loads(answer)['token']}"


SCOPE = "repository:test/image:pull"


def test_a_token_opens_its_scope_and_nothing_else() -> None:
    with registry_with(auth=Bearer()) as (guarded, client):
        refused, _ = get(client, TAG_PATH)
        right = bearer(client, SCOPE)
        wrong = bearer(client, "repository:other:pull")
        allowed, _ = get(client, TAG_PATH, Authorization=right)
        narrow, _ = get(client, TAG_PATH, Authorization=wrong)

        expected = f'Bearer realm="{guarded.url}/token",service="registry.test",scope="{SCOPE}"'
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, expected)
        assert allowed.status == 200
        assert (narrow.status, narrow.headers["WWW-Authenticate"]) == (
            401,
            f'{expected},error="insufficient_scope"',
        )
        assert [line.authorized for line in guarded.requests("manifest")] == [False, True, True]
        assert right.split()[1] not in repr(guarded.log)


def test_a_token_costs_a_password_where_there_is_one() -> None:
    auth = Bearer(user="ann", password="secret", identity_token="long")
    with registry_with(auth=auth) as (_, client):
        nobody, _ = get(client, f"/token?scope={SCOPE}")
        basic = "Basic " + base64.b64encode(b"ann:secret").decode()
        token = bearer(client, SCOPE, Authorization=basic)
        client.request("POST", "/token", body=f"grant_type=refresh_token&refresh_token=long&scope={SCOPE}")
        oauth = json.loads(client.getresponse().read())["access_token"]
        answers = [get(client, TAG_PATH, Authorization=header)[0].status for header in (token, f"Bearer {oauth}")]

        assert nobody.status == 401
        assert answers == [200, 200]


def test_a_token_expires_by_the_clock_or_by_the_story() -> None:
    expiry = Fault(ExpireToken(after=1000), kind="blob", nth=1)
    with registry_with(expiry, auth=Bearer(lifetime_seconds=30)) as (registry, client):
        token = bearer(client, SCOPE)
        whole, body = get(client, BLOB_PATH, Authorization=token)
        refused, _ = get(client, BLOB_PATH, Authorization=token)
        fresh = bearer(client, SCOPE)
        again, _ = get(client, BLOB_PATH, Authorization=fresh)
        registry.expire_tokens(0.1)
        in_time, _ = get(client, TAG_PATH, Authorization=fresh)
        time.sleep(0.12)
        late, _ = get(client, TAG_PATH, Authorization=fresh)

    assert (whole.status, len(body)) == (200, len(BLOB))
    assert [answer.status for answer in (refused, again, in_time, late)] == [401, 200, 200, 401]
    assert refused.headers["WWW-Authenticate"].endswith('error="invalid_token"')


def test_basic_credentials_are_wanted_for_every_request() -> None:
    with registry_with(auth=Basic("ann", "secret")) as (_, client):
        header = "Basic " + base64.b64encode(b"ann:secret").decode()
        refused, _ = get(client, "/v2/")
        allowed, _ = get(client, TAG_PATH, Authorization=header)

    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="test"')
    assert allowed.status == 200


def test_it_speaks_tls_and_a_cut_there_has_no_farewell(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    script = [Fault(CutAfter(1234), kind="blob", nth=2)]
    trust = ssl.create_default_context(cafile=str(certificate.certificate))
    with Registry([IMAGE], certificate=certificate, faults=script) as registry:
        client = http.client.HTTPSConnection(registry.host, timeout=5, context=trust)
        _, whole = get(client, BLOB_PATH)
        client.request("GET", BLOB_PATH)
        response = client.getresponse()
        taken = response.read(1234)
        with pytest.raises((ssl.SSLEOFError, http.client.IncompleteRead)):
            response.read()
        client.close()

    assert registry.url.startswith("https://")
    assert (whole, taken) == (BLOB, BLOB[:1234])


# --- behind a link ------------------------------------------------------------------------------------------


def test_a_client_that_resumes_gets_every_byte_once_over_a_link_that_cuts() -> None:
    taken = b""
    with registry_with() as (registry, _), Link(target=registry.address, faults=[CutEvery(70_000)]) as link:
        while len(taken) < len(BLOB):
            client = http.client.HTTPConnection(link.host, timeout=5)
            taken += get(client, BLOB_PATH, f"bytes={len(taken)}-")[1]
            client.close()

        assert taken == BLOB
        assert (link.cuts, link.connections) == (4, 5)
        assert len(BLOB) < link.bytes_down < len(BLOB) + 5 * 500


def test_the_realm_of_tokens_is_where_the_client_came_by() -> None:
    with registry_with(auth=Bearer()) as (registry, _), Link(target=registry.address) as link:
        client = http.client.HTTPConnection(link.host, timeout=5)
        refused, _ = get(client, TAG_PATH)
        client.close()

        assert refused.headers["WWW-Authenticate"].startswith(f'Bearer realm="http://{link.host}/token"')


# --- its life -----------------------------------------------------------------------------------------------


def test_it_stops_at_once_though_a_client_is_stalled() -> None:
    with Registry([IMAGE], faults=[Fault(StallAfter(10))]) as registry:
        client = http.client.HTTPConnection(registry.host, timeout=5)
        client.request("GET", BLOB_PATH)
        response = client.getresponse()
        started = time.monotonic()
    seconds = time.monotonic() - started
    response.close()
    client.close()

    assert seconds < 1


def test_a_restart_drops_open_connections_but_not_the_content() -> None:
    with registry_with() as (registry, client):
        get(client, TAG_PATH)
        registry.drop_connections()

        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            get(client, TAG_PATH)
        client.close()
        assert get(client, TAG_PATH)[0].status == 200
