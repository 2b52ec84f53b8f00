"""Requests that Schemathesis makes from our own description of the Engine API, against a daemon that has something.

Rule 1: names are half of the time such as there are, because nothing is behind a door that is never opened.
Rule 2: nothing leaves this machine: where a request may name a registry, it names ours, one that is not there, or
        what is no name at all.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.processes import free_port
from tests.fakes import images
from tests.fakes.daemon import Daemon, daemon
from tests.faults.registry import Registry

DESCRIPTION = Path(__file__).parents[2] / "docs" / "engine-api.yaml"
CONFIG = {"Cmd": ["sh"], "Labels": {"a": "b"}}
CHECKS = "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"
_AS_DESCRIBED = ("/events", "/images/create", "/images/search", "/distribution/{name}/json", "/auth")
"""What would never end, or would ask somebody far away, if it were asked in another way than described."""
_METHODS = ("get", "put", "post", "delete", "head")


@dataclass(frozen=True, slots=True)
class Scene:
    """A daemon with an image and a container.

    Attributes:
        daemon: It.
        url: Where it answers over TCP.
        image: The image's name.
        container: The container's name.
    """

    daemon: Daemon
    url: str
    image: str
    container: str


def description() -> dict[str, Any]:
    """Return our description."""
    document: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text())
    return document


def operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Return method and path of everything that is described."""
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item if method in _METHODS}


@contextmanager
def scene(place: Path) -> Iterator[Scene]:
    """Run a daemon that has pulled an image and made a container."""
    port = free_port()
    with (
        Registry([images.image([{"etc/": b"", "etc/file": b"content"}], config=CONFIG)]) as registry,
        daemon(place, "-H", f"tcp://127.0.0.1:{port}", "--tls=false") as running,
    ):
        image = f"{registry.host}/test/image"
        pulled = running.ask("POST", f"/images/create?fromImage={image}&tag=latest")
        assert pulled.lines[-1].get("status", "").startswith("Status: Downloaded"), pulled.body
        made = running.ask(
            "POST",
            "/containers/create?name=fuzzed",
            body=json.dumps({"Image": image}).encode(),
            Content_Type="application/json",
        )
        assert made.status == 201, made.body
        yield Scene(running, f"http://127.0.0.1:{port}", image, "fuzzed")


def served(scene: Scene, described: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return what the daemon has of what is described; what it has not is a page that is not found."""
    return {
        (method, path)
        for method, path in described
        if "api-version" in scene.daemon.ask(method, f"{path.format(name='nope', id='nope')}?until=1").headers
    }


def narrowed(document: dict[str, Any], scene: Scene) -> dict[str, Any]:
    """Return the description as it is good to make requests from: with names that are there, and none from outside.

    Args:
        document: The description.
        scene: What there is.
    """
    document = copy.deepcopy(document)
    parameters = document["components"]["parameters"]
    parameters["ImageName"]["schema"] = _often([scene.image, f"{scene.image}:latest"])
    parameters["ContainerName"]["schema"] = _often([scene.container])
    parameters["Filters"]["schema"] = _often(
        ['{"label":{"a=b":true}}', '{"dangling":["true"]}', '{"nope":["1"]}', '{"before":["nope"]}', "[]", "{"]
    )
    parameters["Platform"]["schema"] = _often(['{"os":"linux","architecture":"amd64"}', '{"os":1}', "{}"])
    registries = {"enum": [scene.image, f"{scene.image}:latest", "UPPER", "a b", "sha256:00", ""]}
    paths = document["paths"]
    _set(paths["/images/create"]["post"], "fromImage", registries)
    _set(
        paths["/images/create"]["post"],
        "fromSrc",
        {"enum": ["-", "http://127.0.0.1:1/none.tar", "ftp://x"]},
        required=False,
    )
    _set(paths["/images/search"]["get"], "term", {"enum": ["127.0.0.1:1/x", "", "a b/c"]})
    paths["/distribution/{name}/json"]["parameters"] = [
        {"name": "name", "in": "path", "required": True, "schema": {"enum": registries["enum"][:-1]}}
    ]
    _set(paths["/events"]["get"], "until", {"enum": ["1", "2", "x", "-1"]})
    _set(paths["/containers/{id}/archive"], "path", _often(["/etc", "/etc/file", "/", "nope", "../../etc"]))
    login = document["components"]["schemas"]["Login"]
    login["properties"]["serveraddress"] = {"enum": [scene.image.partition("/")[0], "127.0.0.1:1", "a b"]}
    login["required"] = ["serveraddress"]
    made = document["components"]["schemas"]["ContainerConfig"]
    made["properties"]["Image"] = _often([scene.image])
    for method, path in operations(document):
        content = paths[path][method.lower()].get("requestBody", {}).get("content", {})
        if (tar := content.pop("application/x-tar", None)) is not None:
            content["application/octet-stream"] = tar  # which Schemathesis knows how to write
    described = operations(document)
    for method, path in described - served(scene, described):
        del paths[path][method.lower()]
    return document


def _often(known: list[str]) -> dict[str, Any]:
    return {"anyOf": [{"enum": known}, {"type": "string", "minLength": 1}]}


def _set(operation: dict[str, Any], name: str, schema: dict[str, Any], *, required: bool = True) -> None:
    for parameter in operation["parameters"]:
        if parameter.get("name") == name:
            parameter |= {"schema": schema, "required": required}
            return
    raise KeyError(name)


def examined(
    document: dict[str, Any], scene: Scene, place: Path, *, phases: str, examples: int = 1, seed: int = 1
) -> str:
    """Make requests from a description; return what Schemathesis found, nothing where it found nothing.

    Args:
        document: A description, narrowed to the scene.
        scene: Who is asked.
        place: Where it may write.
        phases: ``coverage`` for the edges of every parameter, the same each time; ``fuzzing`` for chance.
        examples: How many requests chance makes of each operation.
        seed: Of chance.
    """
    inside = [f"--include-path={path}" for path in _AS_DESCRIBED]
    outside = [f"--exclude-path={path}" for path in _AS_DESCRIBED]
    return _run(document, scene, place, [*outside, "--phases", phases], examples, seed) or _run(
        document, scene, place, [*inside, "--phases", phases, "--mode", "positive"], examples, seed
    )


def _run(document: dict[str, Any], scene: Scene, place: Path, which: Sequence[str], examples: int, seed: int) -> str:
    path = place / "description.json"
    path.write_text(json.dumps(document))
    words = ["run", str(path), "--url", f"{scene.url}/v1.51", "--checks", CHECKS, *which]
    words += ["--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure", "--no-color"]
    words += ["--suppress-health-check", "all", "--warnings", "off"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *words],
        cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": str(place), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}"
