"""An image as files: unpacked, mounted, in archives; and images that are made of files."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import ONE, SEVERAL, Command, absolute_path, changes, common, format_, some_path


def _unpack(parser: argparse.ArgumentParser) -> None:
    """Write an image's root file system into a directory."""
    parser.add_argument("name", metavar="NAME|ID", help=ONE)
    parser.add_argument("directory", type=some_path, metavar="DIR", help="where to; it is made if it is not there")
    parser.add_argument("--force", action="store_true", help="even if DIR is not empty")


def _bundle(parser: argparse.ArgumentParser) -> None:
    """Write an OCI runtime bundle: config.json and rootfs, as runc and crun start them."""
    parser.add_argument("name", metavar="NAME|ID", help=ONE)
    parser.add_argument("directory", type=some_path, metavar="DIR", help="the bundle; it must be empty, or not there")


def _mount(parser: argparse.ArgumentParser) -> None:
    """Mount an image read-only, or a container, and print where; without a name, list what is mounted."""
    parser.add_argument("name", nargs="?", metavar="NAME|ID", help="an image, or a container")
    parser.add_argument(
        "directory",
        nargs="?",
        type=absolute_path,
        metavar="DIR",
        help="an empty directory (default: one below the data root)",
    )
    parser.add_argument("--read-write", action="store_true", help="make a container of the image, which can be written")
    format_(parser, "{{.Target}} {{.Image}}")


def _umount(parser: argparse.ArgumentParser) -> None:
    """Unmount what was mounted by headway mount."""
    parser.add_argument(
        "names", nargs="+", metavar="NAME|ID|DIR", help="images, containers, or the places where they are mounted"
    )
    parser.add_argument("--rm", action="store_true", help="remove containers, with what was written in them")


def _save(parser: argparse.ArgumentParser) -> None:
    """Write images into one archive, which docker, podman, skopeo, containerd and Headway load."""
    parser.add_argument("names", nargs="+", metavar="NAME|ID", help=SEVERAL)
    parser.add_argument("-o", "--output", type=some_path, metavar="FILE", help="where to (default: stdout)")
    parser.add_argument("--platform", metavar="P", help="what each image must be for, such as linux/arm64")


def _load(parser: argparse.ArgumentParser) -> None:
    """Bring in the images of an archive: docker-archive or OCI layout, compressed or not."""
    parser.add_argument("-i", "--input", type=some_path, metavar="FILE|DIR", help="the archive (default: stdin)")
    parser.add_argument("--platform", metavar="P", help="which one of images for several (default: this machine's)")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not show which layers come by")


def _import(parser: argparse.ArgumentParser) -> None:
    """Make an image of a root file system's archive, and print its ID."""
    parser.add_argument("source", metavar="FILE|URL|-", help="a tar, compressed in any way; - reads stdin")
    parser.add_argument("name", nargs="?", metavar="NAME[:TAG]", help="what to call it")
    changes(parser)
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="its comment")
    parser.add_argument("--platform", metavar="P", help="what it is for, such as linux/arm64 (default: this machine)")


def _export(parser: argparse.ArgumentParser) -> None:
    """Write a container's files into an archive."""
    parser.add_argument("container", metavar="CONTAINER", help="its name, or its ID or the beginning of that")
    parser.add_argument("-o", "--output", type=some_path, metavar="FILE", help="write it there, and not to stdout")


def _commit(parser: argparse.ArgumentParser) -> None:
    """Make an image of what a container has changed, and print its ID."""
    parser.add_argument("container", metavar="CONTAINER", help="its name, or its ID or the beginning of that")
    parser.add_argument("name", nargs="?", metavar="NAME[:TAG]", help="what to call it")
    parser.add_argument("-a", "--author", default="", metavar="WHO", help="who makes it")
    changes(parser)
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="why")


def _adopt(parser: argparse.ArgumentParser) -> None:
    """Take over the images of another engine on this machine, one by one, with names and digests."""
    engines = parser.add_subparsers(dest="engine", metavar="ENGINE", required=True, help="whose images")
    docker = engines.add_parser(
        "docker", description=_adopt.__doc__, help="those of a Docker daemon, over its API", allow_abbrev=False
    )
    docker.add_argument("names", nargs="*", metavar="NAME|ID", help="which ones (default: all)")
    docker.add_argument(
        "-H",
        "--host",
        dest="docker_host",
        metavar="ADDRESS",
        help="where Docker listens (default: DOCKER_HOST, or unix:///var/run/docker.sock)",
    )
    common(docker, default=argparse.SUPPRESS, is_server=True)


COMMANDS = {
    "unpack": Command(_unpack, "headway.cli.files", "write its root file system into a directory", here_only=True),
    "bundle": Command(_bundle, "headway.cli.files", "write an OCI bundle that runc and crun start", here_only=True),
    "mount": Command(_mount, "headway.cli.mount", "show its files at a place"),
    "umount": Command(_umount, "headway.cli.mount", "show them no more"),
    "save": Command(_save, "headway.cli.archives", "write images into an archive"),
    "load": Command(_load, "headway.cli.archives", "bring in the images of an archive"),
    "import": Command(_import, "headway.cli.importing", "make an image of a root file system", function="import_"),
    "export": Command(_export, "headway.cli.containers", "write a container's files into an archive"),
    "commit": Command(_commit, "headway.cli.containers", "make an image of a container"),
    "adopt": Command(_adopt, "headway.cli.adopt", "take over Docker's images", is_server=True),
}
