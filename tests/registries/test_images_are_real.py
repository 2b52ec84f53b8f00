"""The images that tests build are what other tools take for images."""

from __future__ import annotations

import http.client
import json
import subprocess
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.images import Compression, File, Media
from tests.fakes.servers import DockerRegistry, docker_registry, skopeo
from tests.faults.tls import Certificate

FILES: images.Files = {
    "etc/": b"",
    "etc/motd": b"hello\n",
    "bin/tool": File(b"#!/bin/sh\n", mode=0o755),
    "etc/link": File(link="motd"),
    "etc/hard": File(hard_link="etc/motd"),
}


def get(registry: DockerRegistry, path: str, accept: str = "*/*") -> tuple[http.client.HTTPResponse, bytes]:
    client = http.client.HTTPConnection(registry.host, timeout=5)
    try:
        client.request("GET", path, headers={"Accept": accept})
        response = client.getresponse()
        return response, response.read()
    finally:
        client.close()


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("media", ["oci", "docker"])
@pytest.mark.parametrize("index", [False, True], ids=["manifest", "index"])
def test_a_registry_takes_them_with_every_digest_kept(
    registry: DockerRegistry, compression: Compression, media: Media, *, index: bool
) -> None:
    image = images.image([FILES, {"etc/.wh.motd": b""}], compression=compression, media=media, index=index)
    repository = f"taken/{compression}-{media}-{index}".lower()

    registry.push(image, repository)

    accept = image.media_types[image.manifest_digest]
    response, manifest = get(registry, f"/v2/{repository}/manifests/latest", accept)
    _, layer = get(registry, f"/v2/{repository}/blobs/{image.layers[0]}")
    assert response.headers["Docker-Content-Digest"] == image.manifest_digest
    assert manifest == image.blobs[image.manifest_digest]
    assert layer == image.blobs[image.layers[0]]


def test_umoci_unpacks_what_went_in(tmp_path: Path) -> None:
    image = images.image([FILES, {"etc/.wh.motd": b"", "new": b"new"}], config={"Cmd": ["sh"]})
    layout = images.write_layout(tmp_path / "layout", image)

    subprocess.run(
        ["umoci", "raw", "unpack", "--rootless", "--image", f"{layout}:latest", str(tmp_path / "tree")],
        check=True,
        capture_output=True,
    )

    tree = tmp_path / "tree"
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == [
        "bin",
        "bin/tool",
        "etc",
        "etc/hard",
        "etc/link",
        "new",
    ]
    assert (tree / "etc/hard").read_bytes() == b"hello\n"
    assert (tree / "bin/tool").stat().st_mode & 0o777 == 0o755


def test_a_layout_reads_back_as_the_same_image(tmp_path: Path) -> None:
    built = [images.image(tag="one"), images.image([FILES], tag="two", index=True, media="docker")]

    read = images.read_layout(images.write_layout(tmp_path, *built))

    assert read == built


def test_skopeo_finds_the_platforms_and_the_config(tmp_path: Path) -> None:
    image = images.image(config={"Env": ["A=b"]}, platforms=["linux/arm/v7"])
    layout = images.write_layout(tmp_path, image)

    config = json.loads(skopeo("inspect", "--config", "--raw", f"oci:{layout}:latest"))

    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm", "v7")
    assert (config["config"], config["rootfs"]["diff_ids"]) == ({"Env": ["A=b"]}, list(image.diff_ids))


def test_skopeo_pushes_a_layout_with_every_digest_kept(registry: DockerRegistry, tmp_path: Path) -> None:
    image = images.image([FILES], index=True)

    name = registry.push_layout(images.write_layout(tmp_path, image), image.tag, "by/skopeo")

    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    assert raw.encode() == image.blobs[image.manifest_digest]


def test_the_secure_registry_speaks_tls(secure_registry: DockerRegistry, certificate: Certificate) -> None:
    image = images.image()

    name = secure_registry.push(image)

    trust = f"--cert-dir={certificate.certificate.parent}"
    assert skopeo("inspect", "--raw", trust, f"docker://{name}").encode() == image.blobs[image.manifest_digest]


def test_a_registry_may_be_a_cache_of_another(registry: DockerRegistry, tmp_path: Path) -> None:
    image = images.image([{"cached": b"cached"}])
    registry.push(image, "cached")

    with docker_registry(tmp_path, proxy_of=registry.url) as cache:
        _, layer = get(cache, f"/v2/cached/blobs/{image.layers[0]}")

    assert layer == image.blobs[image.layers[0]]
