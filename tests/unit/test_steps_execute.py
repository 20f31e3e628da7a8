"""Any kind of run goes the same way: input checked, framed, run in time, its answer read, failures told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from headwater.config import Settings, StepSettings
from headwater.errors import HandlerFailed, Overloaded, SchemaMismatch, StoreFull, TimedOut
from headwater.model import Origin
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Task
from headwater.steps.execute import Executor
from headwater.steps.project.declare import EventStep
from headwater.steps.project.triggers.kind import UNCHECKED, Check, RunKind
from headwater.steps.workers.invocation import Invocation
from headwater.steps.workers.pool import Pool

STEP = EventStep("steps/a_step.py", "python", "Charge", flows=("orders",))
SCHEMA = {"type": "object", "required": ["id"]}


def answered(_settings: Settings, result: Message) -> str:
    if "text" not in result.header:
        raise HandlerFailed("It answered no text", hint="Answer one.")
    return str(result.header["text"])


ORIGIN = Origin(STEP.name, "trace-1")
KIND: RunKind[EventStep, Any, str] = RunKind(
    name="event",
    frame=lambda task, step, given: protocol.invoke(
        task, "event", {"topics": step.subscribes, "data": given}
    ),
    answer=answered,
    seconds=lambda settings, _step: settings.server.request_timeout,
    inputs=lambda _step: [Check(SCHEMA, "The data breaks the input", lambda given: given)],
    answers=lambda _step: [Check({"maxLength": 5}, "The answer breaks the promise", lambda text: text)],
)


@dataclass
class OneWorker:
    """Stands for a pool: answers each invocation with what `result` makes of it; None answers nothing."""

    result: Callable[[Invocation], Message | None] = lambda invocation: ok(text="done")
    seen: list[Invocation] = field(default_factory=list)

    async def run(self, invocation: Invocation) -> Message:
        self.seen.append(invocation)
        answer = self.result(invocation)
        if answer is not None:
            invocation.finish(answer)
        return await invocation.done

    def executor(self, **settings: Any) -> Executor:
        return Executor(
            cast(Pool, self), replace(Settings(project=Path()), **settings), lambda: cast(Any, None)
        )


def ok(**members: Any) -> Message:
    return protocol.result(0, members)


def failed(**error: Any) -> Message:
    return protocol.failure(0, {"code": "HANDLER_FAILED", "message": 'The step "Charge" failed.', **error})


async def test_a_kind_frames_the_invocation_and_reads_its_answer() -> None:
    worker = OneWorker()
    assert await worker.executor().run(KIND, STEP, {"id": 1}, ORIGIN) == "done"
    (invocation,) = worker.seen
    frame = invocation.frame(invocation.task(thread=False))
    assert frame.header["data"] == {"id": 1}
    assert (frame.header["kind"], frame.header["file"], frame.header["step"]) == (
        "event",
        STEP.file,
        "Charge",
    )
    assert (frame.header["trace"], frame.header["flows"]) == ("trace-1", ["orders"])


@pytest.mark.parametrize("waits", [False, True])
async def test_a_kind_says_whether_it_waits_among_requests(waits: bool) -> None:
    worker = OneWorker()
    await worker.executor().run(replace(KIND, waits=waits), STEP, {"id": 1})
    assert worker.seen[0].waits is waits


async def test_input_that_breaks_its_schema_never_reaches_a_worker() -> None:
    worker = OneWorker()
    with pytest.raises(SchemaMismatch, match=r'The data breaks the input of "Charge": id'):
        await worker.executor().run(KIND, STEP, {}, ORIGIN)
    assert worker.seen == []


async def test_what_a_check_has_nothing_to_look_at_passes() -> None:
    unchecked = [Check(SCHEMA, "The data breaks the input", lambda _given: UNCHECKED)]
    kind = replace(KIND, inputs=lambda _step: unchecked)
    assert await OneWorker().executor().run(kind, STEP, {}) == "done"


@pytest.mark.parametrize(("mode", "warnings"), [("warn", 1), ("off", 0)])
async def test_a_check_may_warn_or_be_off(mode: Any, warnings: int, caplog: pytest.LogCaptureFixture) -> None:
    executor = OneWorker().executor(steps=StepSettings(validation=mode))
    assert await executor.run(KIND, STEP, {}) == "done"
    assert len(caplog.records) == warnings


async def test_schemas_are_asked_for_once_for_each_step() -> None:
    asked: list[str] = []

    def inputs(step: EventStep) -> list[Check[Any]]:
        asked.append(step.file)
        return [Check(SCHEMA, "", lambda given: given)]

    executor = OneWorker().executor()
    for file in ("a", "a", "b"):
        await executor.run(replace(KIND, inputs=inputs), replace(STEP, file=file), {"id": 1})
    assert asked == ["a", "b"]


@pytest.mark.parametrize(("dev", "warnings"), [(True, 1), (False, 0)])
async def test_dev_warns_of_an_answer_that_is_not_as_promised(
    dev: bool, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    executor = OneWorker(lambda _: ok(text="far too long")).executor(dev=dev)
    assert await executor.run(KIND, STEP, {"id": 1}) == "far too long"
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * warnings


@pytest.mark.parametrize("result", [failed(traceback="  File\nOops: inside"), ok(nothing=1)])
async def test_a_failure_of_user_code_is_one_line_in_the_log_and_tells_the_caller_nothing(
    result: Message, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(HandlerFailed, match=r'The step "Charge" failed\.') as caught:
        await OneWorker(lambda _: result).executor().run(KIND, STEP, {"id": 1}, ORIGIN)
    assert "trace-1" in caught.value.hint
    assert "inside" not in str(caught.value.to_dict())
    (record,) = caplog.records
    assert vars(record)["trace"] == "trace-1"
    assert "Oops: inside" in vars(record)["traceback"] or "no text" in record.message


async def test_to_stop_when_asked_to_is_no_fault_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stopped = failed(cancelled=True, traceback="CancelledError")
    with pytest.raises(HandlerFailed):
        await OneWorker(lambda _: stopped).executor().run(KIND, STEP, {"id": 1})
    (record,) = caplog.records
    assert (record.levelname, vars(record).get("traceback", "")) == ("INFO", "")


async def test_an_error_of_the_server_that_went_through_keeps_its_type() -> None:
    full = failed(cause={"code": "STORE_FULL", "message": "The disk is full.", "hint": ""})
    with pytest.raises(StoreFull, match="The disk is full"):
        await OneWorker(lambda _: full).executor().run(KIND, STEP, {"id": 1})


async def test_a_kind_has_its_own_time_limit() -> None:
    kind = replace(KIND, seconds=lambda _settings, _step: 0.01)
    with pytest.raises(TimedOut, match=r'"Charge" took longer than 0\.01 s'):
        await OneWorker(lambda _: None).executor().run(kind, STEP, {"id": 1})


def refuse(invocation: Invocation) -> None:
    invocation.fail(Overloaded("No worker is free for it now."))


@pytest.mark.parametrize("result", [lambda _: failed(), refuse], ids=["user code", "no worker"])
async def test_a_kind_may_answer_instead_of_failing_which_only_the_log_tells(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kind = replace(KIND, instead="closed", told=lambda failure: f"Closed: {failure.reason}")
    assert await OneWorker(result).executor().run(kind, STEP, {"id": 1}) == "closed"
    assert [record.message.partition(":")[0] for record in caplog.records] == ["Closed"]


async def test_nothing_is_answered_instead_of_a_cancellation() -> None:
    running = asyncio.create_task(
        OneWorker(lambda _: None).executor().run(replace(KIND, instead="closed"), STEP, {"id": 1})
    )
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_a_task_says_what_the_protocol_needs() -> None:
    header = protocol.invoke(Task(1, "a", "A", "t"), "cron", {"late": 2}).header
    assert header == {
        "t": "invoke", "id": 1, "kind": "cron", "file": "a", "step": "A", "trace": "t", "flows": [],
        "thread": False, "late": 2,
    }  # fmt: skip
