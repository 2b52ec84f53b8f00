"""Who asks a registry, and what it takes to be let in: challenges, tokens, logins in files; no secret shows."""

from __future__ import annotations

import base64
import json
import logging
import threading
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from headway.distribution.credentials import Credentials
from headway.distribution.patience import BASE_SECONDS
from headway.errors import (
    InvalidSettingError,
    MisbehavedError,
    RefusedError,
    RejectedError,
    UnreachableError,
    WebPageError,
)
from headway.records import RawManifest
from headway.registry.credentials import AuthFiles, CredentialSource, auth_files
from headway.registry.pusher import RegistryPusher
from headway.registry.token_server import MAX_TOKEN_SECONDS
from tests.faults.auth import Auth, Basic, Bearer
from tests.faults.client import (
    BLOB,
    IMAGE,
    MANIFEST,
    PATH,
    SECRET,
    SIZE,
    anonymous,
    client_of,
    knowing,
    trust,
    world,
)
from tests.faults.registry import Registry
from tests.faults.story import (
    CaptivePortal,
    CutAfter,
    ExpireToken,
    SlowResponse,
    Status,
)
from tests.faults.story import Fault as On
from tests.faults.tls import Certificate

# --- who asks -----------------------------------------------------------------------------------------------------


def test_basic_credentials_are_sent_when_they_are_asked_for() -> None:
    with world(auth=Basic("me", SECRET), credentials=knowing("me", SECRET)) as (registry, client):
        client.manifest()
        client.fetch()

        assert [(line.status, line.authorized) for line in registry.log] == [(401, False), (200, True), (200, True)]
        assert registry.connections == 1


def test_a_portal_in_the_place_of_a_token_server_is_named() -> None:
    with world(On(CaptivePortal(), kind="token"), auth=Bearer()) as (_, client), pytest.raises(WebPageError):
        client.manifest()


def test_who_may_take_minutes_to_store_something_may_not_take_them_for_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BASE_SECONDS, "answer", 1.0)
    manifest = RawManifest(IMAGE.media_types[IMAGE.manifest_digest], IMAGE.blobs[IMAGE.manifest_digest], MANIFEST)
    with world(On(SlowResponse(3.0), kind="token", nth=1), auth=Bearer()) as (_, client):
        for _ in range(6):
            client.sender.record.standing.patience.too_short(client.endpoint.host, "storing")
        with pytest.raises(UnreachableError, match="no answer in time"):
            RegistryPusher(client.sender).put_manifest(client.endpoint, PATH, "new", manifest)


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


@pytest.mark.parametrize("credentials", [anonymous, knowing("me", SECRET)], ids=["nobody", "login"])
def test_a_registry_that_takes_no_token_of_its_own_token_server_says_so(credentials: CredentialSource) -> None:
    world_of_it = world(auth=Bearer(lifetime_seconds=0.0), credentials=credentials)
    with world_of_it as (_, client), pytest.raises(RefusedError, match="authentication required"):
        client.manifest()


def test_a_token_that_came_with_the_login_is_not_called_a_password() -> None:
    with world(auth=Bearer()) as (_, client):
        client.endpoint = msgspec.structs.replace(client.endpoint, login=Credentials(registry_token="old"))
        with pytest.raises(RefusedError, match="unauthorized: authentication required"):
            client.manifest()


def test_a_registry_that_wants_no_tokens_any_more_needs_no_token_server() -> None:
    with world(auth=Bearer(lifetime_seconds=0.0)) as (registry, client):
        with pytest.raises(RefusedError):
            client.manifest()
        registry._auth = None
        registry.faults = [On(Status(404), kind="token")]
        with pytest.raises(RejectedError):
            client.manifest()
        registry.log.clear()
        client.manifest()
        client.fetch()

        assert [line.kind for line in registry.log] == ["manifest", "blob"]


def test_a_registry_whose_token_server_has_gone_is_asked_anew_who_gives_tokens() -> None:
    with world(auth=Bearer(lifetime_seconds=0.0)) as (registry, client):
        with pytest.raises(RefusedError):
            client.manifest()
        registry.faults = [On(Status(404), kind="token")]
        with pytest.raises(RejectedError, match="answers HTTP 404"):
            client.manifest()
        registry.faults = []
        registry.log.clear()
        with pytest.raises(RefusedError):
            client.manifest()

        assert [(line.kind, line.authorized) for line in registry.log][:2] == [("manifest", False), ("token", False)]


def test_a_token_that_was_lost_on_the_way_is_asked_for_again_without_another_challenge() -> None:
    now = [0.0]
    with world(auth=Bearer()) as (registry, client):
        client.sender.authorizer._clock = lambda: now[0]
        client.manifest()
        for _ in range(2):
            now[0] += MAX_TOKEN_SECONDS
            registry.faults = [On(CutAfter(0), kind="token")]
            with pytest.raises(UnreachableError):
                client.manifest()
            registry.faults = []
            registry.log.clear()
            client.manifest()

            assert [line.kind for line in registry.log] == ["token", "manifest"]


def test_a_token_server_that_cuts_each_connection_is_doubted_in_the_end() -> None:
    with world(auth=Bearer(lifetime_seconds=0.0)) as (registry, client):
        with pytest.raises(RefusedError):
            client.manifest()
        registry.faults = [On(CutAfter(0), kind="token")]  # as a load balancer does without a server behind it
        for _ in range(2):
            with pytest.raises(UnreachableError):
                client.manifest()
        registry._auth = None
        registry.log.clear()
        client.manifest()

        assert [line.kind for line in registry.log] == ["manifest"]


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


def test_a_token_that_is_refused_without_a_challenge_is_renewed_as_well() -> None:
    with world(On(Status(401), kind="blob", nth=1), auth=Bearer()) as (registry, client):
        client.manifest()

        assert client.fetch() == (0, BLOB)
        assert len(registry.requests("token")) == 2


def test_who_refuses_every_token_without_a_challenge_has_refused() -> None:
    with world(On(Status(401), kind="blob"), auth=Bearer()) as (registry, client):
        client.manifest()
        _, _, error = client.try_fetch()

        assert isinstance(error, RefusedError)
        assert len(registry.requests("blob")) <= 3


@pytest.mark.parametrize("credentials", [anonymous, knowing("me", SECRET)], ids=["nobody", "login"])
@pytest.mark.parametrize(
    ("headers", "said"),
    [({}, "does not say how"), ({"WWW-Authenticate": 'Negotiate, Digest realm="x"'}, "by negotiate, digest, which")],
)
def test_a_login_that_nobody_can_show_is_neither_called_wrong_nor_advised(
    headers: dict[str, str], said: str, credentials: CredentialSource
) -> None:
    with world(On(Status(401, headers)), credentials=credentials) as (registry, client):
        with pytest.raises(RejectedError, match=said) as caught:
            client.manifest()

        assert caught.value.status == 401
        assert [line.authorized for line in registry.log] == [False]


@pytest.mark.parametrize(
    ("login", "answer", "said"),
    [
        (("", "", SECRET), {"error": "invalid_grant", "error_description": "expired"}, "the saved login has expired"),
        (("me", SECRET), {"error": "invalid_grant"}, "incorrect username or password"),
        (
            ("me", SECRET),
            {"error": "access_denied", "error_description": "not from here"},
            "access denied: not from here",
        ),
    ],
)
def test_a_token_server_that_refuses_as_oauth_does_has_refused(
    login: tuple[str, ...], answer: dict[str, str], said: str
) -> None:
    refusal = Status(400, {"Content-Type": "application/json"}, json.dumps(answer).encode())
    with world(On(refusal, kind="token"), auth=Bearer(), credentials=knowing(*login)) as (registry, client):
        with pytest.raises(RefusedError, match=said):
            client.manifest()

        assert len(registry.requests("token")) == 1


@pytest.mark.parametrize("answer", [{"status": 401, "error": "Unauthorized"}, {"code": "DENIED", "error": None}])
def test_what_a_token_server_says_of_a_refusal_is_told(answer: dict[str, object]) -> None:
    said = json.dumps({**answer, "message": "this account is locked"}).encode()
    refusal = On(Status(401, {"Content-Type": "application/json"}, said), kind="token")
    with (
        world(refusal, auth=Bearer(), credentials=knowing("me", SECRET)) as (_, client),
        pytest.raises(RefusedError, match="this account is locked") as caught,
    ):
        client.manifest()

    assert caught.value.code in answer.values()


def test_a_token_server_that_is_not_where_the_registry_says_is_not_an_image_that_does_not_exist() -> None:
    with (
        world(On(Status(404), kind="token"), auth=Bearer()) as (_, client),
        pytest.raises(RejectedError, match="answers HTTP 404"),
    ):
        client.manifest()


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


GRANTED = f"/token?service=registry.test&scope=repository:{PATH}:pull"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_token_server_may_send_elsewhere_on_its_host(status: int) -> None:
    auth = Bearer(user="me", password=SECRET)
    moved = On(Status(status, headers={"Location": GRANTED}), kind="token", nth=1)
    with world(moved, auth=auth, credentials=knowing("me", SECRET)) as (registry, client):
        assert client.manifest()

        assert [line.authorized for line in registry.requests("token")] == [True, True]


def test_a_password_does_not_follow_a_token_server_to_another_host() -> None:
    other_auth = Bearer()
    with Registry([IMAGE], auth=other_auth) as other:
        moved = On(
            Status(302, headers={"Location": other.url.replace("127.0.0.1", "localhost") + GRANTED}), kind="token"
        )
        auth = Bearer(user="me", password=SECRET)
        with world(moved, auth=auth, credentials=knowing("me", SECRET)) as (_, client), pytest.raises(RefusedError):
            client.manifest()

        assert {line.authorized for line in other.requests("token")} == {False}


def test_a_token_server_that_sends_round_in_circles_is_left() -> None:
    moved = On(Status(302, headers={"Location": GRANTED}), kind="token")
    with world(moved, auth=Bearer()) as (registry, client):
        with pytest.raises(MisbehavedError, match="redirects more than 10 times"):
            client.manifest()

        assert len(registry.requests("token")) == 11


def test_an_identity_token_is_sent_to_nobody_else() -> None:
    moved = On(Status(307, headers={"Location": GRANTED}), kind="token")
    auth = Bearer(user="me", password=SECRET, identity_token="id")
    with world(moved, auth=auth, credentials=knowing("", "", "id")) as (registry, client):
        with pytest.raises(MisbehavedError, match="answers HTTP 307"):
            client.manifest()

        assert len(registry.requests("token")) == 1


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
        ({"username": "u", "password": "\ud800p"}, Credentials("u", "\ufffdp")),
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
    "content",
    [
        "{",
        "[" * 100_000,
        '{"auths": {"example.com": {"auth": "!"}}}',
        '{"auths": {"example.com": {"auth": "/w=="}}}',
    ],
)
def test_an_auth_file_that_cannot_be_read_is_named_without_its_content(tmp_path: Path, content: str) -> None:
    file = tmp_path / "auth.json"
    file.write_text(content)

    with pytest.raises(InvalidSettingError, match=str(file)):
        AuthFiles([file])("example.com")


@pytest.mark.parametrize("content", ["", "\n", "[]", "{}", '{"auths": []}'])
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
