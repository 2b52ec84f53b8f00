"""Mistakes of Headway's own: the traceback goes into the log under an ID, and the ID is what anybody else is told."""

from __future__ import annotations

import logging
import secrets

log = logging.getLogger(__name__)


def bug_logged(bug: BaseException) -> str:
    """Write a bug down, and return the sentence that says so and nothing of the inside."""
    name = secrets.token_hex(6)
    log.error("bug %s: %s", name, type(bug).__name__, exc_info=bug)
    return f"this is a bug in Headway, logged as {name}"
