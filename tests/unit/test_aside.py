"""A function that would hold up the loop runs in a process beside it; whatever happens there, the loop goes
on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from headwater.aside.runner import Aside
from headwater.errors import FieldFault, InvalidInput, Limit, Overloaded, SchemaMismatch, TooComplex, TooLarge
from headwater.heavyjson import HeavyJson, broken, sound
from headwater.jsonshape import Shape
from support import tree
from support.aside_functions import backwards, end, fail, mismatch, refuse

GIVEN = {"values": ["server.max_body_values", 10], "depth": ["server.max_body_depth", 10], "hint": ""}


@pytest.fixture(autouse=True)
def functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process finds those of the tests."""
    monkeypatch.setenv("PYTHONPATH", str(tree.ROOT / "tests"))


@pytest_asyncio.fixture
async def aside() -> AsyncGenerator[Aside]:
    aside = Aside()
    yield aside
    await aside.close()


async def test_a_function_gets_its_bytes_and_answers_some(aside: Aside) -> None:
    data = bytes(range(256)) * 10_000
    assert await aside.run(backwards, data, {"before": "x"}) == b"x" + data[::-1]
    assert await aside.run(backwards, b"", {"before": ""}) == b""


async def test_errors_come_back_as_what_they_were(aside: Aside) -> None:
    with pytest.raises(TooLarge) as caught:
        await aside.run(refuse, b"", {})
    error = caught.value
    assert (error.message, error.hint, error.details) == ("No.", "Less.", {"limit": 3})
    assert error.limit == Limit("server.max_body_bytes", 3)
    with pytest.raises(SchemaMismatch) as mismatched:
        await aside.run(mismatch, b"", {})
    assert mismatched.value.faults == [FieldFault("a.b", "is missing")]
    assert mismatched.value.details["stream"] == "chat"


async def test_a_process_that_dies_refuses_its_work_and_no_other(aside: Aside) -> None:
    with pytest.raises(Overloaded):
        await aside.run(end, b"", {})
    assert await aside.run(backwards, b"ab", {"before": ""}) == b"ba"


async def test_more_than_there_are_processes_wait_for_each_other(aside: Aside) -> None:
    answers = await asyncio.gather(*(aside.run(backwards, b"%d" % n, {"before": "n"}) for n in range(12, 20)))
    assert answers == [b"n" + (b"%d" % n)[::-1] for n in range(12, 20)]
    assert aside.idle == 2


async def test_who_leaves_makes_no_room_before_the_work_has_ended() -> None:
    aside = Aside(most=1)
    first = asyncio.create_task(aside.run(backwards, b"a" * 1_000_000, {"before": ""}))
    second = asyncio.create_task(aside.run(backwards, b"ab", {"before": ""}))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"ba"
    assert first.cancelled()
    assert aside.idle == 1
    await aside.close()


async def test_processes_with_nothing_to_do_are_ended() -> None:
    aside = Aside(idle_seconds=0.0)
    assert await aside.run(backwards, b"ab", {"before": ""}) == b"ba"
    while aside.idle:
        await asyncio.sleep(0)
    await aside.close()


async def test_json_is_found_sound_and_its_faults_are_named(aside: Aside) -> None:
    most = Shape(Limit("server.max_body_values", 10), Limit("server.max_body_depth", 10))
    heavy = await HeavyJson.read(b'{"a": [1, "x"]}', most, "", aside)
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    assert [fault.field for fault in await heavy.faults(schema)] == ["a.1"]
    assert await heavy.faults({}) == []
    with pytest.raises(TooComplex):
        await HeavyJson.read(b"[1,2,3,4,5,6,7,8,9,10,11]", most, "", aside)
    assert sound(b"[]", GIVEN) == b""
    assert broken(b"[]", {"schema": {}}) == b"[]"


async def test_what_fails_unexpectedly_tells_nothing_of_the_inside(aside: Aside) -> None:
    with pytest.raises(Exception, match="failed") as caught:
        await aside.run(fail, b"", {})
    assert "secret" not in str(caught.value)
    assert not isinstance(caught.value, InvalidInput)
