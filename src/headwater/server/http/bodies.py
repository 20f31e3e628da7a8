"""The body of a request: read within its limit, then parsed by its content type.

Owns the limits; forms are `forms.py`, JSON is `heavyjson.py`. A body is held in memory, once: its pieces are
joined when the last has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.types import Receive

from headwater.aside.runner import Aside
from headwater.config import ServerSettings, Settings
from headwater.errors import BodyUnsupported, Limit, Overloaded, TooLarge
from headwater.heavyjson import HeavyJson, is_heavy, parse_json
from headwater.jsonshape import Shape, check_shape
from headwater.server.http.forms import parse_form
from headwater.steps.project.declare import BodyKind

_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


SMALL_PIECE = 4096
"""Bytes of a piece below which it is not kept on its own."""

HINT = "max_body_values and max_body_depth in [server] of headwater.toml set the limits"


class ClientGone(Exception):
    """The client hung up before its request was answered; nobody is there to be told."""


class Parsed(NamedTuple):
    """A body as steps see it, and how a worker is to read it. `value` is a HeavyJson where it is too much to
    be decoded here."""

    kind: BodyKind
    value: Any


NOTHING = Parsed("none", {})


class _Partial:
    """A body of which a part has come. What waits for the rest can be ended by another one's reading."""

    __slots__ = ("given_up", "size", "waiting")

    def __init__(self, waiting: asyncio.Timeout) -> None:
        self.waiting = waiting
        self.size = 0
        self.given_up = False


class BodyReader:
    """Reads bodies, and counts what all of them together take.

    Where that is too much, the body that has been partial for longest is given up: whoever sends a body ends
    it, and whoever wants to hold memory does not. Where none is partial, whoever is read now is refused.
    """

    def __init__(self, limit: int, limit_together: int) -> None:
        self._most = Limit("server.max_body_bytes", limit)
        self._limit_together = limit_together
        self._partial: dict[_Partial, None] = {}
        """The one that began first is first."""
        self.held = 0
        """Bytes of all bodies that came, whole or in part, and are needed yet."""

    async def read(self, receive: Receive, headers: Mapping[str, str], most: Limit | None = None) -> bytes:
        """All of one body, of as many bytes as one may have or `most`, which is to be given to `let_go` when
        its request has been answered.

        Raises TooLarge as soon as it is announced or found to be above the limit, Overloaded when all bodies
        together are above theirs, ClientGone if it breaks off.
        """
        most = most or self._most
        announced = headers.get("content-length", "")
        if announced.isdecimal():
            _check(int(announced), most)
        piece, more = await _receive(receive)
        if more:
            return await self._read_on(piece, receive, most)
        _check(len(piece), most)
        self._make_room(len(piece))
        self.held += len(piece)
        return piece

    async def _read_on(self, piece: bytes, receive: Receive, most: Limit) -> bytes:
        pieces: list[bytes | bytearray] = []
        more = True
        try:
            async with asyncio.timeout(None) as waiting:
                partial = _Partial(waiting)
                self._partial[partial] = None
                try:
                    while True:
                        self._take(partial, piece, most)
                        _add(pieces, piece)
                        if not more:
                            break
                        piece, more = await _receive(receive)
                except BaseException:
                    self._forget(partial)
                    raise
        except TimeoutError:
            raise self._too_many() from None
        del self._partial[partial]
        return b"".join(pieces)

    def let_go(self, raw: bytes) -> None:
        """A body that was read is needed no more."""
        self.held -= len(raw)

    def _take(self, partial: _Partial, piece: bytes, most: Limit) -> None:
        _check(partial.size + len(piece), most)
        self._make_room(len(piece))
        if partial.given_up:
            raise self._too_many()
        partial.size += len(piece)
        self.held += len(piece)

    def _make_room(self, size: int) -> None:
        """See that there is room for so many bytes, at the cost of the oldest partial bodies.

        :raises Overloaded: there is none, though no body is partial.
        """
        while self.held + size > self._limit_together:
            oldest = next(iter(self._partial), None)
            if oldest is None:
                raise self._too_many()
            self._forget(oldest)
            oldest.given_up = True
            oldest.waiting.reschedule(asyncio.get_running_loop().time())

    def _forget(self, partial: _Partial) -> None:
        self._partial.pop(partial, None)
        self.held -= partial.size
        partial.size = 0

    def _too_many(self) -> Overloaded:
        return Overloaded(
            f"the requests under way hold more than {self._limit_together} bytes",
            hint="try again; max_bodies_bytes in [server] of headwater.toml sets the limit",
            limit=self._limit_together,
        ).at("server.max_bodies_bytes", self._limit_together)


def _check(size: int, most: Limit) -> None:
    """See that a body is no larger than one may be.

    :raises TooLarge: it is.
    """
    if size > most.value:
        section, _, key = most.setting.partition(".")
        raise TooLarge(
            f"the body is larger than {most.value:.0f} bytes",
            hint=f"{key} in [{section}] of headwater.toml sets the limit",
            limit=int(most.value),
        ).at(*most)


async def _receive(receive: Receive) -> tuple[bytes, bool]:
    """The next piece of a body, and whether more follow.

    :raises ClientGone: none do, for the client is gone.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _add(pieces: list[bytes | bytearray], piece: bytes) -> None:
    """Add a piece; small ones are put together, since each alone would take more memory than it holds."""
    if not pieces or len(piece) >= SMALL_PIECE:
        pieces.append(piece)
        return
    last = pieces[-1]
    if isinstance(last, bytearray):
        last += piece
    else:
        pieces.append(bytearray(piece))


def body_reader(settings: Settings) -> BodyReader:
    """The one reader of a server: all that reads bodies shares what they may take together."""
    return BodyReader(settings.server.max_body_bytes, settings.server.max_bodies_bytes)


class BodyParser:
    """Parses bodies, each within the limits of its kind."""

    def __init__(self, settings: ServerSettings, aside: Aside) -> None:
        self._form_limit = settings.max_form_bytes
        self._most = Shape(
            Limit("server.max_body_values", settings.max_body_values),
            Limit("server.max_body_depth", settings.max_body_depth),
        )
        self._aside = aside

    async def parse(self, raw: bytes, headers: Mapping[str, str]) -> Parsed:
        """The body as its content type says; without one, and for any other type, it is text.

        :raises BodyInvalid: it is not what its type says.
        :raises BodyUnsupported: it is in a charset or an encoding that is not read.
        :raises TooLarge: it is a form above its limit, or JSON that holds too much.
        :raises Overloaded: it is large JSON, which cannot be read now.
        """
        if not raw:
            return NOTHING
        content_type = headers.get("content-type", "")
        if content_type == "application/json" and "content-encoding" not in headers:
            return Parsed("json", await self._json(raw))
        _check_encoding(headers.get("content-encoding", ""))
        media_type, _, parameters = content_type.partition(";")
        media_type = media_type.strip().lower()
        if media_type == "application/json" or media_type.endswith("+json"):
            _check_charset(parameters)
            return Parsed("json", await self._json(raw))
        if media_type in _FORMS:
            _check_charset(parameters)
            return Parsed("inline", await parse_form(raw, content_type, self._form_limit, self._aside))
        return Parsed("text", None)

    async def _json(self, raw: bytes) -> Any:
        """The value, or what stands for one that is not decoded here."""
        if is_heavy(raw):
            return await HeavyJson.read(raw, self._most, HINT, self._aside)
        check_shape(raw, self._most, "body", HINT)
        return parse_json(raw)


def _check_encoding(encoding: str) -> None:
    if encoding.strip().lower() not in ("", "identity"):
        raise BodyUnsupported(
            f'a body with content-encoding "{encoding[:100]}" is not read', hint="send it uncompressed"
        )


def _check_charset(parameters: str) -> None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in _UTF8:
            raise BodyUnsupported(f'a body in the charset "{charset[:100]}" is not read', hint="send UTF-8")
