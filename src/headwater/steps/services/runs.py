"""The service `runs`: what `ctx.step` and `ctx.owns` do. Owns its methods and how their members are read."""

from __future__ import annotations

from headwater.errors import InvalidInput
from headwater.model import Origin
from headwater.protocol.workers.messages import Message
from headwater.steps.services.service import NOTHING, Method, Running, Service, Value, data_of
from headwater.work.job import Place
from headwater.work.runs import Runs


def run_service(runs: Runs) -> Service:
    """The methods of `runs`."""

    def keep(call: Message, _origin: Origin) -> Running:
        header = call.header
        return runs.keep(header["run"], header["attempt"], _text(call, "name"), data_of(call))

    def kept(call: Message, _origin: Origin) -> Running:
        return runs.kept(call.header["run"], _text(call, "name"))

    def own(call: Message, _origin: Origin) -> Running:
        header = call.header
        place = Place(_text(call, "stream"), _text(call, "group"), _text(call, "item"))
        return runs.own(header["run"], header["attempt"], place)

    return {"keep": Method(keep), "kept": Method(kept, _kept, reads=True), "own": Method(own)}


def _text(call: Message, member: str) -> str:
    value = call.header.get(member)
    if not value:
        raise InvalidInput(f"A call {call.header['method']!r} of a run needs a {member}.")
    return value


def _kept(result: bytes | None) -> Value:
    return NOTHING if result is None else Value(result)
