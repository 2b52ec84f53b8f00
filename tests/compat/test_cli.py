"""The command line as people and scripts meet it: words, results, messages and exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headway.cli.arguments.dockers import instead_of
from headway.cli.arguments.parser import ALIASES, COMMANDS, parse
from headway.cli.command_line import commands
from headway.cli.units import size
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.images import Image
from tests.fakes.nobody import UID, home_of_nobody
from tests.faults.registry import Registry
from tests.faults.story import Fault, StallAfter, Status

HOSTILE = "\x1b[31m\x9b31m\x07\rline\nnext: do as I say"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
SMALL = images.image([{"a": b"a"}, {"b": b"bb"}], config={"Cmd": ["sh"]})
OTHER = images.image([{"a": b"a"}, {"c": b"c"}], tag="two", config={"Cmd": ["other"]})


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A registry with `SMALL` and `OTHER` in one repository and an image that means harm in another."""
    with Registry([SMALL, OTHER]) as running:
        running.add(hostile_image(), repository="test/hostile")
        yield running


@pytest.fixture
def headway(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "root")


@pytest.fixture(scope="module")
def stocked(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A store with all three images, for questions only."""
    headway = Cli(tmp_path_factory.mktemp("stocked") / "root")
    pulled = headway("pull", "-q", *(f"{registry.host}/test/{name}" for name in ("image", "image:two", "hostile")))
    assert pulled.returncode == 0, pulled.stderr
    return headway


def hostile_image() -> Image:
    """Return an image whose every text would do something to a terminal."""
    image = images.image([{"a": b"a"}])
    config = json.loads(image.blobs[image.image_id])
    config["history"] = [{"created": HOSTILE, "created_by": HOSTILE, "comment": HOSTILE}]
    config |= {"author": HOSTILE, "created": HOSTILE, "os": f"linux{HOSTILE}", "config": {"Labels": {"a": HOSTILE}}}
    data = json.dumps(config).encode()
    manifest = {**image.manifest, "config": {**image.manifest["config"], **described(data)}}
    raw = json.dumps(manifest).encode()
    digest = images.digest_of(raw)
    layer = image.layers[0]
    return Image(
        blobs={layer: image.blobs[layer], images.digest_of(data): data, digest: raw},
        media_types={digest: image.media_types[image.manifest_digest]},
        manifest_digest=digest,
        tag="latest",
        image_id=images.digest_of(data),
        layers=image.layers,
        diff_ids=image.diff_ids,
    )


def described(data: bytes) -> dict[str, object]:
    return {"digest": images.digest_of(data), "size": len(data)}


def first_line(text: str) -> str:
    return text.partition("\n")[0]


# --- pull -----------------------------------------------------------------------------------------------------


def test_a_pull_prints_its_result_on_stdout_and_the_rest_on_stderr(registry: Registry, headway: Cli) -> None:
    done = headway("pull", f"{registry.host}/test/image")

    name = f"{registry.host}/test/image:latest"
    assert done.returncode == 0
    assert done.stdout == f"{name}  {SMALL.manifest_digest}   complete, verified\n"
    assert first_line(done.stderr) == f"{name}  linux/amd64"
    assert done.stderr.splitlines()[-1].startswith(f"needed {size(sum(map(len, SMALL.blobs.values())))}   received ")


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_a_quiet_pull_prints_only_full_names(registry: Registry, headway: Cli, flag: str) -> None:
    done = headway("pull", flag, f"{registry.host}/test/image", f"{registry.host}/test/image:two")

    names = [f"{registry.host}/test/image:latest", f"{registry.host}/test/image:two"]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, names, "")


def test_progress_as_json_is_an_object_a_line(registry: Registry, headway: Cli) -> None:
    done = headway("pull", "--progress", "json", f"{registry.host}/test/image")

    kinds = [json.loads(line)["type"] for line in done.stderr.splitlines()]
    assert (kinds[0], kinds[-1]) == ("PullStarted", "PullDone")
    assert {"LayerProgress"} <= set(kinds)


def test_a_terminal_that_cannot_be_drawn_on_gets_lines_as_they_come(registry: Registry, tmp_path: Path) -> None:
    drawn, plain = (
        Cli(tmp_path / term, environment={"TERM": term}).on_terminal("pull", f"{registry.host}/test/image")
        for term in ("xterm", "dumb")
    )

    assert ("\x1b[" in drawn, "\x1b[" in plain) == (True, False)
    assert "downloading\n" in plain  # which a drawing shows at its end only, and then no more


def test_without_progress_a_pull_says_nothing_on_stderr(registry: Registry, headway: Cli) -> None:
    done = headway("pull", "--progress", "none", f"{registry.host}/test/image")

    assert (done.returncode, done.stderr) == (0, "")


def test_too_few_open_files_are_this_machines_limit_wherever_they_run_out(registry: Registry, tmp_path: Path) -> None:
    name, ended = f"{registry.host}/test/image", []
    for files in range(14, 19):
        headway = Cli(tmp_path / str(files), before=("prlimit", f"--nofile={files}"))
        done = headway("pull", "--max-download-attempts", "1", name)
        ended.append(done.stderr.splitlines()[-1] if done.returncode else "done")

    assert set(ended) - {"done"} == {f"next: {_RAISE}"}


_RAISE = "raise the limit (ulimit -a, its cgroup) or wait until others need less, and run it again"


def test_an_image_that_fails_does_not_keep_the_others(registry: Registry, headway: Cli) -> None:
    done = headway("pull", "-q", f"{registry.host}/test/nothing", f"{registry.host}/test/image")

    assert done.returncode == 1
    assert done.stdout == f"{registry.host}/test/image:latest\n"
    assert f"headway: {registry.host}/test/nothing:latest not complete: no such " in done.stderr


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["pull", "Upper"], 2),
        (["pull", "--platform", "a/b/c/d", "{host}/test/image"], 2),
        (["pull", "--max-download-attempts", "many", "{host}/test/image"], 2),
        (["pull", "--download-patience", "long", "{host}/test/image"], 2),
        (["pull", "{host}/test/nothing"], 1),
        (["pull", "{closed}/test/image"], 77),
        (["pull", "127.0.0.1:1/test/image"], 75),
        (["pull"], 2),
        (["no-such-command"], 2),
        ([], 2),
        (["inspect", "nothing"], 1),
        (["history", "nothing"], 1),
        (["unpack", "nothing", "somewhere"], 1),
        (["bundle", "nothing", "somewhere"], 1),
        (["tag", "nothing", "name"], 1),
        (["rmi", "nothing"], 1),
        (["images", "Upper"], 2),
        (["images", "--no-such-flag"], 2),
        (["version"], 0),
        (["--help"], 0),
    ],
)
def test_the_exit_code_says_what_kind_of_failure_it_was(headway: Cli, words: list[str], status: int) -> None:
    refusal = [Fault(Status(403))]
    with Registry([SMALL]) as open_to_all, Registry([SMALL], faults=refusal) as closed:
        done = headway(*(word.format(host=open_to_all.host, closed=closed.host) for word in words))

    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr


def test_usage_names_the_command_to_read_more_with(headway: Cli) -> None:
    done = headway("pull")

    assert done.stderr.splitlines()[-1] == "next: headway pull --help"


@pytest.mark.parametrize(
    ("words", "said", "further"),
    [
        (["imags"], "there is no command 'imags'; images is one", "headway --help"),
        (["pull", "Upper"], "invalid reference format: repository name (library/Upper) must be lowercase", ""),
        (
            ["pull", "a", "docker://x/y"],
            "invalid reference format: 'docker://x/y' (a name has no docker:// before it: x/y)",
            "",
        ),
        (
            ["push", "http://localhost:5000/x"],
            "invalid reference format: 'http://localhost:5000/x' (a name has no http:// before it: localhost:5000/x)",
            "",
        ),
        (["outdated", "a:b:c"], "invalid reference format: 'a:b:c'", ""),
        (["pull", "me:s3:cr@t@a.example/x"], "invalid reference format: '...@a.example/x'", ""),
        (["push", "me:s3cret@a.example:5000"], "invalid reference format: '...@a.example:5000'", ""),
        (["pull", "app:1@sha256:12"], "invalid reference format: 'app:1@sha256:12'", ""),
        (
            ["pull", "https://me:a://b@a.example/x"],
            "invalid reference format: 'https://...@a.example/x' (a name has no https:// before it: ...@a.example/x)",
            "",
        ),
        (
            ["pull", "https://me:s3cret@a.example:5000/x"],
            "invalid reference format: 'https://...@a.example:5000/x' "
            "(a name has no https:// before it: ...@a.example:5000/x)",
            "",
        ),
        (["pull", "a.example:5000/x:t@sha256:0"], "invalid reference format: 'a.example:5000/x:t@sha256:0'", ""),
        (["pulls", "show", ""], "name a pull: headway pulls show ID", ""),
        (["pull", "--max-bytes", "3X", "a"], "--max-bytes: invalid size '3X': write 500k, 2M, 1.5G or 512MiB", ""),
        (["pull", "--priority", "top", "a"], "invalid priority 'top': write low, normal, high or a number", ""),
        (["images", "-f", "colour=red"], "invalid filter 'colour'", ""),
        (["df", "--colour"], "unrecognized arguments: --colour", ""),
        (["daemon", "--colour"], "unrecognized arguments: --colour", ""),
    ],
)
def test_a_wrong_word_is_named_with_the_help_that_knows_better(
    headway: Cli, words: list[str], said: str, further: str
) -> None:
    done = headway(*words)

    assert done.returncode == 2
    assert done.stderr == f"headway: {said}\nnext: {further or f'headway {words[0]} --help'}\n"
    assert not headway.data_root.exists()


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["system", "df"], "headway df, headway prune, headway events"),
        (["image"], "headway image ls, or simply headway ls"),
        (["build", "."], "buildah build -t NAME . && buildah push NAME docker-archive:/dev/stdout | headway load"),
        (["logs", "-f", "app"], "headway run NAME shows what does"),
        (["search", "x"], "docker -H unix:///run/headway.sock search (headway daemon serves it)"),
    ],
)
def test_dockers_words_that_are_no_commands_are_answered_with_what_does_it(
    headway: Cli, words: list[str], advice: str
) -> None:
    done = headway(*words)

    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert first.startswith(f"headway: there is no command '{words[0]}': ")
    assert last == f"next: {advice}"


def test_no_command_is_taken_for_one_of_dockers_words() -> None:
    assert [name for name in (*COMMANDS, *ALIASES) if instead_of(name)] == []


@pytest.mark.parametrize(
    "words",
    [
        ["pulls", "show", "--format", "json", "1f"],
        ["pulls", "--format", "json", "show", "1f"],
        ["pull", "a", "--platform", "arm64", "b"],
        ["rmi", "a", "-f", "b"],
        ["pulls", "priority", "1f", "-H", "unix:///s", "-5"],
        ["adopt", "docker", "--host", "unix:///s", "a"],
        ["rmi", "-f", "--", "-a"],
    ],
)
def test_options_stand_between_names_too(words: list[str]) -> None:
    names = [word for word in words[1:] if word in ("show", "priority", "a", "b", "-a", "1f", "-5")]

    found = vars(parse(words))

    assert [found.get("action"), *found.get("ids", ()), *found.get("names", ())][-len(names) :] == names


@pytest.mark.parametrize("words", [["pull"], ["pull", "--all-outdated", "alpine"]])
def test_a_pull_is_of_names_or_of_all_that_is_outdated(headway: Cli, words: list[str]) -> None:
    refused = headway(*words)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "name images, or --all-outdated, and not both" in refused.stderr


@pytest.mark.parametrize(
    ("words", "meant"), [(["help"], []), (["help", "rm"], ["rmi"]), (["image", "help", "df"], ["df"])]
)
def test_help_is_asked_for_by_a_word_too(headway: Cli, words: list[str], meant: list[str]) -> None:
    assert headway(*words).stdout == headway(*meant, "--help").stdout != ""


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["load", "-i", "/nowhere.tar"], "check the name and the place of that file"),
        (["import", "/nowhere.tar"], "check the path: a part of it does not exist"),
        (["export", "nothing"], "check the name; docker ps -a lists containers, and headway df -v their IDs"),
    ],
)
def test_what_is_not_here_is_looked_for_here(headway: Cli, words: list[str], advice: str) -> None:
    done = headway(*words)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"next: {advice}"


def test_the_flag_that_every_program_has_tells_the_version(headway: Cli) -> None:
    script = "import sys; sys.argv = ['headwayd', '--version']; from headway.cli import main; main.run_daemon()"
    daemon = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert headway("--version").stdout == headway("version").stdout == daemon.stdout


def test_inspect_shows_single_fields_by_a_template(stocked: Cli, registry: Registry) -> None:
    name = f"{registry.host}/test/image:latest"
    (whole,) = json.loads(stocked("inspect", name).stdout)

    shown = stocked("inspect", "--format", "{{.Id}} {{.RootFS.Type}} {{json .RepoTags}}", name)
    missing = stocked("inspect", "--format", "{{.Config.Colour}}", name)

    assert shown.stdout == f'{whole["Id"]} layers ["{name}"]\n'
    assert missing.returncode == 2
    assert missing.stderr.startswith("headway: --format: .Config.Colour is not there\n")


@pytest.mark.parametrize(
    "words", [["inspect", "nothing"], ["history", "nothing"], ["pull", "Upper"], ["pull", "127.0.0.1:1/none"]], ids=str
)
def test_debugging_adds_a_traceback_and_changes_nothing_else(headway: Cli, words: list[str]) -> None:
    plain = headway(*words)
    debugged = headway(*words, "-D")

    assert "Traceback" not in plain.stderr
    assert "Traceback" in debugged.stderr
    assert (debugged.returncode, debugged.stdout) == (plain.returncode, plain.stdout)
    assert debugged.stderr.endswith("".join(plain.stderr.splitlines(keepends=True)[-2:]))


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (
            ["pull", "{host}/test/image:nothing"],
            "check the name and the tag: the registry has no such",
        ),
        (["inspect", "nothing"], "check the name; headway images lists the images here"),
        (["pull", "--platform", "s390x", "{host}/test/index"], "name one of those with --platform"),
        (["unpack", "{host}/test/image", "/proc"], "remove what is in the way, or use another name, or add --force"),
        (["bundle", "{host}/test/image", "/proc"], "remove what is in the way, or use another name\n"),
    ],
)
def test_a_failure_ends_with_what_to_do_next(stocked: Cli, registry: Registry, words: list[str], advice: str) -> None:
    registry.add(images.image(index=True), repository="test/index")

    done = stocked(*(word.format(host=registry.host) for word in words))

    assert done.returncode == 1
    assert done.stderr.splitlines(keepends=True)[-1].startswith(f"next: {advice}")


def test_of_an_index_without_an_image_nobody_is_told_to_name_another_platform(headway: Cli, registry: Registry) -> None:
    registry.add(images.image(index=True, platforms=("unknown/unknown",)), repository="test/attested")

    done = headway("pull", f"{registry.host}/test/attested")

    assert done.returncode == 1
    assert done.stderr.endswith(
        "next: tell whoever publishes it that this index lists no image, for whatever platform\n"
    )


def test_a_bundle_of_nobody_says_who_has_to_mend_that(headway: Cli, registry: Registry, tmp_path: Path) -> None:
    registry.add(images.image(config={"User": "nobody-there"}), repository="test/user")
    headway("pull", f"{registry.host}/test/user")

    done = headway("bundle", f"{registry.host}/test/user", tmp_path / "bundle")

    assert done.returncode == 1
    assert "runs as user nobody-there" in done.stderr
    assert done.stderr.endswith(
        "next: tell whoever publishes the image; headway unpack writes its files all the same\n"
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_pull_says_what_is_kept_and_the_next_one_goes_on(headway: Cli, how: signal.Signals) -> None:
    image = images.image([images.noise_layer(1_000_000)])
    stall = Fault(StallAfter(600_000), digest=image.layers[0], nth=1)
    with Registry([image], faults=[stall]) as registry:
        name = f"{registry.host}/test/image:latest"
        process = headway.start("pull", "--progress", "json", name)
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line).get("held", 0) == 600_000:
                break
        process.send_signal(how)
        stdout, rest = process.communicate(timeout=20)
        again = headway("pull", name)
        sent = sum(exchange.sent for exchange in registry.log)

    said = rest.splitlines()[-1]
    assert (process.returncode, stdout) == (130, "")
    assert said == "headway: stopped; 600 kB of 1.00 MB kept; the same command goes on from there"
    assert again.returncode == 0
    assert sent < 1_020_000


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_is_said_is_there_before_the_end(unbuffered: str) -> None:
    said = "import os, sys; from headway.cli.terminal import make_safe; make_safe()\n"
    said += "print('waiting', file=sys.stderr); os._exit(0)"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}

    done = subprocess.run([sys.executable, "-c", said], env=environment, capture_output=True, check=True)

    assert done.stderr == b"waiting\n"


def test_a_command_that_is_stopped_as_it_starts_leaves_what_it_has_printed() -> None:
    script = """
import os, signal, sys
from headway.cli import main
main.import_module = lambda _: (print("begun"), os.kill(os.getpid(), signal.SIGINT))
sys.argv = ["headway", "version"]
main.run()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "begun\n", "")


# --- what registries and images say -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["images", "--digests", "--no-trunc"],
        ["images", "--format", "json"],
        ["images", "--format", "{{.CreatedAt}} {{.Platform}}"],
        ["images", "--format", "table {{.CreatedAt}}\\t{{.Platform}}"],
        ["images", "--format", "{{json .}}"],
        ["history", "{name}"],
        ["history", "--no-trunc", "{name}"],
        ["history", "--format", "json", "{name}"],
        ["history", "--format", "{{.CreatedBy}} {{.Comment}}", "{name}"],
        ["inspect", "{name}"],
        ["inspect", HOSTILE],
        ["pull", "{name}"],
        ["pull", "--progress", "json", "{name}"],
    ],
)
def test_no_text_from_outside_reaches_the_terminal_raw(stocked: Cli, registry: Registry, words: list[str]) -> None:
    done = stocked(*(word.replace("{name}", f"{registry.host}/test/hostile:latest") for word in words))

    assert done.returncode == (2 if HOSTILE in words else 0)
    assert CONTROL.findall(done.stdout + done.stderr) == []
    assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("next: do")] == []


@pytest.mark.parametrize("words", [["images"], ["df"], ["inspect", "{name}"], ["history", "{name}"]])
def test_an_empty_template_says_nothing_as_to_docker(stocked: Cli, registry: Registry, words: list[str]) -> None:
    plain = [word.replace("{name}", f"{registry.host}/test/hostile:latest") for word in words]

    assert stocked(*plain, "--format", "").stdout == stocked(*plain).stdout


def test_json_has_what_an_image_says_exactly(stocked: Cli, registry: Registry) -> None:
    done = stocked("inspect", f"{registry.host}/test/hostile:latest")

    document = json.loads(done.stdout)[0]
    assert (document["Author"], document["Config"]["Labels"]) == (HOSTILE, {"a": HOSTILE})


def test_an_error_that_a_registry_words_stays_one_line(headway: Cli) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": HOSTILE}]}).encode()
    refusal = Fault(Status(403, headers={"Content-Type": "application/json"}, body=body))
    with Registry([SMALL], faults=[refusal]) as registry:
        done = headway("pull", f"{registry.host}/test/image")

    assert done.returncode == 77
    assert CONTROL.findall(done.stderr) == []
    assert [line for line in done.stderr.splitlines() if line.startswith("next: do")] == []


def test_a_name_that_is_no_text_is_printed_all_the_same(stocked: Cli, registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / os.fsdecode(b"caf\xe9%s '\"")

    done = stocked("unpack", f"{registry.host}/test/image", target)

    assert (done.returncode, done.stderr) == (0, "")
    assert (target / "a").read_bytes() == b"a"


# --- lists ------------------------------------------------------------------------------------------------------


def test_the_table_of_images_is_dockers(stocked: Cli, registry: Registry) -> None:
    done = stocked("images", f"{registry.host}/test/image")

    heading, *rows = [re.split(r" {3,}", line) for line in done.stdout.splitlines()]
    assert heading == ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    assert sorted((row[0], row[1], row[2], row[4]) for row in rows) == [
        (f"{registry.host}/test/image", "latest", SMALL.image_id[7:19], "3 B"),
        (f"{registry.host}/test/image", "two", OTHER.image_id[7:19], "2 B"),
    ]


@pytest.mark.parametrize("words", [["ls"], ["image", "ls"], ["image", "images"], ["images", "-a"]])
def test_aliases_mean_the_same(stocked: Cli, words: list[str]) -> None:
    assert stocked(*words).stdout == stocked("images").stdout


def test_images_shows_digests_full_ids_and_ids_alone(stocked: Cli, registry: Registry) -> None:
    name = f"{registry.host}/test/image:two"

    digests = stocked("images", "--digests", "--format", "{{.Digest}}", name)
    full = stocked("images", "--no-trunc", "-q", name)
    short = stocked("images", "-q", name)

    assert digests.stdout == f"{OTHER.manifest_digest}\n"
    assert full.stdout == f"{OTHER.image_id}\n"
    assert short.stdout == f"{OTHER.image_id[7:19]}\n"


def test_every_tag_of_a_repository_stands_beside_its_digests(headway: Cli, registry: Registry) -> None:
    name = f"{registry.host}/test/image"
    headway("pull", f"{name}:two")
    headway("tag", f"{name}:two", f"{name}:again")
    headway("tag", f"{name}:two", "elsewhere:1")

    shown = headway("images", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}", "--filter", f"reference={name}")
    others = headway("images", "--format", "{{.Digest}}", "elsewhere")

    for tag in ("two", "again"):
        assert f"{name}:{tag} {OTHER.manifest_digest}" in shown.stdout.splitlines()
    assert others.stdout == "<none>\n"


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{.ID}}", OTHER.image_id[7:19]),
        ("{{ .Tag }}\\t{{.Bytes}}", "two\t2"),
        ("{{json .Tag}}", '"two"'),
        ("é \\ {{.Tag}}", "é \\ two"),
        ("table {{.Tag}}\\t{{.ID}}", f"TAG   IMAGE ID\ntwo   {OTHER.image_id[7:19]}"),
    ],
)
def test_templates_are_filled_from_the_fields(stocked: Cli, registry: Registry, template: str, shown: str) -> None:
    done = stocked("images", "--format", template, f"{registry.host}/test/image:two")

    assert (done.returncode, done.stdout) == (0, f"{shown}\n")


def test_a_template_without_images_prints_nothing(headway: Cli) -> None:
    done = headway("images", "--format", "{{.ID}}")

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("command", [["images"], ["history", "{name}"], ["version"]])
def test_an_unknown_field_is_refused_by_name(stocked: Cli, registry: Registry, command: list[str]) -> None:
    words = [word.replace("{name}", f"{registry.host}/test/image") for word in command]

    done = stocked(*words, "--format", "{{.Colour}}")

    assert (done.returncode, done.stdout) == (2, "")
    assert first_line(done.stderr).startswith("headway: --format: unknown field .Colour; there are ")


@pytest.mark.parametrize(
    "words",
    [[command.name] for command in commands() for option in command.options if option.value == "table|json|TEMPLATE"],
    ids=str,
)
def test_the_template_that_a_help_shows_is_understood(stocked: Cli, registry: Registry, words: list[str]) -> None:
    (example,) = re.findall(r"'({{.*?}})'", " ".join(stocked(*words, "--help").stdout.split()))
    more = {"history": [f"{registry.host}/test/image"], "events": ["--until", "0s"]}.get(words[0], [])

    done = stocked(*words, "--format", example, *more)

    assert "{{" not in done.stdout
    assert done.returncode != 2, done.stderr


def test_json_of_lists_has_a_schema(stocked: Cli, registry: Registry) -> None:
    listed = json.loads(stocked("images", "--format", "json", f"{registry.host}/test/image:two").stdout)
    steps = json.loads(stocked("history", "--format", "json", f"{registry.host}/test/image:two").stdout)

    assert (listed["schema"], len(listed["items"]), listed["items"][0]["Bytes"]) == (1, 1, 2)
    assert (steps["schema"], [step["Bytes"] for step in steps["items"]]) == (1, [1, 1])


def test_history_is_dockers(stocked: Cli, registry: Registry) -> None:
    done = stocked("history", "--format", "{{.ID}} {{.CreatedBy}} {{.Size}}", f"{registry.host}/test/image")

    assert done.stdout == f"{SMALL.image_id[7:19]} layer 1 2 B\n<missing> layer 0 1 B\n"


def test_inspect_has_dockers_fields(stocked: Cli, registry: Registry) -> None:
    done = stocked("inspect", SMALL.image_id[7:19], "nothing")

    [document] = json.loads(done.stdout)
    name = f"{registry.host}/test/image"
    driver = document.pop("GraphDriver")
    assert done.returncode == 1
    assert first_line(done.stderr) == "headway: no such image: nothing:latest"
    assert (driver["Name"], set(driver["Data"])) == ("overlay2", {"UpperDir", "LowerDir"})
    assert document == {
        "Id": SMALL.image_id,
        "RepoTags": [f"{name}:latest"],
        "RepoDigests": [f"{name}@{SMALL.manifest_digest}"],
        "Parent": "",
        "Comment": "",
        "Created": images.CREATED,
        "DockerVersion": "",
        "Author": "",
        "Config": {"Cmd": ["sh"]},
        "Architecture": "amd64",
        "Os": "linux",
        "Size": 3,
        "RootFS": {"Type": "layers", "Layers": list(SMALL.diff_ids)},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }


@pytest.mark.parametrize("words", [["version"], ["--help"], ["images"], ["images", "--format", "{{.ID}}" * 5_000]])
def test_a_reader_that_has_gone_is_no_reason_for_a_word(stocked: Cli, words: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with stocked.start(*words, stdout=writes) as process:
        os.close(writes)
        _, said = process.communicate(timeout=20)

    assert (process.returncode, said) == (1, "")


@pytest.mark.parametrize("words", [["version"], ["completion", "bash"]])  # which fits the buffer, and does not
def test_a_result_that_finds_no_room_is_a_full_disk(headway: Cli, words: list[str]) -> None:
    with open("/dev/full", "w") as full, headway.start(*words, stdout=full.fileno()) as process:
        _, said = process.communicate(timeout=20)

    assert process.returncode == 73
    assert said.splitlines()[0] == "headway: no space left on the disk that holds stdout"
    assert said.splitlines()[1].startswith("next: make room there or name another place")


@pytest.mark.parametrize("redirection", [">&-", "2>&-"])
def test_a_stream_that_is_closed_is_written_to_by_nobody(redirection: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m headway version {redirection}"

    done = subprocess.run(
        command, shell=True, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_stdin_that_is_closed_is_an_empty_one(headway: Cli) -> None:
    command = f"{shlex.quote(sys.executable)} -m headway --data-root {headway.data_root} load <&-"

    done = subprocess.run(command, shell=True, text=True, capture_output=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("headway: the archive cannot be loaded: it is empty")


@pytest.mark.parametrize(
    ("words", "status"), [(["pull", "{name}"], 0), (["inspect", "nothing"], 1), (["nonsense"], 2)], ids=str
)
def test_a_stderr_that_takes_nothing_changes_nothing(
    registry: Registry, headway: Cli, words: list[str], status: int
) -> None:
    name = f"{registry.host}/test/image"

    spelled = [word.format(name=name) for word in words]
    with open("/dev/full", "w") as full, headway.start(*spelled, stderr=full.fileno()) as process:
        process.communicate(timeout=20)

    assert process.returncode == status
    assert (headway("images", "-q").stdout != "") == (status == 0)


# --- names ------------------------------------------------------------------------------------------------------


def test_names_come_and_go_as_dockers(registry: Registry, headway: Cli) -> None:
    """The same words, answers and codes were seen of dockerd 20.10 (moby-behaviour 6.8 and 6.9)."""
    name = f"{registry.host}/test/image"
    headway("pull", name)
    short = SMALL.image_id[7:19]

    tagged = [headway("tag", *words) for words in [(name, "other:x"), (name, f"{name}:y"), (short, "other:x")]]
    by_id = headway("rmi", short)
    first = headway("rmi", f"{name}:latest")
    last_of_repository = headway("image", "rm", f"{name}:y")
    last = headway("rm", "other:x")

    assert [(done.returncode, done.stdout, done.stderr) for done in tagged] == [(0, "", "")] * 3
    assert (by_id.returncode, by_id.stdout) == (1, "")
    assert first_line(by_id.stderr) == (
        f"headway: conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    )
    assert first.stdout == f"Untagged: {name}:latest\n"
    assert last_of_repository.stdout == f"Untagged: {name}:y\nUntagged: {name}@{SMALL.manifest_digest}\n"
    assert last.stdout.splitlines()[:2] == ["Untagged: other:x", f"Deleted: {SMALL.image_id}"]
    assert len(last.stdout.splitlines()) == 2 + len(SMALL.layers)


def test_a_forced_removal_by_id_takes_all_names(registry: Registry, headway: Cli) -> None:
    name = f"{registry.host}/test/image"
    headway("pull", name)
    headway("tag", name, "other")

    done = headway("rmi", "-f", SMALL.image_id)

    assert done.returncode == 0
    assert {line for line in done.stdout.splitlines() if line.startswith("Untagged")} == {
        f"Untagged: {name}:latest",
        f"Untagged: {name}@{SMALL.manifest_digest}",
        "Untagged: other:latest",
    }
    assert headway("images", "-q").stdout == ""


def test_removing_a_digest_leaves_the_tag(registry: Registry, headway: Cli) -> None:
    name = f"{registry.host}/test/image"
    headway("pull", name)

    done = headway("rmi", f"{name}@{SMALL.manifest_digest}")

    assert done.stdout == f"Untagged: {name}@{SMALL.manifest_digest}\n"
    assert headway("images", "--digests", "--format", "{{.Tag}} {{.Digest}}").stdout == "latest <none>\n"


def test_what_cannot_be_removed_does_not_keep_the_rest(registry: Registry, headway: Cli) -> None:
    headway("pull", f"{registry.host}/test/image")

    done = headway("rmi", "nothing", f"{registry.host}/test/image")

    assert (done.returncode, first_line(done.stderr)) == (1, "headway: no such image: nothing:latest")
    assert f"Deleted: {SMALL.image_id}" in done.stdout


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (f"name@{SMALL.manifest_digest}", "refusing to create a tag with a digest reference"),
        ("sha256:abc", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("Upper", "invalid reference format: repository name (library/Upper) must be lowercase"),
    ],
)
def test_names_that_docker_refuses_are_refused(registry: Registry, headway: Cli, target: str, why: str) -> None:
    headway("pull", f"{registry.host}/test/image")

    done = headway("tag", f"{registry.host}/test/image", target)

    assert (done.returncode, first_line(done.stderr)) == (2, f"headway: {why}")


# --- run --------------------------------------------------------------------------------------------------------


def test_run_names_commands_that_run_it(tmp_path: Path, headway: Cli) -> None:
    busybox = images.File(Path("/bin/busybox").read_bytes(), mode=0o755)
    files: images.Files = {"bin/": b"", "bin/busybox": busybox}
    image = images.image([files], config={"Cmd": ["/bin/busybox", "echo", "it", "runs"]})
    with Registry([image]) as registry:
        name = f"{registry.host}/test/image:latest"
        headway("pull", name)
        done = headway("run", "-it", name, "sh")
    program = f"{shlex.quote(sys.executable)} -m headway "  # the line names the store that was asked
    line = done.stderr.splitlines()[1].removeprefix("next: ").replace("headway ", program)
    root = f"runc --root {shlex.quote(str(tmp_path / 'runc'))} "

    ran = subprocess.run(
        line.replace("runc ", root), shell=True, text=True, capture_output=True, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 4)
    assert ran.stdout.splitlines()[-1:] == ["it runs"], ran.stderr


@pytest.mark.parametrize(
    ("words", "podman"),
    [(["-it", "alpine:3", "ls", "a b"], "ls 'a b'"), (["alpine"], "sh"), (["alpine;x"], "sh"), ([], "sh")],
)
def test_podman_is_given_a_command_which_a_root_file_system_has_not(
    headway: Cli, words: list[str], podman: str
) -> None:
    done = headway("run", *words)

    name = shlex.quote(next((word for word in words if word.startswith("alpine")), "NAME"))
    shown = (
        f'"$(headway --data-root {shlex.quote(str(headway.data_root))} mount {name})":O'
        if os.geteuid() == 0
        else '"$d/r"'
    )
    assert done.stderr.splitlines()[-1].endswith(f"podman run --rm -it --rootfs {shown} {podman}")


@pytest.mark.parametrize("words", [["ls", "a b"], ["printf", "a \nb"], []])
@pytest.mark.parametrize("by_flag", [True, False])
def test_of_a_daemons_image_run_names_what_needs_no_store_here(words: list[str], *, by_flag: bool) -> None:
    host = "tcp://far.example:2376"
    cli = Cli(Path(), names_root=False, environment={} if by_flag else {"HEADWAY_HOST": host})

    done = cli(*(("-H", host) if by_flag else ()), "run", "-it", "alpine:3", *words)

    headway = f"headway -H {host}" if by_flag else "headway"
    assert done.stderr.partition("\n")[2] == "".join(
        f"{lead} {headway} save alpine:3 | {tool} load && {tool} run --rm -it {shlex.join(['alpine:3', *words])}\n"
        for lead, tool in (("next:", "podman"), ("     ", "docker"))
    )


# --- which store ------------------------------------------------------------------------------------------------


def test_an_absent_store_is_empty_and_is_not_made(headway: Cli) -> None:
    done = headway("images", "-q")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not headway.data_root.exists()


@contextmanager
def read_only(stocked: Cli, mounted: Path) -> Iterator[Cli]:
    """The same store on a disk that takes nothing."""
    mounted.mkdir()
    subprocess.run(["mount", "--bind", stocked.data_root, mounted], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", mounted], check=True)
        yield Cli(mounted)
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_a_pull_is_planned_on_a_read_only_disk_and_not_begun(registry: Registry, tmp_path: Path) -> None:
    here, name = Cli(tmp_path / "root"), f"{registry.host}/test/image"
    here("pull", "-q", name)
    (aside := tmp_path / "aside").mkdir()
    with read_only(here, tmp_path / "mounted") as mounted:
        headway = Cli(mounted.data_root, environment={"TMPDIR": str(aside)})
        planned = headway("pull", "--dry-run", name, f"{name}:two")
        told = json.loads(headway("pull", "--dry-run", "--format", "json", f"{name}:two").stdout)
        refused = headway("pull", f"{name}:two")

    first, _, rest = planned.stdout.partition("\n")
    assert (planned.returncode, planned.stderr) == (0, "")
    assert first.endswith("   already here")
    assert "in " + name in rest.partition(":two  ")[2]  # the layer that both have
    assert rest.endswith("; nothing of it can be kept: the data root is read-only.\n")
    assert (refused.returncode, "its file system is read-only" in refused.stderr) == (1, True)
    assert told["total"]["crossing"] - told["total"]["to_fetch"] > told["asked"]["received_bytes"]  # once more
    assert list(aside.iterdir()) == []


def test_a_store_on_a_read_only_disk_can_be_listed_and_not_changed(stocked: Cli, tmp_path: Path) -> None:
    with read_only(stocked, tmp_path / "mounted") as headway:
        listed, removed = headway("images"), headway("rmi", OTHER.image_id)
        examined = headway("doctor")

    assert listed.stdout == stocked("images").stdout
    assert removed.returncode == 1
    assert first_line(removed.stderr).endswith(": its file system is read-only")
    advice = "next: make it writable, or name another place (data root: --data-root DIR)"
    assert removed.stderr.splitlines()[1:] == [advice]
    assert f"cannot use {headway.data_root}: its file system is read-only; dmesg may say why" in examined.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_root_without_proc_is_said_with_what_to_do(registry: Registry, tmp_path: Path) -> None:
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")

    done = Cli(tmp_path / "root", before=hidden)("pull", f"{registry.host}/test/image")

    assert done.returncode == 1
    assert "which tells this boot from others: mount /proc (mount -t proc proc /proc)\n" in done.stderr


def test_a_store_of_another_user_is_named(stocked: Cli) -> None:
    with home_of_nobody() as home:
        shutil.copytree(stocked.data_root, home / "root")
        (home / "root").chmod(0o700)
        done = Cli(home / "root", uid=UID)("images")

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 2)
    assert first_line(done.stderr) == f"headway: cannot use {home}/root: this user has no permission"


@pytest.mark.parametrize(
    ("entry", "engine"),
    [("overlay2", "Docker"), ("libpod", "Podman"), ("io.containerd.content.v1.content", "containerd")],
)
@pytest.mark.parametrize("command", [["images"], ["rmi", "x"]])
def test_the_store_of_another_engine_is_refused(headway: Cli, entry: str, engine: str, command: list[str]) -> None:
    (headway.data_root / entry).mkdir(parents=True)

    done = headway(*command)

    assert done.returncode == 2
    assert first_line(done.stderr) == (
        f"headway: data root {headway.data_root} holds {engine}'s store ({entry}); choose another directory"
    )
    assert os.listdir(headway.data_root) == [entry]


@pytest.mark.parametrize("command", [["images"], ["rmi", "x"], ["pull", "127.0.0.1:1/x"]])
def test_a_newer_store_names_the_program_that_made_it(headway: Cli, command: list[str]) -> None:
    headway("rmi", "x")
    with sqlite3.connect(headway.data_root / "headway.db") as database:
        database.execute("UPDATE meta SET value = '9.8.7' WHERE key = 'program'")
        database.execute("PRAGMA user_version = 999")
    database.close()

    done = headway(*command)

    assert (done.returncode, done.stdout) == (1, "")
    assert "was made by Headway 9.8.7 (schema 999)" in first_line(done.stderr)
    assert "next: use the Headway that made it, or a later one" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--data-root", "", "prune", "-af"),
        *(("mount", "image", ""), ("unpack", "image", ""), ("bundle", "image", "")),
        *(("load", "-i", ""), ("save", "-o", "", "image"), ("export", "-o", "", "container")),
    ],
    ids=" ".join,
)
def test_a_path_from_a_variable_that_is_not_set_is_not_where_somebody_stands(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    said = Cli(tmp_path / "root", names_root=False)(*words)

    assert said.returncode == 2
    assert "a path must not be empty" in said.stderr


@pytest.mark.parametrize("words", [("--data-root", "here", "images"), ("mount", "image", "here")])
def test_a_path_that_begins_in_a_directory_that_is_gone_is_a_mistake_of_whoever_wrote_it(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    started = ("sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', gone)

    said = Cli(tmp_path / "root", before=started, names_root=False)(*words)

    assert said.returncode == 2
    assert "'here' begins in a directory that is gone" in said.stderr


@pytest.mark.parametrize(
    ("words", "needless"),
    [
        (["pulls"], {"http.client", "asyncio", "headway.service.pulling.pull", "headway.registry.client"}),
        (["save", "-o", "out.tar", "nothing"], {"headway.service.archives.loading", "headway.composition.writing"}),
        (["export", "-o", "out.tar", "nothing"], {"headway.service.creation.commit"}),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_a_command_imports_nothing_of_its_neighbours(tmp_path: Path, words: list[str], needless: set[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "headway", "--data-root", str(tmp_path / "root"), *words]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "headway.cli.main" in imported
    assert imported & needless == set()
