"""`python -m benchmarks`: run the benchmarks, print their tables, keep their figures."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.measure.machine import describe
from benchmarks.measure.place import BENCHMARKS, PROJECT, allow_many_files
from benchmarks.measure.report import Result, show, write

BENCHES = sorted(path.parent.name for path in BENCHMARKS.glob("*/bench.py"))
"""Each is a package with a module `bench` whose `run(quick=...)` answers a Result."""


def main() -> int:
    """Run what was asked for. The exit status is 1 if a benchmark failed, 2 if with --strict one missed."""
    options = _parse()
    allow_many_files()
    machine = describe()
    for warning in machine.warnings():
        print(f"note: {warning}")
    results: list[Result] = []
    failed = False
    for name in options.only or BENCHES:
        try:
            result = importlib.import_module(f"benchmarks.{name}.bench").run(quick=options.quick)
        except Exception as error:
            failed = True
            print(f"{name} failed: {type(error).__name__}: {error}\n", file=sys.stderr)
            continue
        show(result)
        results.append(result)
    if results:
        print(f"kept in {write(results, machine, quick=options.quick).relative_to(PROJECT)}")
    missed = any(not target.met for result in results for target in result.targets)
    return 1 if failed else 2 if options.strict and missed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds: minutes become seconds"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=BENCHES, help=f"of: {', '.join(BENCHES)}"
    )
    parser.add_argument("--strict", action="store_true", help="end with status 2 when a target is missed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
