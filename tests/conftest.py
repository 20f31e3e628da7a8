"""What every test may use: the rule about skips, the loop that the server runs on, the end of what hangs, how
much Hypothesis tries."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator, Mapping

import pytest
from hypothesis import HealthCheck, settings

from support.watchdog import Watchdog, WatchedLoop

settings.register_profile(
    "usual",
    # CI tries other examples each time, as every machine does: what fails prints how to try it again.
    derandomize=False,
    print_blob=True,
    # What takes how long is for other tests to say.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=2000)
settings.load_profile("usual")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="count a skipped test as a failed one: what was not run was not proved",
    )
    parser.addini("hangs_after", "seconds that a test may take, fixtures included", default="120")
    parser.addini("hangs_grace", "seconds that a test which was told to end may take for it", default="20")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-skips"):
        config.option.continue_on_collection_errors = True
    _let_interrupts_in()
    if not config.option.usepdb:
        config.pluginmanager.register(Watchdog(config), "watchdog")


def _let_interrupts_in() -> None:
    """A shell starts what runs in the background with SIGINT ignored, and whatever tests start would inherit
    that: the commands that they press Ctrl-C on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that keeps the reason; an expected failure is no skip."""
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: {reason} (skips are not allowed in this run)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("--no-skips"):
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.getoption("--no-skips"):
        _refuse(report)
    return report


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that the server runs on: its transports differ from asyncio's own."""
    return {"uvloop": WatchedLoop}
