"""An image as files: unpacked, mounted, in archives; and images that are made of files."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import ONE, SEVERAL, Command, absolute_path, changes, common, format_, some_path


def _unpack(parser: argparse.ArgumentParser) -> None:
    """Write an image's root file system into a directory."""
    parser.add_argument("name", metavar="NAME|ID", help=ONE)
    parser.add_argument(
        "directory", type=some_path, metavar="DIR", help="the directory to write to; created if missing"
    )
    parser.add_argument("--force", action="store_true", help="write even if DIR is not empty")


def _bundle(parser: argparse.ArgumentParser) -> None:
    """Write an OCI runtime bundle (config.json and rootfs) for runc or crun."""
    parser.add_argument("name", metavar="NAME|ID", help=ONE)
    parser.add_argument("directory", type=some_path, metavar="DIR", help="the directory to write to: missing or empty")


def _mount(parser: argparse.ArgumentParser) -> None:
    """Mount an image (read-only) or a container and print where; without a name, list what is mounted."""
    parser.add_argument("name", nargs="?", metavar="NAME|ID", help="an image or a container")
    parser.add_argument(
        "directory",
        nargs="?",
        type=absolute_path,
        metavar="DIR",
        help="where to mount: missing or empty (default: below the data root)",
    )
    parser.add_argument(
        "--read-write", action="store_true", help="create a container from the image and mount that, writable"
    )
    format_(parser, "{{.Target}} {{.Image}}")


def _umount(parser: argparse.ArgumentParser) -> None:
    """Unmount what was mounted by headway mount."""
    parser.add_argument(
        "names", nargs="+", metavar="NAME|ID|DIR", help="images, containers, or the directories where they are mounted"
    )
    parser.add_argument("--rm", action="store_true", help="remove containers as well, with everything written in them")


def _save(parser: argparse.ArgumentParser) -> None:
    """Write images to one archive that docker, podman, skopeo, containerd and Headway can load."""
    parser.add_argument("names", nargs="+", metavar="NAME|ID", help=SEVERAL)
    parser.add_argument("-o", "--output", type=some_path, metavar="FILE", help="the file to write (default: stdout)")
    parser.add_argument(
        "--platform", metavar="P", help="fail unless the images are for this platform, such as linux/arm64"
    )


def _load(parser: argparse.ArgumentParser) -> None:
    """Load images from an archive: a docker-archive or OCI layout, compressed or not."""
    parser.add_argument("-i", "--input", type=some_path, metavar="FILE|DIR", help="the archive (default: stdin)")
    parser.add_argument(
        "--platform", metavar="P", help="which platform of a multi-platform image to load (default: this machine's)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="do not list the layers")


def _import(parser: argparse.ArgumentParser) -> None:
    """Make an image from the tar of a root file system and print its ID."""
    parser.add_argument("source", metavar="FILE|URL|-", help="a tar file, compressed or not; - reads stdin")
    parser.add_argument("name", nargs="?", metavar="NAME[:TAG]", help="the name of the new image")
    changes(parser)
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="a comment for the image's history")
    parser.add_argument(
        "--platform", metavar="P", help="the platform of the image, such as linux/arm64 (default: this machine's)"
    )


def _export(parser: argparse.ArgumentParser) -> None:
    """Write the files of a container to a tar."""
    parser.add_argument("container", metavar="CONTAINER", help="its name, or its ID or the first characters of it")
    parser.add_argument("-o", "--output", type=some_path, metavar="FILE", help="the file to write (default: stdout)")


def _commit(parser: argparse.ArgumentParser) -> None:
    """Make an image from a container's changes and print its ID."""
    parser.add_argument("container", metavar="CONTAINER", help="its name, or its ID or the first characters of it")
    parser.add_argument("name", nargs="?", metavar="NAME[:TAG]", help="the name of the new image")
    parser.add_argument("-a", "--author", default="", metavar="WHO", help="the author of the image")
    changes(parser)
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="a comment for the image's history")


def _adopt(parser: argparse.ArgumentParser) -> None:
    """Copy the images of another engine on this machine, one by one, with names and digests."""
    engines = parser.add_subparsers(dest="engine", metavar="ENGINE", required=True, help="the engine to copy from")
    docker = engines.add_parser(
        "docker", description=_adopt.__doc__, help="a Docker daemon, over its API", allow_abbrev=False
    )
    docker.add_argument("names", nargs="*", metavar="NAME|ID", help="images to copy (default: all)")
    docker.add_argument(
        "-H",
        "--host",
        dest="docker_host",
        metavar="ADDRESS",
        help="where Docker listens (default: DOCKER_HOST, or unix:///var/run/docker.sock)",
    )
    common(docker, default=argparse.SUPPRESS, is_server=True)


COMMANDS = {
    "unpack": Command(_unpack, "headway.cli.files", "write an image's root file system to a directory", here_only=True),
    "bundle": Command(_bundle, "headway.cli.files", "write an OCI bundle for runc or crun", here_only=True),
    "mount": Command(_mount, "headway.cli.mount", "mount an image or a container"),
    "umount": Command(_umount, "headway.cli.mount", "unmount an image or a container"),
    "save": Command(_save, "headway.cli.archives", "write images to an archive"),
    "load": Command(_load, "headway.cli.archives", "load images from an archive"),
    "import": Command(
        _import, "headway.cli.importing", "make an image from a root file system's tar", function="import_"
    ),
    "export": Command(_export, "headway.cli.containers", "write a container's files to a tar"),
    "commit": Command(_commit, "headway.cli.containers", "make an image from a container's changes"),
    "adopt": Command(_adopt, "headway.cli.adopt", "copy images from Docker", is_server=True),
}
