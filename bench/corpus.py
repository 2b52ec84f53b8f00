"""The images that are pulled: real software, put together by real tools.

Rule: an image is its recipe. Files get one timestamp and are added in order of name; what a build leaves
about the machine it ran on (host name, resolver, logs) is removed. What was built is kept until the
recipe's text changes. The Debian layer still follows Debian's own updates, so a report names the image
by its ID: figures from different IDs are not compared.
"""

import hashlib
import json
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.processes import run

CLOCK = 1_700_000_000
# Raise it when the steps below change what comes out: it is a part of every image's key.
BUILDER = 1
COMPRESSIONS = ("gzip", "zstd")


class Source(Protocol):
    """Where the files of one layer come from. Its ``repr`` is its recipe."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Which programs it runs that a benchmark does not run anyway."""

    @property
    def destination(self) -> str:
        """Where in the image the files go."""

    def write(self, tree: Path) -> None:
        """Write the layer's files under ``tree``, an empty directory.

        Raises:
            BenchError: A tool failed, which may be for want of a network.
        """


@dataclass(frozen=True)
class Debian:
    """Debian's smallest system, as debootstrap makes it."""

    suite: str
    destination: str = "/"
    needs = ()

    def write(self, tree: Path) -> None:
        """See :meth:`Source.write`."""
        run(["debootstrap", "--variant=minbase", self.suite, str(tree)])
        leftovers = ("var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/log/*.log", "var/log/apt/*")
        about_the_builder = (
            "etc/hostname",
            "etc/resolv.conf",
            "etc/machine-id",
            "var/cache/ldconfig/aux-cache",
        )
        for pattern in (*leftovers, *about_the_builder):
            for path in sorted(tree.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@dataclass(frozen=True)
class Wheels:
    """Python packages, unpacked from the wheels of one platform whatever machine builds the image."""

    packages: tuple[str, ...]
    destination: str = "/usr/local/lib/python3.11/dist-packages"
    needs = ()

    def write(self, tree: Path) -> None:
        """See :meth:`Source.write`."""
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--root-user-action=ignore"]
        pinned = [
            "--no-deps",
            "--only-binary=:all:",
            "--python-version=3.11",
            "--platform=manylinux_2_17_x86_64",
        ]
        run([*pip, *pinned, "--target", str(tree), *self.packages])
        # The scripts' first lines name the Python that installed them.
        shutil.rmtree(tree / "bin", ignore_errors=True)


@dataclass(frozen=True)
class NodeModules:
    """npm packages and what they need, as they were on one day: tens of thousands of small files."""

    packages: tuple[str, ...]
    before: str
    destination: str = "/srv/app"
    needs = ("npm",)

    def write(self, tree: Path) -> None:
        """See :meth:`Source.write`."""
        (tree / "package.json").write_text("{}")
        quiet = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
        run(["npm", "install", "--prefix", str(tree), *quiet, "--before", self.before, *self.packages])


@dataclass(frozen=True)
class Weights:
    """One large file as of a trained model: random, with an eighth of zeros."""

    mebibytes: int
    destination: str
    seed: int = 7
    needs = ()

    def write(self, tree: Path) -> None:
        """See :meth:`Source.write`."""
        chance = random.Random(self.seed)
        with (tree / "model.safetensors").open("wb") as file:
            for number in range(self.mebibytes):
                file.write(bytes(1 << 20) if number % 8 == 7 else chance.randbytes(1 << 20))


@dataclass(frozen=True)
class Apt:
    """What apt changes in a Debian system: whiteouts, hard links and capabilities included."""

    packages: tuple[str, ...]
    needs = ()

    @property
    def command(self) -> str:
        """What a shell in the image runs."""
        install = "apt-get install -q -y --no-install-recommends"
        clean = "apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*.log /var/log/apt /usr/share/man"
        quiet = "export DEBIAN_FRONTEND=noninteractive"
        return f"{quiet}; apt-get update -q && {install} {' '.join(self.packages)} && {clean}"


@dataclass(frozen=True)
class Recipe:
    """An image to build: a name and its layers, the lowest first."""

    name: str
    layers: tuple[Source | Apt, ...]

    @property
    def key(self) -> str:
        """Name the text of the recipe: another text, another key."""
        return hashlib.sha256(f"{BUILDER} {CLOCK} {self!r}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Image:
    """A built image in an OCI layout: one tag for each compression.

    ``image_id`` is the digest of the config; it differs between compressions when a tool rewrites it.
    """

    name: str
    compression: str
    layout: Path
    image_id: str
    layer_bytes: tuple[int, ...]
    files: int
    unpacked_bytes: int

    def layers(self) -> list[Path]:
        """Return where the layers' blobs lie, the lowest first; a file's name is the hex of its digest."""
        manifest = json.loads(_manifest(self.layout, self.compression).read_text())
        return [_blob(self.layout, layer["digest"]) for layer in manifest["layers"]]

    def blobs(self) -> list[Path]:
        """Return where everything lies that a pull fetches, in the same way."""
        return [_manifest(self.layout, self.compression), _blob(self.layout, self.image_id), *self.layers()]

    def diff_ids(self) -> list[str]:
        """Return the digests of the layers' tars, the lowest first."""
        found: list[str] = json.loads(_blob(self.layout, self.image_id).read_text())["rootfs"]["diff_ids"]
        return found

    def described(self) -> str:
        """Return what a reader of figures must know of it; figures of different IDs are not compared."""
        layers = f"{len(self.layer_bytes)} layers, {sum(self.layer_bytes) / 1e6:.0f} MB compressed"
        return f"{layers}, {self.files:,} files of {self.unpacked_bytes / 1e6:.0f} MB, ID {self.image_id}"


PYTHON = Recipe(
    "python",
    (
        Debian("bookworm"),
        Wheels(("numpy==2.2.6", "pandas==2.2.3", "python-dateutil==2.9.0.post0", "pytz==2025.2", "six==1.17.0")),
        Wheels(("ansible==9.13.0", "django==5.1.9", "sqlalchemy==2.0.41")),
    ),
)


_NODE = NodeModules(
    (
        *("@babel/preset-env@7", "@mui/icons-material@6", "@mui/material@6", "aws-sdk@2", "date-fns@4", "eslint@9"),
        *("jest@29", "lodash@4", "next@14", "react@18", "react-dom@18", "rxjs@7", "typescript@5", "webpack@5"),
    ),
    before="2025-06-01",
)
SMALL = Recipe("small", (Debian("bookworm"), _NODE))
BIG = Recipe("big", (Debian("bookworm"), Weights(1200, "/opt/model")))
MIXED = Recipe(
    "mixed",
    (
        Debian("bookworm"),
        Apt(("python3", "python3-dev", "gcc", "make", "git", "curl", "iputils-ping", "libcap2-bin", "ca-certificates")),
        Wheels(
            (
                *("numpy==2.2.6", "scipy==1.15.3", "pandas==2.2.3", "matplotlib==3.10.3", "scikit-learn==1.6.1"),
                *("django==5.1.9", "sqlalchemy==2.0.41", "requests==2.32.3"),
            )
        ),
        _NODE,
    ),
)
FORTY = Recipe("forty", tuple(Weights(1, f"/srv/{number}", seed=number) for number in range(40)))


def is_built(recipe: Recipe, corpus: Path) -> bool:
    """Say whether the image of exactly this recipe is in the folder ``corpus``."""
    return (corpus / f"{recipe.name}-{recipe.key}").exists()


def build(recipe: Recipe, corpus: Path, scratch: Path) -> None:
    """Build an image into ``corpus`` and drop what an older recipe of that name left there.

    Args:
        recipe: What to build.
        corpus: Folder that keeps built images.
        scratch: Folder for trees and storage, on a file system that carries overlay mounts; left as it ends.

    Raises:
        BenchError: A tool failed.
    """
    started = time.monotonic()
    store, state = scratch / "store", scratch / "run"
    buildah = ["buildah", "--root", str(store), "--runroot", str(state), "--storage-driver", "overlay"]
    below = "scratch"
    for number, source in enumerate(recipe.layers):
        container = run([*buildah, "from", "--pull-never", below]).strip()
        if isinstance(source, Apt):
            run([*buildah, "run", "--isolation", "chroot", container, "--", "sh", "-c", source.command])
        else:
            _add(buildah, container, source, scratch / "tree")
        below = _commit(buildah, container, f"{recipe.name}-{number}")
    files, unpacked = _counted(buildah, below)
    finished, unfinished = corpus / f"{recipe.name}-{recipe.key}", corpus / f"{recipe.name}.unfinished"
    for old in corpus.glob(f"{recipe.name}[-.]*"):
        shutil.rmtree(old)
    for compression in COMPRESSIONS:
        stored = f"containers-storage:[overlay@{store}+{state}]{below}"
        layout = f"oci:{unfinished}:{compression}"
        run(
            [
                "skopeo",
                "--insecure-policy",
                "copy",
                "--quiet",
                "--dest-compress-format",
                compression,
                stored,
                layout,
            ]
        )
    about = {"files": files, "unpacked_bytes": unpacked, "build_seconds": round(time.monotonic() - started)}
    (unfinished / "about.json").write_text(json.dumps(about))
    unfinished.rename(finished)


def load(recipe: Recipe, compression: str, corpus: Path) -> Image:
    """Describe a built image by what its layout says."""
    layout = corpus / f"{recipe.name}-{recipe.key}"
    about = json.loads((layout / "about.json").read_text())
    manifest = json.loads(_manifest(layout, compression).read_text())
    return Image(
        name=recipe.name,
        compression=compression,
        layout=layout,
        image_id=manifest["config"]["digest"],
        layer_bytes=tuple(layer["size"] for layer in manifest["layers"]),
        files=about["files"],
        unpacked_bytes=about["unpacked_bytes"],
    )


def _add(buildah: list[str], container: str, source: Source, tree: Path) -> None:
    """Put a source's files into a container; ``tree`` is free for them."""
    tree.mkdir(mode=0o755)
    source.write(tree)
    archive = tree.with_suffix(".tar")
    order = ["--sort=name", "--numeric-owner", f"--mtime=@{CLOCK}"]
    run(["tar", *order, "--create", "--file", str(archive), "--directory", str(tree), "."])
    shutil.rmtree(tree)
    run([*buildah, "add", "--quiet", container, str(archive), source.destination])
    archive.unlink()


def _commit(buildah: list[str], container: str, name: str) -> str:
    """Make an image of a container and return its name."""
    clock = ["--timestamp", str(CLOCK)]
    run([*buildah, "commit", "--quiet", "--rm", *clock, container, f"localhost/{name}:built"])
    return f"localhost/{name}:built"


def _counted(buildah: list[str], image: str) -> tuple[int, int]:
    """Return how many files an image has, and their bytes."""
    container = run([*buildah, "from", "--pull-never", image]).strip()
    root = Path(run([*buildah, "mount", container]).strip())
    sizes = [path.lstat().st_size for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    run([*buildah, "rm", container])
    return len(sizes), sum(sizes)


def _manifest(layout: Path, compression: str) -> Path:
    index = json.loads((layout / "index.json").read_text())
    tag = "org.opencontainers.image.ref.name"
    found = next(each for each in index["manifests"] if each["annotations"][tag] == compression)
    return _blob(layout, found["digest"])


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")
