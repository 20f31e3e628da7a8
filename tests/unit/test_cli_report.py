"""What `dev`, `start` and `routes` print about a project."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.cli import report
from headwater.config import ServiceToken
from headwater.steps.project.declare import (
    ApiStep,
    Authenticator,
    CronStep,
    EventStep,
    NoopStep,
    Problem,
    Project,
    StreamDeclaration,
)
from headwater.steps.project.described import described
from headwater.streams.catalog import Rights

CREATE = ApiStep("steps/create_step.py", "python", "Create", path="/messages", method="POST", line=3)
LIST = ApiStep("steps/list_step.py", "python", "List", path="/messages", method="GET")
CHAT = StreamDeclaration("steps/chat_stream.py", "python", name="chat")
BROKEN = Problem("error", "SYNTAX_ERROR", "invalid syntax", "steps/x_step.py", 7, hint="Close the bracket.")


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_project_is_shown_as_tables_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    others = (
        EventStep("steps/mail_step.py", "python", "Mail", subscribes=("mail.sent", "mail.failed")),
        CronStep("steps/daily_step.py", "python", "Daily", cron="0 0 * * *"),
        NoopStep("steps/human_step.py", "python", "Human"),
    )
    report.show_project(Project(1, (CREATE, LIST, *others), (CHAT,), (BROKEN,)))
    assert shown(capsys) == [
        "Routes",
        "method  path       who   step    file",
        "GET     /messages  open  List    steps/list_step.py",
        "POST    /messages  open  Create  steps/create_step.py",
        "",
        "Streams, and who may",
        "name  read  write   send    delete  cancel   file",
        "chat  open  nobody  nobody  nobody  readers  steps/chat_stream.py",
        "",
        "Other steps",
        "type   name   runs on                 file",
        "event  Mail   mail.sent, mail.failed  steps/mail_step.py",
        "cron   Daily  0 0 * * *               steps/daily_step.py",
        "noop   Human                          steps/human_step.py",
        "",
        "Problems (1)",
        "error   SYNTAX_ERROR steps/x_step.py:7",
        "    invalid syntax",
        "    Close the bracket.",
        "",
    ]


def test_who_may_do_what_is_shown_with_the_services_that_may(capsys: pytest.CaptureFixture[str]) -> None:
    rights = Rights(read="rule", write="rule", send="open", delete="nobody", cancel="rule")
    ruled = StreamDeclaration("a_stream.py", "python", name="a", rights=rights)
    billing = ServiceToken("billing", b"", frozenset({"a"}), frozenset({"write", "delete", "send"}))
    report.show_project(Project(1, (), (ruled,)), (billing,))
    assert shown(capsys) == [
        "Streams, and who may",
        "name  read  write          send  delete   cancel  file",
        "a     rule  rule, service  open  service  rule    a_stream.py",
        "",
        "Service tokens",
        "name     streams  may",
        "billing  a        write, send, delete",
        "",
    ]


def test_what_everybody_may_write_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    opened = StreamDeclaration("a_stream.py", "python", name="a", rights=Rights(send="open", write="rule"))
    assert not report.show_open_writes(Project(1, (), (CHAT,)))
    assert report.show_open_writes(Project(1, (), (CHAT, opened)))
    assert shown(capsys) == [
        "Open writes (1): everybody may do this, known or not",
        "    send a  (a_stream.py)",
        "",
    ]


def test_who_says_who_asks_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    who = Authenticator("headwater_auth.py", "python", stamp="digest of an environment")
    report.show_project(Project(1, (), (CHAT,), (), who))
    assert "authenticate  headwater_auth.py" in shown(capsys)
    assert "digest" not in str(described(Project(1, authenticator=who)))
    report.show_project(Project(1, (), (CHAT,), (), Authenticator("headwater_auth.py", "python", broken="x")))
    assert "nobody: all are refused  headwater_auth.py" in shown(capsys)
    report.show_reload(Project(1), Project(2, authenticator=who))
    assert "  who asks may be told otherwise: everyone is asked again" in shown(capsys)


def test_an_empty_project_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    report.show_project(Project(1))
    assert shown(capsys) == ["No steps and no streams found."]


def test_long_paths_are_never_cut_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/" + "very-long/" * 40
    report.show_project(Project(1, (ApiStep("steps/a_step.py", "python", "A", path=path),)))
    assert path in capsys.readouterr().out


def test_names_with_markup_or_control_characters_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report.show_project(Project(1, (ApiStep("steps/a_step.py", "python", "[red]A\x1b[0m", path="/a"),)))
    assert r"[red]A\x1b[0m" in capsys.readouterr().out


def test_errors_are_shown_before_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    warning = Problem("warning", "UNKNOWN_KEY", "unknown key", "steps/a_step.py")
    report.show_problems([warning, BROKEN])
    lines = shown(capsys)
    assert lines[1].startswith("error")
    assert lines[4] == "warning UNKNOWN_KEY steps/a_step.py"


def test_a_reload_tells_what_came_went_changed_broke_and_was_mended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = Project(1, (CREATE, LIST), (CHAT,), (BROKEN,))
    changed = ApiStep(
        "steps/create_step.py", "python", "Create", path="/messages", method="POST", middleware=1
    )
    added = NoopStep("steps/human_step.py", "python", "Human")
    new_problem = Problem("error", "IMPORT_FAILED", "no module named y", "steps/y_step.py", 1)
    report.show_reload(before, Project(2, (changed, added), (CHAT,), (new_problem,)))
    assert shown(capsys) == [
        "reloaded (3 changes in declarations)",
        "  + noop Human",
        "  - GET /messages (List)",
        "  ~ POST /messages (Create)",
        "  fixed steps/x_step.py:7",
        "Problems (1)",
        "error   IMPORT_FAILED steps/y_step.py:1",
        "    no module named y",
        "",
    ]


def test_a_reload_that_moves_a_declaration_to_another_line_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moved = ApiStep("steps/create_step.py", "python", "Create", path="/messages", method="POST", line=30)
    report.show_reload(Project(1, (CREATE,)), Project(2, (moved,)))
    assert shown(capsys) == ["reloaded (no changes in declarations)"]


def test_json_holds_everything() -> None:
    plain = described(Project(1, (CREATE,), (CHAT,), (BROKEN,)))
    assert plain["steps"][0]["type"] == "api"
    assert plain["steps"][0]["path"] == "/messages"
    assert plain["streams"][0]["name"] == "chat"
    assert plain["problems"][0]["code"] == "SYNTAX_ERROR"


def test_tools_are_told_who_may_do_what_and_no_digest_of_the_environment() -> None:
    stamped = StreamDeclaration("a_stream.py", "python", name="a", rights=Rights(write="open"), stamp="1f")
    (told,) = described(Project(1, (), (stamped,)))["streams"]
    assert told["rights"] == {
        "read": "open",
        "write": "open",
        "send": "nobody",
        "delete": "nobody",
        "cancel": "readers",
    }
    assert "stamp" not in told


def who_may_call(capsys: pytest.CaptureFixture[str], who: Authenticator) -> str:
    report.show_project(Project(1, (LIST,), authenticator=who))
    (row,) = [line for line in shown(capsys) if line.startswith("GET")]
    return row.split()[2]


def test_signed_tokens_are_asked_for_who_calls_a_route(capsys: pytest.CaptureFixture[str]) -> None:
    assert who_may_call(capsys, Authenticator("headwater.toml", "", name="tokens (jwt)")) == "asked"


def test_the_old_format_leaves_routes_open_whether_it_can_be_used_or_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = Authenticator("motia.config.ts", "node", name="streamAuth", old=True)
    assert who_may_call(capsys, old) == "open"
    assert who_may_call(capsys, replace(old, broken="x")) == "open"
    report.show_project(Project(1, authenticator=replace(old, broken="x")))
    assert "nobody: streams are closed  motia.config.ts" in shown(capsys)
