"""What cannot work: one clear error each, what is kept is said, and nothing half-done is listed."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.waiting import wait_until
from tests.faults.pull import bytes_kept
from tests.faults.registry import Registry
from tests.faults.story import Fault, FlipByte, RateLimit, Status
from tests.prove.scene import Said, linked, meanwhile, run, small_disk, started, unlisted
from tests.prove.sheet import Sheet, check

MB = 1_000_000
GOOD = images.image([images.noise_layer(MB, seed=1), {"a": b"a"}])
FINAL, USAGE, DISK_FULL, TRY_AGAIN, REFUSED = 1, 2, 73, 75, 77


@check(
    "bad-input",
    "Unknown tag, bad reference, no such platform, wrong digest, truncated gzip, wrong diff ID, no room, disk full, "
    "read-only data root, a second writer: one clear error each, what is kept is said, nothing half-done is listed.",
    needs_root=True,
)
def bad_input(sheet: Sheet) -> None:
    """Do everything wrong, one thing at a time."""
    _bad_requests(sheet)
    _bad_images(sheet)
    _disk_full(sheet)
    _read_only(sheet)
    _second_writer(sheet)


def _bad_requests(sheet: Sheet) -> None:
    cli = Cli(sheet.place / "requests")
    with Registry([GOOD]) as registry:
        name = f"{registry.host}/test/image"
        cases: list[tuple[str, list[str], int, str]] = [
            ("unknown tag", [f"{name}:nope"], FINAL, "no such manifest"),
            ("unknown repository", [f"{registry.host}/test/nothing"], FINAL, "no such manifest"),
            ("unknown digest", [f"{name}@sha256:{'0' * 64}"], FINAL, "no such manifest"),
            ("bad reference", [f"{registry.host}/Test/Image"], USAGE, "lowercase"),
            ("bad digest", [f"{name}@sha256:12"], USAGE, "invalid"),
            ("bad platform", ["--platform", "a/b/c/d", name], USAGE, "platform"),
            ("bad attempts", ["--max-download-attempts=0", name], USAGE, "invalid max download attempts: 0"),
            ("bad patience", ["--download-patience=soon", name], USAGE, "invalid duration 'soon'"),
            ("unknown flag", ["--nope", name], USAGE, "--nope"),
        ]
        for title, words, status, part in cases:
            _fails(sheet, title, run(cli, "pull", *words), status, part, cli)


def _bad_images(sheet: Sheet) -> None:
    layer = GOOD.layers[0]
    index = images.image([images.noise_layer(1_000)], index=True, platforms=["linux/s390x", "linux/arm64"])
    packed = images.compress(images.tar(images.noise_layer(MB, seed=3)), "gzip")
    cut = _with_layer(packed[: len(packed) // 2])
    cases: list[tuple[str, images.Image, list[Fault], int, str, str]] = [
        ("no such platform", index, [], FINAL, "offered for linux/arm64", ""),
        ("wrong digest", GOOD, [Fault(FlipByte(5_000), digest=layer)], FINAL, f"instead of {layer}", "kept: "),
        ("truncated gzip", cut, [], FINAL, "gzip", "kept: "),
        ("gzip with rubbish inside", _with_layer(_spoilt(packed)), [], FINAL, "", "kept: "),
        ("a layer that is no tar", _with_layer(gzip.compress(images.noise(5_000))), [], FINAL, "tar", "kept: "),
        ("wrong diff ID", _with_diff_id(), [], FINAL, "the layer's tar has digest", "kept: "),
        ("a blob that is gone", GOOD, [Fault(Status(404), digest=layer)], FINAL, "no such blob", "kept: "),
        (
            "a blob that is refused",
            GOOD,
            [Fault(Status(401, {"WWW-Authenticate": 'Basic realm="r"'}), digest=layer)],
            REFUSED,
            "",
            "kept: ",
        ),
    ]
    for title, image, script, status, part, kept in cases:
        cli = Cli(sheet.place / re.sub(r"\W", "-", title))
        with linked(image=image, script=script) as (_, _, name):
            _fails(sheet, title, run(cli, "pull", name), status, part, cli, kept=kept)


def _with_layer(blob: bytes) -> images.Image:
    """Return an image whose only layer is this blob, with the diff ID of something else."""
    made = images.image([{"b": b"b"}])
    return _rewritten(made, blob, made.diff_ids[0])


def _with_diff_id() -> images.Image:
    """Return an image whose config tells another diff ID than its layer has."""
    made = images.image([images.noise_layer(MB, seed=4)])
    return _rewritten(made, made.blobs[made.layers[0]], "sha256:" + "1" * 64)


def _rewritten(image: images.Image, blob: bytes, diff_id: str) -> images.Image:
    config = json.loads(image.blobs[image.image_id])
    config["rootfs"]["diff_ids"] = [diff_id]
    config_bytes = json.dumps(config).encode()
    manifest = image.manifest
    manifest["config"] |= {"digest": images.digest_of(config_bytes), "size": len(config_bytes)}
    manifest["layers"][0] |= {"digest": images.digest_of(blob), "size": len(blob)}
    manifest_bytes = json.dumps(manifest).encode()
    digest = images.digest_of(manifest_bytes)
    blobs = {images.digest_of(each): each for each in (blob, config_bytes, manifest_bytes)}
    media_types = {digest: image.media_types[image.manifest_digest]}
    return replace(image, blobs=blobs, media_types=media_types, manifest_digest=digest)


def _spoilt(packed: bytes) -> bytes:
    middle = len(packed) // 2
    return packed[:middle] + bytes(100) + packed[middle + 100 :]


def _disk_full(sheet: Sheet) -> None:
    """Ask for more than there is room for; then fill the disk in mid-pull, make room, and let the command finish."""
    image = images.image([images.noise_layer(8 * MB, seed=5), images.noise_layer(6 * MB, seed=6)])
    with small_disk(sheet.place / "full", megabytes=48) as disk, linked(RateLimit(6 * MB), image=image) as held:
        _, link, name = held
        filler = disk / "filler"
        cli = Cli(disk / "root")
        unlisted(cli)
        _leave(disk, filler, 9 * MB)
        said = run(cli, "pull", name)
        _fails(sheet, "no room", said, DISK_FULL, "no room on the disk", cli, kept="kept: ")
        sheet.at_most("no room: bytes fetched", link.bytes_down, MB // 10, "bytes", decimals=0)
        filler.unlink()
        said = _filled_meanwhile(cli, name, lambda: link.bytes_down > 7 * MB, lambda: _leave(disk, filler, 0))
        _fails(sheet, "disk full", said, DISK_FULL, "no space left", cli, kept="kept: ")
        sheet.right("disk full: nothing private stays", ", ".join(str(p) for p in (disk / "root" / "tmp").iterdir()))
        again = run(cli, "pull", name)
        _fails(sheet, "still full", again, DISK_FULL, "on the disk that holds", cli, kept="kept: ")
        filler.unlink()
        kept, before = bytes_kept(disk / "root"), link.bytes_down
        sheet.at_least("disk full: bytes kept", kept, 4 * MB, "bytes")
        said = run(cli, "pull", name)
        sheet.right("disk full: with more room it finishes", said.problem)
        missing = (image.size - kept) * 1.01
        sheet.at_most("disk full: bytes fetched then", link.bytes_down - before, missing, "bytes", decimals=0)


def _filled_meanwhile(cli: Cli, name: str, moment: Callable[[], bool], fill: Callable[[], None]) -> Said:
    """Pull, and fill the disk at a moment."""

    def fill_then() -> None:
        wait_until(moment)
        fill()

    with meanwhile(fill_then):
        return run(cli, "pull", "--progress", "none", name, seconds=60)


def _leave(disk: Path, filler: Path, room: int) -> None:
    """Let so many bytes be free on a disk; a filler that finds it full meanwhile has done its work."""
    found = os.statvfs(disk)
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        file.write(bytes(max(0, found.f_bavail * found.f_frsize - room)))


def _read_only(sheet: Sheet) -> None:
    with small_disk(sheet.place / "read-only", megabytes=16) as disk, linked(image=GOOD) as (_, _, name):
        cli = Cli(disk / "root")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        said = run(cli, "pull", name)
        _fails(sheet, "read-only data root", said, FINAL, "read-only", cli)
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        sheet.right("read-only: writable again, it completes", run(cli, "pull", name).problem)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        said = run(cli, "images", "-q")
        sheet.right("read-only: images are still listed", said.problem or ("" if said.stdout else "nothing listed"))


def _second_writer(sheet: Sheet) -> None:
    image = images.image([images.noise_layer(10 * MB, seed=7)])
    cli = Cli(sheet.place / "second")
    with (
        linked(RateLimit(MB), image=image) as (_, link, name),
        started(cli, "pull", "--progress", "none", name) as first,
    ):
        wait_until(lambda: link.bytes_down > MB)
        said = run(cli, "pull", name)
        _fails(sheet, "a second writer", said, TRY_AGAIN, f"being written by process {first.pid}", cli)
        sheet.at_most("a second writer: waits", said.seconds, 7.0, "s", decimals=1)
        link.faults = ()
        first.communicate()
        sheet.right("a second writer: the first one completes", "" if first.returncode == 0 else str(first.returncode))


def _fails(sheet: Sheet, title: str, said: Said, status: int, part: str, cli: Cli, *, kept: str = "") -> None:
    """Take down whether a command failed as it should."""
    sheet.right(f"{title}: status {status}, one clear error", next(_complaints(said, status, part, kept), ""))
    sheet.right(f"{title}: nothing listed", unlisted(cli))


def _complaints(said: Said, status: int, part: str, kept: str) -> Iterator[str]:
    """Yield what is wrong with a failure."""
    rules: list[tuple[str, Callable[[str], bool]]] = [
        ("a traceback", lambda text: "Traceback" not in text),
        ("not one error", lambda text: len(re.findall("^headway: ", text, re.M)) == 1),
        ("no way on", lambda text: len(re.findall("^next: ", text, re.M)) == 1),
        (f"not named: {part}", lambda text: part in text),
        ("what is kept is not said", lambda text: not kept or f"\n{kept}" in text),
    ]
    if said.status != status:
        yield f"status {said.status}: {said.stderr.strip()}"
    for complaint, holds in rules:
        if not holds(said.stderr):
            yield f"{complaint}: {said.stderr.strip()}"
