"""When the documents of an archive have to be read once more: only where another file says something else now."""

from __future__ import annotations

import pytest

from headway.service.archives.archived_documents import Documents


@pytest.fixture
def documents() -> Documents:
    documents = Documents()
    documents.add("index.json", b"{}")
    documents.link("config.json", "blobs/config")
    documents.begin()
    documents.read("index.json")
    documents.read("config.json")
    documents.read("manifest.json")
    documents.resolve("layer.tar")
    return documents


def test_at_first_they_have_not_been_read() -> None:
    assert Documents().changed


@pytest.mark.parametrize("name", ["index.json", "blobs/config", "manifest.json"])
def test_a_file_that_was_read_or_missed_changes_them(documents: Documents, name: str) -> None:
    documents.add(name, b"[]")

    assert documents.changed


@pytest.mark.parametrize("name", ["index.json", "config.json", "blobs/config", "layer.tar"])
def test_a_link_that_would_be_followed_changes_them(documents: Documents, name: str) -> None:
    documents.link(name, "elsewhere")

    assert documents.changed


def test_a_small_layer_does_not(documents: Documents) -> None:
    documents.add("layer.tar", b"a small tar")
    documents.add("other.tar", b"another one")
    documents.link("link.tar", "layer.tar")

    assert not documents.changed


def test_what_was_read_and_is_not_here_is_remembered_until_they_are_read_anew() -> None:
    documents, missed = Documents(), []
    documents.add("index.json", b"{}")

    for name in ("index.json", "manifest.json", "index.json"):
        documents.read(name)
        missed.append(documents.missed)
    documents.begin()

    assert (missed, documents.missed) == ([False, True, True], False)
