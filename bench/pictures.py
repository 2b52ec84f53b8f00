"""The figures of a comparison as bars: how many times what Headway needs, for each image and peer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.plots import pyplot, save
from bench.samples import COSTS, OURS, Comparison, Metric


def draw(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write a picture with one panel for each cost, as SVG."""
    peers = list(dict.fromkeys(peer for each in comparisons for peer in each.peers))
    figure, axes = pyplot().subplots(len(COSTS), 1, figsize=(1.5 * len(comparisons) + 4, 3 * len(COSTS)), squeeze=False)
    for axis, metric in zip(axes[:, 0], COSTS, strict=True):
        width = 0.8 / len(peers)
        for number, peer in enumerate(peers):
            _bars(axis, comparisons, peer, metric, (number - (len(peers) - 1) / 2) * width, width)
        axis.axhline(1, color="grey", linestyle=":")
        axis.set(title=f"{metric.name}: peer / {OURS}", xticks=range(len(comparisons)))
        axis.set_xticklabels([each.image for each in comparisons])
    axes[0, 0].legend()
    save(figure, path)


def _bars(
    axis: Any,  # noqa: ANN401  # matplotlib's
    comparisons: Sequence[Comparison],
    peer: str,
    metric: Metric,
    offset: float,
    width: float,
) -> None:
    """Draw one peer's medians, with lines from the lowest to the highest."""
    places = [(at, each.ratio(peer, metric)) for at, each in enumerate(comparisons) if peer in each.peers]
    middles = [ratio.middle for _, ratio in places]
    below = [ratio.middle - ratio.lowest for _, ratio in places]
    above = [ratio.highest - ratio.middle for _, ratio in places]
    axis.bar([at + offset for at, _ in places], middles, width, yerr=[below, above], label=peer)
