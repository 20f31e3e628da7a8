"""What is derived from the declarations of settings holds for every one of them."""

from __future__ import annotations

import pytest

from headwater.cli.fields import Field, fields

EVERY = pytest.mark.parametrize("field", fields().values(), ids=lambda field: field.key)


@EVERY
def test_every_default_is_a_value_that_would_be_taken(field: Field) -> None:
    assert field.read(field.default) == field.default


@EVERY
def test_every_default_reads_back_as_it_is_shown(field: Field) -> None:
    if field.kind != "list":
        shown = field.show(field.default)
        assert field.read("" if shown == '""' else shown) == field.default


@EVERY
def test_every_setting_is_documented_in_a_sentence(field: Field) -> None:
    assert field.doc.endswith(".")
    assert field.allowed()


def test_no_two_settings_share_a_variable() -> None:
    variables = [field.variable for field in fields().values()]
    assert len(set(variables)) == len(variables)
