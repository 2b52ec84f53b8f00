"""`headway pulls`: what is being pulled, and what has become of what was."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime

from headway.cli.failures import DONE, exit_status, explain
from headway.cli.remote import holding_daemon
from headway.cli.remote_pull import priority_of
from headway.cli.session import settings_of
from headway.cli.table import json_text, render
from headway.cli.units import ago, size
from headway.client.pulls import DaemonPulls
from headway.composition.network import credential_source
from headway.composition.pull_records import pull_records
from headway.errors import HeadwayError, InvalidSettingError, NoDaemonError
from headway.interfaces.pulls import PullRecord
from headway.oci.reference import Reference
from headway.settings import Settings

_COLUMNS = {
    "ID": "PULL ID",
    "Image": "IMAGE",
    "Platform": "PLATFORM",
    "State": "STATE",
    "Reason": "REASON",
    "Progress": "HERE",
    "Held": "HELD",
    "Size": "SIZE",
    "Received": "RECEIVED",
    "Priority": "PRIORITY",
    "Detached": "DETACHED",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "ChangedAt": "CHANGED AT",
    "Digest": "DIGEST",
    "ImageID": "IMAGE ID",
}
_SHOWN = ("ID", "Image", "State", "Progress", "Priority", "CreatedSince", "Reason")


def pulls(options: Namespace) -> int:
    """List pulls, show some, or change them."""
    settings = settings_of(options, auth_file=options.authfile and options.authfile.absolute())
    daemon = holding_daemon(options, settings)
    held = DaemonPulls(daemon) if daemon is not None else None
    if options.action is None:
        records = _list(held, settings, ended=options.all)
        if options.quiet:
            print("".join(f"{record.pull_id}\n" for record in records), end="")
        else:
            print(render([_row(record) for record in records], _COLUMNS, options.format, shown=_SHOWN), end="")
        return DONE
    if not options.ids:
        raise InvalidSettingError(f"name a pull: headway pulls {options.action} ID")
    if options.action == "show":
        return _each(options.ids, lambda prefix: _show(held, settings, prefix))
    if held is None:
        address = str(settings.data_root)
        raise NoDaemonError(address, "pulls without one end with their command, and there is nothing to change")
    return _each(*_changing(held, settings, options))


def _list(held: DaemonPulls | None, settings: Settings, *, ended: bool) -> list[PullRecord]:
    if held is not None:
        return held.list(ended=ended)
    with pull_records(settings) as store:
        return [record for record in store.list() if ended or not record.state.has_ended]


def _show(held: DaemonPulls | None, settings: Settings, prefix: str) -> None:
    if held is not None:
        record = held.get(prefix)
    else:
        with pull_records(settings) as store:
            record = store.get(prefix)
    print(json_text({**_row(record), "Receipt": record.receipt}, indent=4))


def _changing(held: DaemonPulls, settings: Settings, options: Namespace) -> tuple[list[str], Callable[[str], None]]:
    """Return which pulls are to be changed, and what changes one."""
    if options.action == "priority":
        *ids, word = options.ids
        if not ids:
            raise InvalidSettingError("name a pull and its priority: headway pulls priority ID high")
        priority = priority_of(word)
        return ids, lambda prefix: _say(held.set_priority(prefix, priority))
    if options.action == "resume":
        return options.ids, lambda prefix: _resume(held, settings, prefix)
    return options.ids, lambda prefix: _say(held.change(prefix, options.action))


def _resume(held: DaemonPulls, settings: Settings, prefix: str) -> None:
    """Resume a pull, with this user's login for its registry: the daemon has kept none."""
    record = held.get(prefix)
    reference = Reference.parse(record.wish.reference)
    login = credential_source(settings)(f"{reference.domain}/{reference.path}")
    _say(held.change(record.pull_id, "resume", login))


def _say(record: PullRecord) -> None:
    print(record.pull_id)


def _each(ids: list[str], work: Callable[[str], None]) -> int:
    status = DONE
    for prefix in ids:
        try:
            work(prefix)
        except HeadwayError as error:
            print(explain(error), file=sys.stderr)
            status = status or exit_status(error)
    return status


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
        "Received": record.received,
        "Priority": record.wish.priority,
        "Detached": record.wish.detached,
        "CreatedAt": created,
        "CreatedSince": ago(created),
        "ChangedAt": _moment(record.changed),
        "Digest": str(record.digest or ""),
        "ImageID": str(record.image_id or ""),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
