"""Pictures that come out the same for the same figures, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def pyplot() -> Any:  # noqa: ANN401  # a module; importing it takes a second, and only the end of a run needs it
    """Return matplotlib's interface, set to draw SVG."""
    import matplotlib as mpl  # noqa: PLC0415  # as above

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "headway"
    from matplotlib import pyplot as loaded  # noqa: PLC0415  # as above

    return loaded


def save(figure: Any, path: Path) -> None:  # noqa: ANN401  # matplotlib's
    """Write a figure as SVG, without the date."""
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
