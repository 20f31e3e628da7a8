"""Protocol v0: the JSON frames of the old framework's browser clients. Owns their encoding and decoding, no
I/O.

What the published client does, and so what these frames must be (each checked against the npm packages):

- it drops an item frame whose `timestamp` is not greater than the last, so every frame takes a new stamp;
- it ignores an update of an item it does not hold and a create of one it holds: `type` is the stored kind,
  which is the net effect because a subscription starts from a `sync` and then misses nothing;
- it throws on a delete without data: the item as it was travels along;
- it hands a frame with `id` to listeners of the item and of the group, so one frame serves both;
- a missing item needs a `sync` with null, else what was deleted while offline stays on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import orjson

from headwater.clock import Stamps
from headwater.errors import HeadwaterError, ProtocolFault
from headwater.jsonvalue import is_object
from headwater.model import GroupKey, Item, Signal
from headwater.protocol.clients.reading import MOST_VALUES, check_values
from headwater.protocol.clients.rfc6455 import text_frame
from headwater.protocol.clients.wire import Advance, CatchUpOf, Stretch


class Request(NamedTuple):
    """What a client asks: to join or leave a group (`item` None) or one item of it."""

    kind: Literal["join", "leave"]
    group: GroupKey
    item: str | None
    subscription: str


def parse_request(text: str, *, max_id_bytes: int, max_values: int = MOST_VALUES) -> Request:
    """Decode one client message.

    :raises ProtocolFault: it is not JSON, or not a join or leave with its names; `details` name the field.
    """
    check_values(text, max_values)
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        raise ProtocolFault(f"The message is not JSON: {fault}.", hint=_SHAPE) from None
    if not is_object(message) or message.get("type") not in ("join", "leave"):
        raise ProtocolFault('The message needs a "type" of "join" or "leave".', hint=_SHAPE, field="type")
    data = message.get("data")
    if not is_object(data):
        raise ProtocolFault('The message needs an object "data".', hint=_SHAPE, field="data")
    stream = _name(data, "streamName", max_id_bytes)
    group = _name(data, "groupId", max_id_bytes)
    item = None if data.get("id") in (None, "") else _name(data, "id", max_id_bytes)
    # The client's own id is kept to tell two subscriptions of one room apart; old clients may leave it out.
    subscription = "" if data.get("subscriptionId") is None else _name(data, "subscriptionId", max_id_bytes)
    return Request(message["type"], GroupKey(stream, group), item, subscription)


_SHAPE = '{"type": "join" | "leave", "data": {"streamName", "groupId", "id"?, "subscriptionId"}}'


def _name(data: dict[str, Any], field: str, max_bytes: int) -> str:
    value = data.get(field)
    if not isinstance(value, str) or not value:
        raise ProtocolFault(f'"data.{field}" must be a non-empty text.', hint=_SHAPE, field=f"data.{field}")
    if len(value.encode("utf-8", "surrogatepass")) > max_bytes:
        raise ProtocolFault(
            f'"data.{field}" is longer than {max_bytes} bytes.', field=f"data.{field}", limit=max_bytes
        ).at("socket.max_id_bytes", max_bytes)
    return value


class V0Wire:
    """Protocol v0 over WebSocket text frames."""

    resumes = False

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps

    def change(self, advance: Advance) -> bytes:
        """`create`, `update` or `delete` with the item."""
        change = advance.change
        return self._item_frame(change.group, change.id, change.kind.encode(), change.data)

    def signal(self, feed: int, signal: Signal) -> bytes:
        """`event` with the user's `{"type", "data"}`."""
        return self._frame(signal.group, signal.item, b'{"type":"event","event":%b}' % signal.body)

    def error(self, of: CatchUpOf, error: HeadwaterError) -> bytes:
        """What went wrong with a subscription that lives on."""
        return self.refusal(of.wish.group, of.wish.item, error)

    def refusal(self, group: GroupKey, item: str | None, error: HeadwaterError) -> bytes:
        """An `event` of type "error" with the code, which is how v0 tells of a refusal."""
        body = {"type": "event", "event": {"type": "error", "data": error.to_dict()}}
        return self._frame(group, item, orjson.dumps(body, default=str))

    def behind(self, of: CatchUpOf) -> bytes:
        """Nothing: a page takes the next `sync` as it comes."""
        return b""

    def catch_up(self, of: CatchUpOf) -> V0CatchUp:
        """A catch-up that ends in one `sync`."""
        return V0CatchUp(self, of.wish.group, of.wish.item)

    def sync_group(self, group: GroupKey, items: Sequence[Item]) -> bytes:
        """`sync` with all items of a group, in creation order."""
        return self._frame(
            group, None, b'{"type":"sync","data":[%b]}' % b",".join([item.data for item in items])
        )

    def sync_item(self, group: GroupKey, item_id: str, item: Item | None) -> bytes:
        """`sync` with one item, or null when there is none."""
        return self._item_frame(group, item_id, b"sync", item.data if item else b"null")

    def _item_frame(self, group: GroupKey, item: str, kind: bytes, data: bytes) -> bytes:
        return self._frame(group, item, b'{"type":"%b","data":%b}' % (kind, data))

    def _frame(self, group: GroupKey, item: str | None, event: bytes) -> bytes:
        named = b"" if item is None else b'"id":%b,' % orjson.dumps(item)
        payload = b'{"timestamp":%.3f,"streamName":%b,"groupId":%b,%b"event":%b}' % (
            self._stamps.next(),
            orjson.dumps(group.stream),
            orjson.dumps(group.group),
            named,
            event,
        )
        return text_frame(payload)


class V0CatchUp:
    """Gathers the state of a group or an item and gives it as one `sync`, since v0 knows no pages."""

    def __init__(self, wire: V0Wire, group: GroupKey, item: str | None) -> None:
        self._wire = wire
        self._group = group
        self._item = item
        self._held: dict[str, Item] = {}

    def reset(self, reason: str) -> bytes:
        """Forget what was gathered. Nothing travels: every catch-up of v0 starts over anyway."""
        self._held.clear()
        return b""

    def stretch(self, stretch: Stretch) -> bytes:
        """Keep the newest of every item; nothing travels yet."""
        for tombstone in stretch.tombstones:
            held = self._held.get(tombstone.id)
            if held is not None and held.version < tombstone.version:
                del self._held[tombstone.id]
        for item in stretch.items:
            self._held[item.id] = item
        return b""

    def older(self, stretch: Stretch) -> bytes:
        """Nothing: v0 knows no windows."""
        return b""

    def complete(self) -> bytes:
        """The `sync`, in creation order."""
        if self._item is not None:
            return self._wire.sync_item(self._group, self._item, self._held.get(self._item))
        return self._wire.sync_group(self._group, sorted(self._held.values(), key=lambda item: item.created))
