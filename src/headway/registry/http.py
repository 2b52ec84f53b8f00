"""HTTP/1.1 for registries: exchanges over connections that are used again."""

from __future__ import annotations

from collections.abc import Mapping

from headway.registry.address import Address
from headway.registry.exchange import Exchange
from headway.registry.sending import Body
from headway.registry.transport import Transport


class HttpClient:
    """Makes exchanges; safe to use from any thread.

    Args:
        user_agent: Sent with every request.
        transport: How this process reaches registries.

    Attributes:
        transport: How this process reaches registries.
    """

    def __init__(self, user_agent: str, transport: Transport | None = None) -> None:
        self.transport = transport or Transport()
        self._user_agent = user_agent

    def exchange(
        self,
        address: Address,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        form: bytes | None = None,
        body: Body | None = None,
    ) -> Exchange:
        """Return an exchange; nothing is sent before its `Exchange.send`.

        Args:
            address: Whom to ask.
            method: HTTP method.
            target: Path and query.
            headers: Beside those that every request has.
            form: A few bytes that go with it.
            body: What it carries up, any length of it; no `form` then.
        """
        sent = {
            "Host": str(address),
            "User-Agent": self._user_agent,
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
        return Exchange(self.transport, address, method, target, sent, form, body)
