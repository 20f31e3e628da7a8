"""`ctx.streams`: what user code does with streams. Owns names and arguments; `calls.py` owns the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from headwater.errors import UnknownStream
from headwater.worker.calls import Call, Calls, Service
from headwater.worker.invocation import Invocation
from headwater.worker.items import read_value
from headwater.worker.members import add_terms, check_name, check_terms, id_text
from headwater.worker.values import as_dict, operations_json, to_json

_OLD_KEY = "__motia"


class UnknownStreamName(UnknownStream, AttributeError, KeyError):
    """A name that no stream has; also an AttributeError and a KeyError, so that `hasattr` works."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class Stream:
    """One stream, for one invocation.

    Every method begins at once and returns a `Call` to await. Group and item ids are text; integers and UUIDs
    become text. The `id` given wins over one in the data.
    """

    __slots__ = ("_calls", "_invocation", "_name")

    def __init__(self, calls: Calls, invocation: Invocation, name: str) -> None:
        self._calls = calls
        self._invocation = invocation
        self._name = name

    def get(self, group_id: str, id: str) -> Call:  # noqa: A002
        """The item, or None."""
        return self._calls.begin(self._invocation, SERVICE, "get", self._members(group_id, item=id_text(id)))

    def get_group(self, group_id: str) -> Call:
        """The list of the group's items, in the order of their creation."""
        return self._calls.begin(self._invocation, SERVICE, "get_group", self._members(group_id))

    def set(
        self,
        group_id: str,
        id: str,  # noqa: A002
        data: Any,
        *,
        if_version: int | None = None,
        ttl: float | None = None,
        key: str | None = None,
    ) -> Call:
        """Create or replace an item; gives the item as stored.

        `data` is a dict, a Pydantic object or a dataclass. With `if_version`, only if the item's version is
        that one (0: there is no such item); else the call fails with `Conflict`. With `ttl`, the item expires
        after that many seconds. With `key`, a repeated write does nothing and gives the first one's result.
        """
        members = self._item(group_id, id, if_version, ttl, key)
        return self._calls.begin(
            self._invocation, SERVICE, "set", members, lambda: to_json(_without_old(data))
        )

    def update(
        self,
        group_id: str,
        id: str,  # noqa: A002
        ops: Any,
        *,
        if_version: int | None = None,
        key: str | None = None,
        if_exists: bool = False,
    ) -> Call:
        """Apply a list of operations to an item as one write; gives the item after it.

        An item that is not there is made of them. With `if_exists` it is not: the call does nothing and gives
        None.
        """
        members = self._item(group_id, id, if_version, None, key, if_exists)
        return self._calls.begin(self._invocation, SERVICE, "update", members, lambda: operations_json(ops))

    def delete(
        self,
        group_id: str,
        id: str,  # noqa: A002
        *,
        if_version: int | None = None,
        key: str | None = None,
    ) -> Call:
        """Delete an item; gives it as it was, or None if there was none."""
        members = self._item(group_id, id, if_version, None, key)
        return self._calls.begin(self._invocation, SERVICE, "delete", members)

    def send(self, channel: Mapping[str, Any], event: Mapping[str, Any]) -> Call:
        """Send an ephemeral event `{"type", "data"}` to `{"groupId", "id"?}`; gives None."""
        group, item = _channel(channel)
        members = self._members(group, item=item)
        return self._calls.begin(self._invocation, SERVICE, "send", members, lambda: _event(event))

    def revoke(self, group_id: str, user: str) -> Call:
        """Take a group away from a user: what it follows there has ended when this returns, and it may
        not read, write, send, delete or cancel anything there, whatever the stream's file says. Gives None.

        `user` is the `user` of its context, or else its `sub`.
        """
        return self._about_user("revoke", group_id, user)

    def restore(self, group_id: str, user: str) -> Call:
        """Leave what a user may do with a group to the stream's file again; gives None."""
        return self._about_user("restore", group_id, user)

    def _about_user(self, method: str, group_id: Any, user: Any) -> Call:
        members = self._members(group_id, user=id_text(user))
        return self._calls.begin(self._invocation, SERVICE, method, members)

    def _members(self, group_id: Any, **more: Any) -> dict[str, Any]:
        return {"stream": self._name, "group": id_text(group_id), **more}

    def _item(
        self,
        group_id: Any,
        item_id: Any,
        if_version: int | None,
        ttl: float | None,
        key: str | None,
        if_exists: bool = False,
    ) -> dict[str, Any]:
        """The item and the terms of the write, those that were given."""
        members = {"stream": self._name, "group": id_text(group_id), "item": id_text(item_id)}
        add_terms(members, if_version, ttl, key, if_exists)
        return members

    getGroup = get_group  # noqa: N815


def _check(method: str, members: Mapping[str, Any]) -> None:
    check_name("group id", members["group"])
    if method in ("revoke", "restore"):
        check_name("user", members["user"])
    item = members.get("item", "")
    if not (item is None and method == "send"):
        check_name("item id", item)
    check_terms(members)


def _read(members: Mapping[str, Any], text: bytes | None, versions: list[int]) -> Any:
    return read_value(members["stream"], members["group"], text, versions)


SERVICE = Service("streams", ("stream", "group"), _check, _read)


class Streams:
    """All streams of the project, by name: `ctx.streams.chat` or `ctx.streams["chat"]`.

    `known` answers the names of the project's streams, or None while nobody has told them.
    """

    __slots__ = ("_calls", "_invocation", "_known")

    def __init__(
        self, calls: Calls, invocation: Invocation, known: Callable[[], frozenset[str] | None]
    ) -> None:
        self._calls = calls
        self._invocation = invocation
        self._known = known

    def __getitem__(self, name: str) -> Stream:
        known = self._known()
        if known is not None and name not in known:
            raise _unknown(name, known)
        return Stream(self._calls, self._invocation, name)

    def __getattr__(self, name: str) -> Stream:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # what copy, pickle and inspection ask for is no stream
        return self[name]

    def __contains__(self, name: object) -> bool:
        known = self._known()
        return known is None or name in known

    def __dir__(self) -> list[str]:
        return sorted(self._known() or ())


def _unknown(name: str, known: frozenset[str]) -> UnknownStreamName:
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = (
        f'Did you mean "{near[0]}"?'
        if near
        else f"The project declares: {', '.join(sorted(known)) or 'none'}."
    )
    return UnknownStreamName(f'There is no stream "{name}".', hint=hint, stream=name)


def _without_old(data: Any) -> Any:
    """Old code hands back a key that the old framework put in."""
    if not isinstance(data, Mapping):
        return data
    fields = cast(Mapping[Any, Any], data)
    return {key: value for key, value in fields.items() if key != _OLD_KEY} if _OLD_KEY in fields else fields


def _channel(channel: Any) -> tuple[Any, Any]:
    fields = cast(Mapping[str, Any], channel) if isinstance(channel, Mapping) else as_dict(channel) or {}
    group = fields.get("groupId", fields.get("group_id"))
    return id_text(group), id_text(fields.get("id"))


def _event(event: Any) -> bytes:
    return to_json(event, "event")
