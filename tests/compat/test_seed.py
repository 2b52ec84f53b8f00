"""The seed's tour leaves nothing out."""

from __future__ import annotations

from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "seed.md"

# Moby's daemon/images in September 2019, but for what builds images.
FIELDS = """
    ContainerStore DistributionMetadataStore EventsService ImageStore LayerStores MaxConcurrentDownloads
    MaxConcurrentUploads MaxDownloadAttempts ReferenceStore RegistryService TrustKey downloadManager uploadManager
    pruneRunning
""".split()  # noqa: SIM905  # a page of quotes would say less
METHODS = """
    DistributionServices CountImages Children CreateLayer GetLayerByID LayerStoreStatus GetLayerMountID Cleanup
    GraphDriverForOS ReleaseLayer LayerDiskUsage UpdateConfig GetImage Images LookupImage ImageHistory ImageDelete
    ImagesPrune PullImage PushImage ImportImage LoadImage ExportImage TagImage TagImageWithReference CommitImage
    GetContainerLayerSize GetRepository Map LogImageEvent LogImageEventWithAttributes SearchRegistryForImages
""".split()  # noqa: SIM905  # a page of quotes would say less


@pytest.mark.parametrize("name", FIELDS + METHODS)
def test_each_field_and_method_has_a_row_that_shows_something(name: str) -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    shown = [seen for names, *_, seen in rows if name in names.removeprefix("| ").split(", ")]

    assert shown
    assert all(len(seen.strip(" |`")) > 0 for seen in shown)
