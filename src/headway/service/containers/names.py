"""Names for containers that nobody has named: two words that can be said over a bad line."""

from __future__ import annotations

from collections.abc import Callable

_HOW = """
able bold brisk calm clear cosy deft eager early even fair firm fleet fresh gentle glad hardy keen kind light lively
mellow merry neat nimble patient plain proud quick quiet ready robust sound spry steady stout sunny sure tidy trim
trusty upbeat warm wary willing wise
""".split()  # noqa: SIM905  # a page of quotes would say less
_WHAT = """
anchor barge beacon bosun bowline brig buoy canoe capstan catboat coracle cutter dinghy dory ferry frigate galley
gig halyard harbour hatch jib kayak keel ketch lantern launch lugger mast oar packet pilot pinnace pontoon punt
quay raft rudder sampan schooner sextant skiff sloop spinnaker steamer tender tiller trawler trimaran tug wherry yawl
""".split()  # noqa: SIM905  # as above


def made_up_name(random: Callable[[int], bytes], attempt: int) -> str:
    """Return a name such as ``steady_ketch``; from the second attempt on with a digit behind it."""
    how, what = random(2), random(2)
    words = (_pick(_HOW, how), _pick(_WHAT, what))
    return "_".join(words) + (str(random(1)[0] % 10) if attempt else "")


def _pick(words: list[str], random: bytes) -> str:
    return words[int.from_bytes(random, "big") % len(words)]
