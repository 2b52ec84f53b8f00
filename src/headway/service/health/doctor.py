"""Finds out why a pull would not work, or would cost more than it must (docs/usage.md, "doctor").

Rule 1: every line is a check with its proof; what was not checked is listed as not run, with the way to run it.
Rule 2: what it costs is kept small and said: headers, and one byte of a blob.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import msgspec

from headway.distribution.diagnosis import (
    Finding,
    Level,
    Section,
    clock_finding,
    range_finding,
    rate_finding,
    way_findings,
)
from headway.distribution.endpoints import Endpoint, endpoints_for
from headway.distribution.quota import Quota
from headway.distribution.remedies import IN_BETWEEN, refusal_remedy, remedy
from headway.distribution.standing import Standing
from headway.errors import (
    Fault,
    HeadwayError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnreachableError,
    WebPageError,
)
from headway.interfaces.registries import Probe, Registry
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.manifest import Index, Manifest, parse_manifest
from headway.service.registries.remote_image import PullRequest

RATE_BYTES = 256_000
_ADVICE = {
    Fault.NO_DNS: "is the link up? see /etc/resolv.conf for the name servers",
    Fault.NO_ROUTE: "is the link up? ip route shows where packets go",
    Fault.FORBIDDEN: "see what forbids it: AppArmor, SELinux (dmesg), a firewall (nft list ruleset), ip route",
    Fault.REFUSED: "is that the right port, and does it run?",
    Fault.CLOCK: "timedatectl set-ntp true",
    Fault.PROXY: "check http_proxy, https_proxy and no_proxy",
}


class Skipped(msgspec.Struct, frozen=True):
    """A check that was not run.

    Attributes:
        check: In a word.
        how: How to run it.
    """

    check: str
    how: str


Result = Finding | Skipped


class Doctor:
    """Examines the way to a registry, and what it lets this machine do.

    Args:
        probe: Measures the way.
        registry: Asks.
        check_login: Asks whether a registry lets us in; raises what `Registry` raises.
        has_login: Tells whether there is a login for ``host`` or ``host/repository``.
        standing: What registries have shown.
    """

    def __init__(
        self,
        probe: Probe,
        registry: Registry,
        *,
        check_login: Callable[[Endpoint], None],
        has_login: Callable[[str], bool],
        standing: Standing,
    ) -> None:
        self._probe = probe
        self._registry = registry
        self._check_login = check_login
        self._has_login = has_login
        self._standing = standing

    def examine(self, request: PullRequest, *, has_name: bool, rate: bool) -> Iterator[Result]:
        """Yield what is found of the registry that an image is at, and of its mirrors, as it is found.

        Args:
            request: The image; only its registry counts where there is no image to ask for.
            has_name: Whether there is one.
            rate: Whether to measure how fast its bytes come.
        """
        reference = request.reference
        for endpoint in endpoints_for(reference.domain, request.mirrors, request.insecure, request.login):
            yield from self._endpoint(endpoint, request, has_name=has_name, rate=rate)

    def _endpoint(self, endpoint: Endpoint, request: PullRequest, *, has_name: bool, rate: bool) -> Iterator[Result]:
        try:
            reached = self._probe.reach(endpoint)
        except HeadwayError as error:
            yield _unreachable(self._better(endpoint, error))
            return
        if (clock := clock_finding(reached)) is not None:
            yield clock
        yield from way_findings(reached)
        yield (login := self._login(endpoint, request, has_name=has_name))
        if quota := self._standing.quotas.get(endpoint.host):
            yield _quota(quota)
        if not has_name:
            yield Skipped("Range", "name an image")
        elif login.level is not Level.FAIL:
            yield from self._content(endpoint, request, rate=rate)
        if not rate:
            how = "add --rate" if has_name else "name an image and add --rate"
            yield Skipped("rate", f"costs {RATE_BYTES // 1000} kB: {how}")

    def _better(self, endpoint: Endpoint, error: HeadwayError) -> HeadwayError:
        """Return why a certificate is not good, where an ordinary request finds that out: the clock, a portal."""
        if not (isinstance(error, UnreachableError) and error.fault is Fault.CERTIFICATE):
            return error
        try:
            self._check_login(endpoint)
        except HeadwayError as better:
            return better
        return error

    def _login(self, endpoint: Endpoint, request: PullRequest, *, has_name: bool) -> Finding:
        resource = f"{endpoint.host}/{request.reference.path}" if has_name else endpoint.host
        who = "your login" if self._has_login(resource) else "anonymous"
        try:
            if has_name:
                self._registry.resolve(endpoint, request.reference)
            else:
                self._check_login(endpoint)
        except NotFoundError as error:
            return Finding(Section.REGISTRY, Level.FAIL, "login", f"{who}: {error}", "check the name and the tag")
        except RefusedError as error:
            return Finding(Section.REGISTRY, Level.FAIL, "login", f"{who}: refused ({error})", _advice(error))
        except ThrottledError as error:
            return Finding(Section.REGISTRY, Level.WARN, "login", f"{who}: {error}", "wait as long as it says")
        except HeadwayError as error:
            return Finding(Section.REGISTRY, Level.FAIL, "login", f"{who}: {error}", _advice(error))
        allowed = f"pull of {request.reference.familiar} allowed" if has_name else "the registry answers"
        return Finding(Section.REGISTRY, Level.OK, "login", f"{who}, {allowed}")

    def _content(self, endpoint: Endpoint, request: PullRequest, *, rate: bool) -> Iterator[Result]:
        try:
            manifest = self._manifest(endpoint, request)
            path = request.reference.path
            yield range_finding(endpoint.host, honoured=self._honours_range(endpoint, path, manifest.config))
            if rate and manifest.layers:
                yield self._rate(endpoint, path, max(manifest.layers, key=lambda layer: layer.size))
        except HeadwayError as error:
            yield Finding(Section.REGISTRY, Level.FAIL, "content", str(error), _advice(error))

    def _manifest(self, endpoint: Endpoint, request: PullRequest) -> Manifest:
        """Return a manifest of the image: that of the wanted platform, or of any."""
        digest: Digest = self._registry.resolve(endpoint, request.reference).digest
        for _ in range(4):
            raw = self._registry.fetch_manifest(endpoint, request.reference.path, digest)
            document = parse_manifest(raw.data, raw.media_type)
            if not isinstance(document, Index):
                return document
            digest = (document.choose(request.platform) or _first(document)).digest
        raise NotFoundError("manifest", request.reference.familiar)

    def _honours_range(self, endpoint: Endpoint, path: str, config: Descriptor) -> bool:
        with closing(self._registry.blob(endpoint, path, config, 1, 2)) as stream:
            return stream.open() == 1

    def _rate(self, endpoint: Endpoint, path: str, layer: Descriptor) -> Finding:
        wanted = min(RATE_BYTES, layer.size)
        received, began = 0, time.monotonic()
        with closing(self._registry.blob(endpoint, path, layer, 0, wanted)) as stream:
            stream.open()
            while received < wanted and (data := stream.read()):
                received += len(data)
        return rate_finding(received, time.monotonic() - began)


def _first(index: Index) -> Descriptor:
    if not index.manifests:
        raise NotFoundError("manifest", "an index without entries")
    return index.manifests[0]


def _quota(quota: Quota) -> Finding:
    spent = quota.remaining == 0
    return Finding(Section.REGISTRY, Level.WARN if spent else Level.OK, "quota", quota.words())


def _unreachable(error: HeadwayError) -> Finding:
    clock = isinstance(error, UnreachableError) and error.fault is Fault.CLOCK
    section, check = (Section.HERE, "clock") if clock else (Section.WAY, "connect")
    return Finding(section, Level.FAIL, check, str(error), _advice(error))


def _advice(error: HeadwayError) -> str:
    match error:
        case RefusedError():
            return refusal_remedy(error)
        case UnreachableError():
            return _ADVICE.get(error.fault) or remedy(error)
        case WebPageError():
            return IN_BETWEEN
        case _:
            return ""


def problems(results: Sequence[Result], level: Level) -> int:
    """Return how many findings are of a level."""
    return sum(isinstance(each, Finding) and each.level is level for each in results)
