"""Where settings come from, which source wins, and what every kind of mistake is answered with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.cli.settings import Flag, LoadedSettings, load_settings
from headwater.config import Settings
from headwater.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path


def write(project: Path, text: str) -> None:
    (project / "headwater.toml").write_text(text)


def load(project: Path, *flags: Flag, **environ: str) -> LoadedSettings:
    return load_settings(project, environ=environ, flags=flags)


def faults(project: Path, *flags: Flag, **environ: str) -> list[dict[str, Any]]:
    with pytest.raises(ConfigError) as refused:
        load(project, *flags, **environ)
    return refused.value.details["faults"]


def test_without_any_source_every_setting_has_its_default(project: Path) -> None:
    loaded = load(project)
    assert loaded.settings == Settings(project=project.resolve())
    assert set(loaded.origins.values()) == {"default"}


def test_file_environment_and_flags_override_in_that_order(project: Path) -> None:
    write(project, '[server]\nport = 1001\nhost = "a.example"\n\n[log]\nlevel = "debug"\n')
    loaded = load(
        project,
        Flag("--port", "server.port", "1003"),
        HEADWATER_SERVER_PORT="1002",
        HEADWATER_SERVER_HOST="b.example",
    )
    assert (loaded.settings.server.port, loaded.settings.server.host) == (1003, "b.example")
    assert loaded.settings.log.level == "debug"
    assert loaded.origins["server.port"] == "--port"
    assert loaded.origins["server.host"] == "HEADWATER_SERVER_HOST"
    assert loaded.origins["log.level"] == "headwater.toml:6"
    assert loaded.origins["log.format"] == "default"


def test_the_env_file_lies_between_the_toml_and_the_environment(project: Path) -> None:
    write(project, '[server]\nport = 1001\nhost = "a.example"\n\n[log]\nlevel = "debug"\n')
    (project / ".env").write_text(
        "OTHER=1\nHEADWATER_SERVER_PORT=1002\nHEADWATER_SERVER_HOST=b.example\nHEADWATER_DEBUG=1\n"
    )
    loaded = load(project, HEADWATER_SERVER_HOST="c.example")
    assert (loaded.settings.server.port, loaded.settings.server.host) == (1002, "c.example")
    assert loaded.origins["server.port"] == ".env:2"
    assert loaded.origins["server.host"] == "HEADWATER_SERVER_HOST"
    assert loaded.origins["log.level"] == "headwater.toml:6"
    assert loaded.secret == {"server.port"}
    assert loaded.overruled == {"HEADWATER_SERVER_HOST"}


def test_what_the_env_file_cannot_mean_is_told_without_its_value(project: Path) -> None:
    (project / ".env").write_text("HEADWATER_SERVER_PROT=secret\n\nHEADWATER_LOG_LEVEL=secret\n")
    wrong = faults(project)
    assert [fault["where"] for fault in wrong] == [".env:1", ".env:3"]
    assert wrong[0]["hint"] == "Did you mean HEADWATER_SERVER_PORT?"
    assert "secret" not in str(wrong)


def test_a_value_that_is_overridden_must_still_be_right(project: Path) -> None:
    write(project, "[server]\nport = 70000\n")
    assert [fault["where"] for fault in faults(project, HEADWATER_SERVER_PORT="3000")] == ["headwater.toml:2"]


def test_sizes_take_units(project: Path) -> None:
    for text, size in [
        ("1024", 1024),
        ("32MiB", 32 * 1024**2),
        ("1 MB", 1_000_000),
        ("1.5 KiB", 1536),
        ("10kb", 10_000),
        ("2g", 2 * 10**9),
    ]:
        loaded = load(project, HEADWATER_SERVER_MAX_BODY_BYTES=text)
        assert loaded.settings.server.max_body_bytes == size, text


def test_durations_are_seconds_and_take_units(project: Path) -> None:
    for text, seconds in [("2.5", 2.5), ("250ms", 0.25), ("10s", 10.0), ("5m", 300.0), ("1 h", 3600.0)]:
        loaded = load(project, HEADWATER_SERVER_REQUEST_TIMEOUT=text)
        assert loaded.settings.server.request_timeout == seconds, text


def test_the_file_takes_numbers_and_units_alike(project: Path) -> None:
    write(project, '[server]\nmax_body_bytes = "1 MiB"\nrequest_timeout = 3\nshutdown_timeout = "2s"\n')
    server = load(project).settings.server
    assert (server.max_body_bytes, server.request_timeout, server.shutdown_timeout) == (1024**2, 3.0, 2.0)
    assert isinstance(server.request_timeout, float)


def test_a_list_is_comma_separated_in_the_environment(project: Path) -> None:
    loaded = load(project, HEADWATER_SERVER_CORS_ORIGINS="https://a.example, https://b.example")
    assert loaded.settings.server.cors_origins == ("https://a.example", "https://b.example")
    assert load(project, HEADWATER_SERVER_CORS_ORIGINS="").settings.server.cors_origins == ()


def test_a_text_that_may_be_empty_turns_something_off(project: Path) -> None:
    assert load(project, HEADWATER_STREAMS_PREFIX="").settings.streams.prefix == ""


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("[server]\nprot = 1", "Did you mean server.port?"),
        ("[serfer]\nport = 1", "Did you mean [server]?"),
        ("port = 1", "Did you mean port in [server]?"),
        ("[server]\nring_bytes = 1", "Did you mean ring_bytes in [streams]?"),
        ("[server]\nmax-body-bytes = 1", "Did you mean server.max_body_bytes?"),
        ("[server]\nzzzzzz = 1", "`headwater config` lists all settings."),
    ],
)
def test_an_unknown_key_suggests_the_right_one(project: Path, written: str, hint: str) -> None:
    write(project, written)
    [fault] = faults(project)
    assert fault["hint"] == hint
    assert fault["where"] == f"headwater.toml:{2 if '[server]' in written else 1}"


def test_an_unknown_variable_suggests_the_right_one(project: Path) -> None:
    [fault] = faults(project, HEADWATER_SERVER_PROT="1")
    assert (fault["where"], fault["hint"]) == ("HEADWATER_SERVER_PROT", "Did you mean HEADWATER_SERVER_PORT?")


def test_reserved_variables_and_those_of_others_are_left_alone(project: Path) -> None:
    load(
        project,
        HEADWATER_WORKER_FD="3",
        HEADWATER_BLOCK_AFTER="0.1",
        HEADWATER_DEBUG="1",
        HEADWATER_TOKEN="secret",
        HEADWATER_TEST_ANYTHING="x",
        PORT="9",
        headwater_server_port="9",
    )


def test_an_unknown_flag_key_names_the_flag(project: Path) -> None:
    [fault] = faults(project, Flag("--set", "server.prot", "1"))
    assert (fault["where"], fault["hint"]) == ("--set", "Did you mean server.port?")


@pytest.mark.parametrize(
    ("written", "allowed"),
    [
        ("[server]\nport = true", "a whole number from 0 to 65535"),
        ("[server]\nport = 65536", "a whole number from 0 to 65535"),
        ("[server]\nport = -1", "a whole number from 0 to 65535"),
        ("[server]\nport = 1.5", "a whole number from 0 to 65535"),
        ('[server]\nport = "x"', "a whole number from 0 to 65535"),
        ("[server]\nport = inf", "a whole number from 0 to 65535"),
        ("[server]\nport = 2020-01-01", "a whole number from 0 to 65535"),
        ("[server]\nport = {a = 1}", "a whole number from 0 to 65535"),
        ('[server]\nhost = ""', "a text that is not empty"),
        ('[server]\nmax_body_bytes = "1 furlong"', "a size of 1 to 1099511627776 bytes"),
        ("[server]\nmax_body_bytes = 0", "a size of 1 to 1099511627776 bytes"),
        (f'[server]\nmax_body_bytes = "{"9" * 400}"', "a size of 1 to 1099511627776 bytes"),
        ("[server]\nrequest_timeout = 0", "seconds from 0.001 to"),
        ("[server]\nrequest_timeout = nan", "seconds from 0.001 to"),
        ('[server]\nrequest_timeout = "1 fortnight"', "seconds from 0.001 to"),
        ('[server]\ncors_origins = ["a", 3]', "a list of texts"),
        ('[log]\nlevel = "loud"', '"debug" or "info" or "warning" or "error"'),
    ],
)
def test_a_wrong_value_is_told_what_is_allowed(project: Path, written: str, allowed: str) -> None:
    write(project, written)
    [fault] = faults(project)
    assert fault["where"] == "headwater.toml:2"
    assert fault["hint"].startswith(f"It must be {allowed}")


def test_all_faults_are_reported_together(project: Path) -> None:
    write(project, "[server]\nprot = 1\nport = 70000\n")
    found = faults(project, Flag("--set", "nothing", "1"), HEADWATER_LOG_LEVEL="loud")
    assert [fault["where"] for fault in found] == [
        "headwater.toml:2",
        "headwater.toml:3",
        "HEADWATER_LOG_LEVEL",
        "--set",
    ]


def test_two_settings_that_contradict_each_other_are_a_fault(project: Path) -> None:
    [fault] = faults(project, HEADWATER_WORKERS_SIZE="4", HEADWATER_WORKERS_MAX_SIZE="2")
    assert fault["setting"] == "workers.max_size"
    assert fault["where"] == "HEADWATER_WORKERS_MAX_SIZE"


def test_a_file_that_is_no_toml_names_the_line(project: Path) -> None:
    write(project, "[server]\nport 3000\n")
    [fault] = faults(project)
    assert fault["where"] == "headwater.toml:2"
    assert "not valid TOML" in fault["message"]


def test_a_file_that_is_no_text_is_refused(project: Path) -> None:
    (project / "headwater.toml").write_bytes(b"\xff\xfe\x00")
    [fault] = faults(project)
    assert "UTF-8" in fault["message"]


def test_a_file_that_is_a_folder_is_refused(project: Path) -> None:
    (project / "headwater.toml").mkdir()
    [fault] = faults(project)
    assert "cannot be read" in fault["message"]


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(project: Path) -> None:
    (project / "headwater.toml").write_bytes(b"\xef\xbb\xbf[server]\r\nport = 1234\r\n")
    loaded = load(project)
    assert (loaded.settings.server.port, loaded.origins["server.port"]) == (1234, "headwater.toml:2")


def test_dotted_keys_have_their_line_too(project: Path) -> None:
    write(project, "# a comment\nserver.port = 1234\n")
    assert load(project).origins["server.port"] == "headwater.toml:2"


def test_a_folder_that_is_not_there_is_refused_with_the_way_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as refused:
        load(tmp_path / "nothing")
    assert "headwater create" in refused.value.hint
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        load(tmp_path / "file")
