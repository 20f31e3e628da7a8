"""What a `motia.config` says, read from its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.config import StepSettings
from headwater.steps.project.old_config import INSTEAD, keys_of
from headwater.steps.project.sources import snapshot

TYPICAL = """
import { config, type StreamAuthRequest } from 'motia'
import endpoint from '@motiadev/plugin-endpoint/plugin' // { not: 'this' }

const adapters = { state: new RedisStateAdapter({ host: 'x' }) }
export default config({
  plugins: [endpoint, { nested: 1 }],
  /* comment: 1, */
  app: (express) => { express.use({ a: 1 }) },
  async onStart() { return { deep: 1 } },
  'redis': { host: `a${'{'}` },
  adapters,
  ...more,
  streamAuth: {
    contextSchema: {},
    authenticate: async ({ headers }: StreamAuthRequest) => null,
  },
} satisfies Config)
"""


def names(text: str) -> list[str] | None:
    keys = keys_of(text)
    return None if keys is None else [key.name for key in keys]


def test_the_keys_of_a_config_are_found_with_their_lines() -> None:
    assert names(TYPICAL) == ["plugins", "app", "onStart", "redis", "adapters", "more", "streamAuth"]
    keys = keys_of(TYPICAL)
    assert keys is not None
    assert [key.line for key in keys if key.name in ("plugins", "streamAuth")] == [7, 14]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("export default { plugins: [] }", ["plugins"]),
        ("export default {}", []),
        ("const c: Config = { redis: {} }\nexport default c", ["redis"]),
        ("const c = defineConfig({ app })\nexport default c", ["app"]),
        ("module.exports = { app(express) { return 1 }, redis: null }", ["app", "redis"]),
        ("exports.default = { app: 1 }", ["app"]),
        ("export const config = { plugins }", ["plugins"]),
        ("export default makeConfig()", None),
        ("export default loop\nconst loop = loop", None),
        ("", None),
        ("export default", None),
    ],
)
def test_every_way_to_export_a_config_is_understood(text: str, keys: list[str] | None) -> None:
    assert names(text) == keys


@pytest.mark.parametrize("name", ["motia.config.ts", "motia.config.js", "motia.config.mjs"])
def test_each_key_is_told_as_not_used_with_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(
        "export default {\n" + "".join(f"  {key}: 1,\n" for key in INSTEAD) + "  odd,\n}\n"
    )

    problems = snapshot(tmp_path, StepSettings()).problems

    assert [(one.level, one.code, one.file) for one in problems] == [("warning", "OLD_CONFIG", name)] * 5
    assert [one.message for one in problems] == [f'"{key}" is not used' for key in (*INSTEAD, "odd")]
    assert [one.line for one in problems] == [2, 3, 4, 5, 6]
    assert all(one.hint for one in problems)


def test_a_config_that_only_runs_says_that_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "motia.config.ts").write_text("throw new Error('never run')")
    (problem,) = snapshot(tmp_path, StepSettings()).problems
    assert "not used" in problem.message


STREAM_AUTH = "export default { plugins: [], streamAuth: { authenticate: () => null } }"


@pytest.mark.parametrize(
    "text",
    [
        STREAM_AUTH,
        "const more = { 'streamAuth': {} }\nexport default { ...more }",
        "import { streamAuth } from './auth'\nexport default made(streamAuth)",
        "export default { plugins: [{, streamAuth: {} }",
    ],
)
def test_a_config_whose_code_speaks_of_stream_auth_is_run_for_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "motia.config.ts").write_text(text)
    found = snapshot(tmp_path, StepSettings())
    assert found.stream_auth == "motia.config.ts"
    assert found.declaring == ("motia.config.ts",)
    assert found.languages == ("node",)
    assert "motia.config.ts" in found.files
    assert not any('"streamAuth"' in one.message and "not used" in one.message for one in found.problems)


@pytest.mark.parametrize(
    "text", ["export default { plugins: [] } // no streamAuth", "/* streamAuth: {} */", ""]
)
def test_any_other_config_is_not_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "motia.config.ts").write_text(text)
    found = snapshot(tmp_path, StepSettings())
    assert (found.stream_auth, found.declaring) == ("", ())


def test_of_two_configs_the_first_counts_and_the_other_is_told(tmp_path: Path) -> None:
    for name in ("motia.config.js", "motia.config.ts"):
        (tmp_path / name).write_text(STREAM_AUTH)
    found = snapshot(tmp_path, StepSettings())
    assert found.stream_auth == "motia.config.ts"
    (told,) = [one for one in found.problems if "streamAuth" in one.message]
    assert (told.level, told.file) == ("warning", "motia.config.js")
    assert told.message == '"streamAuth" is not used: motia.config.ts says who asks'


def test_a_config_that_may_not_be_read_is_told_and_still_declares(tmp_path: Path) -> None:
    (tmp_path / "motia.config.ts").write_text(STREAM_AUTH)
    found = snapshot(tmp_path, StepSettings(max_source_bytes=10))
    assert found.declaring == ("motia.config.ts",)
    assert [one.code for one in found.problems if one.level == "error"] == ["TOO_MANY_SOURCES"]
