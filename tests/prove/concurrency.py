"""Many who use one store at once."""

from __future__ import annotations

from tests.fakes.disks import du
from tests.faults.crowd import gather, problems_of
from tests.prove.sheet import Sheet, check

SECONDS = 60.0
WANTED = {"pulled": 50, "delete": 50, "prune": 50, "tag": 50, "look": 50, "check": 50}


@check(
    "concurrency",
    "Pulls, stopped pulls, deletes, tags, prunes and checks in one process for 60 s: no deadlock, no pull fails, every "
    "recorded image is whole at any moment, checks meanwhile and after it are clean, and a last prune leaves nothing.",
)
def concurrency(sheet: Sheet) -> None:
    """Let a crowd loose, and count."""
    root = sheet.place / "root"
    crowd = gather(root, seconds=SECONDS, seed=sheet.seed)
    for what, least in WANTED.items():
        sheet.at_least(f"how often: {what}", crowd.done[what], least)
    sheet.tell("how often: stopped", crowd.done["stopped"])
    sheet.right("nothing went wrong", "; ".join(crowd.problems[:3]))
    sheet.right("a full check is clean; nothing is lost and nothing left", "; ".join(problems_of(root)[:3]))
    sheet.tell("bytes that are left", f"{du(root):,}")
