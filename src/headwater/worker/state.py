"""`ctx.state`: values under a group and a key. Owns names and arguments; `calls.py` owns the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.errors import InvalidInput
from headwater.protocol.workers.messages import Message
from headwater.worker.calls import Call, Calls, Service
from headwater.worker.faults import user_place
from headwater.worker.invocation import Invocation
from headwater.worker.loglines import Send, log_line, send_log
from headwater.worker.members import add_terms, check_name, check_terms, id_text
from headwater.worker.statevalues import unwrapped
from headwater.worker.values import from_json, operations_json, to_json


class State:
    """The state of the project, for one invocation.

    Every method begins at once and returns a `Call` to await. Groups and keys are text; integers and UUIDs
    become text. A value is whatever JSON can hold. `old` says what becomes of values that old code takes for
    wrapped.
    """

    __slots__ = ("_calls", "_get", "_invocation")

    def __init__(self, calls: Calls, invocation: Invocation, old: OldState) -> None:
        self._calls = calls
        self._invocation = invocation
        self._get = old.service(invocation)

    def get(self, group: str, key: str) -> Call:
        """The value, or None."""
        return self._calls.begin(self._invocation, self._get, "get", _place(group, key))

    def get_group(self, group: str) -> Call:
        """The list of the group's values, without their keys, in the order of their creation."""
        return self._calls.begin(self._invocation, SERVICE, "get_group", {"group": id_text(group)})

    def list(self, group: str | None = None, *, after: str = "", limit: int | None = None) -> Call:
        """The values of a group as a list of `{"key", "value"}`, in the order of their creation.

        Without a group, the names of the groups that hold values: at most `limit` (1000), those after the
        name `after`.
        """
        if group is None:
            page = {"after": after} | ({} if limit is None else {"limit": limit})
            return self._calls.begin(self._invocation, NAMES, "groups", page)
        return self._calls.begin(self._invocation, SERVICE, "list", {"group": id_text(group)})

    def set(
        self,
        group: str,
        key: str,
        value: Any,
        *,
        if_version: int | None = None,
        ttl: float | None = None,
        write_key: str | None = None,
    ) -> Call:
        """Keep a value; gives it as kept.

        With `if_version=0`, only if there is none yet; else the call fails with `Conflict`, whose `version`
        is that of the value there. With `ttl`, it expires after that many seconds. With `write_key`, a
        repeated write does nothing and gives the first one's result.
        """
        members = _place(group, key, if_version, ttl, write_key)
        return self._calls.begin(self._invocation, SERVICE, "set", members, lambda: to_json(value, "value"))

    def update(
        self,
        group: str,
        key: str,
        ops: Any,
        *,
        if_version: int | None = None,
        ttl: float | None = None,
        write_key: str | None = None,
        if_exists: bool = False,
    ) -> Call:
        """Apply a list of operations to a value as one write; gives the value after it.

        One that is not there is made; `ttl` is for that alone. With `if_exists` it is not: the call does
        nothing and gives None.
        """
        members = _place(group, key, if_version, ttl, write_key, if_exists)
        return self._calls.begin(self._invocation, SERVICE, "update", members, lambda: operations_json(ops))

    def delete(
        self, group: str, key: str, *, if_version: int | None = None, write_key: str | None = None
    ) -> Call:
        """Delete a value; gives it as it was, or None if there was none."""
        members = _place(group, key, if_version, None, write_key)
        return self._calls.begin(self._invocation, SERVICE, "delete", members)

    def clear(self, group: str) -> Call:
        """Delete all values of a group; gives None."""
        return self._calls.begin(self._invocation, SERVICE, "clear", {"group": id_text(group)})

    getGroup = get_group  # noqa: N815


def _place(
    group: Any,
    key: Any,
    if_version: int | None = None,
    ttl: float | None = None,
    write_key: str | None = None,
    if_exists: bool = False,
) -> dict[str, Any]:
    members = {"group": id_text(group), "item": id_text(key)}
    add_terms(members, if_version, ttl, write_key, if_exists)
    return members


def _check(_method: str, members: Mapping[str, Any]) -> None:
    for member, what in (("group", "group"), ("item", "key"), ("after", "name in after")):
        if member in members:
            check_name(what, members[member])
    check_terms(members)
    if type(members.get("limit", 1)) is not int:
        raise InvalidInput("limit is a whole number.")


def _read(_about: Mapping[str, Any], text: bytes | None, _versions: list[int]) -> Any:
    return None if text is None else from_json(text)


SERVICE = Service("state", ("group",), _check, _read)
NAMES = SERVICE._replace(about=())
"""The service for calls that are about no group."""


class OldState:
    """How `get` treats files that take a value for wrapped in `{"data": value}`: it puts up with them where
    `tolerant`, and tells of each step once."""

    __slots__ = ("_send", "_steps", "_tolerant")

    def __init__(self, send: Send, *, tolerant: bool) -> None:
        self._send = send
        self._tolerant = tolerant
        self._steps: set[str] = set()

    def service(self, invocation: Invocation) -> Service:
        """The service that `get` of an invocation names, which reads values as old code expects them."""
        if not self._tolerant:
            return SERVICE

        def tell() -> None:
            if invocation.step not in self._steps:
                self._steps.add(invocation.step)
                self._tell(invocation)

        def read(_about: Mapping[str, Any], text: bytes | None, _versions: list[int]) -> Any:
            return None if text is None else unwrapped(from_json(text), tell)

        return SERVICE._replace(read=read)

    def _tell(self, invocation: Invocation) -> None:
        file, line = user_place()
        said = (
            f'ctx.state.get() gives the value itself, which has no "data" here ({file}:{line}): '
            'write value instead of value["data"]. It works as it is, unless [steps] state_data is "plain".'
        )
        line_said = log_line("warn", said, {"file": file, "line": line}, invocation)
        send_log(self._send, Message({**line_said.header, "once": "state.data"}))
