"""What instructions do to a config; the first tables are what Docker 20.10.24 answers to `docker import --change`."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from headway.errors import InvalidChangeError
from headway.oci.instructions import apply_changes

_TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("CMD ls -l", {"Cmd": ["/bin/sh", "-c", "ls -l"]}),
    ('CMD ["ls","-l"]', {"Cmd": ["ls", "-l"]}),
    ("CMD ['ls']", {"Cmd": ["/bin/sh", "-c", "['ls']"]}),
    ("CMD", {"Cmd": ["/bin/sh", "-c"]}),
    ("CMD []", {}),
    ('CMD ["a", "b"', {"Cmd": ["/bin/sh", "-c", '["a", "b"']}),
    ('cmd echo "a  b"   c', {"Cmd": ["/bin/sh", "-c", 'echo "a  b"   c']}),
    ("ENTRYPOINT ls", {"Entrypoint": ["/bin/sh", "-c", "ls"]}),
    ('ENTRYPOINT ["ls"]', {"Entrypoint": ["ls"]}),
    ("ENTRYPOINT []", {}),
    ("ENTRYPOINT", {}),
    ("ENV A=b", {"Env": ["A=b"]}),
    ("ENV A b c", {"Env": ["A=b c"]}),
    ('ENV A=b C="d e" F=g\\ h', {"Env": ["A=b", "C=d e", "F=g h"]}),
    ("ENV A=1 B=$A", {"Env": ["A=1", "B="]}),
    ("ENV A=1\nENV B=${A}x${C:-def}${A:+alt}", {"Env": ["A=1", "B=1xdefalt"]}),
    ('ENV A=\'$x\' B="a\\"b" C=\\$y', {"Env": ["A=$x", 'B=a"b', "C=$y"]}),
    ("EXPOSE 80", {"ExposedPorts": {"80/tcp": {}}}),
    (
        "EXPOSE 80/tcp 90/udp 100-102",
        {"ExposedPorts": {"100/tcp": {}, "101/tcp": {}, "102/tcp": {}, "80/tcp": {}, "90/udp": {}}},
    ),
    ("EXPOSE 0", {"ExposedPorts": {"0/tcp": {}}}),
    ("EXPOSE 8080:80", {"ExposedPorts": {"80/tcp": {}}}),
    ("EXPOSE 1.2.3.4:8080:80/udp", {"ExposedPorts": {"80/udp": {}}}),
    ("USER bob", {"User": "bob"}),
    ("USER a b", {"User": "a b"}),
    ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
    ('VOLUME ["/a","/b c"]', {"Volumes": {"/a": {}, "/b c": {}}}),
    ("WORKDIR /a/../b", {"WorkingDir": "/a/../b"}),
    ("WORKDIR rel", {"WorkingDir": "/rel"}),
    ("WORKDIR /a\nWORKDIR b", {"WorkingDir": "/a/b"}),
    ("WORKDIR a b", {"WorkingDir": "/a b"}),
    ("LABEL a=b", {"Labels": {"a": "b"}}),
    ("LABEL a b", {"Labels": {"a": "b"}}),
    ('LABEL "a b"="c d" e=f', {"Labels": {"a b": "c d", "e": "f"}}),
    ("LABEL a.b=c\\\n d=e", {"Labels": {"a.b": "c", "d": "e"}}),
    ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
    ("HEALTHCHECK CMD ls", {"Healthcheck": {"Test": ["CMD-SHELL", "ls"]}}),
    (
        'HEALTHCHECK --interval=5s --timeout=3s --retries=2 --start-period=1m CMD ["ls","x"]',
        {
            "Healthcheck": {
                "Test": ["CMD", "ls", "x"],
                "Interval": 5000000000,
                "Timeout": 3000000000,
                "StartPeriod": 60000000000,
                "Retries": 2,
            }
        },
    ),
    ("ONBUILD RUN echo hi", {"OnBuild": ["RUN echo hi"]}),
    ("ONBUILD FOO", {"OnBuild": ["FOO"]}),
    ("ONBUILD   run   echo   hi", {"OnBuild": ["run   echo   hi"]}),
    ("# comment\nCMD x", {"Cmd": ["/bin/sh", "-c", "x"]}),
    ("\nCMD x", {"Cmd": ["/bin/sh", "-c", "x"]}),
    ("  CMD indented", {"Cmd": ["/bin/sh", "-c", "indented"]}),
    ("CMD a \\\n  b", {"Cmd": ["/bin/sh", "-c", "a   b"]}),
    ("CMD a \\\n# c\n  b", {"Cmd": ["/bin/sh", "-c", "a   b"]}),
    ("# escape=`\nCMD a `\n b", {"Cmd": ["/bin/sh", "-c", "a  b"]}),
    ("USER ${FOO}", {}),
    ("USER $FOO", {}),
    ('USER "bob"', {"User": "bob"}),
    ("USER a$", {"User": "a$"}),
    ("ENV PATH=/x:$PATH", {"Env": ["PATH=/x:"]}),
    ('LABEL a="b\\nc"', {"Labels": {"a": "b\\nc"}}),
    ("ENV abc=hello def=${abc:-x}", {"Env": ["abc=hello", "def=x"]}),
    ('ENV "a b"=c', {"Env": ["a b=c"]}),
    ("ENV a=b   c=d", {"Env": ["a=b", "c=d"]}),
    ("ENV a=\\", {"Env": ["a="]}),
    ("ENV a=b\\", {"Env": ["a=b"]}),
    ("EXPOSE 80 80/tcp 443/sctp", {"ExposedPorts": {"443/sctp": {}, "80/tcp": {}}}),
    ("EXPOSE 8000-8002:80-82", {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}, "82/tcp": {}}}),
    ('CMD ["a\\u0041","x\\n"]', {"Cmd": ["aA", "x\n"]}),
    ('CMD ["a",]', {"Cmd": ["/bin/sh", "-c", '["a",]']}),
    ("CMD [ ]", {}),
    ("CMD []x", {}),
    ('CMD ["a"] x', {"Cmd": ["a"]}),
    ("CMD x\nCMD y", {"Cmd": ["/bin/sh", "-c", "y"]}),
    ("CMD x\nENTRYPOINT y", {"Cmd": ["/bin/sh", "-c", "x"], "Entrypoint": ["/bin/sh", "-c", "y"]}),
    ("ENTRYPOINT y\nCMD x", {"Cmd": ["/bin/sh", "-c", "x"], "Entrypoint": ["/bin/sh", "-c", "y"]}),
    ("CMD x\nENTRYPOINT y\nCMD z", {"Cmd": ["/bin/sh", "-c", "z"], "Entrypoint": ["/bin/sh", "-c", "y"]}),
    ("ENV A=b\nENV A=c\nENV B=d", {"Env": ["A=c", "B=d"]}),
    ("ENV a=b\tc=d", {"Env": ["a=b", "c=d"]}),
    ("USER\tbob", {"User": "bob"}),
    ("ENV a b \\\n  c", {"Env": ["a=b   c"]}),
    ("LABEL\ta=b", {"Labels": {"a": "b"}}),
]
_REFUSED = [
    ("RUN x", "run is not a valid change command"),
    ("FOO bar", "foo is not a valid change command"),
    ("CMD [1,2]", "when using JSON array syntax, arrays must be comprised of strings only"),
    ("ENV A", "ENV must have two arguments"),
    ("ENV =b", "ENV names can not be blank"),
    ("ENV A=b C", 'Syntax error - can\'t find = in "C". Must be of the form: name=value'),
    ("EXPOSE foo", "Invalid containerPort: foo"),
    ("EXPOSE 80/foo", "Invalid proto: foo"),
    ("EXPOSE", "EXPOSE requires at least one argument"),
    ("EXPOSE 70000", "Invalid containerPort: 70000"),
    ("USER", "USER requires exactly one argument"),
    ("VOLUME", "VOLUME requires at least one argument"),
    ('VOLUME [""]', "VOLUME specified can not be an empty string"),
    ("VOLUME []", "VOLUME requires at least one argument"),
    ('WORKDIR ""', "cannot normalize nothing"),
    ("WORKDIR", "WORKDIR requires exactly one argument"),
    ("LABEL a", "LABEL must have two arguments"),
    ("LABEL =x", "LABEL names can not be blank"),
    ("HEALTHCHECK NONE a", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK --interval=x CMD ls", 'time: invalid duration "x"'),
    ("HEALTHCHECK --interval=1ns CMD ls", 'Interval "interval" cannot be less than 1ms'),
    ("HEALTHCHECK --interval=-1s CMD ls", 'Interval "interval" cannot be less than 1ms'),
    ("HEALTHCHECK --retries=0 CMD ls", "--retries must be at least 1 (not 0)"),
    ("HEALTHCHECK --retries=-1 CMD ls", "--retries must be at least 1 (not -1)"),
    ("HEALTHCHECK --retries=x CMD ls", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("HEALTHCHECK --foo=x CMD ls", "Unknown flag: foo"),
    ("HEALTHCHECK --interval CMD ls", "Missing a value on flag: interval"),
    ("HEALTHCHECK --interval=1s --interval=2s CMD ls", "Duplicate flag specified: interval"),
    ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
    ("HEALTHCHECK FOO", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
    ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
    ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
    ("ONBUILD", "ONBUILD requires at least one argument"),
    ('SHELL ["/bin/bash","-c"]', "shell is not a valid change command"),
    ("MAINTAINER me", "maintainer is not a valid change command"),
    ("FROM x", "from is not a valid change command"),
    ("ADD a b", "add is not a valid change command"),
    ("# comment", "file with no instructions"),
    ("CMD --x ls", "Unknown flag: x"),
    ("ENV A=b # no comment", 'Syntax error - can\'t find = in "#". Must be of the form: name=value'),
    ("# escape=x\nCMD a", "invalid escape token 'x' does not match ` or \\"),
    (
        'ENV A="unterminated',
        'failed to process "\\"unterminated": unexpected end of statement while looking for matching double-quote',
    ),
    ("ENV A='x", 'failed to process "\'x": unexpected end of statement while looking for matching single-quote'),
    ("USER ${", "failed to process \"${\": syntax error: missing '}'"),
    ("USER ${A:?err}", 'failed to process "${A:?err}": A: err'),
    ("USER ${A:=x}", 'failed to process "${A:=x}": unsupported modifier (=) in substitution'),
    ("VOLUME $X /b", "VOLUME specified can not be an empty string"),
    ("EXPOSE 80-79", "Invalid containerPort: 80-79"),
]


@pytest.mark.parametrize(("text", "config"), _TAKEN)
def test_an_instruction_does_what_it_does_in_docker(text: str, config: dict[str, Any]) -> None:
    made = apply_changes({}, [text])

    assert {key: value for key, value in made.items() if value not in (None, "", [], {})} == config


@pytest.mark.parametrize(("text", "message"), _REFUSED)
def test_a_mistake_is_told_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidChangeError) as caught:
        apply_changes({}, [text])

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ("CMD\nENTRYPOINT run", "Cmd", None),
        ("CMD []\nENTRYPOINT run", "Cmd", None),
        ("CMD run\nCMD\nENTRYPOINT run", "Cmd", ["/bin/bash", "-c"]),
        ("ENTRYPOINT run", "Cmd", None),
        ("CMD run", "Entrypoint", ["/init"]),
        ("CMD run", "Cmd", ["/bin/bash", "-c", "run"]),
        ("ENV PATH=/opt:$PATH", "Env", ["PATH=/opt:/bin", "HOME=/"]),
        ("ENV NEW=$HOME", "Env", ["PATH=/bin", "HOME=/", "NEW=/"]),
        ("ENV NEW=${HOME?none} OF=${HOME:?none}", "Env", ["PATH=/bin", "HOME=/", "NEW=/", "OF=/"]),
        ("WORKDIR sub/../other", "WorkingDir", "/srv/other"),
        ("LABEL kept=no more=yes", "Labels", {"kept": "no", "more": "yes"}),
        ("EXPOSE 443", "ExposedPorts", {"80/tcp": {}, "443/tcp": {}}),
        ("VOLUME /b", "Volumes", {"/a": {}, "/b": {}}),
        ("ONBUILD RUN y", "OnBuild", ["RUN x", "RUN y"]),
        ("STOPSIGNAL SIGUSR1", "StopSignal", "SIGUSR1"),
        ("STOPSIGNAL rtmin+3", "StopSignal", "rtmin+3"),
        ("STOPSIGNAL 15", "StopSignal", "15"),
        (
            "HEALTHCHECK --start-interval=1m30s CMD true",
            "Healthcheck",
            {"Test": ["CMD-SHELL", "true"], "StartInterval": 90 * 10**9},
        ),
    ],
)
def test_what_a_config_says_already_is_built_on(change: str, key: str, value: object) -> None:
    config = {
        "Cmd": ["old"],
        "Entrypoint": ["/init"],
        "Shell": ["/bin/bash", "-c"],
        "Env": ["PATH=/bin", "HOME=/"],
        "WorkingDir": "/srv",
        "Labels": {"kept": "yes"},
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/a": {}},
        "OnBuild": ["RUN x"],
    }

    assert apply_changes(config, [change])[key] == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("STOPSIGNAL SIGNONE", "Invalid signal: SIGNONE"),
        ("STOPSIGNAL 0", "Invalid signal: 0"),
        pytest.param("STOPSIGNAL " + "9" * 5000, "Invalid signal: " + "9" * 5000, id="a signal of 5000 digits"),
        ("HEALTHCHECK --interval=2562048h CMD x", 'time: invalid duration "2562048h"'),
        pytest.param(
            f"HEALTHCHECK --interval={'9' * 400}h CMD x",
            f'time: invalid duration "{"9" * 400}h"',
            id="an interval of 400 digits",
        ),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("HEALTHCHECK --interval=5 CMD x", 'time: missing unit in duration "5"'),
        ("HEALTHCHECK --interval=5d CMD x", 'time: unknown unit "d" in duration "5d"'),
        ("HEALTHCHECK --interval=0 CMD x", 'Interval "interval" cannot be less than 1ms'),
        ("EXPOSE nowhere:80:80", "Invalid ip address: nowhere"),
        ("EXPOSE 1-3:80-81", "Invalid ranges specified for container and host Ports: 80-81 and 1-3"),
        ("EXPOSE x:80", "Invalid hostPort: x"),
        ("EXPOSE 80:", "No port specified: 80:<empty>"),
        ("USER ${:x}", 'failed to process "${:x}": syntax error: bad substitution'),
        ("USER ${A-x}", "failed to process \"${A-x}\": missing ':' in substitution"),
        ("USER ${A:-x", "failed to process \"${A:-x\": syntax error: missing '}'"),
        ("USER ${A:?}", 'failed to process "${A:?}": A: is not allowed to be unset'),
        ("USER ${A?}", 'failed to process "${A?}": A: is not allowed to be unset'),
        ("USER ${A?say who}", 'failed to process "${A?say who}": A: say who'),
        ("ENV A=\nUSER ${A:?}", 'failed to process "${A:?}": A: is not allowed to be empty'),
        ("USER ${A?x", "failed to process \"${A?x\": syntax error: missing '}'"),
        pytest.param(
            f"ENV A={'${B:-' * 5000}",
            "failed to process a word: its substitutions are nested too deep",
            id="5000 substitutions in each other",
        ),
        ("# escape=`\n# escape=`\nCMD a", "only one escape parser directive can be used"),
    ],
)
def test_later_mistakes_are_told_in_the_same_way(change: str, message: str) -> None:
    with pytest.raises(InvalidChangeError) as caught:
        apply_changes({}, [change])

    assert str(caught.value) == message


def test_one_bad_instruction_spoils_all_of_them() -> None:
    config: dict[str, Any] = {"Env": ["A=1"]}

    with pytest.raises(InvalidChangeError):
        apply_changes(config, ["ENV A=2", "EXPOSE nothing"])

    assert config == {"Env": ["A=1"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["EXPOSE 1-65535"] * 5, "the changes expose more than 262144 ports"),
        (["EXPOSE 1-65535", "EXPOSE 1-65535/udp 1-65535/sctp 1-65535 1-65535"], "the changes expose more than"),
        (["ENV A=0123456789"] + [f"ENV A={'$A' * 10}"] * 9, "variables bring more than 1048576 characters into it"),
        (["ENV A=0123456789"] + [f"ENV A={'${A}' * 10}"] * 9, "variables bring more than 1048576 characters into it"),
        ([f"ENV A={'x' * 1000}", f"ENV A={'$A' * 1000}", *["ENV B=$A"] * 4], "the changes grow to more than 4194304"),
    ],
)
def test_a_few_lines_do_not_grow_without_end(changes: list[str], message: str) -> None:
    with pytest.raises(InvalidChangeError) as caught:
        apply_changes({}, changes)

    assert message in str(caught.value)


def test_every_port_of_every_protocol_can_be_exposed() -> None:
    made = apply_changes({}, [f"EXPOSE 0-65535/{protocol}" for protocol in ("tcp", "udp", "sctp")])

    assert len(made["ExposedPorts"]) == 3 * 65_536


def test_thousands_of_lines_take_no_time_for_each_pair_of_them() -> None:
    began = time.process_time()
    made = apply_changes({}, [f"ENV A{number}=1" for number in range(20_000)])

    assert len(made["Env"]) == 20_000
    assert time.process_time() - began < 5


def test_a_config_that_is_changed_stays_as_it_was_given() -> None:
    config = {"Env": ["A=1", "A=2"], "Labels": {"a": "b"}, "ExposedPorts": {}, "Volumes": {"/v": {}}}
    before = copy.deepcopy(config)

    made = apply_changes(config, ["ENV A=3", "ENV C=$A", "LABEL c=d", "EXPOSE 80", "VOLUME /w", "LABEL e=f"])

    assert config == before
    assert made["Env"] == ["A=3", "A=2", "C=3"]
    assert made["Labels"] == {"a": "b", "c": "d", "e": "f"}


def test_a_name_that_grows_to_one_with_a_value_stands_beside_what_has_that_name() -> None:
    made = apply_changes({"Env": ["b=1", "V=b=c"]}, ["ENV $V=d", "ENV C=$b"])

    assert made["Env"] == ["b=1", "V=b=c", "b=c=d", "C=1"]


def test_no_changes_change_nothing() -> None:
    assert apply_changes({"Env": ["A=1"]}, []) == {"Env": ["A=1"]}
