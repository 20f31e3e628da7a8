"""Which files of a project count, and how a snapshot is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.config import StepSettings
from headwater.steps.project.sources import Sources, declares, language_of, snapshot


def write(root: Path, *paths: str, text: str = "x = 1\n") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


@pytest.mark.parametrize(
    "path",
    [
        "steps/chat_step.py",
        "steps/a.step.py",
        "steps/property-search_step.py",
        "steps/x.job_step.py",
        "steps/01_first_step.py",
        "src/deep/er/pet_creation.stream.py",
        "src/chat_messages_stream.py",
        "steps/chat.step.ts",
        "steps/chat.step.js",
        "steps/chat.step.mjs",
        "steps/chat_step.ts",
        "src/chat.stream.ts",
        "src/chat_stream.js",
    ],
)
def test_every_name_form_of_a_step_or_stream_file_declares(path: str) -> None:
    assert declares(path, ("steps", "src"))


@pytest.mark.parametrize(
    "path",
    [
        "steps/helper.py",
        "steps/_step.py",
        "steps/stepper.py",
        "steps/chat_step.pyc",
        "steps/chat.step.d.ts",
        "steps/chat.step.tsx.bak",
        "other/chat_step.py",
        "stepsister/chat_step.py",
        "chat_step.py",
    ],
)
def test_other_files_declare_nothing(path: str) -> None:
    assert not declares(path, ("steps", "src"))


def test_folders_may_be_written_in_any_common_way() -> None:
    assert declares("app/steps/a_step.py", ("./app/steps/",))
    assert declares("a_step.py", (".",))


def test_languages_are_told_by_suffix() -> None:
    assert [language_of(name) for name in ("a.py", "a.ts", "a.mts", "a.cjs", "a.md")] == [
        "python",
        "node",
        "node",
        "node",
        "",
    ]


def test_a_snapshot_holds_all_python_files_and_names_those_that_declare(tmp_path: Path) -> None:
    write(tmp_path, "steps/b_step.py", "steps/a.stream.py", "lib/helper.py", "main.py", "web/page.ts")

    taken = snapshot(tmp_path, StepSettings())

    assert list(taken.files) == ["lib/helper.py", "main.py", "steps/a.stream.py", "steps/b_step.py"]
    assert taken.declaring == ("steps/a.stream.py", "steps/b_step.py")
    assert taken.languages == ("python",)


def test_files_of_node_are_read_where_one_declares_something(tmp_path: Path) -> None:
    write(tmp_path, "steps/a.step.ts", "steps/b_step.py", "lib/view.tsx", "lib/data.json", "steps/words.json")
    write(tmp_path, "tsconfig.base.json", "package.json", "package-lock.json", "notes.md", "public/page.js")
    write(tmp_path, "types.d.ts", "steps/more.d.mts")

    taken = snapshot(tmp_path, StepSettings())

    assert taken.languages == ("node", "python")
    assert list(taken.files_for("python")) == ["steps/b_step.py"]
    assert list(taken.files_for("node")) == [
        "lib/view.tsx", "package.json", "steps/a.step.ts", "steps/words.json", "tsconfig.base.json",
    ]  # fmt: skip


def test_what_node_finds_on_the_disk_is_left_out_without_a_word(tmp_path: Path) -> None:
    write(tmp_path, "steps/a.step.ts", "steps/help.ts", "web/one.ts", "web/two.ts")

    taken = snapshot(tmp_path, StepSettings(max_files=2))

    assert list(taken.files) == ["steps/a.step.ts", "steps/help.ts"]
    assert taken.problems == ()


def test_folders_of_tools_are_never_entered(tmp_path: Path) -> None:
    write(
        tmp_path,
        "steps/node_modules/x_step.py",
        "steps/__pycache__/x_step.py",
        ".venv/lib/x.py",
        "venv/lib/x.py",
        ".headwater/x.py",
        "steps/.hidden/x_step.py",
        "steps/.x_step.py",
        "myenv/lib/x.py",
    )
    (tmp_path / "myenv/pyvenv.cfg").write_text("home = /usr\n")

    assert snapshot(tmp_path, StepSettings()) == Sources()


def test_files_that_are_named_like_steps_and_that_nothing_runs_are_told(tmp_path: Path) -> None:
    write(tmp_path, "steps/a.step.rb", "src/b_step.rb", "steps/c.step.tsx", "steps/d.stream.rb")
    write(tmp_path, "steps/help.rb", "web/page.step.tsx", "steps/node_modules/e.step.rb", "steps/f.step.md")

    taken = snapshot(tmp_path, StepSettings())

    assert taken.declaring == ()
    assert [(one.level, one.code, one.file) for one in taken.problems] == [
        ("warning", "FILE_NOT_RUN", file)
        for file in ("src/b_step.rb", "steps/a.step.rb", "steps/c.step.tsx", "steps/d.stream.rb")
    ]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    write(tmp_path, "steps/a_step.py")
    (tmp_path / "steps/again").symlink_to(tmp_path, target_is_directory=True)

    assert snapshot(tmp_path, StepSettings()).declaring == ("steps/a_step.py",)


def test_too_many_files_leave_out_helpers_before_steps(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "b.py", "steps/z_step.py")

    taken = snapshot(tmp_path, StepSettings(max_files=2))

    assert list(taken.files) == ["a.py", "steps/z_step.py"]
    (problem,) = taken.problems
    assert (problem.code, problem.file) == ("TOO_MANY_SOURCES", "b.py")
    assert "1 source files are left out" in problem.message
    assert problem.limit == ("steps.max_files", 2)


def test_too_much_source_is_a_problem_and_small_files_still_fit(tmp_path: Path) -> None:
    write(tmp_path, "steps/a_step.py", text="x" * 1000)
    write(tmp_path, "steps/b_step.py")

    taken = snapshot(tmp_path, StepSettings(max_source_bytes=500))

    assert list(taken.files) == ["steps/b_step.py"]
    (problem,) = taken.problems
    assert (problem.file, problem.limit) == ("steps/a_step.py", ("steps.max_source_bytes", 500))


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "steps/a_step.py")
    (tmp_path / "steps/gone_step.py").symlink_to(tmp_path / "nowhere.py")

    taken = snapshot(tmp_path, StepSettings())

    assert list(taken.files) == ["steps/a_step.py"]
    assert [(problem.code, problem.file) for problem in taken.problems] == [
        ("FILE_UNREADABLE", "steps/gone_step.py")
    ]


def test_an_empty_or_missing_project_is_an_empty_snapshot(tmp_path: Path) -> None:
    assert snapshot(tmp_path / "nowhere", StepSettings()) == Sources()


def test_changed_files_are_told_from_an_earlier_snapshot() -> None:
    before = Sources({"a.py": b"1", "b.py": b"1", "c.py": b"1"})
    after = Sources({"a.py": b"1", "b.py": b"2", "d.py": b"1"})

    assert after.changed_since(before) == {"b.py", "c.py", "d.py"}


def test_files_can_be_put_back_as_they_were() -> None:
    before = Sources({"steps/a_step.py": b"good", "h.py": b"good"}, ("steps/a_step.py",))
    after = Sources({"steps/a_step.py": b"bad", "n.py": b"new"}, ("steps/a_step.py",))

    mixed = after.with_files_of(before, ["steps/a_step.py", "h.py", "never.py"])

    assert dict(mixed.files) == {"h.py": b"good", "n.py": b"new", "steps/a_step.py": b"good"}
    assert mixed.declaring == ("steps/a_step.py",)


def test_a_lifespan_is_read_and_declares_nothing(tmp_path: Path) -> None:
    write(tmp_path, "headwater_lifespan.py", "headwater_lifespan.ts", "steps/a_step.ts", "steps/a_step.py")
    found = snapshot(tmp_path, StepSettings(max_files=4))
    assert found.declaring == ("steps/a_step.py", "steps/a_step.ts")
    assert "headwater_lifespan.py" in found.files_for("python")
    assert "headwater_lifespan.ts" in found.files_for("node")


def test_a_lifespan_that_no_limit_has_room_for_is_told(tmp_path: Path) -> None:
    write(tmp_path, "headwater_lifespan.ts", "steps/a_step.ts")
    [problem] = snapshot(tmp_path, StepSettings(max_files=1)).problems
    assert (problem.code, problem.file) == ("TOO_MANY_SOURCES", "headwater_lifespan.ts")
