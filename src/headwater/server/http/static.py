"""Files of the project's public folder. Owns which may be served; how a file travels is Starlette's part.

Served are regular files whose real path lies in the folder. Hidden names (a leading dot) are not, except
`.well-known`. The folder may be missing, and may appear while the server runs.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from headwater.server.http.conditional import CACHE_CONTROL, knows_file
from headwater.server.http.route_tree import RequestPath

INDEX = "index.html"
_HEADERS = {"cache-control": CACHE_CONTROL, "x-content-type-options": "nosniff"}

_TYPES = mimetypes.MimeTypes()
for _suffix, _type in {
    ".avif": "image/avif",
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}.items():
    _TYPES.add_type(_type, _suffix)


MOST_RANGES = 16
"""Stretches of a file that one request may ask for; whoever asks for more gets all of it."""

_PLACE = r"\d{1,18}"  # No file is longer, and Python refuses to read numbers of thousands of digits.
_STRETCH = rf"(?:{_PLACE}-(?:{_PLACE})?|-{_PLACE})"
_RANGE = re.compile(rf"bytes=\s*{_STRETCH}(?:\s*,\s*{_STRETCH})*\s*", re.IGNORECASE)
_BOTH_ENDS = re.compile(r"(\d+)-(\d+)")


class _File(FileResponse):
    """Starlette's, which refuses what HTTP says to ignore: ranges in other units, and those that are none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(name, value) for name, value in scope["headers"] if name != b"range" or _is_range(value)]
        await super().__call__({**scope, "headers": lines}, receive, send)


def _is_range(value: bytes) -> bool:
    text = value.decode("latin-1")
    if text.count(",") >= MOST_RANGES or not _RANGE.fullmatch(text):
        return False
    return all(int(first) <= int(last) for first, last in _BOTH_ENDS.findall(text))


class PublicFile(NamedTuple):
    """A file that may be served; `at_folder`: it is the index of a folder asked for without a slash."""

    path: Path
    status: os.stat_result
    at_folder: bool = False


class PublicFolder:
    """One folder, served at `/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def find(self, path: RequestPath) -> PublicFile | None:
        """The file of a path, a folder's index.html for the folder; None when nothing is to be served."""
        return await asyncio.to_thread(self._find, path)

    def _find(self, path: RequestPath) -> PublicFile | None:
        if not all(map(_may_be_served, path.segments)):
            return None
        try:
            root = self._folder.resolve()
            found = _inside(root, root.joinpath(*path.segments))
            if found is None:
                return None
            if stat.S_ISDIR(found.status.st_mode):
                index = _inside(root, found.path / INDEX)
                at_folder = bool(path.segments) and not path.slashed
                found = index and index._replace(at_folder=at_folder)
            elif path.slashed:
                return None
        except (OSError, RuntimeError):
            return None
        return found if found and stat.S_ISREG(found.status.st_mode) else None


def file_response(file: PublicFile, path: str, query: str, headers: Mapping[str, str]) -> Response:
    """The answer to GET or HEAD at which a file was found. `path` is the whole one, as it came in."""
    if file.at_folder:
        return RedirectResponse(f"{path}/?{query}" if query else f"{path}/")
    media_type = _TYPES.guess_type(file.path)[0] or "application/octet-stream"
    response = _File(file.path, headers=_HEADERS, media_type=media_type, stat_result=file.status)
    if knows_file(response.headers["etag"], response.headers["last-modified"], headers):
        kept = {name: response.headers[name] for name in ("cache-control", "etag", "last-modified")}
        return Response(status_code=304, headers=kept)
    return response


def _may_be_served(segment: str) -> bool:
    hidden = segment.startswith(".") and segment != ".well-known"
    return bool(segment) and not hidden and not any(sign in segment for sign in "/\\\0")


def _inside(root: Path, path: Path) -> PublicFile | None:
    """What a path really is, unless that lies outside the folder or is hidden in it."""
    real = path.resolve()
    if not real.is_relative_to(root) or not all(map(_may_be_served, real.relative_to(root).parts)):
        return None
    return PublicFile(real, real.stat())
