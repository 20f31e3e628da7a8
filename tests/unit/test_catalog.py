"""What each stream is: what a project declares, the sisters that follow from it, the server's own."""

from __future__ import annotations

import pytest

from headwater.errors import UnknownStream
from headwater.streams.catalog import Catalog, Rights, StreamRules, reserved

CHAT = StreamRules(
    name="chat", presence=True, rights=Rights(read="rule", write="open"), ttl=60, keep_age=10, rollup=0.1
)
JOBS = StreamRules(name="headwater.jobs", hidden=True, history="none")


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog([JOBS])
    catalog.declare([CHAT, StreamRules(name="news")])
    return catalog


def test_a_stream_is_what_its_project_declared(catalog: Catalog) -> None:
    assert catalog.get("chat") is CHAT
    assert catalog.rollup("chat") == 0.1
    assert CHAT.lifetime == 10
    assert catalog.get("nobody") is None
    assert catalog.rollup("nobody") == 0


def test_a_stream_with_presence_has_a_sister_under_the_same_rule(catalog: Catalog) -> None:
    sister = catalog.followed("chat.presence")
    assert (sister.rights, sister.sister_of, sister.durable) == (
        Rights(read="rule", cancel="nobody"),
        "chat",
        False,
    )
    with pytest.raises(UnknownStream):
        catalog.followed("news.presence")


def test_steps_write_the_streams_of_the_project_alone(catalog: Catalog) -> None:
    assert catalog.written("chat").rules is CHAT
    for name in ("chat.presence", "headwater.jobs", "nobody"):
        with pytest.raises(UnknownStream):
            catalog.written(name)


def test_clients_never_see_the_servers_own(catalog: Catalog) -> None:
    with pytest.raises(UnknownStream) as caught:
        catalog.followed("headwater.jobs")
    assert caught.value.message == "There is no stream named 'headwater.jobs'."
    with pytest.raises(UnknownStream) as caught:
        catalog.followed("headwater.job")
    assert "headwater.jobs" not in caught.value.hint


def test_an_unknown_name_is_told_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(UnknownStream) as caught:
        catalog.written("chatt")
    assert caught.value.hint == "Did you mean 'chat'?"


def test_the_next_generation_replaces_the_projects_streams_and_not_the_servers(catalog: Catalog) -> None:
    catalog.declare([StreamRules(name="news", presence=True)])
    assert {rules.name for rules in catalog} == {"news", "news.presence", "headwater.jobs"}
    assert catalog.get("headwater.jobs") is JOBS


def test_a_stream_that_is_gone_still_is_where_it_was(catalog: Catalog) -> None:
    catalog.declare([StreamRules(name="chat", presence=True), StreamRules(name="looks", durable=False)])
    catalog.declare([])
    assert catalog.is_durable("chat")
    assert not catalog.is_durable("chat.presence")
    assert not catalog.is_durable("looks")
    catalog.declare([StreamRules(name="looks")])
    assert catalog.is_durable("looks")


def test_a_schema_that_does_not_compile_lets_nothing_in() -> None:
    catalog = Catalog()
    catalog.declare([StreamRules(name="broken", schema={"type": 7})])
    schema = catalog.written("broken").schema
    assert schema is not None
    assert schema.faults({})


def test_names_of_sisters_and_of_the_server_are_taken() -> None:
    assert "sister" in reserved("chat.presence")
    assert "server" in reserved("headwater.jobs")
    assert reserved("chat") == reserved("headwater") == ""


def test_whoever_waits_for_a_stream_is_told_once_when_it_is_declared() -> None:
    catalog, told = Catalog(), list[str]()
    catalog.when_declared("news", lambda: told.append("first"))
    catalog.when_declared("news", lambda: told.append("second"))
    off = catalog.when_declared("news", lambda: told.append("called off"))
    catalog.when_declared("news.presence", lambda: told.append("sister"))
    off()
    off()
    catalog.declare([CHAT])
    assert told == []
    catalog.declare([StreamRules(name="news", presence=True)])
    catalog.declare([StreamRules(name="news", presence=True)])

    assert told == ["first", "second", "sister"]
