"""Our description of the Engine API, the routes that there are, and the requests that it gives rise to."""

from __future__ import annotations

from pathlib import Path

from headway.composition.durable import durable_pulls
from headway.composition.service import image_service
from headway.composition.writing import writing
from headway.engine.routes import elsewhere
from headway.engine.table import all_routes
from headway.layers.rootfs.file_access import RootfsAccess
from headway.service.containers.containers import Containers
from headway.settings import Settings
from tests.fuzz.engine import description, examined, narrowed, operations, scene


async def test_what_is_described_is_what_is_served(tmp_path: Path) -> None:
    settings = Settings(data_root=tmp_path)
    with writing(settings, print) as stores:
        async with (
            image_service(settings, stores) as service,
            durable_pulls(service, stores.pulls, settings, may_detach=bool) as pulls,
        ):
            routes = all_routes(service, stores, RootfsAccess(), pulls, settings=lambda: settings)
    others = {(route.method, route.path) for route in elsewhere.routes(Containers(stores), stores.events)}
    served = {(route.method, route.path) for route in routes if not route.path.startswith("/headway/")} - others

    assert served == operations(description())


def test_the_edges_of_every_parameter_are_answered_in_shape(tmp_path: Path) -> None:
    with scene(tmp_path / "d") as running:
        document = narrowed(description(), running)

        assert examined(document, running, tmp_path, phases="coverage") == ""
        assert running.daemon.bugs == []
