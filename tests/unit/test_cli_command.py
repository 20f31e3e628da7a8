"""The `headwater` command: how errors are told, which exit codes they have, and what each command prints."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from headwater import __version__
from headwater.cli.main import main


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HEADWATER_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["dve"], ["dev", "--prot", "1"], ["create"], ["dev", "a", "b"], ["routes", "--host", "x"], []],
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.err or captured.out


def test_a_misspelt_command_is_told_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["ruotes"])
    assert "Did you mean 'routes'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["queue", "--help"]])
def test_what_a_list_of_commands_says_of_each_is_whole(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_a_wrong_setting_gives_code_place_and_hint_and_ends_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["dev", "--port", "x"]) == 2
    assert capsys.readouterr().err == (
        'error CONFIG_INVALID --port: server.port cannot be "x".\n'
        "  It must be a whole number from 0 to 65535.\n"
    )


def test_several_wrong_settings_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text("[server]\nprot = 1\n")
    assert main(["start", "--set", "log.level=loud"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error CONFIG_INVALID 2 settings cannot be used.",
        '  headwater.toml:2: There is no setting "server.prot".',
        "    Did you mean server.port?",
        '  --set log.level: log.level cannot be "loud".',
        '    It must be "debug" or "info" or "warning" or "error".',
    ]


def test_a_set_without_a_value_shows_how_it_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--set", "server.port"]) == 2
    assert "--set server.port=8080" in capsys.readouterr().err


def test_an_emit_without_data_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert main(["emit", "t", "-"]) == 2
    assert "There is no data on standard input." in capsys.readouterr().err


def test_a_missing_folder_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev", "nothing"]) == 2
    assert '"nothing" does not exist' in capsys.readouterr().err


def test_an_internal_error_is_one_message_and_a_traceback_only_when_debugging(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("headwater.cli.settings.load_settings", broken)
    assert main(["config"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error INTERNAL RuntimeError: unforeseen\n")
    assert "Traceback" not in said
    with pytest.raises(RuntimeError, match="unforeseen"):
        main(["config", "--debug"])
    monkeypatch.setenv("HEADWATER_DEBUG", "1")
    with pytest.raises(RuntimeError, match="unforeseen"):
        main(["config"])


def test_config_prints_each_setting_with_value_origin_and_meaning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "headwater.toml").write_text("[server]\nport = 1234\n")
    assert main(["config", "--set", "log.level=debug"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "port 1234 headwater.toml:2" in lines
    assert "host 127.0.0.1 default" in lines
    assert "level debug --set log.level" in lines
    assert "TCP port; 0 picks a free one." in lines


def test_config_as_json_is_for_tools(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_SERVER_PORT", "1234")
    assert main(["config", "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)
    assert settings["server.port"] == {
        "value": 1234,
        "default": 3000,
        "origin": "HEADWATER_SERVER_PORT",
        "variable": "HEADWATER_SERVER_PORT",
        "doc": "TCP port; 0 picks a free one.",
    }
    assert settings["server.cors_origins"]["value"] == []


def test_config_shows_that_a_variable_is_there_and_never_its_value(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "API_KEY=hush-hush\nTAKEN='hush-hush'\n'wrong=hush-hush\nHEADWATER_STORAGE_URL=sqlite:hush-hush\n"
    )
    monkeypatch.setenv("TAKEN", "proper")
    assert main(["config"]) == 0
    said = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "API_KEY .env:1" in lines
    assert "TAKEN .env:2 the environment says it too, and wins" in lines
    assert any(line.startswith(".env:3: The line cannot be read.") for line in lines)
    assert "url (not shown) .env:4" in lines
    assert main(["config", "--json"]) == 0
    told = capsys.readouterr().out
    found = json.loads(told)
    assert found[".env"]["TAKEN"] == {"origin": ".env:2", "overruled": True}
    assert (found["storage.url"]["value"], found["storage.url"]["origin"]) == (None, ".env:4")
    assert "hush-hush" not in said + told


def test_create_tells_the_next_steps(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["create", "my-chat"]) == 0
    assert (tmp_path / "my-chat" / "headwater.toml").exists()
    said = capsys.readouterr().out
    assert "cd my-chat" in said
    assert "headwater dev" in said


def test_create_refuses_a_full_folder_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert main(["create", "full"]) == 2
    assert "error INVALID_INPUT" in capsys.readouterr().err


def test_the_settings_of_a_new_project_are_all_right(capsys: pytest.CaptureFixture[str]) -> None:
    main(["create", "chat"])
    assert main(["config", "chat"]) == 0
