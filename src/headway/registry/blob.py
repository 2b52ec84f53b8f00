"""Reads the body of one blob request.

Rule: length, range and content type of the answer are checked against the request before a byte is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headway.distribution.endpoints import Endpoint
from headway.distribution.patience import BASE_SECONDS
from headway.distribution.skipping import RangeRefusedError
from headway.errors import ChangedMeanwhileError, Fault, HeadwayError, UnreachableError, WebPageError, WrongSizeError
from headway.oci.descriptor import Descriptor
from headway.registry.address import quoted
from headway.registry.answers import (
    content_range,
    encoded,
    is_encoded,
    media_type_of,
    size_beside,
    validator_of,
    who_answered,
)
from headway.registry.exchange import Exchange
from headway.registry.request import Request, Sender


class RegistryBlob:
    """Implements `interfaces.registries.BlobStream`."""

    def __init__(
        self,
        sender: Sender,
        endpoint: Endpoint,
        repository: str,
        descriptor: Descriptor,
        offset: int,
        end: int,
    ) -> None:
        self._endpoint = endpoint
        self._descriptor = descriptor
        self._offset = offset
        self._left = 0
        headers = {}
        self._is_ranged = offset > 0 or end < descriptor.size
        if self._is_ranged:
            # No If-Range: blobs are named by their content, and another backend's ETag would turn 206 into 200.
            headers["Range"] = f"bytes={offset}-" + (str(end - 1) if end < descriptor.size else "")
        target = quoted(endpoint.blob_path) or f"/v2/{repository}/blobs/{descriptor.digest}"
        self._request = Request(sender, endpoint, repository, "GET", target, headers)
        self._exchange: Exchange | None = None
        self.stall_limit_seconds = BASE_SECONDS["answer"]

    @property
    def received_bytes(self) -> int:
        """Bytes received in all exchanges of the request, headers included."""
        return self._request.received + (self._exchange.received if self._exchange is not None else 0)

    def open(self) -> int:
        """See `interfaces.registries.BlobStream.open`."""
        self._request.limit_seconds = self.stall_limit_seconds
        with self._failures_reported():
            exchange = self._request.send()
            if exchange.status == 416 and self._is_ranged:
                if self._endpoint.validator and size_beside(exchange) not in (None, self._descriptor.size):
                    raise ChangedMeanwhileError(self._endpoint.host)  # a 416 has no validator to compare
                self._require_size(size_beside(exchange))
                raise RangeRefusedError(self._endpoint.host, "answers HTTP 416 to a range that lies in the blob")
            if exchange.status not in (200, 206):
                raise self._request.failure("blob", str(self._descriptor.digest))
            start, length = self._body(exchange)
        self._left = length
        self._exchange = exchange
        return start

    @contextmanager
    def _failures_reported(self) -> Iterator[None]:
        try:
            yield
        except HeadwayError as error:
            self._request.failed(error)
            raise

    def _body(self, exchange: Exchange) -> tuple[int, int]:
        """Check the answer against the request; return the offset at which its body starts, and its length."""
        host, size = self._endpoint.host, self._descriptor.size
        if media_type_of(exchange) == "text/html":
            raise WebPageError(who_answered(exchange, host))
        if self._endpoint.validator not in ("", validator_of(exchange)):
            raise ChangedMeanwhileError(host)
        if exchange.status == 200 and is_encoded(exchange) and exchange.length not in (None, size):
            raise encoded("the blob", exchange, self._endpoint)
        if exchange.status == 200:
            self._require_size(exchange.length)
            return 0, size
        if media_type_of(exchange) == "multipart/byteranges":
            raise RangeRefusedError(host, "answers a range in several parts")
        start, end, total = content_range(exchange, host)
        self._require_size(total)
        length = end - start + 1
        if start != self._offset or end >= size or length <= 0:
            said = f"answers bytes {start}-{end}/{total} to a request for {self._offset}- of {size}"
            raise RangeRefusedError(host, said)
        if exchange.length not in (None, length):
            raise RangeRefusedError(host, f"sends {exchange.length} bytes for {length}")
        return start, length

    def _require_size(self, size: int | None) -> None:
        """Check the size of the whole that an answer names, None where it names none.

        Raises:
            WrongSizeError: It is not the size of the descriptor.
        """
        if size not in (None, self._descriptor.size):
            raise WrongSizeError(self._endpoint.host, size, self._descriptor.size)

    def read(self) -> bytes:
        """See `interfaces.registries.BlobStream.read`."""
        if self._exchange is None or self._left == 0:
            return b""
        self._exchange.limit_seconds = self.stall_limit_seconds
        with self._failures_reported():
            data = self._exchange.read()
            if not data and is_encoded(self._exchange):
                raise encoded("the blob", self._exchange, self._endpoint)
            if not data:
                raise UnreachableError(self._endpoint.host, Fault.CUT)
        data = data[: self._left]  # a body without a Content-Length may be longer than the blob
        self._left -= len(data)
        if self._left == 0:
            self._request.worked()
        return data

    def abort(self) -> None:
        """See `interfaces.registries.BlobStream.abort`."""
        self._request.abort()

    def close(self) -> None:
        """See `interfaces.registries.BlobStream.close`."""
        self._request.close()
        self._exchange = None
