# Written by `headwater types`, and kept fresh by `headwater dev`. Change your schemas instead of this file.
# Import from it under `if TYPE_CHECKING:`; it is a stub, there is nothing to run.
# ruff: noqa
# fmt: off
# mypy: disable-error-code="override"
# pyright: reportUnusedClass=false, reportPrivateUsage=false, reportIncompatibleMethodOverride=false

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Generic, Literal, Never, NotRequired, TypeVar, overload

from typing_extensions import ReadOnly, TypedDict

Item = TypeVar("Item", covariant=True)
Data = TypeVar("Data", contravariant=True)
Value = TypeVar("Value", covariant=True)
_Element = TypeVar("_Element")


class Call(Awaitable[Value]):
    """A read or write that has begun: await it, or ask its `result()` in a plain function."""

    def result(self, timeout: float | None = None) -> Value: ...
    def done(self) -> bool: ...


class KeptStep(Awaitable[Any]):
    """Something done once in a run: await it, or ask its `result()` in a plain function."""

    def result(self) -> Any: ...


class ProgressLoop(Generic[Value]):
    """Elements whose progress is written into an item: for `async for`, and for `for` in a plain function."""

    def __aiter__(self) -> AsyncIterator[Value]: ...
    def __iter__(self) -> Iterator[Value]: ...


class _SetOperation(TypedDict):
    type: Literal["set", "append"]
    path: str | Sequence[str | int]
    value: Any


class _MergeOperation(TypedDict):
    type: Literal["merge"]
    path: NotRequired[str | Sequence[str | int]]
    value: Mapping[str, Any]


class _CountOperation(TypedDict):
    type: Literal["increment", "decrement"]
    path: str | Sequence[str | int]
    by: NotRequired[float]


class _RemoveOperation(TypedDict):
    type: Literal["remove"]
    path: str | Sequence[str | int]


Operation = _SetOperation | _MergeOperation | _CountOperation | _RemoveOperation


class _Channel(TypedDict):
    groupId: str
    id: NotRequired[str]


class _Event(TypedDict):
    type: str
    data: Any


class Stream(Generic[Item, Data]):
    """Every method takes effect at once, in order, awaited or not."""

    def get(self, group_id: str, id: str) -> Call[Item | None]: ...
    def get_group(self, group_id: str) -> Call[list[Item]]: ...
    def getGroup(self, group_id: str) -> Call[list[Item]]: ...
    def set(
        self,
        group_id: str,
        id: str,
        data: Data,
        *,
        if_version: int | None = None,
        ttl: float | None = None,
        key: str | None = None,
    ) -> Call[Item]: ...
    @overload
    def update(
        self,
        group_id: str,
        id: str,
        ops: Sequence[Operation],
        *,
        if_version: int | None = None,
        key: str | None = None,
        if_exists: Literal[False] = False,
    ) -> Call[Item]: ...
    @overload
    def update(
        self,
        group_id: str,
        id: str,
        ops: Sequence[Operation],
        *,
        if_version: int | None = None,
        key: str | None = None,
        if_exists: bool,
    ) -> Call[Item | None]: ...
    def delete(
        self, group_id: str, id: str, *, if_version: int | None = None, key: str | None = None
    ) -> Call[Item | None]: ...
    def send(self, channel: _Channel, event: _Event) -> Call[None]: ...
    def revoke(self, group_id: str, user: str) -> Call[None]: ...
    def restore(self, group_id: str, user: str) -> Call[None]: ...


class Logger:
    def debug(self, message: Any, fields: Any = None, **more: Any) -> None: ...
    def info(self, message: Any, fields: Any = None, **more: Any) -> None: ...
    def warn(self, message: Any, fields: Any = None, **more: Any) -> None: ...
    def warning(self, message: Any, fields: Any = None, **more: Any) -> None: ...
    def error(self, message: Any, fields: Any = None, **more: Any) -> None: ...


class StateEntry(TypedDict):
    key: str
    value: Any


_Values = list[Any]
_Names = list[str]
_Entries = list[StateEntry]


class State:
    """Values of any JSON. Every method takes effect at once, in order, awaited or not."""

    def get(self, group: str, key: str) -> Call[Any]: ...
    def set(
        self,
        group: str,
        key: str,
        value: Any,
        *,
        if_version: int | None = None,
        ttl: float | None = None,
        write_key: str | None = None,
    ) -> Call[Any]: ...
    def update(
        self,
        group: str,
        key: str,
        ops: Sequence[Operation],
        *,
        if_version: int | None = None,
        ttl: float | None = None,
        write_key: str | None = None,
        if_exists: bool = False,
    ) -> Call[Any]: ...
    def delete(
        self, group: str, key: str, *, if_version: int | None = None, write_key: str | None = None
    ) -> Call[Any]: ...
    def get_group(self, group: str) -> Call[_Values]: ...
    def getGroup(self, group: str) -> Call[_Values]: ...
    @overload
    def list(self, group: str) -> Call[_Entries]: ...
    @overload
    def list(self, group: None = None, *, after: str = "", limit: int | None = None) -> Call[_Names]: ...
    def clear(self, group: str) -> Call[None]: ...


class Emitted(TypedDict):
    """What became of an emit: the ids of the runs by the names of their steps. `repeated`: the key was used
    before, so nothing happened, and these are the runs of the first."""

    runs: dict[str, str]
    repeated: bool


class _EmitOptions(TypedDict):
    messageGroupId: NotRequired[str]
    delay: NotRequired[float]
    key: NotRequired[str]


class Answering(TypedDict):
    room: str

class Messages(TypedDict):
    role: Literal['user'] | Literal['assistant']
    text: str
    at: str
    status: Literal['waiting'] | Literal['streaming'] | Literal['done'] | Literal['error'] | Literal['cancelled']
    attempt: NotRequired[int]
    resumed: NotRequired[bool]
    model: NotRequired[str]
    local: NotRequired[bool]
    seconds: NotRequired[float]
    tokens: NotRequired[int]
    note: NotRequired[str]

class Rooms(TypedDict):
    title: str
    asked: str

class AnswerInput(TypedDict):
    room: str
    answer: str

class AskBody(TypedDict):
    text: str

class AskRequest(TypedDict):
    body: AskBody
    pathParams: dict[str, str]
    queryParams: dict[str, str | list[str]]
    headers: dict[str, str | list[str]]
    rawBody: str | bytes
    auth: dict[str, Any] | None

AskResponse = Mapping[str, Any]

class AskAgainRequest(TypedDict):
    body: Any
    pathParams: dict[str, str]
    queryParams: dict[str, str | list[str]]
    headers: dict[str, str | list[str]]
    rawBody: str | bytes
    auth: dict[str, Any] | None

AskAgainResponse = Mapping[str, Any]

class StopRequest(TypedDict):
    body: Any
    pathParams: dict[str, str]
    queryParams: dict[str, str | list[str]]
    headers: dict[str, str | list[str]]
    rawBody: str | bytes
    auth: dict[str, Any] | None

StopResponse = Mapping[str, Any]

class WhichModelRequest(TypedDict):
    body: Any
    pathParams: dict[str, str]
    queryParams: dict[str, str | list[str]]
    headers: dict[str, str | list[str]]
    rawBody: str | bytes
    auth: dict[str, Any] | None

WhichModelResponse = Mapping[str, Any]

class Streams:
    """All streams of the project, by name."""

    @property
    def answering(self) -> Stream[Answering, Answering]: ...
    @property
    def messages(self) -> Stream[Messages, Messages]: ...
    @property
    def rooms(self) -> Stream[Rooms, Rooms]: ...
    @overload
    def __getitem__(self, name: Literal['answering']) -> Stream[Answering, Answering]: ...
    @overload
    def __getitem__(self, name: Literal['messages']) -> Stream[Messages, Messages]: ...
    @overload
    def __getitem__(self, name: Literal['rooms']) -> Stream[Rooms, Rooms]: ...
    def __contains__(self, name: object) -> bool: ...

class Context:
    """What a handler gets beside its input."""

    streams: Streams
    logger: Logger
    state: State
    trace_id: str
    traceId: str
    flows: list[str]
    step_name: str
    cancelled: bool
    auth: dict[str, Any] | None
    attempt: int
    run: str
    app: None
    def emit(self, event: Mapping[str, Any]) -> Call[Emitted]: ...
    def step(self, name: str, function: Callable[..., Any], *arguments: Any) -> KeptStep: ...
    def owns(self, item: Any) -> Call[None]: ...
    @overload
    def progress(
        self, items: Iterable[_Element], item: Any, *, total: int | None = None
    ) -> ProgressLoop[_Element]: ...
    @overload
    def progress(
        self, items: AsyncIterable[_Element], item: Any, *, total: int | None = None
    ) -> AsyncIterable[_Element]: ...

class QuestionAskedEvent(_EmitOptions):
    topic: Literal['question.asked']
    data: AnswerInput


class AskContext(Context):
    def emit(self, event: QuestionAskedEvent) -> Call[Emitted]: ...


class AskAgainContext(Context):
    def emit(self, event: QuestionAskedEvent) -> Call[Emitted]: ...
