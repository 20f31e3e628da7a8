"""The process beside: reads a question, calls the function that it names, writes the answer, until its input
ends. Started by `runner.py`, which ends with the server and its end of the pipe with it."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from typing import Any, BinaryIO

import orjson

from headwater.aside.frames import LENGTHS, Frame
from headwater.errors import HeadwaterError

NICENESS = 5
"""What is large may take longer; the server and the workers go first."""


def _answer(header: dict[str, Any], body: bytes) -> Frame:
    try:
        module, name = header["function"]
        return Frame({}, getattr(importlib.import_module(module), name)(body, header["given"]))
    except HeadwaterError as error:
        limit = list(error.limit) if error.limit is not None else None
        return Frame({"error": error.to_dict(), "limit": limit})
    except Exception:
        traceback.print_exc()  # To the server's standard error; the caller may be a stranger.
        return Frame({"error": {"code": HeadwaterError.code, "message": "Reading large JSON failed."}})


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    while len(lengths := questions.read(LENGTHS.size)) == LENGTHS.size:
        header, body = map(questions.read, LENGTHS.unpack(lengths))
        answer = _answer(orjson.loads(header), body)
        del body
        answers.write(answer.head())
        answers.write(answer.body)
        answers.flush()


def main() -> None:
    """Serve standard input and output. Ctrl-C at the terminal is for the server alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    _serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
