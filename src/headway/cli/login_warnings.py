"""Shows warnings about this user's logins, which do not end a command."""

from __future__ import annotations

import logging

from headway.cli.session import say


def show_login_warnings() -> None:
    """Show the warnings of the login lookup on stderr; a daemon has its log for that."""
    logger = logging.getLogger("headway.registry.credentials")
    logger.handlers[:] = [_OnStderr(logging.WARNING)]
    logger.propagate = False


class _OnStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"warning: {record.getMessage()}")
