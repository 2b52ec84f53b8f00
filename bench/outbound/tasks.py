"""What is measured: for each kind of work, what is made ready first and the one command that is timed.

Rule: what a program needs beforehand it gets outside of the measured time, by its own commands.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.corpus import Image
from bench.outbound.programs import HeadwayDaemon, Umoci
from bench.peers import Client, Dockerd, Headway, Program
from bench.processes import run

CHANGED = "/opt/changed"


@dataclass(frozen=True, slots=True)
class Scene:
    """Where one piece of work is done.

    Args:
        client: The program, with an empty store.
        image: The image.
        archive: The image as ``docker save`` writes it.
        files: A tar of files: the image's largest layer.
        registry: Address of a registry that has never seen the image's name.
        reference: Where that registry has the image under another one.
        out: Where results go, on the measured disk.
    """

    client: Client
    image: Image
    archive: Path
    files: Path
    registry: str
    reference: str
    out: Path

    @property
    def name(self) -> str:
        """What the image is called in the archive."""
        return f"bench/{self.image.name}:1"

    def do(self, *words: str | Path) -> str:
        """Run one command of the program and return what it printed."""
        return run([*self.client.command, *map(str, words)], environment=self.client.environment)


Prepare = Callable[[Scene], None]
Command = Callable[[Scene], Sequence[str | Path]]


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of work by two programs.

    Args:
        name: What it is called in tables.
        sides: Headway's and the peer's.
        cold: Whether the store has to be read from the disk; else it is in memory where it was just made ready.
    """

    name: str
    sides: tuple["Side", ...]
    cold: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """How one program does it.

    Args:
        program: The program.
        prepare: What comes before.
        words: The command that is timed, without the program.
    """

    program: Program
    prepare: Prepare
    words: Command


def _nothing(_: Scene) -> None:
    """Begin with an empty store."""


def _loaded(scene: Scene) -> None:
    scene.do("load", "-q", "-i", scene.archive)


def _load(scene: Scene) -> Sequence[str | Path]:
    return ["load", "-q", "-i", scene.archive]


def _save(scene: Scene) -> Sequence[str | Path]:
    return ["save", "-o", scene.out / "saved.tar", scene.name]


_numbers = count(1)


def _target(scene: Scene, number: int) -> str:
    return f"{scene.registry}/pushed-{number}/{scene.image.name}:1"


def _loaded_and_tagged(scene: Scene) -> None:
    _loaded(scene)
    scene.do("tag", scene.name, _target(scene, next(_numbers)))


def _push(scene: Scene) -> Sequence[str | Path]:
    listed = scene.do("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    return ["push", "-q", next(name for name in listed if name.startswith(scene.registry))]


def _import(scene: Scene) -> Sequence[str | Path]:
    return ["import", scene.files, "bench/imported:1"]


def _changed(scene: Scene) -> None:
    _loaded(scene)
    scene.do("create", "--name", "changed", scene.name, "/bin/true")
    tree = scene.out / "tree"
    tree.mkdir()
    run(["tar", "-xf", str(scene.files), "-C", str(tree)])
    scene.do("cp", f"{tree}/.", f"changed:{CHANGED}")


def _commit(_: Scene) -> Sequence[str | Path]:
    return ["commit", "changed", "bench/committed:1"]


def _created(scene: Scene) -> None:
    _loaded(scene)
    scene.do("create", "--name", "still", scene.name, "/bin/true")


def _export(scene: Scene) -> Sequence[str | Path]:
    return ["export", "-o", scene.out / "exported.tar", "still"]


def _pull(scene: Scene) -> Sequence[str | Path]:
    return ["pull", "--quiet", scene.reference]


def _pulled(scene: Scene) -> None:
    scene.do(*_pull(scene))


def _unpack(scene: Scene) -> Sequence[str | Path]:
    return ["unpack", scene.name, scene.out / "rootfs"]


def _umoci_unpack(scene: Scene) -> Sequence[str | Path]:
    return ["unpack", "--image", f"{scene.image.layout}:{scene.image.compression}", scene.out / "bundle"]


_SAVE = (Side(Headway(), _loaded, _save), Side(Dockerd(), _loaded, _save))
TASKS = (
    Task("load", (Side(Headway(), _nothing, _load), Side(Dockerd(), _nothing, _load)), cold=True),
    Task("save", _SAVE),
    Task("save, cold", _SAVE, cold=True),
    Task("push", (Side(Headway(), _loaded_and_tagged, _push), Side(Dockerd(), _loaded_and_tagged, _push))),
    Task("import", (Side(Headway(), _nothing, _import), Side(Dockerd(), _nothing, _import)), cold=True),
    Task("commit", (Side(HeadwayDaemon(), _changed, _commit), Side(Dockerd(), _changed, _commit))),
    Task("export", (Side(HeadwayDaemon(), _created, _export), Side(Dockerd(), _created, _export))),
    Task("pull again", (Side(HeadwayDaemon(), _pulled, _pull), Side(Dockerd(), _pulled, _pull))),
    Task("pull again, no daemon", (Side(Headway(), _pulled, _pull), Side(Dockerd(), _pulled, _pull))),
    Task("unpack", (Side(Headway(), _loaded, _unpack), Side(Umoci(), _nothing, _umoci_unpack))),
)
