"""Imports of project files, from the bytes that the server sent. Owns the hooks into Python's import system.

An `import` in a project file is translated to canonical names first (see `sources.py`); all other code
imports as ever. Python gives no other way: only `__import__` is told who imports.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import linecache
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from headwater.worker.project.files import INIT, Meaning, Sources, Unit


class Loader(SourceFileLoader):
    """Loads one project file from the bytes in hand. Bytecode is neither read nor written."""

    of_project = True
    """Tells the project's own modules from others (`values.py`)."""

    def __init__(self, importer: Importer, unit: Unit) -> None:
        super().__init__(unit.name, importer.sources.absolute(unit.path))
        self._importer = importer
        self._unit = unit

    def get_data(self, path: str) -> bytes:
        """The source, or for any other path (a data file of a package) what is on disk."""
        return self._importer.sources.files[self._unit.path] if path == self.path else super().get_data(path)

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Nothing: without a time stamp, no bytecode file can be taken for this source."""
        raise OSError(path)

    def exec_module(self, module: ModuleType) -> None:
        """Run the file, and remember the way of an error through the files."""
        _show_source(self.path, self.get_data(self.path))
        try:
            super().exec_module(module)
        except BaseException as error:
            self._importer.failed(self._unit.path, error)
            raise


def _show_source(path: str, source: bytes) -> None:
    """Let tracebacks and `inspect.getsource` show what runs, whatever is on disk by now."""
    try:
        text = importlib.util.decode_source(source)
    except (SyntaxError, UnicodeDecodeError):
        return
    # Without a time stamp the cache takes the entry as it is.
    linecache.cache[path] = (len(source), None, text.splitlines(keepends=True), path)


class FolderLoader:
    """Loads a folder without `__init__.py`: there is nothing to run, but data files may lie in it."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/{INIT}"

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """A module as usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""

    def get_resource_reader(self, name: str) -> Any:
        """How `importlib.resources` finds the data files."""
        from importlib.readers import FileReader  # takes longer to import than all of this module

        return FileReader(cast(Any, self))


class Finder:
    """Finds project modules by their canonical names, for whoever asks: importlib, pickle, a library."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a project module; None for any other name."""
        unit = self._importer.sources.by_name.get(fullname)
        if unit is None:
            return None
        places = None if unit.folder is None else [self._importer.sources.absolute(unit.folder)]
        if not unit.path and places:
            spec = ModuleSpec(fullname, cast(Any, FolderLoader(places[0])), is_package=True)
            spec.submodule_search_locations = places
            return spec
        loader = Loader(self._importer, unit)
        return importlib.util.spec_from_file_location(
            fullname, loader.path, loader=loader, submodule_search_locations=places
        )


class Importer:
    """The hooks for one generation of sources; at most one is installed in a process."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._finder = Finder(self)
        self._import = builtins.__import__
        self._import_module = importlib.import_module
        self._fault: BaseException | None = None
        self._way: list[str] = []

    def install(self) -> None:
        """Begin to import project files. The root goes last on the path, for what is no source."""
        sys.meta_path.insert(0, self._finder)
        sys.path.append(self.sources.root)
        builtins.__import__ = self._import_statement
        importlib.import_module = self._import_by_name

    def uninstall(self) -> None:
        """Undo `install`, and forget the modules."""
        builtins.__import__ = self._import
        importlib.import_module = self._import_module
        sys.path.remove(self.sources.root)
        sys.meta_path.remove(self._finder)
        for name in self.sources.by_name.keys() & sys.modules.keys():
            del sys.modules[name]

    def load(self, path: str) -> ModuleType:
        """The module of a project file. Raises whatever the file raises."""
        return self._import_module(self.sources.by_path[path].name)

    # --- the way of an error ---

    def failed(self, path: str, error: BaseException) -> None:
        """A file raised; files through which the same error passes are told one after the other."""
        if self._fault is not error:
            self._fault, self._way = error, []
        self._way.append(path)

    def way_of(self, error: BaseException) -> list[str]:
        """The files an error of an import passed through, outermost first."""
        return self._way[::-1] if self._fault is error else []

    # --- the hooks ---

    def _meaning(self, namespace: Mapping[str, Any], name: str) -> Meaning | None:
        importer = self.sources.by_name.get(namespace.get("__name__", ""))
        return None if importer is None else self.sources.meaning(importer, name)

    def _import_statement(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        # A list of names comes from C code that happens to be called by a project file: no statement of it.
        if globals is None or isinstance(fromlist, list):
            return self._import(name, globals, locals, fromlist or (), level)
        if level:
            return self._import_relative(name, globals, locals, fromlist or (), level)
        meaning = self._meaning(globals, name)
        if meaning is None:
            return self._import(name, globals, locals, fromlist or (), level)
        if not meaning.sure:
            try:
                return self._import(name, globals, locals, fromlist or (), level)
            except ModuleNotFoundError as error:
                if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
                    raise
        return self._import_meant(meaning, globals, locals, fromlist or ())

    def _import_relative(
        self,
        name: str,
        globals: Mapping[str, Any],  # noqa: A002
        locals: Mapping[str, Any] | None,  # noqa: A002
        fromlist: Sequence[str],
        level: int,
    ) -> ModuleType:
        """`from ..services.s import v`. Python knows what it means, but where it climbs to the root."""
        importer = self.sources.by_name.get(globals.get("__name__", ""))
        if importer is not None and name:
            meaning = self.sources.at_root(importer, name, level)
            if meaning is not None:
                return self._import_meant(meaning, globals, locals, fromlist)
        elif importer is not None:
            meant = {one: self.sources.at_root(importer, one, level) for one in fromlist}
            if all(meant.values()):
                found = {one: self._import_module(meaning.name) for one, meaning in meant.items() if meaning}
                return cast(ModuleType, SimpleNamespace(**found))
        return self._import(name, globals, locals, fromlist, level)

    def _import_meant(
        self,
        meaning: Meaning,
        globals: Mapping[str, Any],  # noqa: A002
        locals: Mapping[str, Any] | None,  # noqa: A002
        fromlist: Sequence[str],
    ) -> ModuleType:
        module = self._import(meaning.name, globals, locals, fromlist, 0)
        return module if fromlist else sys.modules[meaning.top]

    def _import_by_name(self, name: str, package: str | None = None) -> ModuleType:
        """`importlib.import_module`: the same names mean the same as in a statement."""
        caller = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        meaning = None if name.startswith(".") else self._meaning(caller.f_globals, name)
        if meaning is not None and meaning.sure:
            return self._import_module(meaning.name)
        return self._import_module(name, package)
