"""A tree for a layer that does not stand alone, made to fit those it stands on (docs/architecture.md, "Trees").

Rule 1: the merged result is what `umoci unpack` makes of the image. Where umoci fails, so does this: a
        directory that would have to be where a file is, a hard link to nothing or to a directory.
Rule 2: content is shared with the layer's own tree by hard links, so that a derived tree costs directories
        only.
Rule 3: trees that exist are read, never changed. The order of a tar's entries is no longer known; where it
        would matter, a name that was written as it is wins over one that leads there through a symlink.

Link counts are those of the disk, so that a shared file has more than the image says; link identity is right.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from headway.errors import InvalidLayerError
from headway.layers.failures import disk_failures
from headway.layers.trees.derived_links import LowerLinks
from headway.layers.trees.derived_report import Known
from headway.layers.trees.derived_tree import DerivedTree
from headway.layers.trees.directories import Directories
from headway.layers.trees.files import TreeFiles
from headway.layers.trees.merged import MergedView
from headway.layers.trees.merged_entry import MergedEntry, join
from headway.layers.trees.whiteouts import is_opaque, is_whiteout
from headway.records import LayerReport, Tree


def derive_tree(lower: Sequence[Tree], raw: Tree, target_dir: Path) -> LayerReport:
    """Make in `target_dir` the tree that stands for `raw` over `lower` (bottom first, as they are stacked).

    `target_dir` is created, or empty. On an error its content is worthless. Nothing is synced.

    Returns:
        What is known of the new tree: it stands alone, has Docker's size of the layer, and its `disk_bytes`
        are what it takes beyond the layer's own tree.

    Raises:
        InvalidLayerError: The layer does not fit these lower layers: what it links to is missing or a
            directory, or a directory it needs is a file.
        StoreFullError: No space left.
        StoreError: The disk failed.
    """
    with disk_failures(str(target_dir)), ExitStack() as opened:
        target_dir.mkdir(exist_ok=True)
        below = opened.enter_context(MergedView(lower))
        target = Tree(path=target_dir, report=LayerReport(root_entry=True))
        # It reads the new tree while that grows: what is found in it is always true. No directory is listed there, for
        # btrfs lists what one held when it was opened.
        merged = opened.enter_context(MergedView([*lower, target]))
        source = opened.enter_context(Directories([raw.path]))
        made = DerivedTree(opened.enter_context(Directories([target_dir])))
        report = _Derivation(raw, below, merged, source, made).run()
        members = sum(1 for _ in opened.enter_context(TreeFiles(target_dir)).walk())
        return msgspec.structs.replace(report, members=members)


class _Derivation:
    def __init__(
        self, raw: Tree, below: MergedView, merged: MergedView, source: Directories, made: DerivedTree
    ) -> None:
        self._raw = raw
        self._implicit = set(raw.report.implicit)
        self._below = below
        self._merged = merged
        self._source = source
        self._made = made
        self._redirected: list[tuple[str, str]] = []
        self._known = Known(raw.report)

    def run(self) -> LayerReport:
        self._make_root()
        self._graft("", "")
        while self._redirected:
            raw_path, link = self._redirected.pop(0)
            self._redirect(raw_path, link)
        links = LowerLinks(
            self._below, self._merged, self._source, self._made, self._known, ensure=self._ensure_directory
        )
        links.make(self._raw.report.lower_links)
        self._made.finish()
        is_described = self._raw.report.root_entry or any(tree.report.root_entry for tree in self._below.trees)
        return self._known.report(root_entry=is_described, disk_bytes=self._made.disk_bytes, links=self._made.links)

    # --- directories and what lies in them ---

    def _make_root(self) -> None:
        if self._raw.report.root_entry:
            self._describe_as_raw("", "")
        else:
            self._describe_as_below("", self._below.root())
            self._copy_opaque("", "")

    def _graft(self, raw_path: str, path: str) -> None:
        """Put the content of the layer's directory `raw_path` into the new tree's directory `path`."""
        pending = [(raw_path, path)]
        while pending:
            raw_path, path = pending.pop()
            for name in sorted(os.listdir(self._source.open(0, raw_path))):
                status = os.stat(name, dir_fd=self._source.open(0, raw_path), follow_symlinks=False)
                child = (join(raw_path, name), join(path, name))
                if not stat.S_ISDIR(status.st_mode):
                    self._made.share(self._source.open(0, raw_path), name, status, child[1])
                elif self._placed(*child):
                    pending.append(child)

    def _placed(self, raw_path: str, path: str) -> bool:
        """Make the directory at `path`; tell whether the content of `raw_path` goes there now."""
        if raw_path not in self._implicit:
            self._made.make_directory(path)
            self._describe_as_raw(raw_path, path)
            return True
        there = self._merged.lstat(path)
        if there is not None and stat.S_ISLNK(there.mode):
            self._redirected.append((raw_path, path))
            return False
        if (there is None or not stat.S_ISDIR(there.mode)) and not self._brings_something(raw_path):
            return False
        self._ensure_directory(path)
        self._copy_opaque(raw_path, path)
        return True

    def _redirect(self, raw_path: str, link: str) -> None:
        """Put the content of an implicit directory where the symlink in its place leads."""
        path = self._merged.resolve(link, follow_last=True)
        there = self._merged.lstat(path)
        if (there is None or not stat.S_ISDIR(there.mode)) and not self._brings_something(raw_path):
            return
        self._ensure_directory(path)
        self._copy_opaque(raw_path, path)
        self._known.moved(raw_path, path)
        self._graft(raw_path, path)

    def _brings_something(self, raw_path: str) -> bool:
        """Tell whether an implicit directory holds anything but whiteouts; umoci makes none for those."""
        report = self._raw.report
        named = [*(device[0] for device in report.devices), *(link[0] for link in report.lower_links)]
        if any(name.startswith(raw_path + "/") for name in named):
            return True
        pending = [raw_path]
        while pending:
            path = pending.pop()
            for name in os.listdir(self._source.open(0, path)):
                status = os.stat(name, dir_fd=self._source.open(0, path), follow_symlinks=False)
                child = join(path, name)
                if stat.S_ISDIR(status.st_mode) and child in self._implicit:
                    pending.append(child)
                elif not is_whiteout(status):
                    return True
        return False

    def _ensure_directory(self, path: str) -> None:
        """Make the directory at `path` and those above it, described as the lower ones they merge with.

        Raises:
            InvalidLayerError: Something else is in the way.
        """
        steps = path.split("/") if path else []
        for depth in range(1, len(steps) + 1):
            step = "/".join(steps[:depth])
            there = self._merged.lstat(step)
            if there is not None and not stat.S_ISDIR(there.mode):
                raise InvalidLayerError(f"{path} must be a directory, and {step} is a file of a lower layer")
            if self._made.make_directory(step) and there is not None:
                self._describe_as_below(step, there)

    def _describe_as_raw(self, raw_path: str, path: str) -> None:
        directory = self._source.open(0, raw_path)
        self._made.describe(path, directory, os.stat(directory))
        self._copy_opaque(raw_path, path)

    def _describe_as_below(self, path: str, entry: MergedEntry) -> None:
        if entry.stored is None:  # a root that no layer describes
            self._made.describe_root(entry.mode, entry.mtime_ns)
            return
        view = self._merged if path else self._below
        directory = view.open_file(entry)
        try:
            self._made.describe(path, directory, entry.stored)
        finally:
            os.close(directory)
        self._known.inherited(path, entry, view)

    def _copy_opaque(self, raw_path: str, path: str) -> None:
        if is_opaque(self._source.open(0, raw_path)):
            self._made.make_opaque(path)
