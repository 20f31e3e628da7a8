"""What one write means, whatever the store. Owns the rules by which a write is rejected alone: a version that
is not the one expected, an `apply` that raises, names that are no text. No I/O, no state."""

from __future__ import annotations

from headwater.errors import Conflict, HeadwaterError, InvalidInput, TooLarge
from headwater.model import Write

MAX_DATA_BYTES = 512 * 1024 * 1024
"""Above it a write is rejected alone, whatever the settings say: SQLite ends at 1e9 bytes a row."""


def data_after(write: Write, version: int, data: bytes | None) -> bytes | None:
    """The item's data after the write, None when the write deletes.

    `version` and `data` are the item's current ones (0 and None: there is no such item). They matter only to
    a write that `needs_current`.

    :raises HeadwaterError: the write is rejected (Conflict, InvalidInput, TooLarge, what `apply` raised).
    """
    if write.if_version is not None and write.if_version != version:
        raise _conflict(write, version)
    if write.kind == "delete":
        return None
    after = write.data if write.kind == "set" else _applied(write, data)
    if len(after) > MAX_DATA_BYTES:
        raise TooLarge(f"Item {write.id!r} is too large to be stored.", limit=MAX_DATA_BYTES, size=len(after))
    return after


def needs_current(write: Write) -> bool:
    """Whether the outcome depends on more than whether the item exists."""
    return write.kind != "set" or write.if_version is not None


def check_names(write: Write) -> None:
    """Names must be text that UTF-8 can hold.

    :raises InvalidInput: one of them has a lone surrogate.
    """
    named = (
        ("stream", write.group.stream),
        ("group", write.group.group),
        ("item", write.id),
        ("key", write.key),
    )
    for what, name in named:
        if name is not None and not is_text(name):
            raise InvalidInput(f"The {what} {name!r} is no valid Unicode text.", hint="Send it as UTF-8.")


def is_text(name: str) -> bool:
    """Whether UTF-8 can hold the name; a lone surrogate is what it cannot."""
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            return False
    return True


def _applied(write: Write, data: bytes | None) -> bytes:
    """What the write's own function makes of the data. Whatever it does, this write alone fails."""
    if write.apply is None:
        raise InvalidInput(f"An update of item {write.id!r} carries no function to apply.")
    try:
        after = write.apply(data)
    except HeadwaterError:
        raise
    except Exception as error:
        raise HeadwaterError(
            f"The update of item {write.id!r} failed: {type(error).__name__}: {error}",
            hint="The function given to the update must not raise; the item is unchanged.",
        ) from error
    if not isinstance(after, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise HeadwaterError(f"The update of item {write.id!r} gave {type(after).__name__} instead of bytes.")
    return after


def _conflict(write: Write, version: int) -> Conflict:
    stream, group = write.group
    has = f"has version {version}" if version else "does not exist"
    wanted = f"version {write.if_version}" if write.if_version else "that it does not exist"
    return Conflict(
        f"Item {write.id!r} of group {group!r} in stream {stream!r} {has}; the write expected {wanted}.",
        hint="Read the item again and repeat the write with its version.",
        version=version,
        stream=stream,
        group=group,
        id=write.id,
    )
