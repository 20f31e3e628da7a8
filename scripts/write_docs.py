"""Writes the pages of docs/ that are told by the code: settings.md, errors.md, and the list in limits.md.

`--check` writes nothing and ends with 1 if a page is not what the code tells.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from headwater import errors
from headwater.cli.fields import Field, fields, sections

DOCS = Path(__file__).parents[1] / "docs"
SOURCES = Path(errors.__file__).parents[1]

LIMITS = """\
## Every limit

<!-- From here on written by `make docs`. -->

Each limit is told by the name of its setting: to whoever observes the server as
`limited("server.max_connections", 20000)`, which is what a metric counts, and in the log, of a flood a few
lines and then their number, once a minute.

| limit | default | what it bounds |
|---|---|---|
"""

SETTINGS = """\
# Settings

<!-- Written by `make docs` from src/headwater/config/. -->

A setting is found in this order, the later one wins: its default, `headwater.toml` in the project's folder,
`.env` beside it, the environment, the flags of the command. `headwater config` prints each setting, its
value, and where it came from.

```toml
# headwater.toml
[server]
port = 8080
max_body_bytes = "64 MiB"
```

The same in the environment is `HEADWATER_SERVER_PORT=8080`, and as a flag `--set server.port=8080`, on `dev`
and `start` also `--port 8080`. Sizes are bytes, or text with a unit (`"500 KB"` is 500,000 bytes, `"1 MiB"`
is 1,048,576). Durations are seconds, or text with a unit (`"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"1d"`). A list
in the environment is separated by commas.

A key, section or `HEADWATER_*` variable that does not exist is an error, and so is a value that cannot be
used; the command then lists every mistake and ends with exit code 2. Only these variables are no settings:
`HEADWATER_DEBUG=1` shows tracebacks of internal errors; `HEADWATER_WORKER_FD`, `HEADWATER_BLOCK_AFTER`,
`HEADWATER_STATE_DATA` and `HEADWATER_MAX_FRAME_BYTES` are set for workers by the server; `HEADWATER_TEST_*`
is for tests.

## The file `.env`

```sh
# .env
OPENAI_API_KEY="sk-..."
HEADWATER_SERVER_PORT=8080
```

Steps find the variables of a `.env` in the project's folder in their environment, `os.environ` or
`process.env`. It is read as python-dotenv reads it: `export`, quotes, comments, values over several lines,
`${NAME}` with `${NAME:-default}`. What the environment says itself wins. `HEADWATER_*` variables are settings
of the server as well. `headwater dev` gives steps new variables when the file changes; settings need a
restart.

The values are secrets: no log and no error tells one. `headwater config` shows which variables there are and
on which line, and hides the values of settings that come from there. A line that cannot be used is a problem
that `headwater routes` lists, and is left out. A file has at most 512 KiB, a value 100,000 bytes, all
together 1 MiB.
"""

ERRORS = """\
# Errors

<!-- Written by `make docs` from src/headwater/errors/. -->

Every error has a code that never changes its meaning, a message that says what is wrong, and mostly a hint
that says what to do. Over HTTP it is `application/problem+json` with `code`, `detail` and `hint`; on a
socket, in a log and in a terminal it is the same code. Match codes, never messages.

In Python each error is a class of the package: `from headwater import Conflict`. A handler may raise one,
`raise Conflict("that name is taken")`, and need not catch what its calls raise: an error of this page that a
handler lets through is the answer to its request, with the status below and all that it says. What has
status 500 here, `STREAM_UNKNOWN`, which is a slip in the step, and every other exception is answered as
`HANDLER_FAILED`, which tells the caller nothing of the cause. In TypeScript each is a `HeadwaterError` with
that `code`: `throw new HeadwaterError({ code: 'CONFLICT', message: 'that name is taken' })`.

| code | HTTP status | meaning | in Python |
|---|---|---|---|
"""


def settings_page() -> str:
    """The page of all settings."""
    return SETTINGS + "".join(_section(name, shape.__doc__ or "") for name, shape in sections().items())


def _section(name: str, doc: str) -> str:
    own = [field for field in fields().values() if field.section == name]
    head = f"\n## [{name}]\n\n{doc.strip().splitlines()[0]}\n\n| key | default | meaning |\n|---|---|---|\n"
    return head + "".join(map(_row, own))


def _row(field: Field) -> str:
    choices = f" One of: {', '.join(f'`{choice}`' for choice in field.choices)}." if field.choices else ""
    unit = " s" if field.kind == "seconds" else ""
    return f"| `{field.name}` | `{field.show(field.default)}`{unit} | {_cell(field.doc)}{choices} |\n"


def limits_page() -> str:
    """The page of limits: what people wrote, and below it the settings that are told as limits."""
    written = (DOCS / "limits.md").read_text(encoding="utf-8").partition("## Every limit")[0].rstrip()
    told = told_limits()
    rows = [field for field in fields().values() if f"{field.section}.{field.name}" in told]
    return f"{written}\n\n{LIMITS}" + "".join(_limit_row(field) for field in rows)


def told_limits() -> set[str]:
    """The settings, as "section.key", that the server tells as limits."""
    sources = [path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py")]
    told = r'(?:\.at\(|limited\(|Limit\(|^VALUES =)\s*"([a-z_]+\.[a-z_]+)"'
    return {setting for source in sources for setting in re.findall(told, source, re.MULTILINE)}


def _limit_row(field: Field) -> str:
    unit = " s" if field.kind == "seconds" else ""
    name, default = f"{field.section}.{field.name}", field.show(field.default)
    return f"| `{name}` | `{default}`{unit} | {_cell(field.doc)} |\n"


def errors_page() -> str:
    """The page of all error codes."""
    return ERRORS + "".join(map(_error_row, errors.every_error()))


def _error_row(kind: type[errors.HeadwaterError]) -> str:
    return f"| `{kind.code}` | {kind.status} | {_first_sentence(kind)} | `{kind.__name__}` |\n"


def _first_sentence(kind: type[errors.HeadwaterError]) -> str:
    if kind is errors.HeadwaterError:
        return "A fault of Headwater itself; the log has more under the trace id."
    return _cell((kind.__doc__ or "").strip().split("\n\n")[0])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check say which differ."""
    stale: list[str] = []
    pages = {"settings.md": settings_page(), "errors.md": errors_page(), "limits.md": limits_page()}
    for name, text in pages.items():
        path = DOCS / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(f"docs/{name}")
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    if "--check" in arguments and stale:
        print(f"not up to date: {', '.join(stale)} (make docs writes them)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
