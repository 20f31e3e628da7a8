"""What schemas accept, how faults name fields, and when an item's id takes part."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from headwater.errors import InvalidInput, SchemaMismatch
from headwater.schema import MAX_FAULTS, Schema, check_item


def fields(schema: dict[str, Any], value: object) -> list[str]:
    return [fault.field for fault in Schema(schema).faults(value)]


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
    "required": ["name"],
}


SECRET = "hunter2"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"enum": ["a", "b"]},
        {"const": 1},
        {"pattern": "^[0-9]+$"},
        {"minLength": 12},
        {"maxLength": 3},
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        {"oneOf": [{"type": "string"}, {"minLength": 1}]},
        {"not": {"type": "string"}},
        False,
    ],
    ids=str,
)
@pytest.mark.parametrize("depth", ["itself", "in a list"])
def test_a_reason_does_not_quote_the_value_which_may_be_a_password(schema: Any, depth: str) -> None:
    inner, value = (schema, SECRET) if depth == "itself" else ({"items": schema}, [SECRET])
    faults = Schema({"properties": {"secret": inner}}).faults({"secret": value})
    assert faults
    assert SECRET not in str(faults)
    with pytest.raises(SchemaMismatch) as caught:
        check_item(
            Schema({"properties": {"secret": inner}}), {"secret": value}, stream="s", group="g", item="i"
        )
    assert SECRET not in str(caught.value.to_dict())


class TestFaults:
    def test_are_empty_where_the_value_fits(self) -> None:
        assert fields(PERSON, {"name": "Ann", "tags": ["x"], "address": {"city": "Rome"}}) == []

    def test_name_the_field_of_a_wrong_type(self) -> None:
        assert fields(PERSON, {"name": 1}) == ["name"]

    def test_name_the_missing_field_not_its_parent(self) -> None:
        assert sorted(fields(PERSON, {"address": {}})) == ["address.city", "name"]

    def test_name_entries_of_lists_by_index(self) -> None:
        assert fields(PERSON, {"name": "Ann", "tags": ["x", 1]}) == ["tags.1"]

    def test_name_each_field_that_is_not_allowed(self) -> None:
        closed = {"type": "object", "properties": {"in": PERSON | {"additionalProperties": False}}}
        assert fields(closed, {"in": {"name": "Ann", "x": 1, "y": 2}}) == ["in.x", "in.y"]
        closed = {**PERSON, "unevaluatedProperties": False}
        assert fields(closed, {"name": "Ann", "z": 1}) == ["z"]

    def test_name_the_whole_value_by_nothing(self) -> None:
        assert fields(PERSON, "text") == [""]

    def test_say_why(self) -> None:
        [fault] = Schema({"type": "object", "properties": {"age": {"minimum": 18}}}).faults({"age": 3})
        assert "minimum" in fault.message
        assert "18" in fault.message

    @pytest.mark.parametrize("of", [{"type": "string"}, {"enum": ["a"]}, {"anyOf": [{"type": "string"}]}])
    def test_say_of_a_null_what_to_write(self, of: dict[str, Any]) -> None:
        schema = Schema({"properties": {"note": of, "n": {"type": "number"}}})
        null, wrong = schema.faults({"note": None})[0], schema.faults({"n": "x"})[0]
        assert null.field == "note"
        assert "leave an optional field out, or let the schema allow null" in null.message
        assert "null" not in wrong.message

    def test_are_bounded_in_number(self) -> None:
        schema = {"type": "array", "items": {"type": "string"}}
        assert len(fields(schema, list(range(1000)))) == MAX_FAULTS
        closed = {"properties": {"x": {}}, "additionalProperties": False}
        assert len(fields(closed, {f"k{n}": 1 for n in range(1000)})) == MAX_FAULTS

    def test_do_not_quote_long_values_whole(self) -> None:
        [fault] = Schema({"type": "string"}).faults({"a": "x" * 10_000})
        assert len(fault.message) <= 300


class TestTheId:
    def test_takes_part_where_the_schema_speaks_of_it(self) -> None:
        schema = {"properties": {"id": {"type": "string", "maxLength": 3}}, "required": ["id"]}
        check_item(Schema(schema), {"id": "abc"}, stream="s", group="g", item="abc")
        with pytest.raises(SchemaMismatch):
            check_item(Schema(schema), {"id": "abcd"}, stream="s", group="g", item="abcd")

    def test_stays_out_where_a_strict_schema_does_not_know_it(self) -> None:
        strict = {"properties": {"n": {}}, "additionalProperties": False}
        check_item(Schema(strict), {"id": "a", "n": 1}, stream="s", group="g", item="a")

    @pytest.mark.parametrize(
        "schema",
        [
            {"properties": {"id": {}}},
            {"required": ["id"]},
            {"allOf": [{"properties": {"n": {}}}, {"properties": {"id": {}}}]},
            {"anyOf": [{"required": ["n"]}, {"oneOf": [{"required": ["id"]}]}]},
            {"$ref": "#/$defs/Row", "$defs": {"Row": {"properties": {"id": {}}}}},
            {"$ref": "#/$defs/a~1b~0c", "$defs": {"a/b~c": {"properties": {"id": {}}}}},
        ],
    )
    def test_is_found_through_references_and_combinations(self, schema: dict[str, Any]) -> None:
        assert Schema(schema).declares_id

    @pytest.mark.parametrize(
        "schema",
        [
            {},
            {"properties": {"nested": {"properties": {"id": {}}}}},
            {"$ref": "#", "title": "recursive"},
            {"anyOf": [{"$ref": "#/$defs/T"}] * 5, "$defs": {"T": {"anyOf": [{"$ref": "#/$defs/T"}] * 5}}},
            {"$ref": "#/x", "x": {"properties": {}}, "y": {"properties": None}},
        ],
    )
    def test_is_not_seen_where_it_is_not(self, schema: dict[str, Any]) -> None:
        assert not Schema(schema).declares_id


class TestPydanticSchemas:
    class Address(BaseModel):
        city: str

    class Person(BaseModel):
        id: str
        name: str = Field(max_length=10)
        home: TestPydanticSchemas.Address
        others: list[TestPydanticSchemas.Address] = []
        nick: str | None = None

    def schema(self) -> dict[str, Any]:
        self.Person.model_rebuild(_types_namespace=globals())
        return self.Person.model_json_schema()

    def test_with_definitions_compile_and_declare_the_id(self) -> None:
        assert "$defs" in self.schema()
        assert Schema(self.schema()).declares_id

    def test_name_fields_behind_references(self) -> None:
        value = {"id": "a", "name": "Ann", "home": {}, "others": [{"city": "Rome"}, {"city": 1}]}
        assert fields(self.schema(), value) == ["home.city", "others.1.city"]

    def test_take_null_for_an_optional_field(self) -> None:
        assert fields(self.schema(), {"id": "a", "name": "A", "home": {"city": "B"}, "nick": None}) == []


class TestCompiling:
    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "strange"},
            {"properties": []},
            {"required": "id"},
            {"pattern": "("},
            {"enum": {1, 2}},
            {1: {}},
            {"$ref": "#/$defs/missing"},
            {"$schema": "http://example.com/unknown"},
            {"const": object()},
        ],
    )
    def test_refuses_what_is_no_schema(self, schema: Any) -> None:
        with pytest.raises(InvalidInput, match="Not a valid JSON Schema"):
            Schema(schema)

    def test_does_not_fetch_anything_from_elsewhere(self, tmp_path: Path) -> None:
        (tmp_path / "other.json").write_text('{"type": "object"}')
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}/other.json"
            listener.settimeout(0.0)
            for reference in (address, f"file://{tmp_path}/other.json"):
                with pytest.raises(InvalidInput, match="another document"):
                    Schema({"properties": {"a": {"$ref": reference}}})
            with pytest.raises(BlockingIOError):
                listener.accept()


def test_a_mismatch_names_stream_group_id_and_field() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        check_item(Schema(PERSON), {"id": "a", "name": 1}, stream="chat", group="room", item="a")
    error = caught.value
    for part in ("'chat'", "'room'", "'a'", "name: "):
        assert part in error.message
    assert error.details["stream"] == "chat"
    assert error.details["group"] == "room"
    assert error.details["id"] == "a"
    assert error.details["faults"][0]["field"] == "name"


def test_without_a_schema_anything_goes() -> None:
    check_item(None, {"id": "a", "x": [None]}, stream="s", group="g", item="a")
