"""What a failed command advises."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from headway.cli.failures import FINAL, TRY_AGAIN, exit_status, explain
from headway.distribution.remedies import SPEAKS_NO_TLS
from headway.errors import (
    ConflictError,
    Fault,
    FetchRefusedError,
    HeadwayError,
    InvalidArchiveError,
    InvalidSettingError,
    NoImagesError,
    NotFoundError,
    PullIncompleteError,
    PushIncompleteError,
    RefusedError,
    RejectedError,
    StoreError,
    StoreFullError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
    UnsupportedError,
    WebPageError,
)
from headway.layers.failures import disk_failures
from headway.store.failures import disk_errors


@pytest.mark.parametrize(
    ("what", "command", "advice"),
    [
        (
            "unable to delete 1a2b (must be forced)",
            "rmi",
            "remove what is in the way, or use another name, or add --force",
        ),
        ("unable to delete 1a2b (cannot be forced)", "rmi", "first remove what needs it"),
        (
            "tcp://127.0.0.1:2375 is in use by another program",
            "daemon",
            "remove what is in the way, or use another name",
        ),
    ],
)
def test_force_is_advised_where_it_helps(what: str, command: str, advice: str) -> None:
    assert explain(ConflictError(what), command) == f"headway: {what}\nnext: {advice}"


@pytest.mark.parametrize(
    ("kept", "whole", "says"),
    [
        (0, 0, "kept: nothing of 28.0 MB"),
        (9_000_000, 1, "kept: 9.00 MB of 28.0 MB; 1 of 2 layers whole; none of it will be fetched again"),
    ],
)
def test_no_more_is_said_to_be_kept_than_is(kept: int, whole: int, says: str) -> None:
    cause = StoreFullError("/data")

    error = PullIncompleteError("probe:1", cause, kept_bytes=kept, total_bytes=28_000_000, whole_layers=whole, layers=2)

    assert explain(error, "pull").splitlines()[1] == says


@pytest.mark.parametrize(
    ("error", "command", "advice"),
    [
        (
            InvalidSettingError("no number", file="/etc/headway/daemon.json"),
            "pull",
            "correct /etc/headway/daemon.json, and",
        ),
        (InvalidSettingError("no number"), "pull", "headway pull --help"),
        (NotFoundError("blob", "sha256:44"), "inspect", "headway check says what is damaged, and headway check"),
        (RefusedError("reg.test", 401), "login", "check user and password, and log in again"),
        (RejectedError("reg.test", 401, "wants a login by negotiate"), "login", "trying again will not help"),
        (RefusedError("reg.test:5000", 403), "pull", "check that the name is right, and log in to the registry if it"),
        (UnavailableError("reg.test", 503, 3600.0), "pull", "run the same command in 1 h 00 m to go on"),
        (
            WebPageError("reg.test"),
            "pull",
            "log in to the network that is in between, if it wants that, and run the same",
        ),
        (NoImagesError("none"), "load", "if it is the tar of a root file system: headway import FILE NAME"),
        (InvalidArchiveError("cut short"), "load", "make the archive again, or copy it again"),
        (UnsupportedError("schema 1"), "pull", "trying again will not help: tell whoever publishes the image"),
        (UnsupportedError("mounting needs root"), "mount", "headway mount --help"),
        (UnavailableError("reg.test", 503), "images", "run the same command again"),
        (ThrottledError("reg.test", 90.0), "push", "run the same command in 1 m 30 s to go on"),
        (FetchRefusedError("web.test", "http://web.test/x", 404, "Not Found", ""), "import", "check the URL; if it is"),
        (FetchRefusedError("web.test", "http://web.test/x", 503, "Busy", ""), "import", "run the same command again"),
    ],
)
def test_the_advice_is_of_use_to_who_reads_it(error: HeadwayError, command: str, advice: str) -> None:
    assert explain(error, command).splitlines()[-1].startswith(f"next: {advice}")


def test_a_registry_that_is_out_of_order_is_quoted_with_the_time_that_it_asks_for() -> None:
    assert str(UnavailableError("reg.test", 503, 90.0)) == "reg.test: answers HTTP 503; it asks to wait 90 s"


@pytest.mark.parametrize("translated", [disk_errors, disk_failures])
def test_what_lacks_a_file_alone_may_be_tried_again(translated: Callable[[str], AbstractContextManager[None]]) -> None:
    with pytest.raises(StoreError) as short, translated("/data/blobs"):
        raise OSError(errno.EMFILE, "Too many open files")
    with pytest.raises(StoreError) as broken, translated("/data/blobs"):
        raise OSError(errno.EIO, "Input/output error")

    assert explain(short.value, "pull").startswith(
        "headway: /data/blobs: Too many open files\nnext: raise the limit (ulimit -a, its cgroup)"
    )
    assert (exit_status(short.value), exit_status(broken.value)) == (TRY_AGAIN, FINAL)


@pytest.mark.parametrize(
    ("command", "ends"), [("pull", ", or add --wait to let it finish by itself"), ("check", "go on")]
)
def test_a_flag_is_advised_only_where_the_command_has_it(command: str, ends: str) -> None:
    error = PullIncompleteError("probe:1", UnreachableError("reg.test", Fault.CUT), kept_bytes=1, total_bytes=2)

    assert explain(error, command).endswith(ends)


@pytest.mark.parametrize(
    "error",
    [
        UnreachableError("web.test", Fault.CERTIFICATE, "self-signed certificate"),
        UnreachableError("web.test", Fault.TLS, SPEAKS_NO_TLS),
    ],
)
def test_an_import_is_told_of_the_setting_since_it_has_no_flag(error: UnreachableError) -> None:
    assert explain(error, "pull").endswith(" with --insecure-registry web.test (insecure-registries)")
    assert explain(error, "import").endswith(" by the setting insecure-registries")


def test_who_pushes_to_docker_hub_is_sent_to_no_mirror() -> None:
    error = PushIncompleteError("app:1", UnreachableError("registry-1.docker.io", Fault.UNKNOWN_NAME))

    assert "mirror" not in explain(error, "push")
    assert "headway tag" in explain(error, "push")


def test_a_disk_that_fails_under_a_push_is_not_the_registrys() -> None:
    error = PushIncompleteError("app:1", StoreError("cannot read /data: Input/output error"))

    assert explain(error, "push").splitlines()[-1].startswith("next: check that disk")
