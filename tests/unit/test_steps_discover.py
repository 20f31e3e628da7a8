"""What a config may hold, and how every fault in one is named."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.steps.project.declare import ApiStep, CronStep, EventStep, NoopStep, Project
from headwater.steps.project.discover import merged, project_of
from headwater.steps.project.sources import Sources
from headwater.steps.project.triggers.cron import expression_fault
from headwater.streams.catalog import Rights

API = {"type": "api", "name": "Chat", "path": "/chat/:room", "method": "POST", "emits": []}
EVENT = {"type": "event", "name": "Mail", "subscribes": ["user.created"], "emits": []}
CRON = {"type": "cron", "name": "Nightly", "cron": "0 3 * * *", "emits": []}
NOOP = {"type": "noop", "name": "Human", "virtualEmits": ["approved"], "virtualSubscribes": ["asked"]}
STREAM = {"name": "chat", "schema": {"type": "object"}, "baseConfig": {"storageType": "default"}}


def step(file: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"file": file, "language": "python", "type": config.get("type"), "config": config, **more}


def stream(file: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"file": file, "language": "python", "config": config, "access": False, **more}


def project(
    *, steps: list[dict[str, Any]] | None = None, streams: list[dict[str, Any]] | None = None, **more: Any
) -> Project:
    sources = more.pop("sources", Sources())
    return project_of(3, {"steps": steps or [], "streams": streams or [], "problems": [], **more}, sources)


def one_problem(found: Project) -> tuple[str, str, str]:
    (problem,) = found.problems
    return problem.level, problem.code, f"{problem.message} | {problem.hint}"


def test_each_step_type_becomes_its_declaration() -> None:
    found = project(
        steps=[
            step(
                "steps/a_step.py",
                API
                | {
                    "bodySchema": {"type": "object"},
                    "responseSchema": {"200": {"type": "object"}, "204": None},
                    "queryParams": [{"name": "page", "description": "which"}],
                    "emits": ["plain", {"topic": "labelled", "label": "x", "conditional": True}],
                    "flows": ["f"],
                    "description": "Says",
                },
                middleware=2,
                line=7,
            ),
            step("steps/b_step.py", EVENT | {"input": {}, "infrastructure": {"queue": {"type": "fifo"}}}),
            step("steps/c_step.py", CRON),
            step("steps/d_step.py", NOOP),
        ]
    )

    assert found.problems == ()
    assert found.generation == 3
    api, event, cron, noop = found.steps
    assert api == ApiStep(
        file="steps/a_step.py",
        language="python",
        name="Chat",
        description="Says",
        flows=("f",),
        emits=("plain", "labelled"),
        line=7,
        path="/chat/:room",
        method="POST",
        body_schema={"type": "object"},
        response_schemas={200: {"type": "object"}},
        query_params=(("page", "which"),),
        middleware=2,
    )
    assert isinstance(event, EventStep)
    assert (event.subscribes, event.input_schema) == (("user.created",), None)
    assert event.infrastructure == {"queue": {"type": "fifo"}}
    assert isinstance(cron, CronStep)
    assert cron.cron == "0 3 * * *"
    assert isinstance(noop, NoopStep)
    assert (noop.virtual_emits, noop.virtual_subscribes) == (("approved",), ("asked",))
    assert found.routes == (api,)


def test_a_stream_becomes_its_declaration() -> None:
    found = project(streams=[stream("src/chat_stream.py", STREAM, access=True, line=4)])

    assert found.problems == ()
    (chat,) = found.streams
    assert (chat.name, chat.schema, chat.rights.read, chat.line) == ("chat", {"type": "object"}, "rule", 4)
    assert found.stream("chat") is chat
    assert found.stream("cha") is None


@pytest.mark.parametrize(
    ("raw", "rights"),
    [
        ({}, Rights()),
        ({"access": True}, Rights(read="rule")),
        ({"access": True, "rules": {"read": "nobody"}}, Rights(read="nobody")),
        ({"rules": {"write": "open", "delete": "rule", "cancel": "rule"}},
         Rights(write="open", delete="rule", cancel="rule")),
        ({"rules": {"write": "opne", "send": None, "reed": "open"}}, Rights()),
    ],
)  # fmt: skip
def test_a_stream_says_who_may_do_what(raw: dict[str, Any], rights: Rights) -> None:
    found = project(streams=[stream("src/chat_stream.py", STREAM, **raw)])
    assert found.streams[0].rights == rights


def test_a_copy_opens_nothing_that_the_other_file_closed() -> None:
    for rules in ({"read": "rule"}, {"write": "rule"}):
        copies = [
            stream("src/a_stream.py", STREAM, rules=rules),
            stream("src/b_stream.py", STREAM, rules={"write": "open"} if "read" in rules else {}),
        ]
        for listed in (copies, copies[::-1]):
            found = project(streams=listed)
            (chat,) = found.streams
            assert chat.file == "src/a_stream.py"
            assert [(one.code, one.file) for one in found.problems] == [
                ("DUPLICATE_STREAM", "src/b_stream.py")
            ]


@pytest.mark.parametrize("schema", [None, {}])
def test_a_stream_without_a_schema_accepts_anything(schema: Any) -> None:
    found = project(streams=[stream("src/a_stream.py", {"name": "a", "schema": schema})])

    assert found.problems == ()
    assert found.streams[0].schema is None


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({k: v for k, v in API.items() if k != "path"}, "path"),
        ({k: v for k, v in API.items() if k != "method"}, "method"),
        ({k: v for k, v in API.items() if k != "emits"}, "emits"),
        ({k: v for k, v in API.items() if k != "name"}, "name"),
        (API | {"path": None}, "path"),
        ({k: v for k, v in EVENT.items() if k != "subscribes"}, "subscribes"),
        ({k: v for k, v in CRON.items() if k != "cron"}, "cron"),
        ({k: v for k, v in NOOP.items() if k != "virtualEmits"}, "virtualEmits"),
    ],
)
def test_a_missing_required_key_is_named_and_leaves_the_file_out(config: dict[str, Any], key: str) -> None:
    found = project(steps=[step("steps/a_step.py", config)])

    level, code, text = one_problem(found)
    assert (level, code, found.steps) == ("error", "CONFIG_INVALID", ())
    assert f'needs "{key}"' in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": " "}, '"name" must be text that is not empty'),
        ({"flows": "f"}, '"flows" must be a list of texts, not "f"'),
        ({"emits": [3]}, '"emits" must be a list of topics'),
        ({"emits": [{"label": "x"}]}, '"emits" must be a list of topics'),
        ({"method": "FETCH"}, '"method" must be one of GET, POST'),
        ({"method": "post"}, 'Write "POST".'),
        ({"method": "POSTT"}, 'Did you mean "POST"?'),
        ({"path": "chat"}, 'does not begin with "/"'),
        ({"path": "/a?b=1"}, "holds a query"),
        ({"path": "/:a/:a"}, 'names the parameter "a" twice'),
        ({"path": "/:"}, "without a name"),
        ({"bodySchema": "x"}, '"bodySchema" must be a JSON Schema object'),
        ({"bodySchema": {"type": "strin"}}, '"bodySchema" is no valid JSON Schema'),
        ({"responseSchema": {"200": {"type": "strin"}}}, '"responseSchema.200" is no valid JSON Schema'),
        ({"queryParams": ["page"]}, '"queryParams" must be a list of {name, description}'),
        ({"type": "apo"}, 'Did you mean "api"?'),
        ({"type": None}, 'A step needs "type"'),
        ({"type": ["api"]}, '"type" must be one of'),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(change: dict[str, Any], says: str) -> None:
    found = project(steps=[step("steps/a_step.py", API | change)])

    level, _, text = one_problem(found)
    assert (level, found.steps) == ("error", ())
    assert says in text


def test_an_unknown_key_warns_suggests_and_lets_the_file_run() -> None:
    found = project(steps=[step("steps/a_step.py", API | {"bodyShema": {}})])

    level, code, text = one_problem(found)
    assert (level, code, len(found.steps)) == ("warning", "CONFIG_UNKNOWN_KEY", 1)
    assert 'An api step has no key "bodyShema"; it is ignored' in text
    assert 'Did you mean "bodySchema"?' in text


def test_a_response_schema_for_what_is_no_status_warns_and_lets_the_file_run() -> None:
    found = project(
        steps=[step("steps/a_step.py", API | {"responseSchema": {"default": {"type": "object"}}})]
    )

    level, _, text = one_problem(found)
    assert (level, found.routes[0].response_schemas) == ("warning", {})
    assert '"default" is no status and is ignored' in text


def test_a_key_of_another_step_type_says_where_it_belongs() -> None:
    _, _, text = one_problem(project(steps=[step("steps/a_step.py", API | {"subscribes": []})]))

    assert '"subscribes" belongs to event steps.' in text


def test_a_typo_in_a_required_key_is_both_the_missing_key_and_a_hint() -> None:
    config = {k: v for k, v in API.items() if k != "emits"} | {"emit": []}

    problems = project(steps=[step("steps/a_step.py", config)]).problems

    assert [problem.level for problem in problems] == ["error", "warning"]
    assert problems[0].hint == 'Is "emit" meant?'


def test_deep_keys_of_an_event_step_are_checked() -> None:
    config = EVENT | {"infrastructure": {"queue": {"type": "lifo", "retries": 3}, "handlr": {}}}

    texts = [problem.message for problem in project(steps=[step("steps/a_step.py", config)]).problems]

    assert any(
        '"infrastructure.queue.type" must be "fifo" or "standard", not "lifo"' in text for text in texts
    )
    assert any('infrastructure.queue has no key "retries"' in text for text in texts)
    assert any('infrastructure has no key "handlr"' in text for text in texts)


def test_a_step_that_reacts_to_a_stream_which_nobody_declares_is_warned_of() -> None:
    reacts = EVENT | {"subscribes": ["user.created", "stream:chat", "stream:chta", "state:", "state:any"]}

    found = project(steps=[step("steps/a_step.py", reacts)], streams=[stream("steps/c_stream.py", STREAM)])

    assert [(one.level, one.code, one.hint) for one in found.problems] == [
        ("warning", "STREAM_UNKNOWN", 'Did you mean "chat"?'),
        ("warning", "STREAM_UNKNOWN", ""),
    ]
    assert 'a stream "chta"' in found.problems[0].message
    assert len(found.steps) == 1


def test_nothing_is_said_of_a_stream_whose_own_file_is_at_fault() -> None:
    reacts = step("steps/a_step.py", EVENT | {"subscribes": ["stream:chat"]})

    found = project(steps=[reacts], streams=[stream("steps/c_stream.py", STREAM | {"ttl": -1})])

    assert [one.file for one in found.problems] == ["steps/c_stream.py"]


def test_a_problem_points_at_the_line_of_its_key() -> None:
    source = b'import x\n\nconfig = {\n    "type": "api",\n    "name": "A",\n    "methd": "GET",\n}\n'
    config = {"type": "api", "name": "A", "path": "/", "emits": [], "method": "GET", "methd": "GET"}

    found = project(
        steps=[step("steps/a_step.py", config, line=3)], sources=Sources({"steps/a_step.py": source})
    )

    assert [(problem.file, problem.line) for problem in found.problems] == [("steps/a_step.py", 6)]


def test_two_routes_of_the_same_shape_keep_the_first_file_and_name_both() -> None:
    found = project(
        steps=[
            step("steps/b_step.py", API | {"path": "/chat/:other/"}),
            step("steps/a_step.py", API, line=9),
            step("steps/c_step.py", API | {"method": "GET"}),
        ]
    )

    assert [one.file for one in found.steps] == ["steps/a_step.py", "steps/c_step.py"]
    (problem,) = found.problems
    assert (problem.code, problem.file) == ("DUPLICATE_ROUTE", "steps/b_step.py")
    assert "POST /chat/:other/ is declared in steps/a_step.py:9 already" in problem.message


@pytest.mark.parametrize("change", [{"schema": {"type": "array"}}, {"ttl": 3}, {"schema": None}])
def test_two_streams_of_one_name_keep_the_first_file_and_name_both(change: dict[str, Any]) -> None:
    found = project(streams=[stream("src/b_stream.py", STREAM | change), stream("src/a_stream.py", STREAM)])

    assert [one.file for one in found.streams] == ["src/a_stream.py"]
    assert one_problem(found)[:2] == ("error", "DUPLICATE_STREAM")


def test_two_streams_that_say_the_same_are_one() -> None:
    pydantic = {
        "title": "Chat",
        "type": "object",
        "properties": {"title": {"title": "Title", "type": "string"}, "n": {"type": "number"}},
        "required": ["title", "n"],
    }
    zod = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"n": {"type": "number"}, "title": {"type": "string"}},
        "required": ["n", "title"],
        "additionalProperties": {},
    }
    found = project(
        streams=[
            stream("src/a_stream.py", STREAM | {"schema": pydantic}),
            stream("src/a.stream.ts", STREAM | {"schema": zod, "description": "the chat"}),
            stream("src/b_stream.py", STREAM | {"schema": pydantic}),
        ]
    )
    assert found.problems == ()
    assert [(one.file, one.twins) for one in found.streams] == [
        ("src/a.stream.ts", ("src/a_stream.py", "src/b_stream.py"))
    ]


@pytest.mark.parametrize("closed", [(False, True), (True, False), (True, True)])
def test_of_equal_streams_one_that_is_closed_stays_closed_and_says_so(closed: tuple[bool, bool]) -> None:
    found = project(
        streams=[
            stream("src/a_stream.py", STREAM, access=closed[0]),
            stream("src/b_stream.py", STREAM, access=closed[1]),
        ]
    )
    (chat,) = found.streams
    assert chat.rights.read == "rule"
    assert chat.file == ("src/a_stream.py" if closed[0] else "src/b_stream.py")
    assert one_problem(found)[:2] == ("warning", "DUPLICATE_STREAM")


@pytest.mark.parametrize(
    ("files", "winner"),
    [
        (["steps/a_step.py", "steps/b_step.py"], "steps/b_step.py"),
        (["steps/a.step.ts", "steps/b.step.ts", "steps/ab.step.ts"], "steps/b.step.ts"),
        (["steps/a/x_step.py", "steps/b/x_step.py"], "steps/b/x_step.py"),
        (["steps/a_step.py", "steps/b/x_step.py"], "steps/a_step.py"),
        (["steps/a_step.py", "src/b_step.py"], "steps/a_step.py"),
        (["steps/a.step.ts", "steps/b_step.py"], "steps/a.step.ts"),
        (["steps/a_step.py", "steps/a.step.py"], "steps/a_step.py"),
        (["steps/z.step.py", "steps/a_step.py"], "steps/a_step.py"),
    ],
)
def test_of_routes_written_alike_the_one_counts_that_the_old_framework_ran(
    files: list[str], winner: str
) -> None:
    found = project(steps=[step(file, API) for file in files])

    assert [one.file for one in found.steps] == [winner]
    assert {(one.level, one.file) for one in found.problems} == {
        ("warning", file) for file in files if file != winner
    }
    assert all(one.code in ("DUPLICATE_ROUTE", "DUPLICATE_STEP") for one in found.problems)
    assert all(winner in one.message for one in found.problems)


def test_a_dotted_file_beside_one_with_an_underline_gives_way_where_it_declares_the_same() -> None:
    found = project(
        steps=[
            step("steps/mail_step.py", EVENT),
            step("steps/mail.step.py", EVENT | {"subscribes": ["other"]}),
            step("steps/other.step.py", CRON),
            step("steps/other_step.py", CRON | {"name": "Another"}),
        ],
        streams=[
            stream("steps/chat_stream.py", STREAM),
            stream("steps/chat.stream.py", STREAM | {"schema": {}}),
        ],
    )
    assert [one.file for one in found.steps] == [
        "steps/mail_step.py", "steps/other.step.py", "steps/other_step.py"
    ]  # fmt: skip
    assert [one.file for one in found.streams] == ["steps/chat_stream.py"]
    assert [(one.level, one.code, one.file) for one in found.problems] == [
        ("warning", "DUPLICATE_STREAM", "steps/chat.stream.py"),
        ("warning", "DUPLICATE_STEP", "steps/mail.step.py"),
    ]


@pytest.mark.parametrize("blank", ["", "  ", {"topic": ""}])
def test_an_empty_topic_warns_and_is_left_out(blank: Any) -> None:
    found = project(
        steps=[
            step("steps/a_step.py", API | {"emits": [blank, "real"]}),
            step("steps/b_step.py", CRON | {"emits": [blank], "virtualEmits": ["x"]}),
        ]
    )
    assert [one.emits for one in found.steps] == [("real",), ()]
    assert [(one.level, one.code) for one in found.problems] == [("warning", "TOPIC_EMPTY")] * 2
    assert all('"emits" holds an empty topic' in one.message for one in found.problems)


def test_an_event_step_may_list_an_empty_topic_beside_its_own() -> None:
    found = project(steps=[step("steps/a_step.py", EVENT | {"subscribes": ["", "user.created"]})])
    (mail,) = found.steps
    assert isinstance(mail, EventStep)
    assert mail.subscribes == ("user.created",)
    assert one_problem(found)[:2] == ("warning", "TOPIC_EMPTY")


def test_two_event_steps_of_one_topic_do_not_clash() -> None:
    found = project(steps=[step("steps/a_step.py", EVENT), step("steps/b_step.py", EVENT)])

    assert (len(found.steps), found.problems) == (2, ())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "chat.presence"}, "sister"),
        ({"name": ""}, '"name" must be text'),
        ({"schema": {"type": "objekt"}}, '"schema" is no valid JSON Schema'),
        ({"schema": [1]}, '"schema" must be a JSON Schema object'),
        ({"baseConfig": {"storageType": "custom"}}, "Custom stores come later"),
        ({"baseConfig": {"storageType": "redis"}}, 'must be "default" or "custom"'),
    ],
)
def test_a_wrong_stream_config_is_named_and_leaves_the_stream_out(change: dict[str, Any], says: str) -> None:
    found = project(streams=[stream("src/a_stream.py", STREAM | change)])

    level, _, text = one_problem(found)
    assert (level, found.streams) == ("error", ())
    assert says in text


def test_the_manifests_of_all_languages_are_one_project() -> None:
    python = {"steps": [], "streams": [stream("steps/a_stream.py", {**STREAM, "name": "a"})], "problems": []}
    node = {"streams": [stream("steps/b.stream.ts", {**STREAM, "name": "b"})], "problems": "nonsense"}

    found = project_of(1, merged([python, node]), Sources())

    assert [one.name for one in found.streams] == ["a", "b"]
    assert found.problems == ()


def test_a_worker_may_report_what_is_no_error() -> None:
    reported = {
        "file": "steps/a.step.ts",
        "level": "warning",
        "code": "SCHEMA_NOT_CONVERTIBLE",
        "message": "!",
    }

    (problem,) = project_of(1, {"problems": [reported]}, Sources()).problems

    assert (problem.level, problem.code) == ("warning", "SCHEMA_NOT_CONVERTIBLE")


def test_what_a_worker_reports_is_kept_whole() -> None:
    reported = {
        "file": "steps/a_step.py",
        "line": 3,
        "code": "IMPORT_FAILED",
        "message": "no module",
        "traceback": "Traceback",
        "involved": ["steps/a_step.py", "steps/helper.py"],
    }

    (problem,) = project(problems=[reported]).problems

    assert (problem.line, problem.code, problem.traceback) == (3, "IMPORT_FAILED", "Traceback")
    assert problem.involved == ("steps/a_step.py", "steps/helper.py")


@pytest.mark.parametrize("manifest", [{}, {"steps": None, "streams": 3}, {"steps": [1, {"config": []}]}])
def test_a_strange_manifest_never_raises(manifest: dict[str, Any]) -> None:
    assert project_of(1, manifest, Sources()).steps == ()


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "*/5 * * * *",
        "0 0 1,15 * 1-5",
        "0 9-17/2 * JAN-mar MON",
        "30 0 0 * * *",
        "0 0 ? * SAT-SUN",
        "5/15 * * * 7",
    ],
)
def test_cron_expressions_of_five_and_six_fields_are_fine(expression: str) -> None:
    assert expression_fault(expression) == ""


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("* * * *", "it has 4 fields"),
        ("60 * * * *", '"60" is no minute: 60 is not within 0 to 59'),
        ("* 24 * * *", '"24" is no hour'),
        ("* * 0 * *", '"0" is no day of month'),
        ("* * * 13 *", '"13" is no month'),
        ("* * * * 8", '"8" is no day of week'),
        ("*/0 * * * *", "a step must be at least 1"),
        ("9-5 * * * *", "9 comes after 5"),
        ("a * * * *", "a is not within 0 to 59"),
        ("? * * * *", '"?" cannot be read'),
        ("1--2 * * * *", "cannot be read"),
        ("60 * * * * *", '"60" is no second'),
    ],
)
def test_a_wrong_cron_expression_says_which_field_and_why(expression: str, says: str) -> None:
    assert says in expression_fault(expression)
    _, _, text = one_problem(project(steps=[step("steps/a_step.py", CRON | {"cron": expression})]))
    assert says in text
