"""The whole of Docker's API has an answer here: done, a true "there is none", or a sentence that says what does it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.daemon import Answer, Daemon, UnixConnection, daemon

# Methods and paths of API 1.51.
_ROUTES = """
GET HEAD /_ping
POST /auth
POST /build
POST /build/prune
POST /commit
GET /configs
POST /configs/create
DELETE GET /configs/{id}
POST /configs/{id}/update
POST /containers/create
GET /containers/json
POST /containers/prune
DELETE /containers/{id}
GET HEAD PUT /containers/{id}/archive
POST /containers/{id}/attach
GET /containers/{id}/attach/ws
GET /containers/{id}/changes
POST /containers/{id}/exec
GET /containers/{id}/export
GET /containers/{id}/json
POST /containers/{id}/kill
GET /containers/{id}/logs
POST /containers/{id}/pause
POST /containers/{id}/rename
POST /containers/{id}/resize
POST /containers/{id}/restart
POST /containers/{id}/start
GET /containers/{id}/stats
POST /containers/{id}/stop
GET /containers/{id}/top
POST /containers/{id}/unpause
POST /containers/{id}/update
POST /containers/{id}/wait
GET /distribution/{name}/json
GET /events
GET /exec/{id}/json
POST /exec/{id}/resize
POST /exec/{id}/start
POST /images/create
GET /images/get
GET /images/json
POST /images/load
POST /images/prune
GET /images/search
DELETE /images/{name}
GET /images/{name}/get
GET /images/{name}/history
GET /images/{name}/json
POST /images/{name}/push
POST /images/{name}/tag
GET /info
GET /networks
POST /networks/create
POST /networks/prune
DELETE GET /networks/{id}
POST /networks/{id}/connect
POST /networks/{id}/disconnect
GET /nodes
DELETE GET /nodes/{id}
POST /nodes/{id}/update
GET /plugins
POST /plugins/create
GET /plugins/privileges
POST /plugins/pull
DELETE /plugins/{name}
POST /plugins/{name}/disable
POST /plugins/{name}/enable
GET /plugins/{name}/json
POST /plugins/{name}/push
POST /plugins/{name}/set
POST /plugins/{name}/upgrade
GET /secrets
POST /secrets/create
DELETE GET /secrets/{id}
POST /secrets/{id}/update
GET /services
POST /services/create
DELETE GET /services/{id}
GET /services/{id}/logs
POST /services/{id}/update
POST /session
GET /swarm
POST /swarm/init
POST /swarm/join
POST /swarm/leave
POST /swarm/unlock
GET /swarm/unlockkey
POST /swarm/update
GET /system/df
GET /tasks
GET /tasks/{id}
GET /tasks/{id}/logs
GET /version
GET /volumes
POST /volumes/create
POST /volumes/prune
DELETE GET PUT /volumes/{name}
"""
ROUTES = [(method, line.split()[-1]) for line in _ROUTES.strip().splitlines() for method in line.split()[:-1]]
ELSEWHERE = ("podman run", "buildah build", "podman network", "podman volume", "docker swarm init", "no plugins")


@pytest.fixture(scope="module")
def running() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="hw") as place, daemon(Path(place)) as running:
        yield running
        assert running.bugs == []


@pytest.fixture
def kept(running: Daemon) -> Iterator[str]:
    """A container of nothing, by its name."""
    assert made(running, "kept").status == 201
    yield "kept"
    running.ask("DELETE", "/containers/kept")


def made(running: Daemon, name: str, **host_config: object) -> Answer:
    body = json.dumps({"Cmd": ["run"], "HostConfig": host_config}).encode()
    return running.ask("POST", f"/containers/create?name={name}", body=body, Content_Type="application/json")


def test_every_route_is_known(running: Daemon) -> None:
    unknown = []
    for method, path in ROUTES:
        target = re.sub(r"\{\w+\}", "x", path) + ("?until=1" if path == "/events" else "")
        answer = running.ask(method, target)
        if answer.status == 404 and b"page not found" in answer.body:
            unknown.append(f"{method} {path}")

    assert unknown == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/containers/kept/start",
            "/containers/kept/exec",
            "/build",
            "/networks/create",
            "/volumes/create",
            "/plugins/pull",
        ),
        *(
            "/swarm/init",
            "/containers/kept/wait",
            "/containers/kept/wait?condition=not-running",
            "/containers/kept/update",
        ),
    ],
)
@pytest.mark.usefixtures("kept")
def test_what_belongs_to_others_is_refused_with_what_does_it(running: Daemon, path: str) -> None:
    answer = running.ask("POST", path)

    message = json.loads(answer.body)["message"]
    assert answer.status == 501
    assert any(words in message for words in ELSEWHERE), message


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/volumes", 200),
        ("GET", "/networks", 200),
        ("GET", "/plugins", 200),
        ("POST", "/volumes/prune", 200),
        ("POST", "/networks/prune", 200),
        ("POST", "/build/prune", 200),
        ("DELETE", "/volumes/x", 404),
        ("DELETE", "/volumes/x?force=1", 204),
        ("DELETE", "/networks/x", 404),
        ("DELETE", "/plugins/x", 404),
        ("GET", "/swarm", 503),
        ("POST", "/services/create", 503),
        ("DELETE", "/nodes/x", 503),
    ],
)
def test_what_there_is_none_of_is_told_so(running: Daemon, method: str, path: str, status: int) -> None:
    assert running.ask(method, path).status == status


def test_docker_run_comes_to_the_sentence_past_the_stream_that_it_attaches_to(running: Daemon, kept: str) -> None:
    attached = running.ask("POST", f"/containers/{kept}/attach?stream=1", Connection="Upgrade", Upgrade="tcp")
    started = running.ask("POST", f"/containers/{kept}/start")

    assert (attached.status, attached.body) == (101, b"")
    assert (started.status, running.ask("POST", f"/containers/{kept}/attach?stream=1").status) == (501, 501)


def test_docker_run_waits_for_an_end_before_it_starts_and_is_not_refused_there(running: Daemon) -> None:
    container = made(running, "once", AutoRemove=True).json["Id"]
    with closing(UnixConnection(running.socket)) as connection, closing(UnixConnection(running.socket)) as leaving:
        leaving.request("POST", "/containers/once/wait?condition=next-exit")
        assert leaving.getresponse().status == 200
        connection.request("POST", "/containers/once/wait?condition=removed")
        waited = connection.getresponse()

        started = running.ask("POST", "/containers/once/start")

        assert (started.status, waited.status, waited.read()) == (501, 200, b'{"StatusCode":125}\n')
    assert running.ask("POST", f"/containers/{container}/wait?condition=removed").status == 404


@pytest.mark.parametrize("name", ["nope", "registry:5000/team/app:1"])
@pytest.mark.parametrize(
    ("method", "path"),
    [route for route in ROUTES if route[0] != "HEAD" and re.match(r"/(containers|exec)/\{id\}", route[1])],
)
def test_what_is_asked_of_a_container_that_is_not_here_is_told_so(
    running: Daemon, method: str, path: str, name: str
) -> None:
    target = path.replace("{id}", name) + ("?path=/" if "archive" in path else "?name=other")
    answer = running.ask(method, target, Connection="Upgrade", Upgrade="tcp")

    kind = "exec instance" if path.startswith("/exec") else "container"
    assert (answer.status, answer.json["message"]) == (404, f"No such {kind}: {name}")


@pytest.mark.parametrize(
    ("host_config", "status"), [({"AutoRemove": True}, 404), ({"AutoRemove": None}, 200), ({}, 200)]
)
def test_a_start_that_is_refused_removes_what_was_made_to_be_removed(
    running: Daemon, host_config: dict[str, object], status: int
) -> None:
    container = made(running, "once", **host_config).json["Id"]

    started = running.ask("POST", "/containers/once/start")

    assert (started.status, "podman run" in started.json["message"]) == (501, True)
    assert running.ask("GET", f"/containers/{container}/json").status == status
    running.ask("DELETE", f"/containers/{container}")


def test_keys_of_a_container_are_known_in_any_case_as_go_reads_them(running: Daemon) -> None:
    body = b'{"cmd":["run"],"labels":{"a":"b"},"hostconfig":{"autoremove":true,"X-Mine":1}}'
    running.ask("POST", "/containers/create?name=once", body=body, Content_Type="application/json")

    shown = running.ask("GET", "/containers/once/json").json

    assert (shown["Path"], shown["Config"]["Labels"]) == ("run", {"a": "b"})
    assert (shown["HostConfig"]["AutoRemove"], shown["HostConfig"]["X-Mine"]) == (True, 1)
    running.ask("DELETE", "/containers/once")


def test_a_container_has_the_keys_that_clients_take_to_be_there(running: Daemon) -> None:
    made(running, "keys", Memory=1, NetworkMode="", Binds=None, RestartPolicy={"Name": "always"})

    shown = running.ask("GET", "/containers/keys/json").json
    host = shown["HostConfig"]

    assert shown["Config"]["Labels"] == {}
    assert (host["NetworkMode"], host["LogConfig"]["Config"]) == ("default", {})
    assert host["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
    assert (shown["NetworkSettings"]["IPAddress"], shown["NetworkSettings"]["Networks"]) == ("", {})
    assert (host["Memory"], host["CpuShares"], host["Privileged"], host["Binds"]) == (1, 0, False, None)
    running.ask("DELETE", "/containers/keys")


@pytest.mark.parametrize("host_config", [5, [], {"Memory": "64"}, {"capadd": [7]}, {"LogConfig": {"Type": 5}}])
def test_a_host_config_that_no_client_could_read_again_is_refused(running: Daemon, host_config: object) -> None:
    body = json.dumps({"Cmd": ["run"], "HostConfig": host_config}).encode()

    answer = running.ask("POST", "/containers/create?name=odd", body=body, Content_Type="application/json")

    assert answer.status == 400
    assert answer.json["message"].startswith("invalid HostConfig: ")


def test_a_container_has_no_volumes_whatever_it_asks_for(running: Daemon) -> None:
    body = json.dumps({"Cmd": ["run"], "Volumes": {"/data": {}}, "HostConfig": {"Binds": ["named:/x"]}}).encode()
    running.ask("POST", "/containers/create?name=bound", body=body, Content_Type="application/json")

    shown = running.ask("GET", "/containers/bound/json").json

    assert (shown["Mounts"], shown["Config"]["Volumes"]) == ([], {"/data": {}})
    running.ask("DELETE", "/containers/bound")


def test_a_list_of_containers_quotes_arguments_with_spaces_and_no_others(running: Daemon) -> None:
    body = json.dumps({"Entrypoint": ["/my tool"], "Cmd": ["-c", "echo $HOME", "a;b", "it's", "{}"]}).encode()
    running.ask("POST", "/containers/create?name=quoted", body=body, Content_Type="application/json")

    listed = running.ask("GET", "/containers/json?all=1").json[0]

    assert listed["Command"] == "/my tool -c 'echo $HOME' a;b it's {}"
    running.ask("DELETE", "/containers/quoted")


def test_an_empty_entrypoint_is_none(running: Daemon) -> None:
    bodies = (b'{"Entrypoint":[""],"Cmd":["a","b"]}', b'{"Entrypoint":[""]}')
    fine, refused = (
        running.ask("POST", "/containers/create?name=once", body=body, Content_Type="application/json")
        for body in bodies
    )
    shown = running.ask("GET", "/containers/once/json").json

    assert (fine.status, shown["Path"], shown["Args"], shown["Config"]["Entrypoint"]) == (201, "a", ["b"], None)
    assert (refused.status, refused.json["message"]) == (400, "no command specified")
    running.ask("DELETE", "/containers/once")


def test_a_storage_option_that_the_driver_refuses_is_its_error(running: Daemon) -> None:
    refused = made(running, "once", StorageOpt={"foo": "1"})

    assert (refused.status, refused.json["message"]) == (500, "Unknown option foo")


@pytest.mark.parametrize("tag", ["bad:tag", "sha256:12", ":", ".x"])
def test_what_is_neither_a_tag_nor_a_digest_is_told_as_no_tag(running: Daemon, tag: str) -> None:
    refused = running.ask("POST", f"/images/create?fromImage=127.0.0.1:1/app&tag={tag}")

    assert (refused.status, refused.json["message"]) == (400, "invalid tag format")


def test_nobody_is_asked_for_what_names_nothing(running: Daemon) -> None:
    asked = running.ask("GET", "/distribution/scratch/json")

    assert (asked.status, asked.json["message"]) == (400, "'scratch' is a reserved name")


def test_proxies_of_the_environment_are_shown_without_their_login(tmp_path: Path) -> None:
    environment = {
        "HTTPS_PROXY": "http://u:secret@p.example:3128",
        "all_proxy": "socks5://q.example",
        "no_proxy": ".\udcff",
    }

    with daemon(tmp_path, environment=environment) as running:
        shown = running.ask("GET", "/info").json

    assert [shown[key] for key in ("HttpProxy", "HttpsProxy", "NoProxy")] == [
        *("socks5://q.example", "http://p.example:3128", ".\ufffd")
    ]


def test_an_address_that_is_said_twice_is_listened_on_once(tmp_path: Path) -> None:
    with daemon(tmp_path, "-H", f"unix://{tmp_path}/headway.sock") as running:
        assert running.ask("GET", "/_ping").body == b"OK"


def test_what_may_be_asked_is_told_of_any_path_with_the_version(running: Daemon) -> None:
    answer = running.ask("OPTIONS", "/nope")

    assert (answer.status, answer.body, answer.headers["api-version"]) == (200, b"", "1.51")


def test_a_container_that_is_to_be_stopped_has_stopped_already(running: Daemon, kept: str) -> None:
    answer = running.ask("POST", f"/containers/{kept}/stop?t=1")

    assert (answer.status, answer.body) == (304, b"")


def test_what_is_copied_in_and_is_no_tar_is_called_an_archive(running: Daemon, kept: str) -> None:
    refused = running.ask("PUT", f"/containers/{kept}/archive?path=/", body=b"no tar")

    assert refused.status == 400
    assert refused.json["message"].startswith("broken archive near byte 6 of its tar: truncated")


def test_what_is_waited_for_is_one_of_three(running: Daemon, kept: str) -> None:
    answer = running.ask("POST", f"/containers/{kept}/wait?condition=nope")

    assert (answer.status, answer.json["message"]) == (400, 'invalid condition: "nope"')


def test_what_says_neither_that_it_removes_itself_nor_that_it_stays_is_not_made(running: Daemon) -> None:
    assert made(running, "once", AutoRemove="yes").status == 400


@pytest.mark.skipif(os.geteuid() != 0, reason="gives attributes")
def test_a_prune_that_meets_what_cannot_go_is_answered_and_says_so_in_the_log(running: Daemon) -> None:
    stuck = running.data_root / "trees" / "somebodys"
    stuck.mkdir()
    subprocess.run(["chattr", "+i", stuck], check=True)
    try:
        answer = running.ask("POST", "/images/prune")
    finally:
        subprocess.run(["chattr", "-i", stuck], check=True)

    assert (answer.status, answer.json["ImagesDeleted"]) == (200, None)
    assert f"image prune: cannot use {stuck}: " in running.log.read_text()
