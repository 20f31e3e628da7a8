"""What is wrong with what was given: input, names, sizes, and what is not there."""

from __future__ import annotations

from typing import Any

from headwater.errors.root import FieldFault, HeadwaterError


class NotSupportedYet(HeadwaterError):
    """A declared thing that this version does not run; says so instead of pretending."""

    code = "NOT_SUPPORTED_YET"
    status = 501


class InvalidInput(HeadwaterError):
    """Input that is well-formed but not allowed: an empty id, an unknown operation, a wrong type."""

    code = "INVALID_INPUT"
    status = 400


class SchemaMismatch(HeadwaterError):
    """A value that breaks its schema; `faults` name each field."""

    code = "SCHEMA_MISMATCH"
    status = 400

    def __init__(self, message: str, faults: list[FieldFault], *, hint: str = "", **details: Any) -> None:
        listed = [{"field": fault.field, "message": fault.message} for fault in faults]
        super().__init__(message, hint=hint, faults=listed, **details)

    @property
    def faults(self) -> list[FieldFault]:
        """Each field at fault."""
        return [FieldFault(**one) for one in self.details.get("faults", ())]


class UnknownStream(HeadwaterError):
    """A stream that the project does not declare."""

    code = "STREAM_UNKNOWN"
    status = 404


class UnknownItem(HeadwaterError):
    """An item that its group does not hold."""

    code = "ITEM_UNKNOWN"
    status = 404


class Conflict(HeadwaterError):
    """A write of an item that is not as it expects, or that others write meanwhile; `details["version"]` is
    the item's, where that is what differs."""

    code = "CONFLICT"
    status = 409


class PreconditionFailed(Conflict):
    """The same over HTTP, where `If-Match` or `If-None-Match` said which version."""

    code = "PRECONDITION_FAILED"
    status = 412


class TooLarge(HeadwaterError):
    """Something above its limit; `details` carry `limit` and, where known, `size`, both in bytes."""

    code = "TOO_LARGE"
    status = 413


class TooComplex(TooLarge):
    """JSON that holds more values than it may, or nests deeper; `details` carry `limit` or `depth`."""

    code = "TOO_COMPLEX"


class TooMany(HeadwaterError):
    """More of something than its limit allows; `details["limit"]` is the limit."""

    code = "TOO_MANY"
    status = 429


class ProtocolFault(HeadwaterError):
    """A frame that the protocol does not allow."""

    code = "PROTOCOL_FAULT"
    status = 400
