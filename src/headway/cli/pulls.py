"""`headway pulls`: what is being pulled, and what has become of what was."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from headway.cli.failures import DONE, each_of
from headway.cli.remote import holding_daemon
from headway.cli.session import registry_settings_of
from headway.cli.table import fields, json_text, render
from headway.cli.units import ago, size
from headway.composition.reading import pull_records
from headway.distribution.pull_states import PullState, after_restart
from headway.errors import InvalidSettingError, NoDaemonError
from headway.interfaces.pulls import PullRecord
from headway.oci.reference import Reference
from headway.quantities import parse_priority
from headway.settings import Settings
from headway.store.lock import holder

if TYPE_CHECKING:
    from headway.client.daemon import Daemon
    from headway.client.pulls import DaemonPulls

_COLUMNS = {
    "ID": "PULL ID",
    "Image": "IMAGE",
    "Platform": "PLATFORM",
    "State": "STATE",
    "Reason": "REASON",
    "Progress": "HERE",
    "Held": "HELD",
    "Size": "SIZE",
    "Cost": "RECEIVED",
    "Needed": "NEEDED",
    "Received": "BYTES RECEIVED",
    "Wasted": "WASTED",
    "Reused": "REUSED",
    "Retries": "RETRIES",
    "Priority": "PRIORITY",
    "Detached": "DETACHED",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "ChangedAt": "CHANGED AT",
    "Digest": "DIGEST",
    "ImageID": "IMAGE ID",
}
_ENDED = "what brought it has ended"
_SHOWN = ("ID", "Image", "State", "Progress", "Priority", "CreatedSince", "Reason")
_SHOWN_OF_ALL = ("ID", "Image", "State", "Progress", "Cost", "Retries", "CreatedSince", "Reason")


def pulls(options: Namespace) -> int:
    """List pulls, show some, or change them."""
    settings = registry_settings_of(options)
    daemon = holding_daemon(options, settings)
    held = _pulls_of(daemon) if daemon is not None else None
    if options.action is None:
        records = _list(held, settings, ended=options.all)
        if options.quiet:
            print("".join(f"{record.pull_id}\n" for record in records), end="")
        else:
            shown = _SHOWN_OF_ALL if options.all else _SHOWN
            print(render([_row(record) for record in records], _COLUMNS, options.format, shown=shown), end="")
        return DONE
    if not options.ids or not all(options.ids):
        raise InvalidSettingError(f"name a pull: headway pulls {options.action} ID")
    if options.action == "show":
        return each_of(options.ids, lambda prefix: _show(held, settings, prefix, options.format), options)
    if held is None:
        address = str(settings.data_root)
        raise NoDaemonError(address, "without it, pulls end with their command, and there is nothing to change")
    return each_of(*_changing(held, settings, options), options)


def _pulls_of(daemon: Daemon) -> DaemonPulls:
    from headway.client.pulls import DaemonPulls  # noqa: PLC0415  # the records alone are read without HTTP

    return DaemonPulls(daemon)


def _list(held: DaemonPulls | None, settings: Settings, *, ended: bool) -> list[PullRecord]:
    if held is not None:
        return held.list(ended=ended)
    with pull_records(settings) as store:
        records = [_as_left(record, settings) for record in store.list()]
    return [record for record in records if ended or not record.state.has_ended]


def _as_left(record: PullRecord, settings: Settings) -> PullRecord:
    """Return a record as the next process will take it up, where the one that it was running in has ended."""
    if record.state.has_ended or holder(settings.data_root / "lock") is not None:
        return record
    state = after_restart(record.state, detached=record.wish.detached, lacks_login=record.had_login)
    return record if state is record.state else msgspec.structs.replace(record, state=state, reason=_ENDED)


def _show(held: DaemonPulls | None, settings: Settings, prefix: str, how: str) -> None:
    if held is not None:
        record = held.get(prefix)
    else:
        with pull_records(settings) as store:
            record = _as_left(store.get(prefix), settings)
    document = {**_row(record), "Receipt": _receipt(record)}
    if how in ("table", "json"):
        print(json_text(document, indent=4))
    else:
        print(fields([document], how), end="")


def _changing(held: DaemonPulls, settings: Settings, options: Namespace) -> tuple[list[str], Callable[[str], None]]:
    """Return which pulls are to be changed, and what changes one."""
    if options.action == "priority":
        *ids, word = options.ids
        if not ids:
            raise InvalidSettingError("name a pull and its priority: headway pulls priority ID high")
        priority = parse_priority(word)
        return ids, lambda prefix: _say(held.set_priority(prefix, priority))
    if options.action == "resume":
        return options.ids, lambda prefix: _resume(held, settings, prefix)
    return options.ids, lambda prefix: _say(held.change(prefix, options.action))


def _resume(held: DaemonPulls, settings: Settings, prefix: str) -> None:
    """Resume a pull, with this user's login for its registry: the daemon has kept none."""
    from headway.composition.network import credential_source  # noqa: PLC0415  # nobody else shows a login

    record = held.get(prefix)
    reference = Reference.parse(record.wish.reference)
    login = credential_source(settings)(reference.repository)
    _say(held.change(record.pull_id, "resume", login))


def _say(record: PullRecord) -> None:
    print(record.pull_id)


def _row(record: PullRecord) -> dict[str, object]:
    created = _moment(record.created)
    return {
        "ID": record.pull_id,
        "Image": Reference.parse(record.wish.reference).familiar,
        "Platform": record.wish.platform,
        "State": str(record.state),
        "Reason": record.reason,
        "Progress": f"{size(record.held)} of {size(record.size)}" if record.size else "",
        "Held": record.held,
        "Size": record.size,
        "Cost": _cost(record),
        "Needed": record.needed,
        "Received": record.cost.received,
        "Wasted": record.cost.wasted,
        "Reused": record.reused,
        "Retries": sum(record.cost.retries.values()),
        "Priority": record.wish.priority,
        "Detached": record.wish.detached,
        "CreatedAt": created,
        "CreatedSince": ago(created),
        "ChangedAt": _moment(record.changed),
        "Digest": str(record.digest or ""),
        "ImageID": str(record.image_id or ""),
    }


def _cost(record: PullRecord) -> str:
    """Return what has crossed for a pull, and how many times what it needed that was."""
    received = record.cost.received
    ratio = f" ({received / record.needed:.3f})" if record.needed else ""
    return f"{size(received)}{ratio}" if received else ""


def _receipt(record: PullRecord) -> dict[str, object]:
    """Return what a pull has cost so far, over all its attempts."""
    cost = record.cost
    return {
        "needed": record.needed if record.state is PullState.COMPLETE else None,
        "received": cost.received,
        "wasted": cost.wasted,
        "reused": record.reused,
        "retries": cost.retries,
        "sources": cost.sources,
        "seconds": {str(state): spent for state, spent in cost.seconds.items()},
        "receiving_seconds": cost.receiving_seconds,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
