"""How an error of the server is shown to user code."""

from __future__ import annotations

from headwater.errors import FieldFault, SchemaMismatch
from headwater.worker.faults import error_from


def test_a_fault_that_the_message_names_is_not_said_twice() -> None:
    faults = [FieldFault("a", "is no number"), FieldFault("b", "is no number"), FieldFault("", "is odd")]
    refused = SchemaMismatch("The item breaks the schema: a: is no number", faults, hint="Mend it.")
    shown = error_from(refused.to_dict())
    assert shown.__notes__ == ["b: is no number", "(the whole value): is odd", "Mend it."]
