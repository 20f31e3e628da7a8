"""Whatever stands in the settings file, the environment or a flag gives settings, or one ConfigError."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from headwater.cli.fields import fields
from headwater.cli.logs import JsonFormatter, PrettyFormatter
from headwater.cli.settings import Flag, load_settings
from headwater.config import Settings
from headwater.errors import ConfigError
from headwater.redact import Redaction

KEYS = st.sampled_from(list(fields()))
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["1", "0", "-1", "1e9", "1 MiB", "10s", "inf", "nan", "9" * 400, "full", "a,b", "1_0", "٣", ""]
)
TOML_VALUES = st.sampled_from(
    [
        "1",
        "-1",
        "1.5",
        "inf",
        "nan",
        "true",
        '"x"',
        '"1 MiB"',
        "[]",
        '["a"]',
        "[1]",
        "{}",
        "1979-05-27",
        "0xff",
        "''",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=10,
)


def load_or_refuse(file: bytes, environ: dict[str, str], flags: list[Flag]) -> None:
    with TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "headwater.toml").write_bytes(file)
        try:
            loaded = load_settings(project, environ=environ, flags=flags)
        except ConfigError as error:
            told = error.to_dict()
            assert json.dumps(told["faults"]) != "[]"
            return
        assert isinstance(loaded.settings, Settings)
        for field in fields().values():
            assert field.read(loaded.value(field)) == loaded.value(field)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_as_file(file: bytes) -> None:
    load_or_refuse(file, {}, [])


@given(st.dictionaries(KEYS, TOML_VALUES, max_size=4))
def test_any_values_in_the_file(values: dict[str, str]) -> None:
    load_or_refuse("".join(f"{key} = {value}\n" for key, value in values.items()).encode(), {}, [])


@given(
    st.dictionaries(KEYS, TEXTS, max_size=3), st.dictionaries(KEYS | st.text(max_size=9), TEXTS, max_size=3)
)
def test_any_texts_in_environment_and_flags(environ: dict[str, str], flags: dict[str, str]) -> None:
    variables = {fields()[key].variable: text for key, text in environ.items()}
    load_or_refuse(b"", variables, [Flag("--set", key, text) for key, text in flags.items()])


@given(st.text(st.characters()), st.dictionaries(st.text(st.characters()) | st.integers(), JSON, max_size=4))
def test_any_record_is_one_line_of_json_and_safe_for_people(message: str, extra: dict[str, object]) -> None:
    given = {"name": "headwater.test", "levelname": "INFO", "msg": message, "args": None, "fields": extra}
    record = logging.makeLogRecord(given)
    line = JsonFormatter(Redaction()).format(record)
    assert "\n" not in line
    assert isinstance(json.loads(line), dict)
    pretty = PrettyFormatter(colours=False, redaction=Redaction()).format(record)
    first, *more = pretty.splitlines()
    assert first[2] == ":"
    assert "info" in first
    # Further lines of the message stand in, so that no stranger's text begins a line as a record does.
    assert len(more) == message.count("\n")
    assert all(line.startswith("    ") for line in more)
    assert "\x1b" not in pretty
    assert pretty.encode()
