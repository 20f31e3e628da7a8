"""What streams give back: items. Owns the type that user code holds; knows no call and no socket."""

from __future__ import annotations

from typing import Any, cast

from headwater.worker.values import from_json


class StreamItem(dict[str, Any]):
    """An item of a stream: a dict of its data, its `id` included, that can be changed and set again.

    Beside the data it knows where it came from: `stream`, `group`, `item_id`, and `version`, the group's
    version that last wrote it. A copy made with `dict(item)`, `{**item}` or `item.copy()` is a plain dict.
    """

    __slots__ = ("group", "item_id", "stream", "version")

    stream: str
    group: str
    item_id: str
    version: int


def read_item(stream: str, group: str, data: dict[str, Any], version: int) -> StreamItem:
    """An item from its data (which holds `id`) and its version."""
    item = StreamItem(data)
    item.stream = stream
    item.group = group
    item.item_id = str(data.get("id", ""))
    item.version = version
    return item


def read_value(stream: str, group: str, text: bytes | None, versions: list[int]) -> Any:
    """The value of a call's result: an item, a list of items, or None."""
    value = None if text is None else from_json(text)
    if isinstance(value, dict):
        return read_item(stream, group, cast(dict[str, Any], value), versions[0] if versions else 0)
    if isinstance(value, list):
        found = zip(cast(list[dict[str, Any]], value), versions, strict=True)
        return [read_item(stream, group, data, version) for data, version in found]
    return value
