"""`headwater create` writes the example chat, and never over anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.cli.create import TEMPLATE, TEMPLATE_LANGUAGES, create_project
from headwater.errors import HeadwaterError, InvalidInput

EXAMPLE = Path(__file__).parents[2] / "examples" / "chat"


def files(folder: Path) -> dict[str, bytes]:
    left_out = {".headwater", "__pycache__"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not left_out & set(path.relative_to(folder).parts)
    }


def test_the_new_project_is_the_example_chat(tmp_path: Path) -> None:
    target = create_project("my-chat", tmp_path)
    assert target == tmp_path.resolve() / "my-chat"
    assert files(target) == files(EXAMPLE)
    assert {"headwater.toml", ".gitignore", "README.md", "public/index.html"} <= files(target).keys()


def test_what_is_secret_or_made_is_not_kept_with_the_source(tmp_path: Path) -> None:
    for language in TEMPLATE_LANGUAGES:
        ignored = (create_project(language, tmp_path, language) / ".gitignore").read_text().split()
        assert {".env", ".headwater/"} <= set(ignored), language


def test_there_is_one_copy_of_the_example(tmp_path: Path) -> None:
    assert TEMPLATE.resolve() == EXAMPLE.resolve()


def test_what_running_the_example_leaves_behind_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "template"
    (template / ".headwater").mkdir(parents=True)
    (template / ".headwater" / "data.db").touch()
    (template / ".env").touch()
    (template / "steps" / "__pycache__").mkdir(parents=True)
    (template / "steps" / "a_step.py").touch()
    monkeypatch.setattr("headwater.cli.create.TEMPLATE", template)
    target = create_project("new", tmp_path)
    assert sorted(path.name for path in target.rglob("*")) == ["a_step.py", "steps"]


def test_a_path_names_the_folder_too(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    assert create_project("apps/chat", tmp_path) == tmp_path.resolve() / "apps" / "chat"


def test_an_empty_folder_is_filled_also_the_current_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert files(create_project("empty", tmp_path))
    (tmp_path / "here").mkdir()
    assert files(create_project(".", tmp_path / "here"))


def test_a_folder_that_holds_anything_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / ".hidden").write_text("mine")
    with pytest.raises(InvalidInput, match="exists and is not empty"):
        create_project("taken", tmp_path)
    assert [path.name for path in (tmp_path / "taken").iterdir()] == [".hidden"]


def test_a_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InvalidInput, match="is a file"):
        create_project("taken", tmp_path)


@pytest.mark.parametrize("name", ["", " ", "-x", "--port", "a b", "a\nb", "ä", "x" * 101, ".hidden", "a:b"])
def test_names_that_make_trouble_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of a project"):
        create_project(name, tmp_path)


def test_a_missing_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        create_project("nowhere/chat", tmp_path)


def test_a_folder_that_cannot_be_written_gives_an_error_and_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(HeadwaterError, match="cannot be written"):
        create_project("chat", Path("/proc"))
