"""The protocols that subscribers of the one group here speak: what they say, how to read what comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

STREAM, GROUP = "room", "g"


@dataclass(frozen=True)
class Dialect:
    """One protocol. `join` is what a subscriber sends, its number to be put for %d; it is in
    once a message holds `joined`. `mark` stands once in each change of the group, where messages other than
    changes come too.

    `n_of` answers the number in a message about an item of the benchmarks' project, if it has one.
    """

    name: str
    subprotocol: str
    join: str
    joined: str
    mark: str
    n_of: Callable[[Mapping[str, Any]], int | None]

    def join_of(self, number: int, group: str = GROUP) -> str:
        """What a subscriber sends."""
        return self.join.replace("%d", str(number)).replace(f'"{GROUP}"', f'"{group}"')

    @property
    def client_options(self) -> dict[str, object]:
        """The same for the load client."""
        options = {"join": self.join, "joined": self.joined, "protocol": self.subprotocol, "mark": self.mark}
        return {name: value for name, value in options.items() if value}


def _n_of_v0(message: Mapping[str, Any]) -> int | None:
    data = message["event"].get("data")
    return data.get("n") if isinstance(data, dict) else None


def _n_of_v1(message: Mapping[str, Any]) -> int | None:
    if message["t"] == "set":
        return message["d"]["n"]
    written = [value for kind, path, value in message.get("o", ()) if (kind, path) == ("s", ["n"])]
    return written[-1] if written else None


V0 = Dialect(
    "v0",
    "",
    json.dumps(
        {"type": "join", "data": {"streamName": STREAM, "groupId": GROUP, "subscriptionId": "s%d"}},
        separators=(",", ":"),
    ),
    '"type":"sync"',
    "",
    _n_of_v0,
)
V1 = Dialect(
    "v1",
    "headwater.v1",
    json.dumps({"t": "sub", "sub": 1, "stream": STREAM, "group": GROUP}, separators=(",", ":")),
    '"t":"complete"',
    '"f":1,"v":',  # The server's first feed; `event` and `subscribed` have no version beside it.
    _n_of_v1,
)
