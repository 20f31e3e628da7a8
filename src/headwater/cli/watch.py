"""`headwater watch`: a group or an item in the terminal, live. Owns its look; staying connected is the
client's part.

On a terminal it is a table that is drawn anew; elsewhere, and with --json, one line of JSON for each change.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headwater.cli.terminal import has_colours, out, visible
from headwater.client import CannotConnect, Client, connect

FRESH_SECONDS = 1.5
"""How long a change is shown as one."""

DRAWS_PER_SECOND = 8
MOST_COLUMNS = 8
MOST_CELL = 60
STATUS_STYLES = {"live": "green", "behind": "yellow", "connecting": "yellow", "offline": "red"}

Item = dict[str, Any]


class Watched(NamedTuple):
    """What to watch, and where."""

    url: str
    token: str | None
    stream: str
    group: str
    item: str | None

    @property
    def title(self) -> str:
        """For people."""
        return visible(" / ".join(filter(None, (self.stream, self.group, self.item))))


class Screen:
    """What the terminal shows."""

    def __init__(self, watched: Watched, client: Client, height: int) -> None:
        self._watched = watched
        self._client = client
        self._height = max(height, 3)
        self._items: list[Item] | None = None
        self._changed: dict[str, float] = {}

    def take(self, items: list[Item]) -> None:
        """Show these from now on."""
        if self._items is not None:
            known = {item["id"]: item for item in self._items}
            now = time.monotonic()
            old = {key: at for key, at in self._changed.items() if now - at < FRESH_SECONDS}
            new = {item["id"]: now for item in items if item is not known.get(item["id"])}
            self._changed = old | new
        self._items = items

    def render(self) -> RenderableType:
        """The whole picture."""
        parts: list[RenderableType] = [self._head()]
        if self._items:
            one = self._watched.item is not None
            parts.append(_members(self._items[0]) if one else self._table(self._items))
        elif self._items is not None:
            parts.append(Text("  nothing here yet", "dim"))
        return Group(*parts)

    def _head(self) -> Text:
        status, reason = self._client.status, visible(self._client.reason)
        head = Text.assemble(("● ", STATUS_STYLES[status]), (self._watched.title, "bold"), "  ")
        head.append(f"{status}{f': {reason}' if reason else ''}", "dim")
        if self._items is not None and self._watched.item is None:
            head.append(f"  {len(self._items)} item{'' if len(self._items) == 1 else 's'}", "dim")
        return head

    def _table(self, items: Sequence[Item]) -> Table:
        shown = items[-self._height :]
        names = _columns(shown)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=False)
        for name in names:
            # The cells do not wrap. The column may: of those that may, the widest gives way first.
            table.add_column(Text(visible(name), no_wrap=True), overflow="ellipsis", max_width=MOST_CELL)
        now = time.monotonic()
        for item in shown:
            fresh = now - self._changed.get(item["id"], 0.0) < FRESH_SECONDS
            table.add_row(*(_cell(item.get(name)) for name in names), style="bold cyan" if fresh else "")
        if len(items) > len(shown):
            table.caption = f"{len(items) - len(shown)} older items above"
        return table


def _columns(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The members of the items, the id first."""
    names = dict.fromkeys(("id", *(name for item in items for name in item)))
    return list(names)[:MOST_COLUMNS]


def _members(item: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in item.items():
        table.add_row(Text(visible(name), "dim"), _cell(value))
    return table


def _cell(value: Any) -> Text:
    if value is None:
        return Text("")
    text = visible(value if isinstance(value, str) else orjson.dumps(value).decode())
    return Text(text, no_wrap=True, overflow="ellipsis")


def watch(watched: Watched, *, json: bool) -> None:
    """Watch until Ctrl-C.

    :raises CannotConnect: there is no server there.
    :raises SubscriptionEnded: the server refuses it.
    """
    plain = json or not has_colours(sys.stdout)
    try:
        asyncio.run(_print_changes(watched) if plain else _draw(watched))
    except KeyboardInterrupt:
        return
    except CannotConnect as error:
        hint = "Is the server running? --url names another one, --project DIR that of a project."
        raise CannotConnect(error.message, hint=hint) from None


async def _print_changes(watched: Watched) -> None:
    async with connect(watched.url, token=watched.token) as client:
        client.awaits_streams = False  # Somebody looks on: a name that is mistyped is told.
        if watched.item is not None:
            async for item in client.item(watched.stream, watched.group, watched.item):
                _line(item)
        async for change in client.changes(watched.stream, watched.group):
            _line({"kind": change.kind, "item": change.item})


def _line(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


async def _draw(watched: Watched) -> None:
    console = out()
    async with connect(watched.url, token=watched.token) as client:
        client.awaits_streams = False  # Somebody looks on: a name that is mistyped is told.
        screen = Screen(watched, client, console.height - 4)
        live = Live(
            get_renderable=screen.render,
            console=console,
            refresh_per_second=DRAWS_PER_SECOND,
            vertical_overflow="crop",
        )
        with live:
            if watched.item is not None:
                async for item in client.item(watched.stream, watched.group, watched.item):
                    screen.take([item] if item is not None else [])
            async for items in client.group(watched.stream, watched.group):
                screen.take(items)
