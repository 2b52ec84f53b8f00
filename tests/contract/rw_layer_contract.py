"""What every `RwLayerStore` does."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest

from headway.container_records import Change, ChangeKind
from headway.errors import ConflictError, MountNotFoundError, NotFoundError, UnsupportedError
from headway.interfaces.rw_layers import RwLayer, RwLayerStore
from headway.oci.digest import ChainID, Digest


def make(subject: RwLayerStore, name: str, chain_id: ChainID | None, *, init: bool = True) -> RwLayer:
    """Create a layer."""
    with subject.prepare(chain_id, init=init) as draft:
        return draft.publish(name)


class RwLayerContract:
    """Give `subject`, an empty `RwLayerStore`, and `chain`, a chain whose file system has ``etc/passwd`` only."""

    def test_a_layer_shows_its_chain_and_takes_what_is_written(self, subject: RwLayerStore, chain: ChainID) -> None:
        layer = make(subject, "c1", chain)

        root = layer.mount()
        (root / "etc/new").write_text("x")
        found = (root / "etc/passwd").read_text(), layer.changes(), layer.size()
        layer.unmount()

        changed = [Change("/etc", ChangeKind.MODIFIED), Change("/etc/new", ChangeKind.ADDED)]
        assert found == ("root", changed, 1)

    def test_what_was_written_is_there_after_a_remount(self, subject: RwLayerStore, chain: ChainID) -> None:
        layer = make(subject, "c1", chain)
        (layer.mount() / "new").write_text("x")
        layer.unmount()

        again = subject.get("c1")

        assert (again.mount() / "new").read_text() == "x"
        again.unmount()

    def test_a_container_of_no_layers_has_the_init_layer_only(self, subject: RwLayerStore) -> None:
        layer = make(subject, "c1", None)

        names = sorted(path.name for path in layer.mount().iterdir())
        layer.unmount()

        assert names == [".dockerenv", "dev", "etc", "proc", "sys"]
        assert layer.changes() == []

    def test_without_an_init_layer_there_is_what_the_chain_has(self, subject: RwLayerStore, chain: ChainID) -> None:
        layer = make(subject, "c1", chain, init=False)

        names = [path.name for path in layer.mount().iterdir()]
        layer.unmount()

        assert names == ["etc"]

    def test_it_has_an_id_of_its_own_and_its_chain(self, subject: RwLayerStore, chain: ChainID) -> None:
        records = [make(subject, name, chain).record for name in ("c2", "c1")]

        assert [record.name for record in subject.list()] == ["c1", "c2"]
        assert {record.chain_id for record in records} == {chain}
        mount_ids = [record.mount_id for record in records]
        assert len(set(mount_ids)) == 2
        assert [mount_id for mount_id in mount_ids if not re.fullmatch("[0-9a-f]{64}", mount_id)] == []

    def test_a_name_is_taken_once(self, subject: RwLayerStore, chain: ChainID) -> None:
        first = make(subject, "c1", chain)

        with pytest.raises(ConflictError, match="mount already exists with name"):
            make(subject, "c1", chain)

        assert subject.list() == [first.record]

    def test_what_is_not_published_is_nowhere(self, subject: RwLayerStore, chain: ChainID, data_root: Path) -> None:
        with subject.prepare(chain):
            pass
        with suppress(ZeroDivisionError), subject.prepare(chain):
            raise ZeroDivisionError

        assert subject.list() == []
        assert [*(data_root / "tmp").iterdir(), *(data_root / "rw").iterdir()] == []

    def test_an_unknown_layer_does_not_exist(self, subject: RwLayerStore) -> None:
        with pytest.raises(MountNotFoundError, match="mount does not exist"):
            subject.get("c1")
        with pytest.raises(MountNotFoundError, match="mount does not exist"):
            subject.release("c1")

    def test_an_unknown_chain_has_no_layers(self, subject: RwLayerStore, data_root: Path) -> None:
        with pytest.raises(NotFoundError), subject.prepare(ChainID(Digest.of(b"nothing"))):
            pass

        assert [*(data_root / "tmp").iterdir()] == []

    def test_an_option_that_is_not_possible_leaves_nothing(
        self, subject: RwLayerStore, chain: ChainID, data_root: Path
    ) -> None:
        with pytest.raises(UnsupportedError), subject.prepare(chain, storage_opt={"foo": "1"}):
            pass

        assert subject.list() == []
        assert [*(data_root / "tmp").iterdir(), *(data_root / "rw").iterdir()] == []

    def test_mounts_are_counted(self, subject: RwLayerStore, chain: ChainID) -> None:
        layer = make(subject, "c1", chain)

        places = {layer.mount(), subject.get("c1").mount()}
        layer.unmount()
        with pytest.raises(ConflictError, match="mount still active"):
            subject.release("c1")
        still_there = (places.pop() / "etc/passwd").exists()
        layer.unmount()
        with pytest.raises(ConflictError, match="not mounted"):
            layer.unmount()

        assert (still_there, places) == (True, set())

    def test_a_released_layer_is_gone_and_its_name_is_free(
        self, subject: RwLayerStore, chain: ChainID, data_root: Path
    ) -> None:
        layer = make(subject, "c1", chain)
        (layer.mount() / "new").mkdir(mode=0)
        layer.unmount()

        subject.release("c1")

        assert subject.list() == []
        assert [*(data_root / "tmp").iterdir(), *(data_root / "rw").iterdir()] == []
        with pytest.raises(MountNotFoundError):
            layer.mount()
        make(subject, "c1", chain)

    def test_cleanup_unmounts_what_is_mounted_and_keeps_the_layers(self, subject: RwLayerStore, chain: ChainID) -> None:
        layers = [make(subject, name, chain) for name in ("c1", "c2", "c3")]
        layers[0].mount()
        layers[0].mount()
        layers[1].mount()

        subject.cleanup()

        for layer in layers:
            with pytest.raises(ConflictError, match="not mounted"):
                layer.unmount()
            subject.release(layer.record.name)
