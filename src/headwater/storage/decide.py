"""What one write means, whatever the store. Owns the rules by which a write is rejected alone: a version that
is not the one expected, an `apply` that raises, names that are no text; and by which a unit is rejected as a
whole. No I/O, no state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from headwater.errors import Conflict, HeadwaterError, InvalidInput, TooLarge
from headwater.model import MAX_REASON_BYTES, GroupKey, Unit, Write

MAX_DATA_BYTES = 512 * 1024 * 1024
"""Above it a write is rejected alone, whatever the settings say: SQLite ends at 1e9 bytes a row."""


class Found(NamedTuple):
    """An item as a write finds it. Of one that is not there `exists` is false, `version` 0, `data` None.

    Version and data may be missing (0 and None) of one that is there, unless a write `needs_current`.
    """

    exists: bool
    version: int
    data: bytes | None


NOTHING = Found(False, 0, None)
"""There is no such item."""


def unit_after(
    writes: Sequence[Write], find: Callable[[Write], Found], version_of: Callable[[GroupKey], int]
) -> list[bytes | None]:
    """What `data_after` answers for each write of a unit, done one after the other, without doing them.

    `find` tells the item as it is before the unit, `version_of` where a group stands then. So a unit is known
    to be sound before any of it is done, and none has to be undone.

    :raises HeadwaterError: a write is rejected, and with it the unit; `details["index"]` tells which.
    """
    items: dict[tuple[GroupKey, str], Found] = {}
    versions: dict[GroupKey, int] = {}
    after: list[bytes | None] = []
    for index, write in enumerate(writes):
        where = (write.group, write.id)
        before = items.get(where) or find(write)
        try:
            data = data_after(write, before.version, before.data)
        except HeadwaterError as rejection:
            raise at_index(rejection, index) from None
        after.append(data)
        if data is None and not before.exists:
            continue
        version = versions[write.group] = versions.get(write.group, version_of(write.group)) + 1
        items[where] = NOTHING if data is None else Found(True, version, data)
    return after


def at_index(rejection: HeadwaterError, index: int) -> HeadwaterError:
    """The rejection of a write, as that of the unit it is in."""
    rejection.details = {**rejection.details, "index": index}
    return rejection


def check_unit(unit: Unit) -> None:
    """A unit must be sound whatever the store holds.

    :raises HeadwaterError: it is not; `details["index"]` tells the write at fault, where it is one.
    """
    if unit.key is not None and not is_text(unit.key):
        raise InvalidInput(f"The key {unit.key!r} is no valid Unicode text.", hint="Send it as UTF-8.")
    for index, write in enumerate(unit.writes):
        try:
            check_write(write)
            if write.key is not None:
                raise InvalidInput(
                    f"The write of item {write.id!r} has a key of its own inside a unit.",
                    hint="Give the key to the unit.",
                )
        except HeadwaterError as rejection:
            raise at_index(rejection, index) from None


def already_settled(entry: int) -> Conflict:
    """The rejection of a unit that settles an outbox entry which is gone."""
    return Conflict(
        f"Outbox entry {entry} was settled before, so what it set off was set off.",
        hint="Let go of the entry; nothing is left to do for it.",
        entry=entry,
    )


def data_after(write: Write, version: int, data: bytes | None) -> bytes | None:
    """The item's data after the write, None when the write deletes, or finds nothing that it may update.

    `version` and `data` are the item's current ones (0 and None: there is no such item). They matter only to
    a write that `needs_current`.

    :raises HeadwaterError: the write is rejected (Conflict, InvalidInput, TooLarge, what `apply` raised).
    """
    if write.if_exists and data is None:
        return None
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
    return write.kind != "set" or write.if_version is not None or write.outbox is not None


def check_write(write: Write) -> None:
    """Names must be text that UTF-8 can hold, and a reason short.

    :raises InvalidInput: a name has a lone surrogate.
    :raises TooLarge: the reason is longer than MAX_REASON_BYTES.
    """
    if write.outbox is not None and len(write.outbox) > MAX_REASON_BYTES:
        raise TooLarge(
            f"The reason of an outbox entry may have {MAX_REASON_BYTES} bytes.",
            limit=MAX_REASON_BYTES,
            size=len(write.outbox),
        )
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
