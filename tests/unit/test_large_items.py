"""Items that are too much for the loop are made beside it, and come to the same as any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.aside.runner import Aside
from headwater.errors import HeadwaterError, InvalidInput, Limit, TooComplex
from headwater.heavyjson import LOOP_VALUES, is_heavy
from headwater.model import PLAIN, Item, Origin
from headwater.protocol.workers.messages import Message
from headwater.steps.calls import OrderedCalls
from headwater.steps.services.streams import stream_service
from headwater.steps.workers.intake import Intake
from headwater.streams.catalog import StreamRules
from headwater.streams.itemtext import Place
from headwater.streams.large import LargeItems
from headwater.streams.limits import Limits
from headwater.streams.state import StateService
from support.stream_changes import ROOM
from support.stream_stage import StreamStage

ORIGIN = Origin("step", "trace")
MANY = [[]] * (LOOP_VALUES + 10_000)
PLACE = Place(*ROOM, "a")


class Site:
    """A writer, what writes large items to it, and the calls of one invocation."""

    def __init__(self) -> None:
        self.stage = StreamStage()
        self.aside = Aside()
        self.large = LargeItems(self.stage.writer, self.stage.store, self.aside)
        service = stream_service(self.stage.writer, self.large)
        self.calls = OrderedCalls({"streams": service}, Intake(1 << 30))
        self.number = 0

    def call(self, method: str, data: Any = None, item: str = "a") -> asyncio.Future[Message]:
        answered: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.number += 1
        header = {"t": "call", "id": self.number, "service": "streams", "method": method, "invocation": 1}
        header |= {"stream": ROOM.stream, "group": ROOM.group, "item": item}
        sections = () if data is None else (orjson.dumps(data),)
        self.calls.take(Message(header, sections), ORIGIN, answered.set_result)
        return answered

    async def stored(self, item: str = "a") -> Any:
        found = await self.stage.store.get(ROOM, item)
        return found and orjson.loads(found.data)


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    site = Site()
    yield site
    await site.aside.close()
    await site.stage.close()


def ok(answer: Message) -> Any:
    assert answer.header["ok"], answer.header
    return answer


async def test_a_large_set_is_made_beside_the_loop_and_kept_as_any_other(site: Site) -> None:
    ok(await site.call("set", {"list": MANY, "id": "other", "__motia": 1}))
    assert site.aside.idle == 1
    assert await site.stored() == {"list": MANY, "id": "a"}


async def test_a_small_set_is_made_on_the_loop(site: Site) -> None:
    ok(await site.call("set", {"n": 1}))
    assert site.aside.idle == 0


async def test_what_is_written_after_a_large_set_stays_after_it(site: Site) -> None:
    answers = [site.call("set", {"list": MANY})]
    answers += [site.call("set", {"n": 2}), site.call("delete", item="b"), site.call("get")]
    *_, read = [ok(answer) for answer in await asyncio.gather(*answers)]
    assert orjson.loads(read.section("value_section")) == {"n": 2, "id": "a"}
    assert await site.stored() == {"n": 2, "id": "a"}


async def test_a_small_update_of_a_large_item_is_made_beside_the_loop(site: Site) -> None:
    """The item is known to be large from its first write on, and no longer once it is small."""
    ok(await site.call("set", {"list": MANY, "n": 1}))
    assert site.large.is_large(PLACE, b"[]", whole=False)
    ok(await site.call("update", [{"type": "increment", "path": "n", "by": 2}]))
    assert (await site.stored())["n"] == 3
    ok(await site.call("update", [{"type": "set", "path": "list", "value": []}]))
    assert await site.stored() == {"list": [], "n": 3, "id": "a"}
    assert not site.large.is_large(PLACE, b"[]", whole=False)


async def test_an_update_that_was_overtaken_is_made_anew(site: Site) -> None:
    ok(await site.call("set", {"list": MANY, "n": 1}))
    more = orjson.dumps([{"type": "increment", "path": "n"}])
    other = asyncio.create_task(site.large.update(PLACE, more, terms=PLAIN, origin=ORIGIN))
    while site.aside.idle:
        await asyncio.sleep(0)
    await site.stage.writer.update(*PLACE, more, origin=ORIGIN)
    assert orjson.loads(_item(await other).data)["n"] == 3


async def test_large_operations_make_an_item_that_was_not_there(site: Site) -> None:
    ok(await site.call("update", [{"type": "set", "path": "list", "value": MANY}]))
    assert await site.stored() == {"list": MANY, "id": "a"}


STRICT = {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "number"}}}}


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("set", {"list": MANY}),
        ("set", MANY),
        ("set", {"list": [0] * 300_000}),
        ("update", [{"type": "set", "path": "list", "value": MANY}]),
        ("update", [{"type": "append", "path": "", "value": MANY}]),
    ],
    ids=["its schema", "no object", "too many values", "an update and its schema", "what does not fit"],
)
async def test_what_is_refused_is_refused_as_on_the_loop(site: Site, method: str, data: Any) -> None:
    """The same error, whichever way it went."""
    site.stage.catalog.declare([StreamRules(name=ROOM.stream, schema=STRICT)])
    assert is_heavy(orjson.dumps(data))
    told = (await site.call(method, data)).header["error"]
    write = getattr(site.stage.writer, method)
    with pytest.raises(HeadwaterError) as caught:
        await write(*PLACE, orjson.dumps(data), origin=ORIGIN)
    assert told == orjson.loads(orjson.dumps(caught.value.to_dict()))
    if caught.value.limit is not None:
        assert caught.value.limit == Limit("storage.max_item_values", 250_000)
    assert await site.stored() is None


def _item(item: Item | None) -> Item:
    assert item is not None
    return item


async def test_a_large_value_of_state_is_made_beside_the_loop_too(site: Site) -> None:
    limits = Limits(max_item_bytes=1 << 20, max_id_bytes=100)
    state = StateService(site.stage.store, site.stage.queue, limits, aside=site.aside)
    text = orjson.dumps(MANY)
    assert state.is_large(text)
    assert not state.is_large(b"[]")
    await state.set_large("g", "k", text, terms=PLAIN, origin=ORIGIN)
    assert site.aside.idle == 1
    found = await state.get("g", "k")
    assert found is not None
    assert orjson.loads(found.text) == MANY
    with pytest.raises(TooComplex):
        await state.set_large("g", "k", b"[" + b"0," * 300_000 + b"0]", terms=PLAIN, origin=ORIGIN)
    with pytest.raises(InvalidInput):
        await state.set_large("g", "", text, terms=PLAIN, origin=ORIGIN)
