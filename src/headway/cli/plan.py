"""`headway pull --dry-run`: what pulls would cost."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping, Sequence

import msgspec

from headway.cli.failures import DONE, tell
from headway.cli.table import SCHEMA, json_text
from headway.cli.terminal import one_line
from headway.cli.units import about, bit_rate, clock, counted, size
from headway.interfaces.traffic import Account
from headway.service.pulling.planning import LayerPlan, PullPlan
from headway.service.requests.plans import Plans

_LINE = "{:<12}  {:>8}  {:>8}  {:>8}  {}"


def say_plans(made: Plans, finding: Account, options: Namespace, *, is_kept: bool = True) -> int:
    """Print what pulls would cost, explain those that cannot be planned, and return the first one's status.

    Args:
        made: The plans.
        finding: What finding out which images are meant has cost before; pulling them will cost it once more.
        options: The command line.
        is_kept: Whether the pull finds what they fetched.
    """
    statuses = [tell(each.error, options) for each in made.planned if each.error is not None]
    plans = [each.plan for each in made.planned if each.plan is not None]
    if not is_kept:  # the documents will cross again
        plans = [msgspec.structs.replace(e, crossing=e.crossing + e.asked - e.question) for e in plans]
    again = finding.received_bytes
    asked = {
        "requests": finding.requests + made.asked["requests"],
        "received_bytes": again + made.asked["received_bytes"],
    }
    is_json = options.format == "json"
    print(plans_json(plans, asked, again) if is_json else plans_text(plans, asked, again, is_kept=is_kept), end="")
    return next(iter(statuses), DONE)


def plans_text(plans: Sequence[PullPlan], asked: Mapping[str, int], again: int, *, is_kept: bool) -> str:
    """Return plans for people.

    Args:
        plans: Of one errand, in order.
        asked: What it has cost to make them: ``requests``, ``received_bytes``.
        again: Bytes of that which the pulls will cost once more.
        is_kept: Whether the pull finds what they fetched.
    """
    lines = [line for plan in plans for line in [*_plan(plan), ""]]
    if len(plans) > 1 or (plans and again):
        lines += [f"{len(plans)} images together" if len(plans) > 1 else "in all", *_totals(plans, again), ""]
    requests = counted(asked["requests"], "request")
    kept = (
        "what it fetched is kept for the pull" if is_kept else "nothing of it can be kept: the data root is read-only"
    )
    lines.append(f"Asking cost {size(asked['received_bytes'])} in {requests}, tokens included; {kept}.")
    return "\n".join(lines) + "\n"


def plans_json(plans: Sequence[PullPlan], asked: Mapping[str, int], again: int) -> str:
    """Return plans for programs; arguments as for `plans_text`."""
    return (
        json_text(
            {
                "schema": SCHEMA,
                "items": [_document(plan) for plan in plans],
                "total": {
                    "to_fetch": sum(plan.to_fetch for plan in plans),
                    "crossing": again + sum(plan.crossing for plan in plans),
                    "disk_bytes": sum(plan.forecast.unpacked for plan in plans),
                    "seconds": _rounded(_seconds(plans)),
                },
                "asked": asked,
            },
            indent=1,
        )
        + "\n"
    )


def _document(plan: PullPlan) -> dict[str, object]:
    return {
        "reference": plan.reference,
        "digest": plan.digest,
        "platform": plan.platform,
        "is_here": plan.is_here,
        "size": plan.size,
        "to_fetch": plan.to_fetch,
        "crossing": plan.crossing,
        "disk_bytes": plan.forecast.unpacked,
        "disk_basis": plan.forecast.basis,
        "free_bytes": plan.space.bytes,
        "bytes_per_second": plan.rate and round(plan.rate),
        "seconds": _rounded(_seconds([plan])),
        "layers": [
            {"digest": e.digest, "size": e.size, "here": e.here, "to_fetch": e.to_fetch, "why": _why(e)}
            for e in plan.layers
        ],
    }


def _plan(plan: PullPlan) -> list[str]:
    state = "   already here" if plan.is_here and not plan.to_fetch else ""
    layers = [
        _LINE.format(e.digest.short, size(e.size), _or_zero(e.here), _or_zero(e.to_fetch), one_line(_why(e))).rstrip()
        for e in plan.layers
    ]
    return [
        one_line(f"{plan.reference}  {plan.platform}  {plan.digest}{state}"),
        _LINE.format("LAYER", "SIZE", "HERE", "TO FETCH", "").rstrip(),
        *layers,
        *_totals([plan]),
    ]


def _totals(plans: Sequence[PullPlan], again: int = 0) -> list[str]:
    to_fetch, whole = (sum(getattr(plan, name) for plan in plans) for name in ("to_fetch", "size"))
    crossing = again + sum(plan.crossing for plan in plans)
    unpacked = sum(plan.forecast.unpacked for plan in plans)
    basis = next((plan.forecast.basis for plan in plans if plan.forecast.unpacked), "")
    estimate = f"about {size(unpacked)} unpacked (estimate: {basis}); " if unpacked else ""
    wire = f"at most {crossing:,} bytes with the headers of the answers"
    return [
        f"to fetch  {size(to_fetch)} of {size(whole)}   ({wire}){_time(plans)}",
        f"disk      {size(to_fetch)} more while fetching; {estimate}{size(plans[0].space.bytes)} free",
    ]


def _time(plans: Sequence[PullPlan]) -> str:
    """Return how long it will take at the rates that were seen last; nothing where one is not known."""
    seconds = _seconds(plans)
    if seconds is None or seconds < 1:
        return ""
    rates = {plan.rate for plan in plans if plan.to_fetch and plan.rate is not None}
    seen = f"{bit_rate(rates.pop())} (the last rate seen)" if len(rates) == 1 else "the last rates seen"
    return f"   about {about(seconds)} at {seen}"


def _seconds(plans: Sequence[PullPlan]) -> float | None:
    spent = [None if plan.rate is None else plan.crossing / plan.rate for plan in plans if plan.to_fetch]
    known = [each for each in spent if each is not None]
    return sum(known) if known and len(known) == len(spent) else None


def _why(layer: LayerPlan) -> str:
    if layer.is_unpacked:
        return f"in {layer.reason}" if layer.reason else "unpacked already"
    if layer.reason:
        return f"comes with {layer.reason}"
    if layer.since is not None:
        return f"unfinished since {clock(layer.since, time.time())}"
    return ""


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _or_zero(count: int) -> str:
    return size(count) if count else "0"
