"""What a pull would cost, told before, and kept to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headway.composition.writing import writing
from headway.oci.digest import Digest
from headway.service.images.holders import Holders
from headway.service.images.lookup import Lookup
from headway.settings import Settings
from headway.store.content.blobs import FileBlobStore
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.fakes.house import add_image
from tests.faults.auth import Auth, Bearer
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.reply import Reply
from tests.faults.story import CutAfter, IgnoreRange, NoDigestHeader, RateLimit, RedirectTo, Status
from tests.faults.story import Fault as On

BASE = images.noise_layer(400_000, seed=1)
APP = images.image([BASE, images.noise_layer(200_000, seed=2)])
OTHER = images.image([BASE, images.noise_layer(100_000, seed=3)])
BASE_BYTES = len(APP.blobs[APP.layers[0]])


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry([APP], repository="test/app") as running:
        running.add(OTHER, "test/other")
        yield running


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "root")


def plan(cli: Cli, *names: str) -> dict[str, object]:
    done = cli("pull", "--dry-run", "--format", "json", *names)
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def total(document: dict[str, object], what: str) -> int:
    totals = document["total"]
    assert isinstance(totals, dict)
    return int(totals[what])


def test_a_dry_run_asks_for_tag_manifest_and_config_and_the_pull_only_for_the_tag(cli: Cli, registry: Registry) -> None:
    name = f"{registry.host}/test/app"
    document = plan(cli, name)
    asked = [(each.method, each.kind) for each in registry.log]
    registry.log.clear()
    pulled = cli("pull", name)

    assert asked == [("HEAD", "manifest"), ("GET", "manifest"), ("GET", "blob")]
    assert total(document, "to_fetch") == APP.size
    assert pulled.returncode == 0, pulled.stderr
    assert [(each.method, each.kind) for each in registry.log if each.kind != "blob"] == [("HEAD", "manifest")]
    assert registry.sent() < total(document, "crossing") < registry.sent() * 1.01


def test_how_long_it_will_take_is_told_from_the_last_rate_seen(cli: Cli) -> None:
    first, second = (images.image([images.noise_layer(300_000, seed=seed)], tag=str(seed)) for seed in (1, 2))
    with Registry([first, second]) as registry, Link(target=registry.address, faults=(RateLimit(150_000),)) as link:
        names = [f"{link.host}/test/image:{tag}" for tag in "12"]
        before = cli("pull", "--dry-run", names[0])
        assert cli("pull", names[0]).returncode == 0
        after = cli("pull", "--dry-run", names[1])
        told = plan(cli, names[1])["items"][0]  # type: ignore[index]  # from JSON

    assert "rate" not in before.stdout
    assert re.search(r"about [23] s at \d\.?\d* Mbit/s \(the last rate seen\)", after.stdout)
    assert told["bytes_per_second"] == pytest.approx(150_000, rel=0.4)
    assert told["seconds"] == pytest.approx(2, rel=0.5)


def test_what_images_share_is_counted_once(cli: Cli, registry: Registry) -> None:
    first, second = f"{registry.host}/test/app", f"{registry.host}/test/other"
    done = cli("pull", "--dry-run", first, second)
    document = plan(cli, first, second)

    assert f"comes with {first}:latest" in done.stdout
    assert "2 images together" in done.stdout
    assert total(document, "to_fetch") == APP.size + OTHER.size - BASE_BYTES


def test_a_sum_tells_the_basis_of_an_image_that_is_estimated(cli: Cli) -> None:
    here, new = (images.image([images.noise_layer(1_100_000, seed=seed)], tag=str(seed)) for seed in (1, 2))
    with Registry([here, new]) as registry:
        names = [f"{registry.host}/test/image:{tag}" for tag in "12"]
        assert cli("pull", names[0]).returncode == 0
        done = cli("pull", "--dry-run", *names)

    assert done.stdout.count("x compressed, as the 1 layer here)") == 2  # of the new one, and of both together


def test_a_layer_that_several_blobs_hold_is_counted_once(cli: Cli, tmp_path: Path) -> None:
    packed = images.image([BASE], tag="gzip"), images.image([BASE], tag="zstd", compression="zstd")
    both = images.image([BASE, BASE], blobs=[image.blobs[image.layers[0]] for image in packed])
    with Registry([*packed, both]) as registry:
        names = [f"{registry.host}/test/image:{tag}" for tag in ("gzip", "zstd", "latest")]
        told = total(plan(cli, names[2]), "crossing")
        registry.log.clear()
        pulled = cli("pull", "--format", "json", names[2])
        crossed = registry.sent()
        together = total(plan(Cli(tmp_path / "other"), *names), "to_fetch")

    receipt = json.loads(pulled.stdout)["items"][0]["receipt"]
    assert told == pytest.approx(crossed, rel=0.01)
    assert receipt["received"] == pytest.approx(receipt["needed"], rel=0.01)
    assert together == pytest.approx(BASE_BYTES, rel=0.01)


def test_of_many_images_here_each_is_read_once_to_tell_who_has_a_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reading = list[Digest](), FileBlobStore.read

    def noted(self: FileBlobStore, digest: Digest) -> bytes:
        read.append(digest)
        return reading(self, digest)

    with writing(Settings(data_root=tmp_path / "root"), tell=pytest.fail) as stores:
        for number in range(9):
            created = f"202{number}-01-01T00:00:00Z"
            newest = add_image(stores, f"app:{number}", layers=("base", f"own {number}"), created=created)
        diff_ids = Lookup(stores).config(Lookup(stores).find("app:0")).diff_ids
        holders = Holders(stores)
        monkeypatch.setattr(FileBlobStore, "read", noted)

        found = [dict(holders.of([diff_id])) for diff_id in (diff_ids[0], diff_ids[1], diff_ids[1])]

    assert (found[0][diff_ids[0]], found[0].get(diff_ids[1])) == ("app:8", None)
    assert found[2][diff_ids[1]] == "app:0"
    assert (len(read), read[0]) == (9, newest)


def test_what_is_here_and_what_is_unfinished_is_not_counted(cli: Cli, registry: Registry) -> None:
    first, second = f"{registry.host}/test/app", f"{registry.host}/test/other"
    assert cli("pull", second).returncode == 0
    done = cli("pull", "--dry-run", first)

    assert f"in {second}:latest" in done.stdout
    assert total(plan(cli, first), "to_fetch") == APP.size - BASE_BYTES
    assert total(plan(cli, second), "to_fetch") == 0


def test_an_unfinished_download_counts_for_what_it_holds(cli: Cli) -> None:
    image = images.image([BASE])
    cut = On(CutAfter(200_000), kind="blob", digest=image.layers[0], nth=1)
    away = On(Status(503), kind="blob", digest=image.layers[0], nth=range(2, 99))
    with Registry([image], faults=[cut, away]) as registry:
        name = f"{registry.host}/test/image"
        cli("pull", "--max-download-attempts", "1", name)
        done = cli("pull", "--dry-run", name)
        left = total(plan(cli, name), "to_fetch")

    assert "unfinished since" in done.stdout
    assert 0 < left < BASE_BYTES


@dataclass(frozen=True)
class Way:
    """A way to a registry, and what it asks of those who come by it.

    Attributes:
        auth: Who may pull.
        faults: What the registry does besides.
        through_cdn: Whether it sends those who want blobs elsewhere, to signed URLs.
        images: What is wanted, by tag.
        by_digest: Whether the first of them is named by its digest.
        daemon: Whether a daemon brings it.
    """

    auth: Auth | None = None
    faults: Sequence[On] = ()
    through_cdn: bool = False
    images: Sequence[images.Image] = (APP,)
    by_digest: bool = False
    daemon: bool = False


class FewWords:
    """Answer with no header but the length."""

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.headers.clear()


SHARING = [images.image([BASE, images.noise_layer(20_000 * n, seed=10 + n)], tag=str(n)) for n in range(1, 4)]
SMALL = images.image([{"hello": b"hello\n"}, {"world": b"world\n"}])
TINY = images.image([{str(n): b""} for n in range(12)])
WAYS = {
    "open": Way(),
    "tokens": Way(auth=Bearer()),
    "cdn": Way(through_cdn=True, images=[images.image([images.noise_layer(3_000, seed=n) for n in range(9)])]),
    "no digest header": Way(faults=[On(NoDigestHeader(), kind="manifest")]),
    "index": Way(images=[images.image([BASE], index=True)]),
    "several": Way(images=SHARING),
    "several, tokens": Way(images=SHARING, auth=Bearer()),
    "digest": Way(by_digest=True),
    "small": Way(images=[SMALL]),
    "few words": Way(images=[TINY], faults=[On(FewWords())]),
    "daemon": Way(daemon=True),
    "daemon, small": Way(images=[SMALL], daemon=True),
    "daemon, several": Way(images=SHARING, daemon=True),
    "daemon, few words": Way(images=[TINY], faults=[On(FewWords())], daemon=True),
    "daemon, digest": Way(by_digest=True, daemon=True),
}


@contextmanager
def opened(way: Way) -> Iterator[tuple[Cli, list[str], list[Link]]]:
    """Give the command, the names of the images, and every link that they come over."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="hw")))  # short: a socket lies there
        registry = stack.enter_context(Registry(way.images, auth=way.auth, faults=way.faults))
        links = [stack.enter_context(Link(target=registry.address))]
        if way.through_cdn:
            cdn = stack.enter_context(Registry(way.images))
            links.append(stack.enter_context(Link(target=cdn.address)))
            registry.faults = [On(RedirectTo(f"http://{links[1].host}", expires_seconds=600), kind="blob")]
        names = [f"{links[0].host}/test/image:{image.tag}" for image in way.images]
        if way.by_digest:
            names[0] = f"{links[0].host}/test/image@{way.images[0].manifest_digest}"
        root = stack.enter_context(daemon(place)).data_root if way.daemon else place / "root"
        yield Cli(root), names, links


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_a_dry_run_says_is_enough_for_the_pull_and_no_more_crosses(way: Way) -> None:
    with opened(way) as (cli, names, links):
        told = total(plan(cli, *names), "crossing")
        before = sum(link.bytes_down for link in links)
        pulled = cli("pull", "--max-bytes", str(told), *names)
        crossed = sum(link.bytes_down for link in links) - before

    assert pulled.returncode == 0, pulled.stderr
    assert crossed <= told
    assert told - crossed < told / 100 + 900  # a digest's question is asked for once more than it has to be


def test_a_layer_that_several_have_in_blobs_of_their_own_comes_in_the_one_that_was_planned(tmp_path: Path) -> None:
    layer: images.Files = {"text": b"".join(b"%d words\n" % (n * 7919 % 100003) for n in range(60_000))}
    with Registry() as registry, Link(target=registry.address) as link:
        for compression in ("zstd", "none", "gzip"):
            registry.add(images.image([layer], tag=compression, compression=compression))
        names = [f"{link.host}/test/image:{tag}" for tag in ("zstd", "none", "gzip")]
        for number in range(3):
            cli, before = Cli(tmp_path / str(number)), link.bytes_down
            asked = plan(cli, *names)
            pulled = cli("pull", "--max-bytes", str(total(asked, "crossing")), *names)

            assert pulled.returncode == 0, pulled.stderr
            assert link.bytes_down - before < 200_000


def test_what_is_counted_is_what_came_over_the_link_to_the_byte() -> None:
    with opened(WAYS["several, tokens"]) as (cli, names, links):
        asked = plan(cli, *names)["asked"]
        assert isinstance(asked, dict)
        assert asked["received_bytes"] == links[0].bytes_down
        cli("pull", *names)
        rows = json.loads(cli("traffic", "--format", "json").stdout)

        assert rows["total"]["received"] == links[0].bytes_down


def test_what_a_second_dry_run_says_is_enough_as_well() -> None:
    with opened(WAYS["several, tokens"]) as (cli, names, links):
        plan(cli, *names)
        told = total(plan(cli, *names), "crossing")
        before = links[0].bytes_down
        pulled = cli("pull", "--max-bytes", str(told), *names)

        assert pulled.returncode == 0, pulled.stderr
        assert links[0].bytes_down - before <= told


@pytest.mark.parametrize("ranges", [True, False])
def test_a_config_of_which_some_came_before_or_twice_teaches_what_an_answer_takes(
    tmp_path: Path, *, ranges: bool
) -> None:
    labels = {f"label-{number}": "x" * 100 for number in range(2_000)}
    image = images.image([images.noise_layer(30_000, seed=n) for n in range(3)], config={"Labels": labels})
    cut = On(CutAfter(100_000), kind="blob", digest=image.image_id, nth=1)
    away = On(Status(503), kind="blob", digest=image.image_id, nth=range(2, 99))
    with Registry([image], faults=[cut, away] if ranges else [cut, On(IgnoreRange(), kind="blob")]) as registry:
        name, cli = f"{registry.host}/test/image", Cli(tmp_path / "root")
        if ranges:
            cli("pull", "--max-download-attempts", "1", name)
            registry.faults = ()
        told = total(plan(cli, name), "crossing")
        registry.faults = ()
        pulled = cli("pull", "--max-bytes", str(told), name)

    assert pulled.returncode == 0, pulled.stderr
    assert image.size < told < image.size + 4 * 17_000


@dataclass(frozen=True)
class Terse:
    """Answer with no more headers than HTTP asks for."""

    def apply(self, reply: Reply) -> None:
        """Arrange it."""
        reply.headers.clear()


@pytest.mark.parametrize("through_daemon", [False, True])
def test_what_a_registry_of_few_words_takes_is_enough_as_well(*, through_daemon: bool) -> None:
    image = images.image([images.noise_layer(1_000, seed=n) for n in range(20, 32)])
    with (
        Registry([image], faults=[On(Terse(), kind="blob")]) as registry,
        TemporaryDirectory(prefix="hw") as place,
        ExitStack() as stack,
    ):
        cli = Cli(stack.enter_context(daemon(Path(place))).data_root if through_daemon else Path(place) / "root")
        name = f"{registry.host}/test/image"
        told = total(plan(cli, name), "crossing")
        pulled = cli("pull", "--max-bytes", str(told), name)

    assert pulled.returncode == 0, pulled.stderr


def test_what_is_left_of_a_pull_is_enough_for_the_rest_of_it(tmp_path: Path) -> None:
    image = images.image([BASE])
    with Registry([image]) as registry, Link(target=registry.address) as link:
        name, cli = f"{link.host}/test/image", Cli(tmp_path / "root")
        refused = On(Status(503), kind="blob", digest=image.layers[0], nth=range(2, 99))
        registry.faults = [On(CutAfter(399_000), kind="blob", digest=image.layers[0], nth=1), refused]
        cli("pull", "--max-download-attempts", "1", name)
        registry.faults = ()
        told = total(plan(cli, name), "crossing")
        before = link.bytes_down
        pulled = cli("pull", "--max-bytes", str(told), name)

        assert pulled.returncode == 0, pulled.stderr
        assert link.bytes_down - before <= told < BASE_BYTES


@pytest.mark.parametrize("through_daemon", [False, True])
def test_a_pull_within_a_budget_asks_once_what_its_tag_stands_for(*, through_daemon: bool) -> None:
    with Registry([APP]) as registry, TemporaryDirectory(prefix="hw") as place, ExitStack() as stack:
        root = stack.enter_context(daemon(Path(place))).data_root if through_daemon else Path(place) / "root"
        pulled = Cli(root)("pull", "--max-bytes", "700k", f"{registry.host}/test/image")

        assert pulled.returncode == 0, pulled.stderr
        assert [each.method for each in registry.requests("manifest")] == ["HEAD", "GET"]


def test_a_tag_that_has_moved_since_the_plan_is_asked_for_by_the_next_attempt(tmp_path: Path) -> None:
    new = images.image([images.noise_layer(200_000, seed=5)])
    away = On(Status(404), kind="blob", digest=APP.layers[1])
    with Registry([APP], faults=[away]) as registry:
        cli, words = Cli(tmp_path / "root"), ("pull", "--max-bytes", "900k", f"{registry.host}/test/image")
        failed = cli(*words)
        registry.add(new)
        pulled = cli(*words)

    assert failed.returncode == 1
    assert new.manifest_digest in pulled.stdout


def test_a_fast_link_brings_hardly_more_than_a_budget(tmp_path: Path) -> None:
    image = images.image([images.noise_layer(40_000_000, seed=6)])
    faults = [On(IgnoreRange(), kind="blob"), On(CutAfter(30_000_000), kind="blob", digest=image.layers[0], nth=1)]
    with Registry([image], faults=faults) as registry, Link(target=registry.address) as link:
        done = Cli(tmp_path / "root")("pull", "--max-bytes", "41M", f"{link.host}/test/image")

        assert done.returncode == 76
        assert link.bytes_down < 47_500_000  # what a socket buffers is 6 MB at the most


def test_what_was_whole_before_a_budget_ended_is_told_as_complete(tmp_path: Path) -> None:
    other = images.image([images.noise_layer(200_000, seed=8)])
    faults = [On(IgnoreRange(), kind="blob"), On(CutAfter(150_000), kind="blob", digest=other.layers[0], nth=1)]
    with Registry([APP], repository="test/app", faults=faults) as registry:
        registry.add(other, "test/other")
        names = [f"{registry.host}/test/{name}" for name in ("app", "other")]
        done = Cli(tmp_path / "root")("pull", "--format", "json", "--max-bytes", "810k", *names)

    items = json.loads(done.stdout)["items"]
    assert done.returncode == 76
    assert [(each["reference"], each["is_complete"]) for each in items] == [
        (f"{names[0]}:latest", True),
        (f"{names[1]}:latest", False),
    ]


def test_what_a_mirrors_old_tag_was_planned_for_is_no_budget_for_the_registrys_own_image(tmp_path: Path) -> None:
    old = images.image([images.noise_layer(30_000, seed=7)])
    with Registry([old]) as mirror, Registry([APP]) as registry:
        mirror.remove(old.layers[0])
        settings = tmp_path / "daemon.json"
        settings.write_text(json.dumps({"mirrors": {registry.host: [mirror.url]}}))
        words = ("pull", "--config-file", settings, "--max-bytes", "50k", f"{registry.host}/test/image")
        done = Cli(tmp_path / "root")(*words)

    assert done.returncode == 76
    assert "more bytes are needed" in done.stderr
    assert registry.sent("blob") < 10_000


def test_what_would_cost_more_than_the_budget_is_not_begun(cli: Cli, registry: Registry) -> None:
    name = f"{registry.host}/test/app"
    refused = cli("pull", "--max-bytes", "500k", name)
    layers = [each for each in registry.log if each.kind == "blob" and each.sent > 10_000]
    allowed = cli("pull", "--max-bytes", "650k", name)

    assert (refused.returncode, layers) == (76, [])
    assert refused.stderr.splitlines()[0].startswith("headway: over budget: ")
    assert refused.stderr.splitlines()[-1].startswith("next: see what it costs with --dry-run")
    assert allowed.returncode == 0, allowed.stderr


def test_a_refusal_counts_what_the_question_has_cost(cli: Cli, registry: Registry) -> None:
    refused = cli("pull", "--max-bytes", str(APP.size + 2000), f"{registry.host}/test/app")

    words = r"over budget: ([0-9,]+) more bytes are needed besides the ([0-9,]+) received so far, and the budget is "
    found = re.search(words, refused.stderr)
    assert found is not None, refused.stderr
    crossing, spent = (int(each.replace(",", "")) for each in found.groups())
    assert crossing + spent > APP.size + 2000
    assert refused.returncode == 76


def test_a_dry_run_of_what_is_not_there_says_so_and_plans_the_others(cli: Cli, registry: Registry) -> None:
    done = cli("pull", "--dry-run", f"{registry.host}/test/none", f"{registry.host}/test/app")

    assert done.returncode == 1
    assert "test/none" in done.stderr
    assert "to fetch" in done.stdout
