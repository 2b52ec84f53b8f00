"""The rows of a recipe's columns that were gathered and not yet written."""

from __future__ import annotations

from headway.layers.recipes.columns import split_headers
from headway.layers.recipes.format import PART, Column, Op
from headway.layers.recipes.writer import RecipeWriter
from headway.layers.tar.header import BLOCK

_GROUP = 1024 * BLOCK  # header blocks that are written at once: more would be smaller by a fiftieth, and cost memory
_HEADER_COLUMNS = (Column.NAMES, Column.FIELDS, Column.TAILS)


class Rows:
    """Gathers them. Who records an archive appends to those columns itself of which every entry has a row.

    Attributes:
        ops: See `Column.OPS`.
        headers: Whole header blocks, for `Column.NAMES`, `Column.FIELDS` and `Column.TAILS`.
        raw: See `Column.RAW`.
        checks: See `Column.CHECKS`.
    """

    def __init__(self) -> None:
        self.ops = bytearray()
        self.headers = bytearray()
        self.raw = bytearray()
        self.checks: list[int] = []
        self._lengths: list[int] = []
        self._sizes: list[int] = []
        self._paths: list[bytes] = []
        self._path_bytes = 0

    @property
    def are_many(self) -> bool:
        """Whether it is time to write them."""
        return len(self.headers) >= _GROUP or len(self.raw) >= PART or self._path_bytes >= PART

    def add_body(self, size: int, path: bytes) -> None:
        """Add a body with a size and a path of its own; an empty path says that it is in `raw`."""
        self.ops.append(Op.BODY)
        self._sizes.append(size)
        self._paths.append(path)
        self._path_bytes += len(path)

    def add_raw(self, data: bytes) -> None:
        """Add bytes as they are; they go on with what was added before, if that was such bytes too."""
        if not data:
            return
        self.raw += data
        if self.ops and self.ops[-1] == Op.RAW:
            self._lengths[-1] += len(data)
        else:
            self.ops.append(Op.RAW)
            self._lengths.append(len(data))

    def write(self, writer: RecipeWriter, *, is_open: bool) -> None:
        """Write all and begin anew.

        Args:
            writer: Takes them.
            is_open: Whether the last of `checks` is of a body that goes on: that one stays.
        """
        unfinished = [self.checks.pop()] if is_open else []
        for start in range(0, len(self.headers), _GROUP):
            blocks = bytes(self.headers[start : start + _GROUP])
            for column, (form, data) in zip(_HEADER_COLUMNS, split_headers(blocks), strict=True):
                writer.part(column, form, len(blocks) // BLOCK, data)
        writer.data(Column.OPS, bytes(self.ops))
        writer.data(Column.RAW, bytes(self.raw))
        writer.checks(self.checks)
        writer.numbers(Column.LENGTHS, self._lengths)
        writer.numbers(Column.SIZES, self._sizes)
        writer.texts(Column.PATHS, self._paths)
        self._path_bytes = 0
        for rows in (self.headers, self.ops, self.raw, self.checks, self._lengths, self._sizes, self._paths):
            rows.clear()
        self.checks += unfinished
