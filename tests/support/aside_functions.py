"""Functions for the process beside the loop, where tests run there what no server would."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from headwater.errors import FieldFault, SchemaMismatch, TooLarge


def backwards(data: bytes, given: Mapping[str, Any]) -> bytes:
    return given["before"].encode() + data[::-1]


def refuse(data: bytes, given: Mapping[str, Any]) -> bytes:
    raise TooLarge("No.", hint="Less.", limit=3).at("server.max_body_bytes", 3)


def mismatch(data: bytes, given: Mapping[str, Any]) -> bytes:
    raise SchemaMismatch("It breaks.", [FieldFault("a.b", "is missing")], stream="chat")


def fail(data: bytes, given: Mapping[str, Any]) -> bytes:
    raise KeyError("secret")


def end(data: bytes, given: Mapping[str, Any]) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""
