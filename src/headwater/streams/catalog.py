"""What each stream is: the one place that knows, and the one that is asked.

A generation hands over all streams of the project in one call, `declare`; the server adds those of its own
when the catalog is made. Everything above and beside asks here: the writer for schemas and lifetimes, expiry
for what is kept, feeds for the rollup, the gate for who may ask. Owns names that are reserved; knows no store
and no subscriber.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from headwater.errors import InvalidInput, UnknownStream
from headwater.schema import JsonSchema, Schema

log = logging.getLogger("headwater.streams")

PRESENCE = ".presence"
"""What the name of a stream's sister ends with, whose items are those who are there."""

HIDDEN = "headwater."
"""What the names of the server's own streams begin with."""

Verb = Literal["read", "write", "send", "delete", "cancel"]
"""What a client may want to do with a group or an item: follow or read it, set or update it, send it an
event, delete it, stop the run behind it."""

VERBS: tuple[Verb, ...] = get_args(Verb)

Right = Literal["open", "rule", "readers", "nobody"]
"""Who may: everybody, whom the project's function lets, whoever may read, nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Who may do what with a stream, for each verb. What is not said is closed, but for reading: that is
    everybody's, as it always was, and so it is readers who may stop a run."""

    read: Right = "open"
    write: Right = "nobody"
    send: Right = "nobody"
    delete: Right = "nobody"
    cancel: Right = "readers"

    def of(self, verb: Verb) -> Right:
        """Who may do that."""
        right: Right = getattr(self, verb)
        return self.read if right == "readers" else right


OPEN = Rights()
"""What a stream is without a word about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """What one stream is. A new property of streams is one field here, and whoever reads it.

    `schema` None accepts any object. `rights` say who may do what. `presence`: it has a sister of who is
    there. `rollup`: seconds between two flushes to subscribers, 0 for none. `ttl`:
    seconds after which an item expires, unless its own says otherwise. `keep_newest` and `keep_age`
    (seconds): what is older is deleted from each group.

    `sister_of`: the stream that it says who is present in. `durable`: it outlives the process. `history`:
    "kept" lets a subscriber resume from a version; "none" remembers nothing but what is, for streams of work.
    `hidden`: the server's own, which no step and no client can name. `stamp` tells two loads of it apart
    whose functions may answer differently.
    """

    name: str
    schema: JsonSchema | None = None
    rights: Rights = OPEN
    presence: bool = False
    rollup: float = 0.0
    ttl: float | None = None
    keep_newest: int | None = None
    keep_age: float | None = None
    sister_of: str = ""
    durable: bool = True
    history: Literal["kept", "none"] = "kept"
    hidden: bool = False
    stamp: str = ""

    @property
    def lifetime(self) -> float | None:
        """Seconds after which an item that says nothing itself goes: the shorter of `ttl` and `keep_age`."""
        given = [age for age in (self.ttl, self.keep_age) if age is not None]
        return min(given) if given else None


def reserved(name: str) -> str:
    """Why a project may not give a stream this name, in words; "" where it may."""
    if name.endswith(PRESENCE):
        return f'a name that ends with "{PRESENCE}" is a sister\'s, which "presence": true makes'
    return f'names that begin with "{HIDDEN}" are the server\'s own' if name.startswith(HIDDEN) else ""


def sister(name: str) -> str:
    """The name of the stream that says who is present in the stream of that name."""
    return name + PRESENCE


class Catalogued:
    """A stream that is there: its rules, and what every write would make of them anew: the schema compiled,
    the lifetime."""

    __slots__ = ("lifetime", "rules", "schema")

    def __init__(self, rules: StreamRules) -> None:
        self.rules = rules
        self.schema = _compiled(rules)
        self.lifetime = rules.lifetime


class Catalog:
    """All streams of the process. One for its whole life; `declare` swaps the project's."""

    def __init__(self, own: Iterable[StreamRules] = ()) -> None:
        """`own` are the server's hidden streams, which stay."""
        self._own = {rules.name: Catalogued(rules) for rules in own}
        self._streams: dict[str, Catalogued] = dict(self._own)
        self._fleeting = {name for name, one in self._own.items() if not one.rules.durable}
        """Streams that end with the process, those that a reload has taken away among them."""
        self._awaited: dict[str, dict[Callable[[], None], None]] = {}
        self.era = 0
        """Grows whenever what was answered of who may what may hold no longer."""

    def declare(self, streams: Iterable[StreamRules]) -> frozenset[str]:
        """Take these streams of the project, and their sisters, instead of those before. Answers those that
        some who follow them now may not be allowed to any more."""
        before = self._streams
        named = {rules.name: rules for rules in streams}
        sisters = [_sister_of(rules) for rules in named.values() if rules.presence]
        streams = (*named.values(), *sisters)
        self._streams = {**{rules.name: Catalogued(rules) for rules in streams}, **self._own}
        self._fleeting -= named.keys()
        self._fleeting.update(rules.name for rules in streams if not rules.durable)
        for name in [name for name in self._awaited if name in self._streams and name not in self._own]:
            for then in list(self._awaited.pop(name)):
                try:
                    then()
                except Exception:
                    # The generation takes over all the same, and whoever else waits hears of it.
                    log.exception("Somebody who waited for the stream %s could not be told", name)
        changed = {name for name, one in self._streams.items() if _ruled_anew(before.get(name), one)}
        self.era += bool(changed)
        return frozenset(name for name in changed if self._streams[name].rules.rights.read != "open")

    def when_declared(self, name: str, then: Callable[[], None]) -> Callable[[], None]:
        """Call `then`, once, when the project declares a stream of that name. Answers the way to call that
        off."""
        self._awaited.setdefault(name, {})[then] = None

        def off() -> None:
            waiting = self._awaited.get(name, {})
            waiting.pop(then, None)
            if not waiting:
                self._awaited.pop(name, None)

        return off

    def __iter__(self) -> Iterator[StreamRules]:
        return (one.rules for one in self._streams.values())

    def get(self, name: str) -> StreamRules | None:
        """What a stream is, whoever it is for; None where there is none."""
        known = self._streams.get(name)
        return known.rules if known is not None else None

    def written(self, name: str) -> Catalogued:
        """A stream that steps may write.

        :raises UnknownStream: naming the nearest stream of the project.
        """
        known = self._streams.get(name)
        if known is None or known.rules.hidden or known.rules.sister_of:
            raise self._unknown(name)
        return known

    def followed(self, name: str, *, hidden: bool = False) -> StreamRules:
        """A stream that clients may subscribe to, where its rules let them; with `hidden`, the server's own
        as well.

        :raises UnknownStream: there is none of that name, or it is the server's own.
        """
        known = self._streams.get(name)
        if known is None or (known.rules.hidden and not hidden):
            raise self._unknown(name, hint="`headwater routes` lists the streams of the project.")
        return known.rules

    def is_durable(self, name: str) -> bool:
        """Whether a stream outlives the process. One that a reload has taken away still is what it was."""
        return name not in self._fleeting

    def rollup(self, name: str) -> float:
        """Seconds between two flushes of a stream's groups; 0 for none."""
        known = self._streams.get(name)
        return known.rules.rollup if known is not None else 0.0

    def _unknown(self, name: str, hint: str = "") -> UnknownStream:
        visible = [one.rules.name for one in self._streams.values() if not one.rules.hidden]
        near = difflib.get_close_matches(name, visible, n=1)
        hint = (
            f"Did you mean {near[0]!r}?"
            if near
            else hint or "Declare it in a file named like chat_stream.py."
        )
        return UnknownStream(f"There is no stream named {name!r}.", hint=hint, stream=name)


def _ruled_anew(before: Catalogued | None, after: Catalogued) -> bool:
    """Whether a stream's rules may answer otherwise than before."""
    if before is None:
        return False
    one, other = before.rules, after.rules
    return (one.rights, one.stamp) != (other.rights, other.stamp)


def _sister_of(rules: StreamRules) -> StreamRules:
    """Who is there is for those who may follow the stream itself, and ends with the process. Clients write
    there by their subscriptions alone."""
    rights = Rights(read=rules.rights.read, cancel="nobody")
    return StreamRules(
        name=sister(rules.name), rights=rights, sister_of=rules.name, durable=False, stamp=rules.stamp
    )


def _compiled(rules: StreamRules) -> Schema | None:
    """The stream's schema. One that does not compile was reported when the project was read and its stream
    left out, so what fails here fails closed: nothing can be written."""
    if rules.schema is None:
        return None
    try:
        return Schema(rules.schema)
    except InvalidInput:
        log.exception("The schema of stream %r does not compile", rules.name)
        return Schema({"not": {}})
