"""Platforms of machines and images, and which images a machine can run (image-spec, image-index.md, "platform").

Rule 1: a value keeps the spelling of its document; comparing and printing use the normal form of containerd and Moby
        (`arm64`, not `aarch64` nor `arm64/v8`).
Rule 2: nothing here asks the machine: the caller passes the output of `uname -m`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from headway.errors import InvalidPlatformError

_COMPONENT = re.compile(r"[A-Za-z0-9_.-]+")
_OS = re.compile(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?")

_KNOWN_OS: Final = frozenset({
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
    "netbsd", "openbsd", "plan9", "solaris", "windows", "zos",
})  # fmt: skip
_KNOWN_ARCHITECTURES: Final = frozenset({
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64",
    "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
    "sparc", "sparc64", "wasm",
})  # fmt: skip

# Other spellings of an architecture, and the variant that each stands for; None keeps the variant as it is.
_ALIASES: Final[dict[str, tuple[str, str | None]]] = {
    "i386": ("386", ""),
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
_VARIANTS: Final[dict[tuple[str, str], str]] = {
    ("amd64", "v1"): "",
    ("arm64", "8"): "",
    ("arm64", "v8"): "",
    ("arm64", "v8.0"): "",
    ("arm64", "9"): "v9",
    ("arm64", "9.0"): "v9",
    ("arm64", "v9.0"): "v9",
    ("arm", ""): "v7",
    ("arm", "5"): "v5",
    ("arm", "6"): "v6",
    ("arm", "7"): "v7",
    ("arm", "8"): "v8",
}

# Outputs of `uname -m` that are not in the table of aliases.
_MACHINES: Final[dict[str, tuple[str, str]]] = {
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64_be": ("arm64be", ""),
    "armv5tel": ("arm", "v5"),
    "armv5tejl": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "loongarch64": ("loong64", ""),
    "mipsel": ("mipsle", ""),
    "mips64el": ("mips64le", ""),
}

# The platform of 32-bit programs on a 64-bit kernel, by containerd's platforms package.
_NARROW: Final[dict[str, tuple[str, str]]] = {"aarch64": ("arm", "v7"), "x86_64": ("386", "")}


class Platform(msgspec.Struct, frozen=True):
    """An operating system and an architecture, in the spelling of a document or a user.

    Attributes:
        os: Go's name of the operating system: ``linux``.
        architecture: Go's name of the architecture: ``amd64``, ``arm64``, ``arm``, ``386``.
        variant: Variant of the architecture: ``v7``; empty for none.
        os_version: Version of Windows: ``10.0.17763.1``.
        os_features: Features of Windows: ``win32k``.
    """

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, host: Platform | None = None) -> Platform:
        """Return the normal form of ``os/arch[/variant]``, or of an architecture or an operating system alone.

        Args:
            text: The user's text; Windows may have a version: ``windows(10.0.17763)/amd64``.
            host: Completes a single word; without it an architecture alone means Linux.

        Raises:
            InvalidPlatformError: It has another form, or is a single word that is neither.
        """
        first, *rest = text.split("/")
        match = _OS.fullmatch(first)
        if match is None or len(rest) > 2 or not all(_COMPONENT.fullmatch(part) for part in rest):
            raise InvalidPlatformError(f"{text!r} is not a platform: it must be os/architecture[/variant]")
        if not rest:
            return _single_word(text, host)
        return cls(match[1], rest[0], rest[1] if rest[1:] else "", os_version=match[2] or "").normal()

    @classmethod
    def of_machine(cls, machine: str, *, bits: int = 64) -> Platform:
        """Return the Linux platform of a machine; an unknown name is taken as it is.

        Args:
            machine: Its output of `uname -m`, which does not tell the level of an amd64 processor; none is assumed.
            bits: Word size of its programs: 32 on a 64-bit kernel with 32-bit programs, as on many a Raspberry Pi.
        """
        known = _NARROW | _MACHINES if bits == 32 else _MACHINES
        architecture, variant = known.get(machine.lower(), (machine, ""))
        return cls("linux", architecture, variant).normal()

    def normal(self) -> Platform:
        """Return the form in which all spellings of a platform are equal (moby-behaviour 3.4)."""
        system, architecture, variant = self.os.lower(), self.architecture.lower(), self.variant.lower()
        architecture, implied = _ALIASES.get(architecture, (architecture, None))
        if implied is not None:
            variant = implied
        variant = _VARIANTS.get((architecture, variant), variant)
        system = "darwin" if system == "macos" else system
        return Platform(system, architecture, variant, self.os_version, self.os_features)

    @property
    def is_unknown(self) -> bool:
        """Whether it is BuildKit's ``unknown/unknown``: an attestation, not an image."""
        return self.os == "unknown" or self.architecture == "unknown"

    def __str__(self) -> str:
        """Return ``os/arch[/variant]`` in normal form."""
        normal = self.normal()
        return "/".join(part for part in (normal.os, normal.architecture, normal.variant) if part)


def _single_word(word: str, host: Platform | None) -> Platform:
    system = Platform(word, "").normal().os
    if system in _KNOWN_OS:
        if host is None:
            raise InvalidPlatformError(f"{word!r} names no architecture: write {system}/amd64 or the like")
        return Platform(system, host.architecture, host.variant).normal()
    platform = Platform(host.os if host else "linux", word).normal()
    if platform.architecture not in _KNOWN_ARCHITECTURES:
        raise InvalidPlatformError(f"{word!r}: unknown operating system or architecture")
    return platform


def rank(wanted: Platform, offered: Platform) -> int | None:
    """Return how well an image for `offered` suits a machine of `wanted`: 0 is best, None means that it does not run.

    A processor runs programs for its predecessors: arm v7 runs v7, v6 and v5; amd64 runs lower levels and 386; arm64
    runs 32-bit arm, ranked as in containerd (moby-behaviour 3.4). The version of the operating system is compared on
    Windows only, by its first three numbers: elsewhere it does not decide what runs.
    """
    wanted, offered = wanted.normal(), offered.normal()
    if offered.is_unknown or wanted.os != offered.os or not _version_runs(wanted, offered):
        return None
    target = offered.architecture, offered.variant
    return next((index for index, built in enumerate(_runnable(wanted)) if built == target), None)


def is_satisfied_by(wanted: Platform, image: Platform) -> bool:
    """Tell whether a local image suits the platform `wanted` (moby-behaviour 1.5, step 5).

    Configs often leave the variant out, so an image without one suits every variant of its architecture.
    """
    if rank(wanted, image) is not None:
        return True
    want, have = wanted.normal(), image.normal()
    return not image.variant and (want.os, want.architecture) == (have.os, have.architecture)


def _runnable(platform: Platform) -> Iterator[tuple[str, str]]:
    """Yield the architectures and variants that `platform` runs, best first."""
    architecture, variant = platform.architecture, platform.variant
    yield architecture, variant
    match architecture:
        case "amd64":
            yield from (("amd64", f"v{level}" if level > 1 else "") for level in range(_level(variant) - 1, 0, -1))
            yield "386", ""
        case "arm":
            yield from (("arm", f"v{level}") for level in range(_level(variant) - 1, 4, -1))
        case "arm64":
            yield from (("arm64", older) for older in _older_arm64(variant or "v8"))
            yield from (("arm", f"v{level}") for level in (8, 7, 6, 5))


def _older_arm64(variant: str) -> Iterator[str]:
    """Yield the variants of arm64 below one: v9.x includes v8.(x+5), and each includes all below it."""
    major, _, minor = variant.partition(".")
    step = _level(f"v{minor}")
    if major == "v9":
        yield from (f"v9.{older}" if older else "v9" for older in range(step - 1, -1, -1))
        step += 6
    if major in ("v8", "v9"):
        yield from (f"v8.{older}" if older else "" for older in range(step - 1, -1, -1))


def _level(variant: str) -> int:
    """Return the digit of ``v<digit>``; 0 for anything else, so that no document can make the lists above long."""
    digits = variant.removeprefix("v")
    return int(digits) if len(digits) == 1 and digits in "0123456789" else 0


def _version_runs(wanted: Platform, offered: Platform) -> bool:
    if wanted.os != "windows" or not wanted.os_version:
        return True
    return wanted.os_version.split(".")[:3] == offered.os_version.split(".")[:3]
