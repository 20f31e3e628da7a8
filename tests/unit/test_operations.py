"""What each operation of `update` does to an item, and what it refuses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from headwater.errors import InvalidInput
from headwater.streams.operations import MAX_DEPTH, MAX_OPERATIONS, apply_operations, parse_operations


def after(value: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    return apply_operations(value, parse_operations(orjson.dumps(list(operations))))


def refusal(value: dict[str, Any], *operations: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        after(value, *operations)
    return caught.value.message


class TestSet:
    def test_replaces_a_member(self) -> None:
        assert after({"a": 1, "b": 2}, {"type": "set", "path": "a", "value": [1]}) == {"a": [1], "b": 2}

    def test_makes_the_objects_on_the_way(self) -> None:
        assert after({}, {"type": "set", "path": "a.b.c", "value": 1}) == {"a": {"b": {"c": 1}}}

    def test_passes_through_null_as_if_nothing_were_there(self) -> None:
        assert after({"a": None}, {"type": "set", "path": "a.b", "value": 1}) == {"a": {"b": 1}}

    def test_replaces_an_entry_of_a_list(self) -> None:
        assert after({"a": [1, 2]}, {"type": "set", "path": "a.1", "value": 9}) == {"a": [1, 9]}

    def test_reaches_into_an_object_within_a_list(self) -> None:
        assert after({"a": [{"n": 1}]}, {"type": "set", "path": "a.0.n", "value": 2}) == {"a": [{"n": 2}]}

    def test_may_store_null(self) -> None:
        assert after({"a": 1}, {"type": "set", "path": "a", "value": None}) == {"a": None}

    @pytest.mark.parametrize("root", ["", []])
    def test_of_the_root_replaces_the_whole_item(self, root: object) -> None:
        assert after({"a": 1}, {"type": "set", "path": root, "value": {"b": 2}}) == {"b": 2}

    def test_without_a_path_means_the_whole_item(self) -> None:
        assert after({"a": 1}, {"type": "set", "value": {"b": 2}}) == {"b": 2}

    @pytest.mark.parametrize("value", [None, 1, "x", [1], True])
    def test_cannot_make_the_item_anything_but_an_object(self, value: object) -> None:
        assert "must stay an object" in refusal({}, {"type": "set", "path": "", "value": value})


class TestUnknownMembers:
    def test_are_refused_before_a_misspelt_path_has_the_whole_item_set(self) -> None:
        with pytest.raises(InvalidInput, match=r'Operation 1 \(set\) has no "pth"') as caught:
            after({"a": 1}, {"type": "remove", "path": "a"}, {"type": "set", "pth": "b", "value": {}})
        assert caught.value.hint == 'Is "path" meant?'

    def test_are_refused_before_a_misspelt_number_counts_as_one(self) -> None:
        assert '"amount"' in refusal({"n": 1}, {"type": "increment", "path": "n", "amount": 5})


class TestMerge:
    def test_joins_one_level(self) -> None:
        merged = after(
            {"a": {"x": 1, "deep": {"p": 1}}},
            {"type": "merge", "path": "a", "value": {"y": 2, "deep": {"q": 2}}},
        )
        assert merged == {"a": {"x": 1, "y": 2, "deep": {"q": 2}}}

    def test_of_the_root_joins_the_item(self) -> None:
        assert after({"a": 1}, {"type": "merge", "path": "", "value": {"b": 2}}) == {"a": 1, "b": 2}

    def test_makes_what_is_missing(self) -> None:
        assert after({}, {"type": "merge", "path": "a", "value": {"b": 2}}) == {"a": {"b": 2}}

    @pytest.mark.parametrize(("there", "brought"), [(1, {}), ([], {}), ({}, 1), ({}, None), ("x", {})])
    def test_refuses_what_is_no_object(self, there: object, brought: object) -> None:
        assert "two objects" in refusal({"a": there}, {"type": "merge", "path": "a", "value": brought})


class TestIncrementAndDecrement:
    def test_count_from_zero_where_nothing_is(self) -> None:
        counted = after({}, {"type": "increment", "path": "a"}, {"type": "decrement", "path": "b", "by": 2})
        assert counted == {"a": 1, "b": -2}

    def test_take_the_amount_from_by_or_value(self) -> None:
        counted = after(
            {"a": 1},
            {"type": "increment", "path": "a", "by": 2},
            {"type": "increment", "path": "a", "value": 3},
        )
        assert counted == {"a": 6}

    def test_keep_fractions(self) -> None:
        assert after({"a": 1}, {"type": "increment", "path": "a", "by": 0.5}) == {"a": 1.5}

    @pytest.mark.parametrize("there", ["1", True, [], {}])
    def test_refuse_what_is_no_number(self, there: object) -> None:
        assert "not a number" in refusal({"a": there}, {"type": "increment", "path": "a"})

    @pytest.mark.parametrize("by", ["1", True, None, [], {}])
    def test_refuse_an_amount_that_is_no_number(self, by: object) -> None:
        assert 'needs a number in "by"' in refusal({}, {"type": "increment", "path": "a", "by": by})

    @pytest.mark.parametrize(
        ("there", "by"),
        [(2**63, 2**63), (-(2**63), -1), (1.7e308, 1.7e308)],
    )
    def test_refuse_a_result_that_json_readers_cannot_hold(self, there: float, by: float) -> None:
        assert "too large" in refusal({"a": there}, {"type": "increment", "path": "a", "by": by})


class TestAppend:
    def test_adds_text_to_text(self) -> None:
        assert after({"a": "ab"}, {"type": "append", "path": "a", "value": "c"}) == {"a": "abc"}

    def test_adds_one_entry_to_a_list_whatever_its_kind(self) -> None:
        added = after(
            {"a": []},
            {"type": "append", "path": "a", "value": 1},
            {"type": "append", "path": "a", "value": [2]},
            {"type": "append", "path": "a", "value": "x"},
        )
        assert added == {"a": [1, [2], "x"]}

    def test_begins_a_text_or_a_list_where_nothing_is(self) -> None:
        begun = after(
            {}, {"type": "append", "path": "a", "value": "x"}, {"type": "append", "path": "b", "value": 1}
        )
        assert begun == {"a": "x", "b": [1]}

    @pytest.mark.parametrize(("there", "brought"), [("x", 1), (1, 1), ({}, {}), (True, "x")])
    def test_refuses_other_kinds(self, there: object, brought: object) -> None:
        assert "cannot be appended" in refusal(
            {"a": there}, {"type": "append", "path": "a", "value": brought}
        )


class TestRemove:
    def test_takes_out_a_member(self) -> None:
        assert after({"a": 1, "b": 2}, {"type": "remove", "path": "a"}) == {"b": 2}

    def test_takes_out_an_entry_of_a_list(self) -> None:
        assert after({"a": [1, 2, 3]}, {"type": "remove", "path": "a.1"}) == {"a": [1, 3]}

    @pytest.mark.parametrize("path", ["x", "x.y", "a.x"])
    def test_of_what_is_missing_does_nothing(self, path: str) -> None:
        assert after({"a": {"b": 1}}, {"type": "remove", "path": path}) == {"a": {"b": 1}}

    def test_of_the_root_empties_the_item(self) -> None:
        assert after({"a": 1}, {"type": "remove", "path": ""}) == {}

    def test_takes_out_a_member_whose_name_is_empty(self) -> None:
        assert after({"": 1, "a": {"": 2}}, {"type": "remove", "path": [""]}) == {"a": {"": 2}}
        assert after({"": 1, "a": {"": 2}}, {"type": "remove", "path": "a."}) == {"": 1, "a": {}}


class TestPaths:
    def test_a_list_of_names_reaches_names_with_dots(self) -> None:
        assert after({}, {"type": "set", "path": ["a.b", "c"], "value": 1}) == {"a.b": {"c": 1}}

    def test_a_list_may_hold_whole_numbers(self) -> None:
        assert after({"a": [5]}, {"type": "set", "path": ["a", 0], "value": 6}) == {"a": [6]}

    @pytest.mark.parametrize("path", [1, None, {}, [None], [1.5], [[]], [True]])
    def test_anything_else_is_refused(self, path: object) -> None:
        assert '"path" of operation 0' in refusal({}, {"type": "set", "path": path, "value": 1})

    @pytest.mark.parametrize("index", ["2", "-1", "x", "", "1.0", "٣", "9" * 5000])
    def test_a_list_takes_only_indexes_it_has(self, index: str) -> None:
        assert "no index" in refusal({"a": [1, 2]}, {"type": "set", "path": ["a", index], "value": 1})

    @pytest.mark.parametrize("there", [1, "text", True])
    def test_nothing_lies_inside_a_plain_value(self, there: object) -> None:
        assert "lies inside" in refusal({"a": there}, {"type": "set", "path": "a.b", "value": 1})

    def test_are_bounded_in_depth(self) -> None:
        refused = refusal({}, {"type": "set", "path": ["a"] * (MAX_DEPTH + 1), "value": 1})
        assert f"deeper than {MAX_DEPTH}" in refused


class TestParsing:
    def test_takes_one_operation_for_a_list_of_one(self) -> None:
        assert len(parse_operations(b'{"type": "remove", "path": "a"}')) == 1

    @pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"\xff\\ud800", b"NaN"])
    def test_refuses_what_is_not_json(self, text: bytes) -> None:
        with pytest.raises(InvalidInput, match="not JSON"):
            parse_operations(text)

    @pytest.mark.parametrize("text", [b"[]", b"1", b'"set"', b"null"])
    def test_refuses_what_is_no_list_of_operations(self, text: bytes) -> None:
        with pytest.raises(InvalidInput, match="list of 1 to"):
            parse_operations(text)

    def test_bounds_their_number(self) -> None:
        one = {"type": "remove", "path": "a"}
        with pytest.raises(InvalidInput, match="list of 1 to"):
            parse_operations(orjson.dumps([one] * (MAX_OPERATIONS + 1)))

    @pytest.mark.parametrize("kind", ["replace", "", None, 1, [], {}])
    def test_names_the_operation_of_unknown_type(self, kind: object) -> None:
        refused = refusal({}, {"type": "remove", "path": "a"}, {"type": kind, "path": "a"})
        assert "Operation 1" in refused

    @pytest.mark.parametrize("kind", ["set", "merge", "append"])
    def test_names_the_operation_without_a_value(self, kind: str) -> None:
        assert f"Operation 0 ({kind})" in refusal({}, {"type": kind, "path": "a"})

    @pytest.mark.parametrize("operation", [1, None, "set", []])
    def test_names_what_is_no_operation(self, operation: object) -> None:
        assert "Operation 0" in refusal({}, operation)


class TestTogether:
    def test_each_sees_what_those_before_it_did(self) -> None:
        done = after(
            {},
            {"type": "set", "path": "list", "value": []},
            {"type": "append", "path": "list", "value": {"n": 1}},
            {"type": "increment", "path": "list.0.n"},
        )
        assert done == {"list": [{"n": 2}]}

    def test_may_be_applied_again_from_the_start_with_the_same_result(self) -> None:
        operations = parse_operations(
            orjson.dumps(
                [
                    {"type": "set", "path": "a", "value": {"n": 0}},
                    {"type": "increment", "path": "a.n"},
                    {"type": "merge", "path": "b", "value": {"deep": {"list": []}}},
                    {"type": "append", "path": "b.deep.list", "value": {"m": 0}},
                    {"type": "increment", "path": "b.deep.list.0.m"},
                    {"type": "set", "path": "b.deep.more", "value": 1},
                ]
            )
        )
        first = apply_operations({}, operations)
        assert apply_operations({}, operations) == first
        assert first == {"a": {"n": 1}, "b": {"deep": {"list": [{"m": 1}], "more": 1}}}


FACE = "\\ud83d\\ude00"
HIGH, LOW = "\\ud83d", "\\ude00"


def written(kind: str, path: str, escaped: str) -> str:
    """An operation as JavaScript writes it, halves of characters as escapes."""
    return f'{{"type":"{kind}","path":"{path}","value":"{escaped}"}}'


def grown(*pieces: str, apart: bool = True) -> str:
    """A text after the pieces are appended, one update for each or all in one."""
    appends = [written("append", "text", piece) for piece in pieces]
    value: dict[str, Any] = {}
    for update in appends if apart else [f"[{','.join(appends)}]"]:
        value = orjson.loads(orjson.dumps(apply_operations(value, parse_operations(update.encode()))))
    return value["text"]


class TestHalves:
    """JavaScript counts in UTF-16: who appends unit by unit brings characters in halves."""

    @pytest.mark.parametrize("apart", [True, False], ids=["in many updates", "in one"])
    @pytest.mark.parametrize(
        ("pieces", "text"),
        [
            (["Hi ", HIGH, LOW, " ok"], "Hi \U0001f600 ok"),
            (["Hi " + HIGH, LOW + HIGH, LOW], "Hi \U0001f600\U0001f600"),
            ([HIGH, "", LOW], "\U0001f600"),
            ([FACE], "\U0001f600"),
            ([HIGH, "x"], "\ufffdx"),
            ([LOW, HIGH, "."], "\ufffd\ufffd."),
            ([HIGH, HIGH, LOW], "\ufffd\U0001f600"),
            (["a" + HIGH + "b" + LOW + "c"], "a\ufffdb\ufffdc"),
            (["\\\\" + "ud83d"], "\\ud83d"),
            (["\\udbff", "\\udfff"], "\U0010ffff"),
        ],
    )
    def test_that_are_appended_are_joined(self, pieces: list[str], text: str, *, apart: bool) -> None:
        assert grown(*pieces, apart=apart) == text

    def test_wait_through_other_changes(self) -> None:
        value = apply_operations({"n": 0}, parse_operations(written("append", "text", HIGH).encode()))
        value = after(value, {"type": "increment", "path": "n"})
        value = apply_operations(value, parse_operations(written("append", "text", LOW).encode()))
        assert value == {"n": 1, "text": "\U0001f600"}

    def test_that_nothing_can_join_are_signs_for_what_is_no_text(self) -> None:
        value = apply_operations({"list": []}, parse_operations(written("set", "a", f"x{HIGH}").encode()))
        value = apply_operations(value, parse_operations(written("append", "list", LOW).encode()))
        assert value == {"a": "x\ufffd", "list": ["\ufffd"]}
