"""Applies ``--change`` to a config: the Dockerfile instructions that need no build (moby-behaviour 6.7, 6.17).

Rule 1: all of them or none: the config that was given is not touched.
Rule 2: a request is a few KiB, and what it grows to is bounded, in memory and in time.
Rule 3: Docker 20.10's rules and words; ``STOPSIGNAL`` and ``--start-interval`` come from later versions.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.errors import InvalidChangeError
from headway.oci.dockerfile import Instruction, json_list, parse_dockerfile
from headway.oci.healthcheck import flags_of, parse_healthcheck
from headway.oci.ports import exposed_ports
from headway.oci.shell_words import expand, split_words
from headway.oci.signals import is_signal

MAX_PORTS = 4 * 65_536
"""How many ports all EXPOSE together may name, each as often as it is named: there are 65,535 for each protocol."""
MAX_EXPANDED = 4 << 20
"""How many characters all words together may have once variables stand for their values."""

_SHELL = ["/bin/sh", "-c"]


def apply_changes(config: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return a config as `changes` leave it.

    Args:
        config: A container's or an image's, with Docker's keys.
        changes: Instructions, each a line or several.

    Raises:
        InvalidChangeError: One that there is not, or that says nothing sensible; in Docker's words.
    """
    if not changes:
        return dict(config)
    lines = parse_dockerfile("\n".join(changes))
    for line in lines:
        if line.name not in _RULES:
            raise InvalidChangeError(f"{line.name} is not a valid change command")
    work = _Config(config)
    for line in lines:
        _RULES[line.name](work, line)
    return work.config


class _Config:
    """A config under way.

    Attributes:
        config: As it is by now.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = dict(config)
        self._has_command = False
        self._owned: set[str] = set()
        self._env = list(self.config.get("Env") or [])
        self._places = {each.partition("=")[0]: at for at, each in reversed(list(enumerate(self._env)))}
        self._variables = dict(each.partition("=")[::2] for each in reversed(self._env))  # the first of a name counts
        self._room = MAX_EXPANDED
        self._ports = MAX_PORTS

    def _expanded(self, word: str, line: Instruction) -> str:
        text = expand(word, self._variables, line.escape)
        self._room -= len(text)
        if self._room < 0:
            raise InvalidChangeError(f"the changes grow to more than {MAX_EXPANDED} characters")
        return text

    def _own(self, key: str) -> dict[str, Any]:
        """Return a map of the config that may be written to."""
        if key not in self._owned:
            self._owned.add(key)
            self.config[key] = dict(self.config.get(key) or {})
        owned: dict[str, Any] = self.config[key]
        return owned

    def _command(self, line: Instruction) -> list[str]:
        """Return the command of a line: a list as it is, a text for the shell."""
        words = json_list(line.rest)
        if words is not None:
            return words
        return [*(self.config.get("Shell") or _SHELL), *([line.rest] if line.rest else [])]

    def cmd(self, line: Instruction) -> None:
        flags_of(line.flags)
        self.config["Cmd"] = self._command(line)
        self._has_command = self._has_command or (json_list(line.rest) != [] and bool(line.rest))

    def entrypoint(self, line: Instruction) -> None:
        flags_of(line.flags)
        self.config["Entrypoint"] = (self._command(line) if line.rest else []) or None
        if not self._has_command:  # the old command was meant for the old entrypoint
            self.config["Cmd"] = None

    def env(self, line: Instruction) -> None:
        pairs = [(self._expanded(name, line), self._expanded(value, line)) for name, value in _pairs(line)]
        for name, value in pairs:
            at = self._places.get(name, len(self._env))
            self._env[at : at + 1] = [f"{name}={value}"]
            name, _, value = self._env[at].partition("=")  # noqa: PLW2901  # a name may have grown to one with a value
            if self._places.setdefault(name, at) == at:
                self._variables[name] = value
        self.config["Env"] = self._env

    def label(self, line: Instruction) -> None:
        pairs = {self._expanded(name, line): self._expanded(value, line) for name, value in _pairs(line)}
        self._own("Labels").update(pairs)

    def expose(self, line: Instruction) -> None:
        if not line.rest:
            raise InvalidChangeError("EXPOSE requires at least one argument")
        flags_of(line.flags)
        specs = [spec for word in line.rest.split() for spec in self._expanded(word, line).split()]
        exposed = self._own("ExposedPorts")
        for spec in sorted(specs):
            ports = exposed_ports(spec)
            self._ports -= len(ports)
            if self._ports < 0:
                raise InvalidChangeError(f"the changes expose more than {MAX_PORTS} ports")
            exposed.update((port, {}) for port in ports)

    def volume(self, line: Instruction) -> None:
        words = json_list(line.rest)
        words = line.rest.split() if words is None else words
        if not words:
            raise InvalidChangeError("VOLUME requires at least one argument")
        flags_of(line.flags)
        paths = [self._expanded(word, line).strip() for word in words]
        if not all(paths):
            raise InvalidChangeError("VOLUME specified can not be an empty string")
        self._own("Volumes").update((path, {}) for path in paths)

    def user(self, line: Instruction) -> None:
        self.config["User"] = self._expanded(_only(line), line)

    def workdir(self, line: Instruction) -> None:
        wanted = self._expanded(_only(line), line)
        if not wanted:
            raise InvalidChangeError("cannot normalize nothing")
        if not wanted.startswith("/"):
            wanted = posixpath.normpath(f"/{(self.config.get('WorkingDir') or '').lstrip('/')}/{wanted}")
            wanted = f"/{wanted.lstrip('/')}"
        self.config["WorkingDir"] = wanted

    def stopsignal(self, line: Instruction) -> None:
        signal = self._expanded(_only(line), line)
        if not is_signal(signal):
            raise InvalidChangeError(f"Invalid signal: {signal}")
        self.config["StopSignal"] = signal

    def healthcheck(self, line: Instruction) -> None:
        self.config["Healthcheck"] = parse_healthcheck(line)

    def onbuild(self, line: Instruction) -> None:
        if not line.rest:
            raise InvalidChangeError("ONBUILD requires at least one argument")
        flags_of(line.flags)
        trigger = line.rest.split(maxsplit=1)[0].upper()
        if trigger == "ONBUILD":
            raise InvalidChangeError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
        if trigger in ("MAINTAINER", "FROM"):
            raise InvalidChangeError(f"{trigger} isn't allowed as an ONBUILD trigger")
        expression = re.sub(r"(?i)^\s*ONBUILD\s*", "", line.original)
        self.config["OnBuild"] = [*(self.config.get("OnBuild") or []), expression]


_RULES: dict[str, Callable[[_Config, Instruction], None]] = {
    "cmd": _Config.cmd,
    "entrypoint": _Config.entrypoint,
    "env": _Config.env,
    "expose": _Config.expose,
    "healthcheck": _Config.healthcheck,
    "label": _Config.label,
    "onbuild": _Config.onbuild,
    "stopsignal": _Config.stopsignal,
    "user": _Config.user,
    "volume": _Config.volume,
    "workdir": _Config.workdir,
}


def _only(line: Instruction) -> str:
    if not line.rest:
        raise InvalidChangeError(f"{line.name.upper()} requires exactly one argument")
    flags_of(line.flags)
    return line.rest


def _pairs(line: Instruction) -> list[tuple[str, str]]:
    """Return what ``ENV`` and ``LABEL`` set: ``a=b c=d``, or in the old form ``a b``; quotes as they stand."""
    name = line.name.upper()
    words = split_words(line.rest, line.escape)
    if not words:
        raise InvalidChangeError(f"{name} requires at least one argument")
    flags_of(line.flags)
    if "=" not in words[0]:
        pair = re.split(r"\s+", line.rest, maxsplit=1)
        if len(pair) < 2:
            raise InvalidChangeError(f"{name} must have two arguments")
        return [(pair[0], pair[1])]
    for word in words:
        if "=" not in word:
            raise InvalidChangeError(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
    pairs = [(key, value) for key, _, value in (word.partition("=") for word in words)]
    if not all(key for key, _ in pairs):
        raise InvalidChangeError(f"{name} names can not be blank")
    return pairs
