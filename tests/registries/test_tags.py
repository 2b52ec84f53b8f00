"""Every tag of a repository, from a real registry and from one that sends its list in pages."""

from __future__ import annotations

import json
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headway.distribution.endpoints import Endpoint
from headway.errors import HeadwayError, MisbehavedError, NotFoundError
from headway.registry.client import RegistryClient
from headway.registry.request import Sender
from headway.registry.transport import Transport
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.fakes.servers import DockerRegistry
from tests.fakes.waiting import wait_until
from tests.faults.client import anonymous
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import Fault as On
from tests.faults.story import RateLimit, Status

SHARED = images.noise_layer(50_000)


@pytest.fixture
def headway(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "root")


def push(registry: DockerRegistry, repository: str, *tags: str) -> None:
    for number, tag in enumerate(tags):
        registry.push(images.image([SHARED, images.noise_layer(1000, seed=10 + number)], tag=tag), repository)


def test_all_tags_of_a_repository_are_pulled_and_share_their_layers(registry: DockerRegistry, headway: Cli) -> None:
    push(registry, "tags/all", "1", "2", "latest")
    name = f"{registry.host}/tags/all"

    done = headway("pull", "-a", "-q", name)
    listed = headway("images", "--format", "{{.Tag}}")
    trees = list((headway.data_root / "trees").iterdir())

    assert (done.returncode, sorted(done.stdout.split())) == (0, [f"{name}:1", f"{name}:2", f"{name}:latest"])
    assert sorted(listed.stdout.split()) == ["1", "2", "latest"]
    assert len(trees) == 4


def test_each_tag_of_a_repository_is_told_of(registry: DockerRegistry, headway: Cli) -> None:
    push(registry, "tags/told", "1", "2")
    headway("pull", "-a", f"{registry.host}/tags/told")

    told = headway("events", "--since", "1h", "--until", "0s", "--format", "{{.Action}} {{.ID}}")

    assert sorted(told.stdout.splitlines()) == [f"pull {registry.host}/tags/told:{tag}" for tag in "12"]


def test_a_plan_and_a_budget_know_of_every_tag_before(registry: DockerRegistry, headway: Cli) -> None:
    push(registry, "tags/planned", "1", "2")
    name = f"{registry.host}/tags/planned"

    planned = headway("pull", "-a", "--dry-run", "--format", "json", name)
    refused = headway("pull", "-a", "--max-bytes", "10k", name)
    allowed = headway("pull", "-a", "-q", "--max-bytes", "100k", name)

    document = json.loads(planned.stdout)
    assert sorted(item["reference"] for item in document["items"]) == [f"{name}:1", f"{name}:2"]
    assert document["total"]["to_fetch"] < 60_000
    assert refused.returncode == 76
    assert (allowed.returncode, sorted(allowed.stdout.split())) == (0, [f"{name}:1", f"{name}:2"])


def test_what_the_list_of_tags_takes_is_part_of_the_plan_and_of_the_budget(
    registry: DockerRegistry, headway: Cli
) -> None:
    for number in range(60):
        push(registry, "tags/listed", f"a-tag-with-a-name-of-some-length-{number:02}")
    with Link(target=("127.0.0.1", registry.port)) as link:
        name = f"{link.host}/tags/listed"
        told = json.loads(headway("pull", "-a", "--dry-run", "--format", "json", name).stdout)["total"]["crossing"]
        before = link.bytes_down
        allowed = headway("pull", "-a", "--max-bytes", str(told), name)
        crossed = link.bytes_down - before
        refused = headway("pull", "-a", "--max-bytes", "2k", name)

    assert allowed.returncode == 0, allowed.stderr
    assert crossed <= told
    assert refused.returncode == 76


def test_a_daemon_asks_for_the_tags_where_the_command_says(registry: DockerRegistry, tmp_path: Path) -> None:
    push(registry, "tags/mirrored", "1", "2")

    with daemon(tmp_path) as running:
        done = Cli(running.data_root)("pull", "-a", "-q", "--registry-mirror", registry.url, "tags/mirrored")

    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["docker.io/tags/mirrored:1", "docker.io/tags/mirrored:2"]


def test_a_daemon_plans_and_starts_every_tag(registry: DockerRegistry, tmp_path: Path) -> None:
    push(registry, "tags/daemon", "1", "2")
    name = f"{registry.host}/tags/daemon"

    with daemon(tmp_path) as running:
        headway = Cli(running.data_root)
        planned = headway("pull", "-a", "--dry-run", "--format", "json", name)
        missing = headway("pull", "-a", "--dry-run", f"{registry.host}/tags/nothing")
        started = headway("pull", "-a", "--detach", name)
        listed = headway("pulls", "-a", "--format", "{{.ID}} {{.Image}}")

    pulls = dict(line.split() for line in listed.stdout.splitlines())
    assert sorted(item["reference"] for item in json.loads(planned.stdout)["items"]) == [f"{name}:1", f"{name}:2"]
    assert missing.returncode == 1
    assert "no such repository: tags/nothing" in missing.stderr
    assert sorted(pulls[pull_id] for pull_id in started.stdout.split()) == [f"{name}:1", f"{name}:2"]


@pytest.mark.parametrize("suffix", [":1", f"@sha256:{'0' * 64}"])
def test_a_tag_and_all_of_them_exclude_each_other(headway: Cli, suffix: str) -> None:
    done = headway("pull", "--all-tags", f"127.0.0.1:1/tags/all{suffix}")

    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "headway: tag can't be used with --all-tags/-a"


def test_a_repository_that_does_not_exist_is_named(registry: DockerRegistry, headway: Cli) -> None:
    done = headway("pull", "-a", f"{registry.host}/tags/nothing")

    assert done.returncode == 1
    assert "no such repository: tags/nothing" in done.stderr


def test_of_a_repository_without_tags_that_is_said(headway: Cli) -> None:
    with Registry([], faults=[On(page(None))]) as registry:
        done = headway("pull", "-a", f"{registry.host}/test/image")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"note: {registry.host}/test/image has no tags\n"


def test_one_tag_that_fails_leaves_the_others(registry: DockerRegistry, headway: Cli) -> None:
    push(registry, "tags/some", "1", "3")
    registry.push(images.image([SHARED], tag="2", index=True, platforms=["linux/s390x"]), "tags/some")

    done = headway("pull", "-a", "-q", f"{registry.host}/tags/some")

    assert done.returncode == 1
    assert len(done.stdout.split()) == 2


# --- pages ------------------------------------------------------------------------------------------------------


def page(tags: object, link: str = "") -> Status:
    headers = {"Content-Type": "application/json", **({"Link": link} if link else {})}
    return Status(200, headers, json.dumps({"name": "test/image", "tags": tags}).encode())


def listed(*pages: Status, prefix: str = "") -> tuple[list[str] | HeadwayError, list[str]]:
    """Return what a client makes of a list in pages, and the paths it asked for."""
    faults = [On(each, nth=number) for number, each in enumerate(pages, 1)]
    with Registry([], faults=faults) as registry:
        transport = Transport()
        endpoint = Endpoint(registry.host, secure=False, scheme="http", prefix=prefix)
        try:
            return RegistryClient(Sender(transport, anonymous)).tags(endpoint, "test/image"), [
                line.path for line in registry.log
            ]
        except HeadwayError as error:
            return error, [line.path for line in registry.log]
        finally:
            transport.close()


@pytest.mark.parametrize(
    "link",
    [
        '</v2/test/image/tags/list?n=2&last=b>; rel="next"',
        "</v2/test/image/tags/list?n=2&last=b>;rel=next",
        '<http://other.example/v2/test/image/tags/list?n=2&last=b>; rel="next"',
        '<?n=2&last=b>; rel="next"',
        '</first>; rel="first", </v2/test/image/tags/list?last=b>; rel="next"',
        '</v2/test/image/tags/list?last=b>; title="more"; REL="x NEXT"',
        "</v2/test/image/tags/list?n=2&last=b>",
    ],
)
def test_a_list_in_pages_is_read_to_its_end(link: str) -> None:
    tags, asked = listed(page(["a", "b"], link), page(["b", "c"]))

    assert tags == ["a", "b", "c"]
    assert asked == ["/v2/test/image/tags/list"] * 2  # without queries, and of one host


def test_a_link_to_elsewhere_is_no_next_page() -> None:
    tags, asked = listed(page(["a", "b"], '</v2/test/image/tags/list>; rel="prev", </about>; rel=license'))

    assert (tags, len(asked)) == (["a", "b"], 1)


def test_a_path_in_front_of_the_registry_is_kept() -> None:
    link = '</hub/v2/test/image/tags/list?last=b>; rel="next"'

    tags, asked = listed(page(["a"], link), page(["b"]), prefix="/hub")

    assert tags == ["a", "b"]
    assert asked == ["/hub/v2/test/image/tags/list"] * 2


def test_a_list_without_an_end_is_left() -> None:
    again = page(["a"], '</v2/test/image/tags/list?n=1000&last=a>; rel="next"')

    error, asked = listed(again, again, again, again)

    assert isinstance(error, MisbehavedError)
    assert "never ends" in str(error)
    assert len(asked) == 2


@pytest.mark.parametrize("tags", [None, []])
def test_a_repository_without_tags_has_none(tags: object) -> None:
    assert listed(page(tags))[0] == []


@pytest.mark.parametrize("answer", [Status(200, {}, b"no json"), Status(200, {}, b"[]"), page("a"), page([1])])
def test_what_is_no_list_is_named(answer: Status) -> None:
    error, _ = listed(answer)

    assert isinstance(error, MisbehavedError)
    assert "sends no list of tags" in str(error)


def test_an_unknown_repository_is_not_found() -> None:
    assert isinstance(listed(Status(404))[0], NotFoundError)


def test_a_daemon_that_stops_ends_a_pull_of_all_tags_and_begins_no_other_tag(registry: DockerRegistry) -> None:
    for tag in ("1", "2"):
        registry.push(images.image([images.noise_layer(1_000_000, seed=int(tag))], tag=tag), "tags/stopped")
    with (
        tempfile.TemporaryDirectory(prefix="hw") as place,  # short: a socket lies there
        Link(target=("127.0.0.1", registry.port), faults=[RateLimit(50_000)]) as link,
        daemon(Path(place)) as running,
        ThreadPoolExecutor(1) as threads,
    ):
        path = f"/images/create?fromImage={link.host}/tags/stopped"
        pulling = threads.submit(running.ask, "POST", path)
        wait_until(lambda: link.bytes_down > 20_000)
        running.process.terminate()
        running.process.wait(10)
        pulls = json.loads(Cli(running.data_root)("pulls", "-a", "--format", "json").stdout)["items"]

    assert re.fullmatch(r"pull \w+ is paused: the daemon stopped", pulling.result().lines[-1]["error"])
    assert len(pulls) == 1
