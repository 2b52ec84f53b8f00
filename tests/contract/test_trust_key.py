"""The daemon's own key."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from headway.cli.failures import explain
from headway.errors import StoreCorruptError, StoreError
from headway.interfaces.trust import TrustKey
from headway.store.new_key import made
from headway.store.trust_key import load_or_make
from tests.contract.trust_key_contract import TrustKeyContract
from tests.fakes.trust import KnownTrustKey


class TestFileTrustKey(TrustKeyContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> TrustKey:
        return load_or_make(tmp_path / "key.json")


class TestKnownTrustKey(TrustKeyContract):
    @pytest.fixture
    def subject(self) -> TrustKey:
        return KnownTrustKey()


def test_it_is_the_same_after_a_restart_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "key.json"

    first, again = load_or_make(path), load_or_make(path)

    assert first.private_jwk() == again.private_jwk()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["key.json"]


def test_every_data_root_has_its_own(tmp_path: Path) -> None:
    assert load_or_make(tmp_path / "a.json").key_id != load_or_make(tmp_path / "b.json").key_id


def test_a_key_that_docker_made_is_taken(tmp_path: Path) -> None:
    # dockerd 20.10 was given this file, and said so in /info; it writes the members in this order.
    known = KnownTrustKey().private_jwk()
    (tmp_path / "key.json").write_text(json.dumps({name: known[name] for name in sorted(known)}))

    assert load_or_make(tmp_path / "key.json").key_id == ("FPI3:WDCE:VCL4:GCT2:UCMR:ZXRY:3ADC:7ZCB:3ZIN:UD2G:QJJU:J5QC")


@pytest.mark.parametrize("is_there", [True, False])
def test_no_start_keeps_the_crypto_library_in_memory(tmp_path: Path, *, is_there: bool) -> None:
    if is_there:
        load_or_make(tmp_path / "key.json")
    program = (
        "import sys; from pathlib import Path; from headway.store.trust_key import load_or_make;"
        "load_or_make(Path(sys.argv[1])); sys.exit('cryptography' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program, tmp_path / "key.json"], check=False).returncode == 0


def test_where_no_child_can_be_started_a_key_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))

    assert load_or_make(tmp_path / "key.json").key_id == load_or_make(tmp_path / "key.json").key_id


def test_where_python_has_no_cryptography_openssl_makes_the_key() -> None:
    with without_cryptography():
        numbers = made()

    public = ec.derive_private_key(numbers.d, ec.SECP256R1()).public_key().public_numbers()
    assert (public.x, public.y) == (numbers.x, numbers.y)


def test_where_nothing_makes_keys_both_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))

    with without_cryptography(), pytest.raises(StoreError, match=r"no cryptography here, and openssl fails: .*openssl"):
        load_or_make(tmp_path / "key.json")

    assert os.listdir(tmp_path) == []


@contextmanager
def without_cryptography() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
        yield


KNOWN = KnownTrustKey().private_jwk()
DAMAGED = {
    "empty": b"",
    "cut": json.dumps(KNOWN).encode()[:-40],
    "no object": b"[1]",
    "not text": b"\xff\xfe",
    "another ID": json.dumps({**KNOWN, "kid": KNOWN["kid"].replace("FPI3", "FPI4")}).encode(),
    "another point": json.dumps({**KNOWN, "x": KNOWN["y"]}).encode(),
    "another curve": json.dumps({**KNOWN, "crv": "P-384"}).encode(),
    "no private half": json.dumps({name: text for name, text in KNOWN.items() if name != "d"}).encode(),
    "a short number": json.dumps({**KNOWN, "d": "AAAA"}).encode(),
    "no base64": json.dumps({**KNOWN, "x": "!" * 43}).encode(),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_an_error_and_stays_as_it_is(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(DAMAGED[damage])

    with pytest.raises(StoreCorruptError, match=r"key\.json is damaged"):
        load_or_make(path)

    assert path.read_bytes() == DAMAGED[damage]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_in_its_place_is_an_error_and_stays(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "key.json")

    with pytest.raises(StoreCorruptError, match=r"key\.json is damaged") as caught:
        load_or_make(tmp_path / "key.json")

    assert os.listdir(tmp_path) == ["key.json"]
    assert "remove it: the daemon then makes a new one" in explain(caught.value)  # and no repair does


def test_a_key_that_was_never_finished_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "key.json.new").write_bytes(b'{"kty"')

    assert load_or_make(tmp_path / "key.json").key_id
    assert not (tmp_path / "key.json.new").exists()


def test_a_key_that_the_disk_takes_in_part_only_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(StoreError, match="File too large"):
            load_or_make(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert load_or_make(path).key_id == load_or_make(path).key_id
