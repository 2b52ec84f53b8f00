"""Layers that want out, or want too much: contained, or refused with one clear error, and a canary stays as it was."""

from __future__ import annotations

import gzip
import os
import random
import resource
import shutil
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import InvalidLayerError
from headway.layers.tar.limits import Limits
from headway.layers.unpacking.applier import apply_layer
from headway.records import LayerReport
from tests.fakes.tars import (
    Item,
    Source,
    directory,
    file,
    hardlink,
    header,
    long_name,
    opaque,
    pax,
    symlink,
    tar,
    whiteout,
)
from tests.fakes.trees import Node, snapshot

REFUSED = "cannot be unpacked: its extended attribute security.capability: Invalid argument"
BROKEN = {"SCHILY.xattr.security.capability": "no capability"}


class World:
    """A directory to unpack into, and beside it what must not be touched."""

    def __init__(self, folder: Path, *, openat2: bool | None) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.canary = folder / "canary"
        (self.canary / "sub").mkdir(parents=True)
        (self.canary / "file").write_text("alive")
        self._openat2 = openat2
        self._before = self._outside()

    def apply(self, *items: Item | bytes, limits: Limits = Limits()) -> LayerReport:  # noqa: B008 (frozen)
        return self.apply_raw(tar(*items), limits=limits)

    def apply_raw(self, data: bytes, *, limits: Limits = Limits()) -> LayerReport:  # noqa: B008 (frozen)
        source = Source(data, 64 << 10)
        return apply_layer(source, self.root, lambda _: None, limits=limits, openat2=self._openat2)[1]

    def is_untouched(self) -> bool:
        return self._outside() == self._before

    def _outside(self) -> dict[str, Node]:
        return snapshot(self.canary) | {name: snapshot(self.canary)["."] for name in os.listdir(self.root.parent)}


@pytest.fixture(params=[None, False], ids=["openat2", "walk"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(tmp_path, openat2=request.param)
    yield world
    assert world.is_untouched()


@pytest.mark.parametrize(
    "name",
    ["../canary/file", "/../canary/file", "a/../../canary/file", "./.././../canary/file", "../../../canary/file"],
)
def test_a_name_that_climbs_ends_at_the_root(world: World, name: str) -> None:
    world.apply(file(name, b"evil"))

    assert (world.root / "canary/file").read_text() == "evil"


def test_a_long_and_a_pax_name_that_climb_end_at_the_root(world: World) -> None:
    long = b"../" * 50 + b"canary/file"

    world.apply(long_name(long), header(long[:100], size=0), pax({"path": b"../../canary/sub/x"}), header(b"y"))

    assert sorted(os.listdir(world.root)) == ["canary"]


@pytest.mark.parametrize("target", ["../canary", "{canary}", "../../../../../../../../{canary}", "x/../../canary"])
@pytest.mark.parametrize("name", ["l/file", "l/sub/new", "l/../l/file"])
def test_a_file_through_a_symlink_stays_inside(world: World, target: str, name: str) -> None:
    world.apply(symlink("l", target.format(canary=world.canary)), file(name, b"evil"))


def test_a_symlink_is_never_written_through(world: World) -> None:
    target = str(world.canary / "file")

    world.apply(symlink("l", target), file("l", b"evil"))

    assert (world.root / "l").read_text() == "evil"
    assert not (world.root / "l").is_symlink()


@pytest.mark.parametrize("target", ["../canary", "{canary}"])
def test_metadata_is_never_applied_through_a_symlink(world: World, target: str) -> None:
    link = target.format(canary=world.canary)

    world.apply(
        symlink("d", link, mode=0o4777, uid=5, mtime=1),
        directory("e", mode=0o777, uid=5, mtime=1),
        symlink("e", link),
        directory("f/g", mode=0o4777, uid=5, mtime=1),
        symlink("f", link),
        directory("x/sub", mode=0o777, uid=5),
        symlink("l", "x"),
        symlink("l/sub", f"{link}/sub"),
        opaque("d"),
        whiteout("d/file"),
    )


@pytest.mark.parametrize("target", ["../canary/file", "{canary}/file", "l/file", "l/../canary/file"])
def test_a_hard_link_to_the_outside_is_a_link_into_a_lower_layer(world: World, target: str) -> None:
    link = target.format(canary=world.canary)

    report = world.apply(symlink("l", str(world.canary)), hardlink("h", link), file("h2", b"x"))

    assert [name for name, _ in report.lower_links] == ["h"]
    assert not (world.root / "h").exists()


def test_a_hard_link_to_a_symlink_does_not_become_a_way_out(world: World) -> None:
    world.apply(symlink("l", str(world.canary / "file")), hardlink("h", "l"), file("h", b"evil"))

    assert (world.root / "h").read_text() == "evil"


def test_a_directory_swapped_for_a_symlink_between_entries_does_not_lead_out(world: World) -> None:
    swaps: list[Item] = []
    for number in range(20):
        swaps += [directory("a/b"), file(f"a/b/{number}"), symlink("a/b", "../../canary"), file("a/b/file", b"evil")]

    world.apply(*swaps)


def test_a_parent_swapped_for_a_symlink_does_not_lead_out(world: World) -> None:
    world.apply(
        directory("a/b/c"), file("a/b/c/1"), symlink("a", str(world.canary)), file("a/b/c/2", b"evil"), file("a/file")
    )


def test_magic_links_of_proc_lead_nowhere(world: World) -> None:
    world.apply(symlink("fd", "/proc/self/fd"), symlink("cwd", "/proc/self/cwd"), file("fd/3/x"), file("cwd/y"))

    assert (world.root / "proc/self/cwd/y").exists()


@pytest.mark.parametrize("links", [[("a", "b"), ("b", "a")], [("a", "a")], [("a", "a/x")]])
def test_symlinks_in_a_circle_are_refused(world: World, links: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidLayerError, match="'a/f' cannot be unpacked: Too many levels of symbolic links"):
        world.apply(*(symlink(name, target) for name, target in links), file("a/f"))


def test_a_chain_of_40_symlinks_is_followed_and_one_of_41_is_not(world: World) -> None:
    chain = [symlink(f"l{number}", f"l{number + 1}") for number in range(40)]

    world.apply(directory("l40"), *chain, file("l0/f"))

    assert (world.root / "l40/f").exists()
    with pytest.raises(InvalidLayerError, match="symbolic links"):
        world.apply(symlink("m", "l0"), file("m/g"))


def test_symlinks_that_double_at_each_step_cost_little(world: World) -> None:
    doubling = [symlink(f"l{number}", f"l{number - 1}/../l{number - 1}") for number in range(1, 41)]

    with pytest.raises(InvalidLayerError, match="symbolic links"):
        world.apply(directory("l0"), *doubling, file("l40/f"))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([file("f"), file("f/below")], "'f/below' cannot be unpacked: Not a directory"),
        ([file("n" * 256)], "File name too long"),
        ([file(".", b"x")], "it would replace the root directory"),
        ([symlink("/", "x")], "it would replace the root directory"),
        ([file("")], "it would replace the root directory"),
        ([symlink("l", "")], "it is a symlink to nowhere"),
        ([directory("d"), hardlink("h", "d")], "it is a hard link to a directory"),
        ([hardlink("h", "")], "it is a hard link to a directory"),
        ([Item("x", type="M")], "its kind b'M' is not known"),
        ([directory("d"), file("d/f"), hardlink("d", "d/f")], "No such file or directory"),
        ([directory("d/e", records=BROKEN), file("f")], f"entry 'd/e' {REFUSED}"),
        ([directory("./", records=BROKEN), file("f")], f"entry './' {REFUSED}"),
    ],
)
def test_what_cannot_be_is_refused_with_the_entry_and_the_reason(world: World, items: list[Item], message: str) -> None:
    with pytest.raises(InvalidLayerError, match=message):
        world.apply(*items)


def test_deep_nesting_is_unpacked_replaced_and_removed_in_bounded_memory(world: World) -> None:
    folder = "/".join(["d"] * 700)
    before = len(os.listdir("/proc/self/fd"))

    # Symlinks carry on where a name would be too long: 2100 levels, more than descriptors or recursion would reach.
    world.apply(
        directory(folder),
        symlink("l", folder),
        directory(f"l/{folder[:1399]}"),
        symlink("m", f"/l/{folder[:1399]}"),
        file(f"m/{folder[:1399]}/f"),
        file("d", b"short"),
    )

    assert (world.root / "d").read_text() == "short"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_bomb_is_stopped_at_the_limit_without_being_in_memory(world: World) -> None:
    bomb = gzip.compress(header(b"bomb", size=1 << 25) + bytes(64 << 20), 1)
    tracemalloc.start()

    with pytest.raises(InvalidLayerError, match="expands to more than 33554432 bytes"):
        world.apply_raw(bomb, limits=Limits(expanded_bytes=1 << 25))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_more_entries_than_the_limit_are_refused(world: World) -> None:
    with pytest.raises(InvalidLayerError, match="more than 1000 entries"):
        world.apply(*(file("f") for _ in range(1001)), limits=Limits(entries=1000))


@pytest.mark.parametrize(
    "items",
    [
        [directory(f"d{number}") for number in range(5000)],
        [file(f"{number}/" + "d/" * 600 + "f") for number in range(5)],
        [hardlink(f"l{number}", f"lower{number}") for number in range(5000)],
        [file(f"{number}/" + f"{'d' * 254}/" * 15 + "f") for number in range(50)],
        [file(f"f{number}", records={"SCHILY.xattr.trusted.overlay.x": "x" * 60_000}) for number in range(50)],
    ],
    ids=["directories", "implicit ones", "links into lower layers", "long paths", "attributes"],
)
def test_what_must_be_remembered_of_a_layer_is_bounded(world: World, items: list[Item]) -> None:
    with pytest.raises(InvalidLayerError, match="take up more than 2501 half kilobytes"):
        world.apply(*items, limits=Limits(remembered=2501))


def test_as_many_directories_as_can_be_remembered_are_no_problem(world: World) -> None:
    report = world.apply(*(directory(f"d{number}") for number in range(5000)), limits=Limits(remembered=5000))

    assert report.entries == 5000


def test_a_sparse_file_beyond_the_limit_is_refused(world: World) -> None:
    huge = pax({"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 62)}) + header(b"s", size=1) + b"x".ljust(512)

    with pytest.raises(InvalidLayerError, match="file of 4611686018427387904 bytes"):
        world.apply_raw(huge + bytes(1024))


ENTRIES = [
    directory("d", mode=0o700),
    file("d/f", b"x" * 1300, records={"mtime": "1.5"}),
    symlink("l", "d"),
    file("l/g", b"y"),
    file("n" * 150, b"z" * 512),
    hardlink("h", "d/f"),
    whiteout("d/w"),
]
LAYER = tar(*ENTRIES)


def test_a_layer_cut_at_any_block_is_refused_or_ends_between_entries(world: World) -> None:
    taken = {}
    for cut in range(0, len(LAYER) - 1024, 512):
        shutil.rmtree(world.root)
        world.root.mkdir()
        with suppress(InvalidLayerError):
            taken[cut] = world.apply_raw(LAYER[:cut]).entries

    assert taken == {len(tar(*ENTRIES[:count])) - 1024: count for count in range(len(ENTRIES))}


def test_a_compressed_layer_cut_anywhere_is_refused(world: World) -> None:
    blob = gzip.compress(LAYER)

    for cut in range(6, len(blob), 7):
        shutil.rmtree(world.root)
        world.root.mkdir()
        with pytest.raises(InvalidLayerError, match="truncated"):
            world.apply_raw(blob[:cut])


def test_a_flipped_header_byte_is_refused(world: World) -> None:
    rng = random.Random(5)
    for at in rng.sample([*range(148), *range(156, 512)], 100):  # a checksum may be written in several ways
        data = bytearray(LAYER)
        data[at] ^= rng.randrange(1, 256)
        with pytest.raises(InvalidLayerError, match="of its tar"):
            world.apply_raw(bytes(data))


NAMES = st.sampled_from(
    [
        "a",
        "b",
        "a/b",
        "a/b/c",
        "../canary/file",
        "/canary",
        "a/../../canary/sub",
        "canary/file",
        "b/file",
        "b/sub/x",
        ".",
    ]
)
TARGETS = st.sampled_from(
    [
        "a",
        "b",
        "..",
        "../canary",
        "../../canary/sub",
        "/",
        "/../canary",
        "/a",
        "a/b",
        "@",
        "@/file",
        "@/sub",
        ".",
        "../root",
    ]
)
MODES = st.sampled_from([0o644, 0o4755, 0o1777])
HOSTILE = st.one_of(
    st.builds(file, NAMES, st.just(b"evil"), mode=MODES, uid=st.sampled_from([0, 7])),
    st.builds(directory, NAMES, mode=MODES, uid=st.sampled_from([0, 7]), mtime=st.just(3)),
    st.builds(symlink, NAMES, TARGETS, uid=st.sampled_from([0, 7])),
    st.builds(hardlink, NAMES, TARGETS),
    st.builds(lambda name: Item(name, type="fifo"), NAMES),
    st.builds(whiteout, NAMES),
    st.builds(opaque, NAMES),
)


@settings(max_examples=300, deadline=None)
@given(items=st.lists(HOSTILE, min_size=2, max_size=12), openat2=st.sampled_from([None, False]))
def test_no_order_of_any_entries_reaches_the_outside(items: list[Item], openat2: bool | None) -> None:  # noqa: FBT001
    folder = Path(tempfile.mkdtemp())
    try:
        world = World(folder, openat2=openat2)
        outside = str(world.canary)
        real = [item._replace(link=str(item.link).replace("@", outside)) for item in items]

        with suppress(InvalidLayerError):
            world.apply(*real)

        assert world.is_untouched()
    finally:
        shutil.rmtree(folder)


@settings(max_examples=200, deadline=None)
@given(items=st.lists(HOSTILE, min_size=2, max_size=12))
def test_openat2_and_the_walk_agree_on_every_layer(items: list[Item]) -> None:
    results = []
    for openat2 in (True, False):
        folder = Path(tempfile.mkdtemp())
        try:
            world = World(folder, openat2=openat2)
            try:
                report: LayerReport | str = world.apply(*items)
            except InvalidLayerError as error:
                report = str(error)
            tree = {name: node._replace(mtime_ns=0) for name, node in snapshot(world.root).items()}
            results.append((report, tree))
        finally:
            shutil.rmtree(folder)

    assert results[0] == results[1]


def test_layers_unpacked_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    roots = [tmp_path / str(number) for number in range(4)]
    for root in roots:
        root.mkdir()
    threads = [
        threading.Thread(
            target=apply_layer,
            args=(Source(tar(*(file(f"d{i % 9}/{i}", root.name.encode()) for i in range(300)))), root, lambda _: None),
        )
        for root in roots
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    contents = [{path.read_text() for path in root.rglob("*") if path.is_file()} for root in roots]
    assert contents == [{"0"}, {"1"}, {"2"}, {"3"}]


def test_few_descriptors_are_enough(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 100, limits[1]))

    try:
        apply_layer(Source(tar(*(file(f"d{i}/e/f") for i in range(400)))), root, lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert len(list(root.iterdir())) == 400
