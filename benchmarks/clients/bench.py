"""What a client costs a page of Chromium, beside the published client of the old framework: bytes to load,
time to come back after a restart, changes drawn, memory of many items. The same server, page and drawing."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.measure.place import BENCHMARKS, PROJECT
from benchmarks.measure.report import Result, Row, Target, median
from headwater.testing.scenarios import Server

NAME = "clients"
TITLE = "Browser clients in Chromium"
PUBLISHED = PROJECT / "tests" / "npm"
SERVED = PROJECT / "src" / "headwater" / "browser" / "dist" / "client.js"
ITEMS = 1000
MANY = 10_000
BATCH = 250
CHANGES = 3_000
RESTARTS = 3
ROUNDS = 3
LIMIT_KB = 8
DEADLINE_MS = 120_000


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("no chromium; Debian's package of that name brings it")
    notes = [f"changes to a group of {ITEMS} items, written {BATCH} to a request; memory of {MANY} items"]
    clients = {"headwater": SERVED.read_text(), **_published(notes)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        rounds = [
            {name: _measure(browser, name, text) for name, text in _in_turn(clients, number)}
            for number in range(1 if quick else ROUNDS)
        ]
        browser.close()
    rows = [_median([each[name] for each in rounds]) for name in clients]
    return Result(
        NAME, TITLE, rows, [Target("KB, compressed", rows[0]["KB gzip"], "at most", LIMIT_KB)], notes
    )  # type: ignore[arg-type]


def _in_turn(clients: dict[str, str], number: int) -> list[tuple[str, str]]:
    """Every other round in reverse."""
    return list(clients.items())[:: -1 if number % 2 else 1]


def _median(rows: list[Row]) -> Row:
    return {key: value if isinstance(value, str) else median(rows, key) for key, value in rows[0].items()}


def _published(notes: list[str]) -> dict[str, str]:
    """The old framework's browser client by its version, bundled as pages would."""
    esbuild = PUBLISHED / "node_modules" / "esbuild" / "bin" / "esbuild"
    if not esbuild.exists():
        notes.append("without the published clients: make npm installs them")
        return {}
    found: dict[str, str] = {}
    for version in ("0.8", "0.17"):
        made = subprocess.run(
            [esbuild, "--bundle", "--minify", "--format=esm", "--log-level=error"],
            cwd=PUBLISHED,
            input=f"export {{ Stream }} from 'browser-{version}'",
            capture_output=True,
            text=True,
            check=True,
        )
        found[f"published {version}"] = made.stdout
    return found


def _measure(browser: Browser, name: str, client: str) -> Row:
    row: Row = {"client": name, "KB gzip": len(gzip.compress(client.encode(), 9)) / 1024}
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "project")
        public = Path(folder) / "project" / "public"
        public.mkdir()
        shutil.copy(BENCHMARKS / "clients" / "page.html", public)
        (public / "client.js").write_text(client)
        server.start()
        try:
            row |= _draw(browser, server, CHANGES)
            row |= _come_back(browser, server, RESTARTS)
            row |= _hold(browser, server)
        finally:
            server.stop()
    return row


def _draw(browser: Browser, server: Server, changes: int) -> Row:
    """Changes drawn in a second, and the time of the page's scripts for each."""
    _fill(server, "draw", ITEMS)
    page, developer = _open(browser, server, "draw", ITEMS)
    before, began = _script_seconds(developer), time.perf_counter()
    for first in range(0, changes, BATCH):
        _write(server, "draw", [(f"i{n * 7 % ITEMS}", f"change {n}") for n in range(first, first + BATCH)])
    _write(server, "draw", [("last", "done")])
    page.wait_for_function("window.last === 'done'", timeout=DEADLINE_MS)
    seconds = time.perf_counter() - began
    page_seconds = _script_seconds(developer) - before
    page.context.close()
    return {"changes/s": changes / seconds, "script us each": page_seconds * 1e6 / changes}


def _come_back(browser: Browser, server: Server, rounds: int) -> Row:
    """Time from the server's readiness to a page that shows what was written since."""
    _fill(server, "back", 10)
    page, _ = _open(browser, server, "back", 10)
    times: list[float] = []
    for number in range(rounds):
        server.stop()
        server.start()
        ready = time.perf_counter()
        _write(server, "back", [("last", f"round {number}")])
        page.wait_for_function(f"window.last === 'round {number}'", timeout=DEADLINE_MS, polling=10)
        times.append(time.perf_counter() - ready)
    page.context.close()
    return {"ms to come back": sorted(times)[len(times) // 2] * 1000}


def _hold(browser: Browser, server: Server) -> Row:
    """Memory of the page's own objects for many items, without drawing them."""
    page, developer = _open(browser, server, "none", 0, more="&quiet=1")
    empty = _heap(developer)
    page.context.close()
    _fill(server, "many", MANY)
    page, developer = _open(browser, server, "many", MANY, more="&quiet=1")
    held = _heap(developer)
    page.context.close()
    return {f"MB for {MANY} items": (held - empty) / 2**20}


def _open(browser: Browser, server: Server, group: str, count: int, more: str = "") -> tuple[Page, Any]:
    page = browser.new_context().new_page()
    page.goto(f"{server.url}/page.html?group={group}{more}")
    page.wait_for_function(f"window.count === {count}", timeout=DEADLINE_MS)
    developer = page.context.new_cdp_session(page)
    developer.send("Performance.enable")
    return page, developer


def _fill(server: Server, group: str, count: int) -> None:
    for first in range(0, count, BATCH):
        _write(server, group, [(f"i{n}", f"item {n} " * 5) for n in range(first, min(first + BATCH, count))])


def _write(server: Server, group: str, texts: list[tuple[str, str]]) -> None:
    writes = [{"stream": "room", "group": group, "set": item, "data": {"text": text}} for item, text in texts]
    code = server.write(writes)
    if code:
        raise RuntimeError(f"a write was refused: {code}")


def _script_seconds(developer: Any) -> float:
    metrics = developer.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "ScriptDuration")


def _heap(developer: Any) -> float:
    developer.send("HeapProfiler.collectGarbage")
    return float(developer.send("Runtime.getHeapUsage")["usedSize"])
