"""docker-py against `headway daemon`, used as its documentation says."""

from __future__ import annotations

import io
import itertools
import tarfile  # noqa: TID251 - what a program that uses docker-py would take
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from tests.fakes import images
from tests.fakes.daemon import Daemon, daemon
from tests.fakes.servers import DockerRegistry, docker_registry
from tests.faults.auth import Basic
from tests.faults.registry import Registry

CONFIG = {"Cmd": ["sh", "-c", "echo hello"], "Env": ["A=1"], "Labels": {"team": "edge"}}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all; it must have met nothing that it did not know when all is over."""
    with daemon(tmp_path_factory.mktemp("d"), "--label=site=harbour") as running:
        yield running
        assert running.bugs == []


@pytest.fixture
def client(engine: Daemon) -> Iterator[docker.DockerClient]:
    with connected(engine) as client:
        yield client


@contextmanager
def connected(engine: Daemon) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=engine.host, version="auto", timeout=30)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def name(registry: DockerRegistry) -> str:
    """A repository of the test's own, with two layers under ``latest`` and one under ``small``."""
    repository = f"team/app{next(_numbers)}"
    own = {**CONFIG, "Labels": {"team": "edge", "of": repository}}
    layers = ({"etc/": b"", "etc/hello": b"hello\n", "old": repository.encode()}, {"second": repository.encode()})
    registry.push(images.image(layers, config=own), repository)
    registry.push(images.image([{"small": repository.encode()}], tag="small", config=own), repository)
    return f"{registry.host}/{repository}"


@pytest.fixture
def container(client: docker.DockerClient, name: str) -> Iterator[Any]:
    client.images.pull(name, tag="latest")
    made = client.containers.create(f"{name}:latest", name=f"c{next(_numbers)}", labels={"a": "b"})
    try:
        yield made
    finally:
        made.remove()


def tar_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file, content in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def files_in(stream: Any) -> dict[str, bytes]:  # noqa: ANN401  # docker-py has no types
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        return {
            member.name: opened.read()
            for member in archive.getmembers()
            if member.isfile() and (opened := archive.extractfile(member))
        }


def test_the_client_finds_out_who_answers(client: docker.DockerClient) -> None:
    version, info = client.version(), client.info()

    assert client.ping() is True
    assert (version["ApiVersion"], version["MinAPIVersion"], version["Os"]) == ("1.51", "1.24", "linux")
    assert info["ServerVersion"] == version["Version"]
    assert info["Driver"] in {"overlay2", "vfs"}
    assert info["ContainersRunning"] == 0
    assert info["Labels"] == ["site=harbour"]


def test_an_image_is_pulled_looked_at_and_removed(client: docker.DockerClient, name: str) -> None:
    image = client.images.pull(name, tag="latest")

    assert image.tags == [f"{name}:latest"]
    assert image.labels["team"] == "edge"
    assert image.attrs["Config"]["Cmd"] == CONFIG["Cmd"]
    assert len(image.attrs["RootFS"]["Layers"]) == 2
    assert [step["CreatedBy"] for step in image.history()] == ["layer 1", "layer 0"]
    assert client.images.get(f"{name}:latest") == image
    assert client.images.get(image.short_id) == image

    client.images.remove(f"{name}:latest")
    with pytest.raises(ImageNotFound):
        client.images.get(image.id)


def test_every_tag_is_pulled_where_all_are_wanted(client: docker.DockerClient, name: str) -> None:
    pulled = client.images.pull(name, all_tags=True)

    assert sorted(tag for image in pulled for tag in image.tags) == [f"{name}:latest", f"{name}:small"]


def test_one_tag_that_fails_leaves_the_others(client: docker.DockerClient, registry: DockerRegistry, name: str) -> None:
    repository = name.partition("/")[2]
    for tag in ("absent", "mainframe"):
        registry.push(images.image(tag=tag, index=True, platforms=["linux/s390x"]), repository)

    lines = list(client.api.pull(name, all_tags=True, stream=True, decode=True))

    told = {line["id"]: line["status"] for line in lines if "no matching manifest" in line.get("status", "")}
    assert sorted(told) == ["absent", "mainframe"]
    assert lines[-1]["error"].startswith(f"2 of 4 tags of {name} not complete: ")
    assert client.images.get(f"{name}:latest") != client.images.get(f"{name}:small")


def test_a_pull_by_digest_has_no_tag(client: docker.DockerClient, registry: DockerRegistry) -> None:
    built = images.image([{"by": b"digest"}])
    repository = f"team/app{next(_numbers)}"
    registry.push(built, repository)

    image = client.images.pull(f"{registry.host}/{repository}@{built.manifest_digest}")

    assert image.tags == []
    assert image.attrs["RepoDigests"] == [f"{registry.host}/{repository}@{built.manifest_digest}"]


def test_a_digest_counts_more_than_a_tag_beside_it(client: docker.DockerClient, registry: DockerRegistry) -> None:
    wanted, moved_to = images.image([{"pinned": b"1"}]), images.image([{"moved": b"2"}])
    repository = f"team/app{next(_numbers)}"
    registry.push(wanted, repository)
    registry.push(moved_to, repository)
    pinned = f"{registry.host}/{repository}@{wanted.manifest_digest}"

    asked = client.api.post(f"{client.api.base_url}/images/create", params={"fromImage": pinned, "tag": "latest"})

    assert asked.text.splitlines()[-1].endswith(f'latest@{wanted.manifest_digest}"}}')

    assert client.images.get(pinned).attrs["RepoDigests"] == [pinned]
    with pytest.raises(ImageNotFound):
        client.images.get(f"{registry.host}/{repository}:latest")


def test_progress_goes_from_the_first_line_to_the_status(client: docker.DockerClient, name: str) -> None:
    lines = list(client.api.pull(name, tag="latest", stream=True, decode=True))

    repository = name.partition("/")[2]
    assert lines[0] == {"status": f"Pulling from {repository}", "id": "latest"}
    assert [line["status"] for line in lines if line["status"] == "Pull complete"] == ["Pull complete"] * 2
    assert lines[-2]["status"].startswith("Digest: sha256:")
    assert lines[-1] == {"status": f"Status: Downloaded newer image for {name}:latest"}


def test_another_platform_is_pulled_by_its_name(client: docker.DockerClient, registry: DockerRegistry) -> None:
    repository = f"team/app{next(_numbers)}"
    registry.push(images.image([{"many": b"platforms"}], index=True), repository)

    image = client.images.pull(f"{registry.host}/{repository}", tag="latest", platform="linux/arm64")

    assert image.attrs["Architecture"] == "arm64"


def test_a_platform_that_is_missing_is_told_behind_the_name(
    client: docker.DockerClient, registry: DockerRegistry
) -> None:
    repository = f"team/app{next(_numbers)}"
    registry.push(images.image(index=True), repository)

    lines = list(
        client.api.pull(f"{registry.host}/{repository}", "latest", platform="linux/s390x", stream=True, decode=True)
    )

    assert lines[0]["status"] == f"Pulling from {repository}"
    assert lines[-1]["error"].startswith("no matching manifest for linux/s390x in the manifest list entries")


def test_a_repository_that_is_missing_is_not_found_in_dockers_words(
    client: docker.DockerClient, registry: DockerRegistry
) -> None:
    with pytest.raises(NotFound, match=r"repository 127.*/team/none not found: name unknown"):
        client.images.pull(f"{registry.host}/team/none", all_tags=True)


def test_an_image_that_is_nowhere_is_not_found(client: docker.DockerClient, name: str) -> None:
    with pytest.raises(NotFound, match="manifest unknown"):
        client.images.pull(name, tag="nope")
    with pytest.raises(ImageNotFound):
        client.images.get("nope")
    with pytest.raises(ImageNotFound):
        client.images.remove("nope")


def test_a_login_of_the_client_reaches_the_registry(client: docker.DockerClient) -> None:
    with Registry([images.image()], auth=Basic("user", "secret")) as closed:
        right = {"username": "user", "password": "secret"}
        image = client.images.pull(f"{closed.host}/test/image", tag="latest", auth_config=right)
        with pytest.raises(APIError, match=r"unauthorized|authentication|credentials"):
            client.images.pull(f"{closed.host}/test/image", tag="other", auth_config={**right, "password": "wrong"})

    assert image.tags == [f"{closed.host}/test/image:latest"]


def test_lists_keep_to_their_filters(client: docker.DockerClient, name: str) -> None:
    client.images.pull(name, all_tags=True)
    repository = name.partition("/")[2]

    assert len(client.images.list(name)) == 2
    assert [image.tags for image in client.images.list(filters={"reference": f"{name}:small"})] == [[f"{name}:small"]]
    assert len(client.images.list(filters={"label": f"of={repository}"})) == 2
    assert client.images.list(filters={"label": "nobody-has-this"}) == []
    with pytest.raises(APIError, match="invalid filter"):
        client.images.list(filters={"nope": "x"})


def test_a_tag_is_a_second_name(client: docker.DockerClient, name: str) -> None:
    image = client.images.pull(name, tag="small")

    assert image.tag("local/name", tag="v1") is True
    image.reload()

    assert sorted(image.tags) == sorted([f"{name}:small", "local/name:v1"])
    with pytest.raises(APIError, match="referenced in multiple repositories"):
        client.images.remove(image.id)
    client.images.remove(image.id, force=True)


def test_images_without_a_tag_are_pruned_alone(client: docker.DockerClient, registry: DockerRegistry) -> None:
    repository = f"team/app{next(_numbers)}"
    first, second = (images.image([{"content": f"{word} {repository}".encode()}]) for word in ("first", "second"))
    for each in (first, second):
        registry.push(each, repository)
        client.images.pull(f"{registry.host}/{repository}", tag="latest")

    pruned = client.images.prune(filters={"dangling": True})

    assert {"Deleted": first.image_id} in pruned["ImagesDeleted"]
    assert pruned["SpaceReclaimed"] > 0
    assert client.images.get(second.image_id).id == second.image_id
    with pytest.raises(ImageNotFound):
        client.images.get(first.image_id)
    assert client.images.prune() == {"ImagesDeleted": None, "SpaceReclaimed": 0}


def test_a_search_that_fails_says_so(client: docker.DockerClient) -> None:
    with pytest.raises(APIError):
        client.images.search("127.0.0.1:1/nothing")


def test_a_registry_is_asked_without_a_pull(client: docker.DockerClient, registry: DockerRegistry) -> None:
    repository = f"team/app{next(_numbers)}"
    built = images.image(index=True)
    registry.push(built, repository)

    data = client.images.get_registry_data(f"{registry.host}/{repository}:latest")

    assert data.id == built.manifest_digest
    assert data.has_platform("linux/arm64")
    assert not data.has_platform("linux/s390x")


def test_a_registry_says_what_an_image_without_an_index_runs_on(
    client: docker.DockerClient, registry: DockerRegistry
) -> None:
    repository = f"team/app{next(_numbers)}"
    built = images.image(config={"Cmd": ["sh"]})
    registry.push(built, repository)

    data = client.images.get_registry_data(f"{registry.host}/{repository}:latest")

    assert data.has_platform("linux/amd64")
    assert not data.has_platform("linux/arm64")


def test_a_container_is_made_found_and_renamed(client: docker.DockerClient, container: Any) -> None:  # noqa: ANN401
    assert container.status == "created"
    assert container.labels == {"team": "edge", "of": container.labels["of"], "a": "b"}
    assert container.attrs["Config"]["Cmd"] == CONFIG["Cmd"]
    assert container.attrs["Config"]["Env"] == CONFIG["Env"]
    assert container in client.containers.list(all=True, filters={"label": "a=b"})
    assert client.containers.list() == []
    assert client.containers.get(container.short_id) == container

    with pytest.raises(APIError, match="Renaming a container with the same name"):
        container.rename(container.name)
    container.rename(f"other-{container.name}")
    assert client.containers.get(f"other-{container.attrs['Name'].strip('/')}") == container


def test_what_a_container_is_made_with_is_given_back(client: docker.DockerClient, name: str) -> None:
    client.images.pull(name, tag="latest")

    made = client.containers.create(
        f"{name}:latest", ["run", "this"], mem_limit="64m", network_mode="none", environment=["A=2", "B=3"], user="7:8"
    )

    try:
        assert (made.attrs["Path"], made.attrs["Args"]) == ("run", ["this"])
        assert made.attrs["HostConfig"]["Memory"] == 64 << 20
        assert made.attrs["HostConfig"]["NetworkMode"] == "none"
        assert made.attrs["Config"]["Env"] == ["A=2", "B=3"]
        assert made.attrs["Config"]["User"] == "7:8"
    finally:
        made.remove()


def test_a_container_that_could_never_start_is_not_made(client: docker.DockerClient, name: str) -> None:
    client.images.pull(name, tag="latest")

    with pytest.raises(APIError, match="needs to be an absolute path") as refused:
        client.containers.create(f"{name}:latest", "run", working_dir="srv")

    assert refused.value.status_code == 400


def test_files_go_into_a_container_and_out_of_it(container: Any) -> None:  # noqa: ANN401
    assert container.put_archive("/etc", tar_of(new=b"new\n")) is True

    stream, stat = container.get_archive("/etc")

    assert stat["name"] == "etc"
    assert files_in(stream)["etc/new"] == b"new\n"
    assert {"Path": "/etc/new", "Kind": 1} in container.diff()
    exported = files_in(container.export())
    assert exported["etc/new"] == b"new\n"
    assert exported["second"] == exported["old"] != b""
    with pytest.raises(NotFound):
        container.get_archive("/nope")
    with pytest.raises(APIError, match="not a directory"):
        container.put_archive("/old", tar_of(x=b"x"))


def test_a_working_directory_is_made_with_the_container(client: docker.DockerClient, name: str) -> None:
    client.images.pull(name, tag="latest")
    made = client.containers.create(f"{name}:latest", "run", working_dir="/srv/app")
    there = client.containers.create(f"{name}:latest", "run", working_dir="//srv/../etc/")
    try:
        assert made.diff() == [{"Path": "/srv", "Kind": 1}, {"Path": "/srv/app", "Kind": 1}]
        assert made.put_archive("/srv/app", tar_of(added=b"added\n"))
        assert (there.diff(), there.attrs["Config"]["WorkingDir"]) == (None, "/etc")
    finally:
        made.remove()
        there.remove()
    before = len(client.containers.list(all=True))
    with pytest.raises(APIError, match="Cannot mkdir: /etc/hello is not a directory") as refused:
        client.containers.create(f"{name}:latest", "run", working_dir="/etc/hello")
    assert refused.value.status_code == 400
    assert len(client.containers.list(all=True)) == before


def test_an_image_that_a_container_needs_stays(client: docker.DockerClient, container: Any) -> None:  # noqa: ANN401
    with pytest.raises(APIError, match=r"must force|must be forced") as refused:
        client.images.remove(container.attrs["Config"]["Image"])

    assert refused.value.status_code == 409


def test_containers_are_not_run_and_the_error_says_what_does(container: Any) -> None:  # noqa: ANN401
    with pytest.raises(APIError, match="podman run --rootfs") as refused:
        container.start()

    assert refused.value.status_code == 501


def test_df_counts_images_and_containers(client: docker.DockerClient, container: Any) -> None:  # noqa: ANN401
    usage = client.df()

    assert usage["LayersSize"] > 0
    assert container.id in [each["Id"] for each in usage["Containers"]]
    (own,) = [each for each in usage["Images"] if each["Id"] == container.attrs["Image"]]
    assert own["Containers"] == 1


@pytest.mark.parametrize(("version", "containers"), [("v1.50", -1), ("v1.51", 1)])
def test_a_list_of_images_counts_containers_for_who_knows_that(
    engine: Daemon,
    container: Any,  # noqa: ANN401
    version: str,
    containers: int,
) -> None:
    listed = engine.ask("GET", f"/{version}/images/json").json

    assert [each["Containers"] for each in listed if each["Id"] == container.attrs["Image"]] == [containers]


def test_events_are_heard_while_they_happen(engine: Daemon, client: docker.DockerClient, name: str) -> None:
    heard: list[tuple[str, str]] = []
    with connected(engine) as listener:
        events = listener.events(decode=True, filters={"type": "image"})

        def listen() -> None:
            for event in events:
                heard.append((event["Action"], event["Actor"]["ID"]))
                if event["Action"] == "delete":
                    return

        thread = threading.Thread(target=listen)
        thread.start()
        image = client.images.pull(name, tag="small")
        image.tag("heard/this")
        client.images.remove(image.id, force=True)
        thread.join(20)
        events.close()

    assert heard[:2] == [("pull", f"{name}:small"), ("tag", image.id)]
    assert heard[-1] == ("delete", image.id)
    past = client.events(since=0, until=int(time.time()) + 1, filters={"image": image.id}, decode=True)
    assert [event["Action"] for event in past][-1] == "delete"


def test_a_client_of_an_old_version_is_understood(engine: Daemon, name: str) -> None:
    client = docker.DockerClient(base_url=engine.host, version="1.41", timeout=30)
    try:
        image = client.images.pull(name, tag="latest")
        assert image.attrs["VirtualSize"] == image.attrs["Size"]
        assert image.attrs["ContainerConfig"]["Cmd"] is None
    finally:
        client.close()


def test_an_image_goes_through_an_archive_and_comes_back(client: docker.DockerClient, name: str) -> None:
    image = client.images.pull(name, tag="latest")
    archive = b"".join(image.save(named=f"{name}:latest"))
    client.images.remove(image.id, force=True)

    loaded = client.images.load(archive)

    assert loaded == [image]
    assert loaded[0].tags == [f"{name}:latest"]


def test_an_image_with_two_names_is_found_by_both_when_it_is_loaded(client: docker.DockerClient, name: str) -> None:
    image = client.images.pull(name, tag="latest")
    image.tag(name, tag="other")
    archive = b"".join(client.api.get_image(name))
    client.images.remove(image.id, force=True)

    assert client.images.load(archive) == [image, image]


def test_files_of_a_container_become_an_image(client: docker.DockerClient, container: Any) -> None:  # noqa: ANN401
    tar = b"".join(container.export())

    lines = client.api.import_image_from_data(tar, repository="imported/this", tag="v1", changes=["CMD run"])

    image = client.images.get("imported/this:v1")
    assert image.id in lines
    assert image.attrs["Config"]["Cmd"] == ["/bin/sh", "-c", "run"]


def test_what_a_container_has_changed_becomes_an_image(client: docker.DockerClient, container: Any) -> None:  # noqa: ANN401
    container.put_archive("/", tar_of(added=b"added\n"))

    image = container.commit(repository="committed/this", tag="v1", author="me", message="why", changes="ENV B=2")

    assert image.tags == ["committed/this:v1"]
    assert (image.attrs["Author"], image.attrs["Comment"], image.attrs["Parent"]) == (
        "me",
        "why",
        container.attrs["Image"],
    )
    assert "B=2" in image.attrs["Config"]["Env"]
    assert image.history()[0]["Comment"] == "why"
    made = client.containers.create(image)
    try:
        assert files_in(made.get_archive("/added")[0]) == {"added": b"added\n"}
    finally:
        made.remove()


def test_an_image_is_pushed_under_another_name(
    client: docker.DockerClient, registry: DockerRegistry, name: str
) -> None:
    image = client.images.pull(name, tag="small")
    other = f"{registry.host}/pushed/app{next(_numbers)}"
    image.tag(other, tag="v1")

    lines = list(client.images.push(other, tag="v1", stream=True, decode=True))

    (aux,) = [line["aux"] for line in lines if "aux" in line]
    assert lines[0]["status"] == f"The push refers to repository [{other}]"
    assert client.images.get_registry_data(f"{other}:v1").id == aux["Digest"]
    failed = list(client.images.push(other, tag="nope", stream=True, decode=True))
    assert "does not exist" in failed[-1]["error"]


def test_a_login_is_tried_and_told(client: docker.DockerClient) -> None:
    with Registry([images.image()], auth=Basic("user", "secret")) as closed:
        good = client.login("user", "secret", registry=closed.host, reauth=True)
        with pytest.raises(APIError, match="unauthorized") as refused:
            client.login("user", "wrong", registry=closed.host, reauth=True)

    assert good["Status"] == "Login Succeeded"
    assert refused.value.status_code == 401
