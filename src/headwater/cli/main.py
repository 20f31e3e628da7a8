"""The `headwater` command as a whole, and the one place where an error becomes a message and an exit code.

Exit codes: 0 for done, 2 for wrong usage or settings, 1 for every other failure.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from headwater import __version__
from headwater.errors import ConfigError, HeadwaterError, InvalidInput


def main(arguments: Sequence[str]) -> int:
    """Run one command; answers its exit code and lets no error through, unless debugging."""
    debugging = "--debug" in arguments or os.environ.get("HEADWATER_DEBUG", "") not in ("", "0")
    try:
        from headwater.cli.commands import app

        app(list(arguments), prog_name="headwater")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        sys.stdout = None  # nobody reads any more: do not try to flush
        return 1
    except Exception as error:
        if debugging:
            raise
        return _tell(error)
    return 0


def _tell(error: Exception) -> int:
    from headwater.cli.terminal import show_error

    if not isinstance(error, HeadwaterError):
        hint = "This is a fault of Headwater, not of your project; --debug shows where."
        error = HeadwaterError(f"{type(error).__name__}: {error}", hint=hint)
    show_error(error)
    return 2 if isinstance(error, ConfigError | InvalidInput) else 1


def run() -> None:
    """The entry point of the installed command."""
    if sys.argv[1:] == ["--version"]:  # at once, without the parts of the other commands
        print(__version__)
        return
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the locale can say, nothing fails to print
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
