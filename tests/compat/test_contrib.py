"""What goes beside the program: units, completions, the manual page."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from contrib import generate
from headway.cli.arguments.parser import COMMANDS
from headway.cli.command_line import commands
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.registry import Registry

CONTRIB = Path(generate.__file__).parent
UNITS = sorted((CONTRIB / "systemd").iterdir())
GENERATED = {Path(place).name: text for place, text in generate.files().items()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("to")
    environment = {"PATH": os.environ["PATH"], "DESTDIR": str(to), "PYTHON": sys.executable}
    subprocess.run([CONTRIB / "install"], env=environment, check=True, umask=0o077)
    return to


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as its documentation says
    parser.read(CONTRIB / "systemd" / name)
    return parser


def test_everything_is_installed_where_debian_has_it(installed: Path) -> None:
    found = {str(path.relative_to(installed)): path.stat().st_mode for path in installed.rglob("*") if path.is_file()}

    assert set(found) == {
        *(f"usr/lib/systemd/system/{path.name}" for path in UNITS),
        *(f"usr/share/{place}" for place in generate.files()),
    }
    assert {mode & 0o777 for mode in found.values()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in installed.rglob("*") if path.is_dir()} == {0o755}


def test_nothing_is_installed_before_there_is_what_makes_the_rest(tmp_path: Path) -> None:
    shutil.copytree(CONTRIB, tmp_path / "clone/contrib")
    environment = {"PATH": os.environ["PATH"], "DESTDIR": str(tmp_path / "there")}
    install = [str(tmp_path / "clone/contrib/install")]
    done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "make install makes it, or PYTHON names one" in done.stderr
    assert not (tmp_path / "there").exists()


def test_the_words_of_the_command_line_are_all_of_them() -> None:
    assert [command.name for command in commands()] == list(dict.fromkeys([c.name for c in commands()]))
    assert {command.name for command in commands()} == set(COMMANDS)
    assert all(command.help for command in commands())


@pytest.mark.parametrize("name", ["headway", "_headway", "headway.fish", "headway.1"])
def test_every_command_and_every_option_is_named(name: str) -> None:
    text = GENERATED[name].replace("\\-", "-")

    for command in commands():
        if name != "headway.1" and not COMMANDS[command.name].summary:
            continue  # it is there to say what runs an image instead
        assert re.search(rf"\b{command.name}\b", text), command.name
        for option in (flag for each in command.options for flag in each.names if flag.startswith("--")):
            assert option in text or f"-l {option[2:]} " in text, (command.name, option)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pul"], {"pull", "pulls"}),
        (["-H", "unix:///x", "image", "pru"], {"prune"}),
        (["pulls", "re"], {"resume"}),
        (["pull", "--progress", ""], {"auto", "plain", "json", "none"}),
        (["images", "--no-t"], {"--no-trunc"}),
        (["ps", "--al"], {"--all"}),
        (["ru"], set()),
        (["completion", ""], {"bash", "zsh", "fish"}),
        (["adopt", "docker", "--ho"], {"--host"}),
        (["--config-file", "u"], set()),
    ],
)
def test_bash_completes(installed: Path, words: list[str], expected: set[str]) -> None:
    source = installed / "usr/share/bash-completion/completions/headway"
    text = " ".join(f"'{word}'" for word in ["headway", *words])
    lines = (
        f"source {source}; COMP_WORDS=({text}); COMP_CWORD={len(words)}; _headway; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, cwd=installed, check=True)

    assert (set(done.stdout.split()) - {"usr"}, done.stderr) == (expected, "")


@pytest.mark.parametrize("name", ["--host", "--data-root", "--config-file"])
def test_zsh_says_of_the_options_before_a_command_what_the_help_says(name: str) -> None:
    before_commands = GENERATED["_headway"].partition("_arguments -C")[2].partition("case $state")[0]
    (help_,) = (option.help for option in commands()[0].options if name in option.names)

    said = before_commands.split(name, 1)[1].partition("[")[2].partition("]")[0]
    assert said
    assert help_.startswith(said)


@pytest.mark.parametrize(
    ("before", "place"),
    [
        (["--data-root", "{root}"], "{root}"),
        (["--data-root", "=", "{root}"], "{root}"),
        (["--data-root", "~/root"], "{root}"),
        (["-H", "unix", ":", "///x"], "unix:///x"),
        (["--host", "tcp", ":", "//h", ":", "2375"], "tcp://h:2375"),
    ],
)
def test_bash_completes_images_of_the_store_that_is_named(
    installed: Path, tmp_path: Path, before: list[str], place: str
) -> None:
    """The words are as bash takes them apart."""
    source = installed / "usr/share/bash-completion/completions/headway"
    asked = tmp_path / "headway"
    asked.write_text('#!/bin/sh\necho "$2" "$3"\n')
    asked.chmod(0o755)
    words = ["headway", *(word.format(root=tmp_path / "root") for word in before), "rmi", ""]
    text = " ".join(f"'{word}'" for word in words)
    lines = f'source {source}; COMP_WORDS=({text}); COMP_CWORD={len(words) - 1}; _headway; echo "${{COMPREPLY[@]}}"'
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, env=environment, check=True)

    assert (done.stdout.split(), done.stderr) == ([place.format(root=tmp_path / "root"), "images"], "")


@pytest.mark.parametrize("name", ["unpack", "bundle", "mount", "umount", "import"])
def test_paths_are_completed_where_a_place_is_one(name: str) -> None:
    zsh = GENERATED["_headway"].partition(f"\n                {name}) _arguments")[2].partition(" ;;")[0]

    assert GENERATED["headway"].count("complete -o default -F _headway headway") == 1  # files where it has nothing
    assert "_files" in zsh.rpartition("\n")[2]
    assert f"complete -c headway -n '__fish_seen_subcommand_from {name}' -F\n" in GENERATED["headway.fish"]


def test_a_new_name_is_not_completed_by_those_there_are() -> None:
    lines = [line for line in GENERATED["headway"].splitlines() if "images --format" in line]

    assert not [line for line in lines if line.strip().startswith(("import)", "commit)"))]


def test_the_manual_page_uses_no_macro_that_is_none() -> None:
    macros = {line.split()[0] for line in GENERATED["headway.1"].splitlines() if line.startswith(".")}

    assert macros <= {".TH", ".SH", ".SS", ".TP", ".B", ".I", ".BR", ".RB", ".RI", ".IR", ".br", '.\\"'}


def test_units_are_what_systemd_takes(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text().replace("/usr/bin/headwayd", "/bin/true").replace("/usr/bin/headway", "/bin/true")
        (tmp_path / path.name).write_text(text)
        assert all(re.fullmatch(r"(#.*|\[[A-Z]\w+\]|[A-Z]\w+=.*|)", line) for line in path.read_text().splitlines())
    verify = shutil.which("systemd-analyze")
    if verify is not None:  # a machine without systemd has no use for units
        done = subprocess.run(
            [verify, "--man=no", "verify", *sorted(tmp_path.iterdir())], capture_output=True, text=True, check=False
        )
        assert "headway" not in done.stderr, done.stderr


def test_the_units_start_what_there_is() -> None:
    service, pull = unit("headway.service")["Service"], unit("headway-pull@.service")["Service"]

    assert service["ExecStart"].split() == ["/usr/bin/headwayd", "-H", "fd://"]
    assert (service["StateDirectory"], service["Type"]) == ("headway", "notify")
    assert pull["Environment"] == f"HEADWAY_HOST=unix://{unit('headway.socket')['Socket']['ListenStream']}"
    done = subprocess.run(
        [sys.executable, "-m", "headway", *pull["ExecStart"].split()[1:-1], "--help"], capture_output=True, check=False
    )
    assert done.returncode == 0


def test_the_daemon_needs_no_capabilities_but_those_of_its_unit() -> None:
    service = unit("headway.service")["Service"]
    granted = ",".join(f"+{each.removeprefix('CAP_').lower()}" for each in service["CapabilityBoundingSet"].split())
    confined = ["setpriv", "--bounding-set", f"-all,{granted}", "--inh-caps", "-all", "--no-new-privs"]
    image = images.image([{"bin/su": images.File(b"su\n", mode=0o4755, uid=7), "hello": b"hello\n"}])
    with tempfile.TemporaryDirectory(prefix="hw") as place, Registry([image]) as registry:
        root, host = Path(place) / "root", f"unix://{place}/s"
        with (Path(place) / "log").open("wb") as output:
            process = Cli(root, before=confined).serve("daemon", "-H", host, output=output)
        try:
            cli, name = Cli(root), f"{registry.host}/test/image"
            await_answer(cli, host)
            pulled, mounted = cli("-H", host, "pull", name), cli("-H", host, "mount", name)
            files = Path(mounted.stdout.strip())
            content, su = (files / "hello").read_bytes(), (files / "bin/su").stat()
            given_back = cli("-H", host, "umount", name)
        finally:
            process.terminate()
            process.wait(20)

    assert (pulled.returncode, given_back.returncode) == (0, 0)
    assert (content, su.st_mode & 0o7777, su.st_uid) == (b"hello\n", 0o4755, 7)


def await_answer(cli: Cli, host: str) -> None:
    deadline = time.monotonic() + 20
    while cli("-H", host, "images").returncode != 0:
        assert time.monotonic() < deadline
