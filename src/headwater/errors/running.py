"""What goes wrong where user code runs, and with the work that it left behind."""

from __future__ import annotations

from headwater.errors.root import HeadwaterError


class WorkerLost(HeadwaterError):
    """The worker that ran an invocation is gone; the invocation did not finish."""

    code = "WORKER_LOST"
    status = 502


class NodeMissing(HeadwaterError):
    """No Node runs the project's TypeScript and JavaScript files; the other files are served."""

    code = "NODE_MISSING"
    status = 503


class Overloaded(HeadwaterError):
    """The server has as much to do as it may hold, or is stopping; nothing was begun, so trying again is
    safe."""

    code = "OVERLOADED"
    status = 503


class QueueFull(Overloaded):
    """As many events wait as may, so this one was not taken; `details["limit"]` is how many that are."""

    code = "QUEUE_FULL"


class StepCrashes(Overloaded):
    """A step that has ended its process again and again, so that it is not run for `details["seconds"]`."""

    code = "STEP_CRASHES"


class UnknownStep(HeadwaterError):
    """A step that the running generation of the project does not have any more."""

    code = "STEP_UNKNOWN"
    status = 404


class RunUnknown(HeadwaterError):
    """There is no such run, or it has ended; `details` name it or the item that was to tell it."""

    code = "RUN_UNKNOWN"
    status = 404


class RunLost(HeadwaterError):
    """What an attempt at a run does that is over: cancelled, timed out, or taken up by another."""

    code = "RUN_LOST"
    status = 409


class JobUnknown(HeadwaterError):
    """No event or run of that id waits, runs or is kept; `details["job"]` is the id."""

    code = "JOB_UNKNOWN"
    status = 404


class HandlerFailed(HeadwaterError):
    """User code raised or answered nonsense; the traceback is in the log under the trace id, never here."""

    code = "HANDLER_FAILED"
    status = 500


class TimedOut(HeadwaterError):
    """Something took longer than its limit; `details["seconds"]` is the limit."""

    code = "TIMED_OUT"
    status = 504
