"""Imports from web servers: over links that break, and from servers with habits."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headway.composition.service import image_service
from headway.composition.writing import writing
from headway.errors import (
    ChangedMeanwhileError,
    FetchRefusedError,
    HeadwayError,
    InvalidLayerError,
    InvalidReferenceError,
    RequestError,
    UnreachableError,
)
from headway.oci.digest import ImageID
from headway.oci.image_config import ImageConfig
from headway.oci.platform import Platform
from headway.service.creation.importing import ImportRequest
from headway.service.creation.web_import import Arriving
from headway.service.image_service import ImageService
from headway.service.stores import Stores
from headway.settings import Settings
from tests.fakes.tars import END, header, padded
from tests.fakes.web import Web, serving

LINUX = Platform("linux", "amd64")
BODY = random.Random(7).randbytes(3 << 20)
TAR = header(b"body", size=len(BODY)) + padded(BODY) + END
MiB = 1 << 20


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web(TAR)) as web:
        yield web


@asynccontextmanager
async def service_over(root: Path) -> AsyncIterator[tuple[ImageService, Stores]]:
    settings = Settings(data_root=root, max_download_attempts=2, download_patience=0.0)
    with writing(settings, pytest.fail) as stores:
        async with image_service(settings, stores) as service:
            yield service, stores


async def imported(root: Path, web: Web, seen: list[Arriving] | None = None) -> ImageConfig:
    async with service_over(root) as (service, stores):
        watch = [] if seen is None else seen
        image_id = await service.import_from_web(web.url, ImportRequest(platform=LINUX), watch.append)
        assert list(stores.ingests.walk()) == []
        return ImageConfig.parse(stores.blobs.read(image_id))


def is_right(config: ImageConfig, tar: bytes = TAR) -> bool:
    return config.diff_ids == (f"sha256:{hashlib.sha256(tar).hexdigest()}",)


async def test_a_file_is_imported_and_its_progress_told(web: Web, tmp_path: Path) -> None:
    seen: list[Arriving] = []

    config = await imported(tmp_path, web, seen)

    assert is_right(config)
    assert config.history[0].comment == f"Imported from {web.url}"
    assert seen[-1].size == len(TAR)
    assert web.requests == [("HEAD", ""), ("GET", "")]


async def test_a_link_that_is_cut_again_and_again_costs_no_byte_twice(web: Web, tmp_path: Path) -> None:
    web.cut_after = MiB

    assert is_right(await imported(tmp_path, web))

    assert web.sent == len(TAR)
    assert [sent for _, sent in web.requests[2:]] == [f"bytes={number * MiB}-" for number in (1, 2, 3)]


async def test_what_one_attempt_left_the_next_one_goes_on_with(web: Web, tmp_path: Path) -> None:
    web.cut_after = MiB
    request = ImportRequest(platform=LINUX)

    def stop(arriving: Arriving) -> None:
        if arriving.held >= MiB:
            web.status = 503

    async with service_over(tmp_path) as (service, stores):
        with pytest.raises(HeadwayError):
            await service.import_from_web(web.url, request, stop)
        ((_, held, _),) = stores.ingests.walk()
        assert stores.images.list() == []
    web.status = 200

    assert is_right(await imported(tmp_path, web))
    assert web.sent == len(TAR)
    assert held >= MiB


@pytest.mark.parametrize("other", [TAR[:600] + b"x" + TAR[601:], header(b"short") + END], ids=["as long", "shorter"])
async def test_another_version_of_the_file_is_never_mixed_with_the_first(
    web: Web, tmp_path: Path, other: bytes
) -> None:
    web.cut_after = MiB

    def change(arriving: Arriving) -> None:
        if arriving.held >= MiB and web.etag == '"1"':
            web.etag, web.data = '"2"', other

    async with service_over(tmp_path) as (service, stores):
        with pytest.raises(ChangedMeanwhileError, match="has changed since"):
            await service.import_from_web(web.url, ImportRequest(platform=LINUX), change)
        assert list(stores.ingests.walk()) == []

    assert is_right(await imported(tmp_path, web), web.data)


async def test_a_server_that_ignores_ranges_is_used_all_the_same(web: Web, tmp_path: Path) -> None:
    web.cut_after, web.heeds_range = 2 * MiB, False

    def mend(arriving: Arriving) -> None:
        if arriving.held >= 2 * MiB:
            web.cut_after = 0

    async with service_over(tmp_path) as (service, stores):
        image_id: ImageID = await service.import_from_web(web.url, ImportRequest(platform=LINUX), mend)
        assert is_right(ImageConfig.parse(stores.blobs.read(image_id)))


@pytest.mark.parametrize("habit", ["answers_head", "says_length", "etag"])
async def test_a_server_that_says_little_gives_the_file_in_one_go(web: Web, tmp_path: Path, habit: str) -> None:
    setattr(web, habit, type(getattr(web, habit))())

    assert is_right(await imported(tmp_path, web))

    assert [method for method, _ in web.requests] == ["HEAD", "GET"]


async def test_a_cut_ends_an_import_that_cannot_go_on(web: Web, tmp_path: Path) -> None:
    web.answers_head, web.cut_after = False, MiB

    async with service_over(tmp_path) as (service, stores):
        with pytest.raises(UnreachableError):
            await service.import_from_web(web.url, ImportRequest(platform=LINUX), lambda _: None)
        assert (stores.images.list(), stores.leases.idle()) == ([], [])


async def test_a_compressed_file_is_expanded(web: Web, tmp_path: Path) -> None:
    web.data = gzip.compress(TAR, 1)

    assert is_right(await imported(tmp_path, web))


@pytest.mark.parametrize("answers_head", [True, False])
async def test_a_refusal_is_told_in_dockers_words(web: Web, tmp_path: Path, *, answers_head: bool) -> None:
    web.status, web.answers_head = 404, answers_head

    async with service_over(tmp_path) as (service, _):
        with pytest.raises(FetchRefusedError) as caught:
            await service.import_from_web(web.url, ImportRequest(platform=LINUX), lambda _: None)

    assert str(caught.value) == f"failed to GET {web.url} with status 404 Not Found: there is no such thing here"
    assert caught.value.status == 404


async def test_what_is_no_archive_is_not_fetched_to_its_end(web: Web, tmp_path: Path) -> None:
    web.data = os.urandom(24 * MiB)

    async with service_over(tmp_path) as (service, stores):
        with pytest.raises(InvalidLayerError):
            await service.import_from_web(web.url, ImportRequest(platform=LINUX), lambda _: None)
        assert (stores.images.list(), list(stores.ingests.walk())) == ([], [])

    assert web.sent < len(web.data)


async def test_a_mistake_in_the_request_asks_nobody(web: Web, tmp_path: Path) -> None:
    request = ImportRequest(platform=LINUX, repository="UPPER")

    async with service_over(tmp_path) as (service, _):
        with pytest.raises(InvalidReferenceError):
            await service.import_from_web(web.url, request, lambda _: None)

    assert web.requests == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/x", 'Get "ftp://host/x": unsupported protocol scheme "ftp"'),
        ("http://", 'Get "http://": it names no host'),
        ("http://host:80x/y", 'Get "http://host:80x/y": invalid port'),
        ("http://[::1]:65536/y", 'Get "http://[::1]:65536/y": invalid port'),
        ("http://user:secret@host/x", 'Get "host/x": a login in it would be kept in logs and histories'),
    ],
)
async def test_what_is_no_url_is_said_and_no_login_shown(tmp_path: Path, url: str, message: str) -> None:
    async with service_over(tmp_path) as (service, _):
        with pytest.raises(RequestError) as caught:
            await service.import_from_web(url, ImportRequest(platform=LINUX), lambda _: None)

    assert str(caught.value) == message
