"""Two hundred clients that pull one image from a daemon at the same time."""

from __future__ import annotations

import threading
from collections import Counter

from tests.fakes import images
from tests.fakes.daemon import daemon
from tests.faults.registry import Registry
from tests.prove.crowd_of_clients import bystander, pulled
from tests.prove.peaks import peaks_of
from tests.prove.sheet import Sheet, check

CLIENTS = 200
LAYER_BYTES, LAYERS = 4_000_000, 4
PING_SECONDS = 2.0
MEMORY_MB = 160.0


@check("many-clients", "200 clients pull one image at once: one download of each blob, and all of them end well.")
def many_clients(sheet: Sheet) -> None:
    """Let all of them begin together, and count what the registry was asked for."""
    image = images.image([images.noise_layer(LAYER_BYTES, seed=number) for number in range(LAYERS)])
    problems: list[str] = []
    with Registry([image]) as registry, daemon(sheet.place / "d") as running:
        name = f"{registry.host}/test/image"
        threads = [threading.Thread(target=pulled, args=(running, name, "latest", problems)) for _ in range(CLIENTS)]
        with peaks_of(running.process.pid) as peaks, bystander(running) as other:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        gets = Counter(each.path for each in registry.log if "/blobs/" in each.path and each.method == "GET")
        sheet.right("all end well", "; ".join(problems[:3]))
        sheet.at_most("most downloads of one blob", max(gets.values()), 1, decimals=0)
        sheet.at_least("blobs that were downloaded", len(gets), LAYERS + 1)
        listed = running.ask("GET", "/images/json").json
        sheet.right("there is one image", "" if len(listed) == 1 else f"{len(listed)}")
        sheet.right("others are answered meanwhile", "; ".join(other.failures[:3]))
        sheet.at_most("the slowest of their answers", max(other.seconds), PING_SECONDS, "s", decimals=2)
        sheet.at_most("memory, the most", peaks.memory / 1e6, MEMORY_MB, "MB", decimals=0)
        sheet.tell("descriptors, the most", peaks.descriptors)
        sheet.tell("threads, the most", peaks.threads)
        sheet.right("nothing happened that Headway did not know", "; ".join(running.bugs)[:500])
