"""Logins that come with requests: every way in which clients spell them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from msgspec import ValidationError

from headway.distribution.credentials import Credentials
from headway.engine.api_version import NEWEST
from headway.engine.call import Call
from headway.engine.logins import AuthConfig, login_of

ME = {"username": "me", "password": "s3cr?t>>", "serveraddress": "registry.test"}


def header(document: Any, *, padded: bool = True) -> str:  # noqa: ANN401  # any JSON
    text = base64.urlsafe_b64encode(json.dumps(document).encode()).decode()
    return text if padded else text.rstrip("=")


def login(text: str | None) -> Credentials | None:
    request = make_mocked_request("GET", "/", headers={} if text is None else {"X-Registry-Auth": text})
    return login_of(Call(request, NEWEST, {}, "1", set()))


@pytest.mark.parametrize("extra", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("padded", [True, False])
def test_it_is_read_with_padding_and_without(extra: str, *, padded: bool) -> None:
    assert login(header({**ME, "email": extra}, padded=padded)) == Credentials("me", "s3cr?t>>")


@pytest.mark.parametrize(
    ("document", "credentials"),
    [
        ({"identitytoken": "t"}, Credentials(identity_token="t")),
        ({"registrytoken": "t"}, Credentials(registry_token="t")),
        ({"auth": base64.b64encode(b"me:a:b").decode()}, Credentials("me", "a:b")),
        ({"username": "me", "password": "x", "auth": base64.b64encode(b"you:y").decode()}, Credentials("me", "x")),
        ({"username": "me", "password": None, "email": 7}, Credentials("me", "")),
        ({"Username": "me", "PassWord": "x", "serverAddress": "registry.test"}, Credentials("me", "x")),
    ],
)
def test_every_kind_of_login_is_known(document: dict[str, object], credentials: Credentials) -> None:
    assert login(header(document)) == credentials


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "e30=",
        "%%%",
        "bm90IGpzb24=",
        header([1, 2]),
        header("text"),
        header({"auth": "no base64"}),
        "é",
        "A",
        header({**ME, "password": 5}),
    ],
)
def test_what_cannot_be_read_is_no_login(text: str | None) -> None:
    assert login(text) is None


def test_an_address_that_is_no_text_is_not_taken_for_docker_hub() -> None:
    with pytest.raises(ValidationError, match="serveraddress"):
        AuthConfig.of({**ME, "serveraddress": ["registry.test"]})


def test_the_registry_is_the_one_that_is_named_in_whatever_case() -> None:
    assert AuthConfig.of({"username": "me", "serverAddress": "registry.test"}).serveraddress == "registry.test"


def test_it_is_shown_nowhere() -> None:
    assert "s3cr" not in repr(AuthConfig.of(ME)) + repr(AuthConfig.of(ME).credentials())
