"""The files of a generation, as modules with names. Owns what an import in a project file means.

Every file has one module, whatever name it is imported by. Its canonical name is its path from the project's
root with dots: `steps/a/utils.py` is `steps.a.utils`. What an import statement names is looked for beside the
importing file, in the folder above, at the root, then in the folders of steps. Imports nothing itself.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

INIT = "__init__.py"
_SUFFIX = ".py"


class Unit(NamedTuple):
    """One module of the project: its canonical name, its file, and its folder if it is a package.

    Both are relative to the root. A folder without `__init__.py` is a package with an empty `path`.
    """

    name: str
    path: str
    folder: str | None


class Meaning(NamedTuple):
    """What an import means: the canonical names of the module and of the first part of what was written.

    `sure` false: only if the ordinary import finds nothing.
    """

    name: str
    top: str
    sure: bool


class Sources:
    """One generation. `root` is absolute; `files` maps paths relative to it, with `/`, to their bytes."""

    def __init__(self, root: str, folders: Sequence[str], files: Mapping[str, bytes]) -> None:
        self.root = root.rstrip("/")
        self.folders = tuple(folders)
        self.files = {path: content for path, content in files.items() if path.endswith(_SUFFIX)}
        self.by_name: dict[str, Unit] = {}
        self.by_path: dict[str, Unit] = {}
        self._nodes: dict[str, Unit] = {}
        self._installed: dict[str, bool] = {}
        self._meanings: dict[tuple[str, str], Meaning | None] = {}
        self._place("", "", _tree(self.files))

    def absolute(self, path: str) -> str:
        """The real path of a relative one."""
        return f"{self.root}/{path}"

    def relative(self, filename: str) -> str | None:
        """The relative path of a project file; None for any other file."""
        path = filename.removeprefix(f"{self.root}/")
        return path if path in self.files and path != filename else None

    def _place(self, folder: str, prefix: str, tree: Tree) -> None:
        """Name what lies in a folder: packages first, then files, then folders without `__init__.py`."""
        packages = [name for name, inner in tree.items() if inner is not None and INIT in inner]
        files = [name for name, inner in tree.items() if inner is None and name != INIT]
        others = [name for name, inner in tree.items() if inner is not None and INIT not in inner]
        for name in packages + files + others:
            inner = tree[name]
            path = f"{folder}{name}"
            part = self._part(prefix, name.removesuffix(_SUFFIX) if inner is None else name)
            if inner is None:
                self._add(path.removesuffix(_SUFFIX), Unit(prefix + part, path, None))
            else:
                self._add(path, Unit(prefix + part, f"{path}/{INIT}" if INIT in inner else "", path))
                self._place(f"{path}/", f"{prefix}{part}.", inner)

    def _part(self, prefix: str, name: str) -> str:
        """A free part of a canonical name: without dots, and a file and a folder may share a name."""
        part = name.replace(".", "+")
        if not prefix and part not in self.folders and self.is_installed(part):
            part = f"project:{part}"  # what libraries import by that name must stay theirs
        while prefix + part in self.by_name:
            part += "+"
        return part

    def _add(self, node: str, unit: Unit) -> None:
        self.by_name[unit.name] = unit
        self._nodes.setdefault(node, unit)
        if unit.path:
            self.by_path[unit.path] = unit

    def is_installed(self, top: str) -> bool:
        """Whether an ordinary import finds that name outside the project's own files."""
        known = self._installed.get(top)
        if known is None:
            known = self._installed[top] = top in sys.stdlib_module_names or self._is_on_path(top)
        return known

    def _is_on_path(self, top: str) -> bool:
        try:
            spec = importlib.machinery.PathFinder.find_spec(top)
        except (ImportError, ValueError):
            return False
        return spec is not None and bool(spec.origin) and self.relative(str(spec.origin)) is None

    # --- what an import means ---

    def meaning(self, importer: Unit, name: str) -> Meaning | None:
        """What `import name` in that file means among the project's files; None: nothing."""
        folder = importer.path.rpartition("/")[0]
        # Two files of one folder may mean different things only by not importing themselves.
        key = (importer.path, name)
        if key not in self._meanings:
            self._meanings[key] = self._find(importer, folder, name.split("."))
        return self._meanings[key]

    def at_root(self, importer: Unit, name: str, level: int) -> Meaning | None:
        """What a relative import of `level` dots means that climbs to the project's root, which is no package
        to Python; None for one that stays below or leaves the project, or where there is nothing."""
        folder = importer.path.rpartition("/")[0] if importer.folder is None else importer.folder
        unit = self._nodes.get(name.replace(".", "/"))
        climbs = level == (folder.count("/") + 2 if folder else 1)
        return Meaning(unit.name, unit.name, sure=True) if climbs and unit is not None else None

    def _find(self, importer: Unit, folder: str, parts: list[str]) -> Meaning | None:
        top = parts[0]
        for base in self._bases(folder):
            if top in sys.stdlib_module_names and base != folder:
                break
            unit = self._nodes.get(_join(base, *parts))
            if unit is not None and self._is_solid(base, top) and not self._is_own(importer, unit, parts):
                return self._meaning(base, parts, sure=True)
        for base in self._bases(folder):
            unit = self._nodes.get(_join(base, *parts))
            if unit is not None and not self._is_own(importer, unit, parts):
                return self._meaning(base, parts, sure=not self.is_installed(top))
        return self._missing(folder, parts)

    def _missing(self, folder: str, parts: list[str]) -> Meaning | None:
        """A part that is missing from a module of the project: let Python say that of the right module."""
        found = (self._nodes.get(_join(base, parts[0])) for base in self._bases(folder))
        unit = next((unit for unit in found if unit is not None), None)
        if unit is None or len(parts) == 1 or self.is_installed(parts[0]):
            return None
        return Meaning(".".join([unit.name, *parts[1:]]), unit.name, sure=True)

    def _bases(self, folder: str) -> Iterator[str]:
        seen: set[str] = set()
        for base in (folder, folder.rpartition("/")[0], "", *self.folders):
            if base not in seen:
                seen.add(base)
                yield base

    def _is_solid(self, base: str, top: str) -> bool:
        """A file or a package with `__init__.py`. A mere folder yields to what is installed, as in Python;
        the folders of steps do not."""
        unit = self._nodes.get(_join(base, top))
        return unit is not None and (bool(unit.path) or (not base and top in self.folders))

    def _is_own(self, importer: Unit, unit: Unit, parts: list[str]) -> bool:
        """Whether a file would import itself, or the package it lies in, by a name that is also installed:
        such a `redis.py` means the library."""
        if len(parts) > 1:
            return False
        if unit.path == importer.path:
            return True
        inside = unit.folder is not None and importer.path.startswith(f"{unit.folder}/")
        return inside and self.is_installed(parts[0])

    def _meaning(self, base: str, parts: list[str], *, sure: bool) -> Meaning:
        unit = self._nodes[_join(base, *parts)]
        # A folder beside a file of its name is passed over by the lookup of the first part alone.
        top = unit.name.rsplit(".", len(parts) - 1)[0]
        return Meaning(unit.name, top, sure)


Tree = dict[str, "Tree | None"]
"""A folder's content: files are None."""


def _tree(paths: Mapping[str, bytes]) -> Tree:
    root: Tree = {}
    for path in sorted(paths):
        *folders, name = path.split("/")
        here = root
        for folder in folders:
            inner = here.get(folder)
            if inner is None:
                inner = here[folder] = {}
            here = inner
        here[name] = None
    return root


def _join(base: str, *parts: str) -> str:
    return "/".join((base, *parts)) if base else "/".join(parts)
