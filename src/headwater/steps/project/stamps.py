"""What tells two loads of the same file apart whose functions may answer differently: a digest of the file,
of all files that it may import, and of the environment."""

from __future__ import annotations

import hashlib

from headwater.steps.project.sources import Sources


class Stamps:
    """The digests of one load of the project."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._shared: bytes | None = None

    def of(self, *files: str) -> str:
        """The digest of functions that these files declare together."""
        digest = hashlib.sha256(self._of_shared())
        for path in files:
            digest.update(_part(path, self._sources.files.get(path, b"")))
        return digest.hexdigest()

    def _of_shared(self) -> bytes:
        """The digest of what any of them may come from; made once, for it reads much."""
        if self._shared is None:
            digest = hashlib.sha256()
            declaring = frozenset(self._sources.declaring)
            for path, content in self._sources.files.items():
                if path not in declaring:
                    digest.update(_part(path, content))
            digest.update(repr(sorted(self._sources.env.values.items())).encode())
            self._shared = digest.digest()
        return self._shared


def _part(path: str, content: bytes) -> bytes:
    """A file as a part of a digest: its size says where it ends."""
    return b"%b\0%d\0%b" % (path.encode(), len(content), hashlib.sha256(content).digest())
