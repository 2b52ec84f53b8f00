"""What is wrong with this user's logins, and does not end a command."""

from __future__ import annotations

import logging

from headway.cli.session import say


def show_login_warnings() -> None:
    """Let the user see on stderr what the lookup of logins warns of; a daemon has its log for that."""
    logger = logging.getLogger("headway.registry.credentials")
    logger.handlers[:] = [_OnStderr(logging.WARNING)]
    logger.propagate = False


class _OnStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"warning: {record.getMessage()}")
