"""Requests for one blob, each in a thread of its own."""

from __future__ import annotations

import threading
import time

import pytest

from headway.distribution.endpoints import Endpoint
from headway.distribution.spread import Fetch
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.service.fetches import Fetches
from headway.service.tools import Source
from tests.contract.test_receiver import BLOB, ingest_with, tools


async def test_a_request_for_which_there_is_no_thread_does_not_share_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    work = tools(time.monotonic)
    blob = Descriptor(media_type="", digest=Digest.of(BLOB), size=len(BLOB))
    fetches = Fetches(work, [Source(Endpoint("r"), "app")], blob, ingest_with())
    work.memory.began()  # another one
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            fetches.start(Fetch(0, 0, len(BLOB), 0))
    await fetches.stop()

    assert work.memory.sharing == 1
