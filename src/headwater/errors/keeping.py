"""What the store cannot do."""

from __future__ import annotations

from headwater.errors.root import HeadwaterError


class StoreUnavailable(HeadwaterError):
    """The store cannot take or answer this now (locked file, I/O error, closed); nothing was acknowledged."""

    code = "STORE_UNAVAILABLE"
    status = 503


class StoreFull(StoreUnavailable):
    """The disk under the store is full; nothing was acknowledged."""

    code = "STORE_FULL"


class StoreReadOnly(StoreUnavailable):
    """The store's file or folder cannot be written."""

    code = "STORE_READ_ONLY"


class StoreCorrupt(StoreUnavailable):
    """The store's file is damaged or is not a store of this kind."""

    code = "STORE_CORRUPT"
