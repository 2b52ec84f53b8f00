"""Logins through the Engine API, at real registries: what is answered, and that nothing keeps or logs them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.fakes import images
from tests.fakes.daemon import Answer, Daemon, daemon
from tests.fakes.servers import DockerRegistry, docker_registry
from tests.faults.auth import Bearer
from tests.faults.registry import Registry

USER, PASSWORD = "me", "correct-horse-battery"
IMAGE = images.image([images.noise_layer(10_000)])


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("private"), login=(USER, PASSWORD)) as running:
        running.push(IMAGE)
        yield running


@pytest.fixture(scope="module")
def headway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    place = tmp_path_factory.mktemp("daemon")
    with daemon(place, "-D", environment={"HOME": str(place)}) as running:
        yield running


def auth(headway: Daemon, **document: str) -> tuple[int, dict[str, str]]:
    answer = headway.ask("POST", "/auth", body=json.dumps(document).encode(), Content_Type="application/json")
    return answer.status, json.loads(answer.body)


def asked(headway: Daemon, method: str, path: str, **login: str) -> Answer:
    if not login:
        return headway.ask(method, path)
    return headway.ask(method, path, X_Registry_Auth=base64.urlsafe_b64encode(json.dumps(login).encode()).decode())


def said(answer: Answer) -> str:
    return str(json.loads(answer.body.splitlines()[-1]).get("message", ""))


def test_a_good_login_succeeds(headway: Daemon, private: DockerRegistry) -> None:
    for server in (private.host, f"http://{private.host}/v2/"):
        assert auth(headway, username=USER, password=PASSWORD, serveraddress=server) == (
            200,
            {"IdentityToken": "", "Status": "Login Succeeded"},
        )


def test_docker_s_own_spelling_of_both_is_read(headway: Daemon, private: DockerRegistry) -> None:
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    assert auth(headway, auth=pair, serveraddress=private.host)[0] == 200


def test_a_login_by_curl_which_calls_everything_a_form_is_read(headway: Daemon, private: DockerRegistry) -> None:
    login = json.dumps({"username": USER, "password": PASSWORD, "serveraddress": private.host}).encode()

    answer = headway.ask("POST", "/auth", body=login, Content_Type="application/x-www-form-urlencoded")

    assert (answer.status, answer.json["Status"]) == (200, "Login Succeeded")


def test_a_login_that_is_no_text_is_shown_to_nobody(headway: Daemon) -> None:
    answer = headway.ask("POST", "/auth", body=b'{"username":"u","serveraddress":1}', Content_Type="application/json")

    assert answer.status == 400
    assert "serveraddress" in answer.json["message"]


@pytest.mark.parametrize(
    ("login", "why"),
    [
        ({"username": USER, "password": "wrong"}, "unauthorized: incorrect username or password"),
        ({}, "no basic auth credentials"),
    ],
)
def test_a_bad_login_is_told_in_dockers_words(
    headway: Daemon, private: DockerRegistry, login: dict[str, str], why: str
) -> None:
    assert auth(headway, serveraddress=private.host, **login) == (
        401,
        {"message": f'Get "https://{private.host}/v2/": {why}'},
    )


@pytest.mark.parametrize(
    ("server", "status", "message"),
    [
        ("127.0.0.1:1", 500, "127.0.0.1:1: connection refused"),
        ("host with space", 400, "write the registry as host"),
        ("127.0.0.1:99999", 400, "write the registry as host"),
    ],
)
def test_no_registry_there(headway: Daemon, server: str, status: int, message: str) -> None:
    answered, document = auth(headway, username=USER, password=PASSWORD, serveraddress=server)

    assert (answered, message in document["message"]) == (status, True)


def test_an_identity_token_goes_to_the_client_and_is_taken_from_it(headway: Daemon) -> None:
    token_server = Bearer(user=USER, password=PASSWORD, identity_token="one-to-renew")
    with Registry([IMAGE], auth=token_server) as registry:
        given = auth(headway, username=USER, password=PASSWORD, serveraddress=registry.host)
        path = f"/distribution/{registry.host}/test/image:latest/json"
        right = asked(headway, "GET", path, identitytoken="one-to-renew")
        wrong = asked(headway, "GET", path, identitytoken="another")
        refused = auth(headway, username=USER, password="wrong", serveraddress=registry.host)

    assert given == (200, {"IdentityToken": "one-to-renew", "Status": "Login Succeeded"})
    assert (right.status, wrong.status, refused[0]) == (200, 401, 401)


@pytest.mark.parametrize(("path", "refused"), [("/distribution/{}/json", 401), ("/images/create?fromImage={}", 500)])
def test_a_request_is_made_as_who_its_login_says(
    headway: Daemon, private: DockerRegistry, path: str, refused: int
) -> None:
    method = "POST" if "create" in path else "GET"
    path = path.format(f"{private.host}/test/image:latest")

    none = asked(headway, method, path)
    wrong = asked(headway, method, path, username=USER, password="wrong")
    right = asked(headway, method, path, username=USER, password=PASSWORD)

    assert (none.status, wrong.status, right.status) == (refused, refused, 200)
    assert "no basic auth credentials" in said(none)
    assert "incorrect username or password" in said(wrong)


def test_nothing_keeps_or_logs_a_login(headway: Daemon, private: DockerRegistry) -> None:
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    auth(headway, username=USER, password=PASSWORD, serveraddress=private.host)
    login = {"username": USER, "password": PASSWORD}
    asked(headway, "POST", f"/images/create?fromImage={private.host}/test/image&tag=latest", **login)
    asked(headway, "GET", f"/images/search?term={private.host}/x", **login)

    secrets = (PASSWORD.encode(), pair.encode())
    files = [headway.log, *(path for path in headway.data_root.rglob("*") if path.is_file())]
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []
