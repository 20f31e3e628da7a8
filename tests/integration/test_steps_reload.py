"""Reload: a change takes over when whole, what fails keeps what worked, invocations end where they began."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

from headwater.errors import UnknownStep, WorkerLost
from headwater.steps.project.declare import Project
from support.steps_project import Site, api, request, serving, stream


def says(text: str, path: str = "/a", **more: Any) -> str:
    return api(path, f"return {{'status': 200, 'body': {{'says': {text!r}}}}}", **more)


async def said(site: Site, path: str = "/a") -> str:
    return (await site.json(path, {}))["says"]


def codes(site: Site) -> list[tuple[str, str]]:
    return [(problem.code, problem.file) for problem in site.runtime.project.problems]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


async def test_a_changed_step_runs_its_new_code(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}) as site:
        assert await said(site) == "one"
        site.write({"steps/a_step.py": says("two")})
        await site.runtime.reload()
        assert await said(site) == "two"
        assert site.runtime.project.generation == 2


async def test_a_load_whose_worker_is_killed_is_tried_again(tmp_path: Path) -> None:
    killed = "import os, pathlib, signal\nmark = pathlib.Path(__file__).with_name('mark')\n"
    killed += "with mark.open('a') as file:\n    file.write('x')\nif mark.stat().st_size < 3:\n"
    killed += "    os.kill(os.getpid(), signal.SIGKILL)"
    async with serving(tmp_path, {"steps/a_step.py": says("one", top=killed)}) as site:
        async with asyncio.timeout(60):
            while not site.runtime.project.routes:
                await asyncio.sleep(0.01)
        assert await said(site) == "one"


async def test_in_dev_each_save_is_served_by_itself(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}, dev=True) as site:
        for text in ("two", "three"):
            site.write({"steps/a_step.py": says(text)})
            async with asyncio.timeout(60):
                while await said(site) != text:
                    await asyncio.sleep(0.01)


async def test_in_dev_new_folders_and_files_are_seen(tmp_path: Path) -> None:
    async with serving(tmp_path, {}, dev=True) as site:
        site.write({"steps/deep/a_step.py": says("one")})
        async with asyncio.timeout(60):
            while not site.runtime.project.routes:
                await asyncio.sleep(0.01)
        assert await said(site) == "one"
        site.write({"src/b_step.py": says("two", "/b")})
        async with asyncio.timeout(60):
            while len(site.runtime.project.routes) < 2:
                await asyncio.sleep(0.01)


async def test_in_dev_a_change_of_the_settings_asks_for_a_restart(tmp_path: Path, caplog: Any) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}, dev=True) as site:
        async with asyncio.timeout(60):
            while "restart the server" not in caplog.text:
                site.write({"headwater.toml": f"[server]\nport = {len(caplog.records) + 4000}\n"})
                await asyncio.sleep(0.05)


READS = """
    import os
    return {"status": 200, "body": {"says": os.environ.get("SAYS", "nothing") + os.environ.get("TAKEN", "")}}
"""


async def test_workers_have_the_variables_of_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("TAKEN", " by the environment")
    files = {"steps/a_step.py": api("/a", READS), ".env": "SAYS=one\nTAKEN=by the file\n'broken=secret\n"}
    async with serving(tmp_path, files) as site:
        assert await said(site) == "one by the environment"
        assert codes(site) == [("ENV_INVALID", ".env")]
        site.write({".env": "SAYS=two\n"})
        await site.runtime.reload()
        assert await said(site) == "two by the environment"
        assert codes(site) == []
        (tmp_path / ".env").unlink()
        await site.runtime.reload()
        assert await said(site) == "nothing by the environment"
    assert "secret" not in caplog.text


async def test_in_dev_a_change_of_the_env_file_reloads(tmp_path: Path, caplog: Any) -> None:
    files = {"steps/a_step.py": api("/a", READS), ".env": "SAYS=one\n"}
    async with serving(tmp_path, files, dev=True) as site:
        site.write({".env": "SAYS=two\nHEADWATER_SERVER_PORT=4000\n"})
        async with asyncio.timeout(60):
            while await said(site) != "two":
                await asyncio.sleep(0.01)
    assert "Settings in .env have changed; restart the server" in caplog.text


async def test_a_file_that_changes_nothing_makes_no_generation(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}) as site:
        site.write({"steps/a_step.py": says("one")})
        await site.runtime.reload()
        assert site.runtime.project.generation == 1


async def test_listeners_hear_of_each_takeover(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}) as site:
        heard: list[Project] = []
        site.runtime.on_project(heard.append)
        site.write({"steps/b_step.py": says("b", "/b")})
        await site.runtime.reload()
        assert [len(project.routes) for project in heard] == [2]
        assert heard[0] is site.runtime.project


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ("def handler(:\n", "SYNTAX_ERROR"),
        ("raise RuntimeError('at import')\n", "IMPORT_FAILED"),
        ("x = 1\n", "CONFIG_MISSING"),
        ("config = {'type': 'api', 'name': 'a'}\ndef handler(req, ctx): ...\n", "CONFIG_INVALID"),
    ],
)
async def test_a_file_that_fails_keeps_its_last_good_code_and_recovers(
    tmp_path: Path, broken: str, code: str
) -> None:
    files = {"steps/a_step.py": says("one"), "steps/b_step.py": says("b one", "/b")}
    async with serving(tmp_path, files) as site:
        site.write({"steps/a_step.py": broken, "steps/b_step.py": says("b two", "/b")})
        await site.runtime.reload()
        assert (await said(site), await said(site, "/b")) == ("one", "b two")
        shown = [problem for problem in site.runtime.project.problems if problem.code == code]
        assert {problem.file for problem in shown} == {"steps/a_step.py"}
        assert "the last version that worked is served" in shown[0].hint

        site.write({"steps/a_step.py": says("three")})
        await site.runtime.reload()
        assert (await said(site), await said(site, "/b")) == ("three", "b two")
        assert site.runtime.project.problems == ()


async def test_going_back_to_the_code_that_is_served_clears_the_problem(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}) as site:
        site.write({"steps/a_step.py": "def handler(:\n"})
        await site.runtime.reload()
        assert site.runtime.project.problems
        site.write({"steps/a_step.py": says("one")})
        await site.runtime.reload()
        assert (await said(site), site.runtime.project.problems) == ("one", ())


async def test_a_broken_helper_is_held_back_for_the_steps_that_import_it(tmp_path: Path) -> None:
    step = api("/a", "return {'status': 200, 'body': {'says': words.TEXT}}", top="from steps import words")
    files = {"steps/a_step.py": step, "steps/words.py": "TEXT = 'good'\n", "steps/b_step.py": says("b", "/b")}
    async with serving(tmp_path, files) as site:
        assert await said(site) == "good"
        site.write({"steps/words.py": "TEXT = \n", "steps/b_step.py": says("b two", "/b")})
        await site.runtime.reload()
        assert (await said(site), await said(site, "/b")) == ("good", "b two")
        assert "SYNTAX_ERROR" in [code for code, _ in codes(site)]

        site.write({"steps/words.py": "TEXT = 'better'\n"})
        await site.runtime.reload()
        assert (await said(site), site.runtime.project.problems) == ("better", ())


async def test_a_deleted_helper_lives_on_until_nothing_needs_it(tmp_path: Path) -> None:
    step = api("/a", "return {'status': 200, 'body': {'says': words.TEXT}}", top="from steps import words")
    async with serving(tmp_path, {"steps/a_step.py": step, "steps/words.py": "TEXT = 'good'\n"}) as site:
        (tmp_path / "steps/words.py").unlink()
        await site.runtime.reload()
        assert await said(site) == "good"
        assert ("IMPORT_FAILED", "steps/a_step.py") in codes(site)

        site.write({"steps/a_step.py": says("alone")})
        await site.runtime.reload()
        assert (await said(site), site.runtime.project.problems) == ("alone", ())


async def test_a_helper_and_its_user_that_changed_together_are_held_back_together(tmp_path: Path) -> None:
    def step(path: str, name: str) -> str:
        body = f"return {{'status': 200, 'body': {{'says': words.{name}}}}}"
        return api(path, body, top=f"from steps import words\nwords.{name}")

    files = {
        "steps/a_step.py": step("/a", "OLD"),
        "steps/b_step.py": step("/b", "OLD"),
        "steps/words.py": "OLD = 'old'\n",
    }
    async with serving(tmp_path, files) as site:
        # b needs the new helper, a breaks with it: both keep what worked, and both are named.
        site.write({"steps/words.py": "NEW = 'new'\n", "steps/b_step.py": step("/b", "NEW")})
        await site.runtime.reload()
        assert (await said(site), await said(site, "/b")) == ("old", "old")
        assert ("IMPORT_FAILED", "steps/a_step.py") in [(c, f) for c, f in codes(site)]
        assert ("HELD_BACK", "steps/words.py") in codes(site)

        site.write({"steps/a_step.py": step("/a", "NEW")})
        await site.runtime.reload()
        assert (await said(site), await said(site, "/b")) == ("new", "new")
        assert site.runtime.project.problems == ()


async def test_a_new_file_that_fails_harms_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}) as site:
        site.write({"steps/b_step.py": "import nowhere\n", "steps/a_step.py": says("two")})
        await site.runtime.reload()
        assert await said(site) == "two"
        assert codes(site) == [("IMPORT_FAILED", "steps/b_step.py")]
        assert site.runtime.project.problems[0].line == 1


async def test_a_deleted_file_disappears(tmp_path: Path) -> None:
    files = {"steps/a_step.py": says("one"), "steps/chat_stream.py": stream("chat")}
    async with serving(tmp_path, files) as site:
        step = site.step("/a")
        (tmp_path / "steps/a_step.py").unlink()
        (tmp_path / "steps/chat_stream.py").unlink()
        await site.runtime.reload()
        assert (site.runtime.project.steps, site.runtime.project.streams) == ((), ())
        with pytest.raises(UnknownStep, match='"a" is no longer part of the project'):
            await site.runtime.run_api(step, request(step, {}))


async def test_of_two_equal_routes_one_is_left_out_and_comes_back_when_the_other_goes(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("a")}) as site:
        site.write({"steps/b_step.py": says("b")})
        await site.runtime.reload()
        assert await said(site) == "b"
        assert codes(site) == [("DUPLICATE_ROUTE", "steps/a_step.py")]
        (tmp_path / "steps/b_step.py").unlink()
        await site.runtime.reload()
        assert (await said(site), site.runtime.project.problems) == ("a", ())


async def test_a_second_file_of_a_stream_comes_and_goes_without_a_word(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/b_stream.py": stream("chat"), "steps/a_step.py": says("a")}) as site:
        site.write({"steps/a_stream.py": stream("chat"), "steps/a_step.py": says("b")})
        await site.runtime.reload()
        assert (await said(site), site.runtime.project.problems) == ("b", ())
        (tmp_path / "steps/b_stream.py").unlink()
        await site.runtime.reload()
        assert [one.file for one in site.runtime.project.streams] == ["steps/a_stream.py"]


async def test_an_invocation_ends_in_the_generation_it_began_in(tmp_path: Path) -> None:
    top = "import asyncio\nTEXT = 'old'"
    body = """
    await ctx.streams.chat.set("g", "begun", {"text": 1})
    for _ in range(200):
        if await ctx.streams.chat.get("g", "go"):
            break
        await asyncio.sleep(0.02)
    return {"status": 200, "body": {"says": TEXT}}
    """
    files = {"steps/a_step.py": api("/a", body, top=top), "steps/chat_stream.py": stream("chat")}
    async with serving(tmp_path, files, drain_timeout=10) as site:
        old = asyncio.create_task(said(site))
        await site.streams.until(lambda: site.streams.texts("g"))
        site.write({"steps/a_step.py": says("new")})
        await site.runtime.reload()
        assert await said(site) == "new"
        assert not old.done()
        site.streams._put("chat", "g", "go", {})
        assert await old == "old"
        async with asyncio.timeout(60):
            while site.runtime._ending:
                await asyncio.sleep(0.01)


async def test_an_invocation_that_outlives_the_drain_timeout_is_ended_and_told_with_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun = "ctx.streams.chat.set('g', %r, {'text': 1})%s; "
    plain = api("/b", begun % ("b", ".result()") + "time.sleep(60)", top="import time").replace(
        "async def", "def"
    )
    files = {
        "steps/a_step.py": api("/a", begun % ("a", "") + "await asyncio.sleep(60)", top="import asyncio"),
        "steps/b_step.py": plain,
        "steps/chat_stream.py": stream("chat"),
    }
    async with serving(tmp_path, files, drain_timeout=0.2) as site:
        old = [asyncio.create_task(site.post(path, {})) for path in ("/a", "/b")]
        await site.streams.until(lambda: len(site.streams.texts("g")) == 2)
        site.write({"steps/a_step.py": says("new")})
        await site.runtime.reload()
        for one in old:
            with pytest.raises(WorkerLost, match=r"still busy 0.2 s after the end of its generation"):
                await one
        assert site.ear.of("limited") == [("workers.drain_timeout", 0.2)]
    told = {line.message for line in caplog.records if line.message.startswith("An invocation")}
    said_of = "An invocation was ended with its worker, at steps/%s_step.py:5"
    assert told == {said_of % "a", said_of % "b"}


async def test_while_files_go_on_changing_the_latest_wins_and_no_processes_pile_up(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("0")}, size=1, max_size=2) as site:
        most = 0
        reloads: list[asyncio.Task[None]] = []
        for n in range(1, 13):
            site.write({"steps/a_step.py": says(str(n))})
            reloads.append(asyncio.create_task(site.runtime.reload()))
            await asyncio.sleep(0.05)
            most = max(most, len(children()))
        await asyncio.gather(*reloads)
        assert await said(site) == "12"
        assert most <= 10


async def test_a_file_that_hangs_at_import_is_told_and_a_fix_does_not_wait_for_it(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}, start_timeout=4.0) as site:
        hang = "import time\ntime.sleep(60)\n"
        site.write({"steps/a_step.py": hang})
        await site.runtime.reload()
        assert await said(site) == "one"
        told = site.problem("FILE_UNLOADABLE")
        assert (told.file, told.message) == ("steps/a_step.py", "steps/a_step.py did not load within 4 s.")
        assert ("workers.start_timeout", 4.0) in site.ear.of("limited")

        site.write({"steps/a_step.py": hang + "\n"})
        hanging = asyncio.create_task(site.runtime.reload())
        await asyncio.sleep(0.2)
        site.write({"steps/a_step.py": says("two")})
        await site.runtime.reload()
        await hanging
        assert (await said(site), site.runtime.project.problems) == ("two", ())


async def test_a_file_that_ends_its_process_at_import_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}) as site:
        site.write({"steps/a_step.py": "import os\nos._exit(7)\n"})
        await site.runtime.reload()
        assert await said(site) == "one"
        told = site.problem("FILE_UNLOADABLE")
        assert told.file == "steps/a_step.py"
        assert "(exit code 7)" in told.message


async def test_a_project_that_cannot_load_at_all_starts_empty_with_its_problem(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": "import os\nos._exit(7)\n"}) as site:
        assert site.runtime.project.steps == ()
        assert site.problem("FILE_UNLOADABLE").file == "steps/a_step.py"
        assert not await site.runtime.access("chat", "g", None, None)
        site.write({"steps/a_step.py": says("one")})
        await site.runtime.reload()
        assert await said(site) == "one"


async def test_sources_that_fit_no_frame_are_told(tmp_path: Path) -> None:
    async with serving(tmp_path, {"steps/a_step.py": says("one")}, max_frame_bytes=10_000) as site:
        site.write({"steps/a_step.py": says("x" * 20_000)})
        await site.runtime.reload()
        assert await said(site) == "one"
        assert "passes the limit of 10000" in site.problem("TOO_LARGE").message


async def test_an_empty_project_needs_no_process(tmp_path: Path) -> None:
    before = children()
    async with serving(tmp_path, {"helper.py": "", "lib/helper.ts": ""}) as site:
        assert codes(site) == []
        assert children() == before


APP = "return {'status': 200, 'body': {'says': ctx.app}}"


async def test_a_lifespan_that_breaks_keeps_its_last_good_code_and_recovers(tmp_path: Path) -> None:
    good = "async def lifespan():\n    yield %r\n"
    files = {"headwater_lifespan.py": good % "one", "steps/a_step.py": api("/a", APP)}
    async with serving(tmp_path, files) as site:
        assert await said(site) == "one"
        for broken in ("def lifespan(:\n", "x = 1\n"):
            site.write({"headwater_lifespan.py": broken})
            await site.runtime.reload()
            assert await said(site) == "one"
            [problem] = site.runtime.project.problems
            assert problem.file == "headwater_lifespan.py"
            assert "the last version that worked is served" in problem.hint
        site.write({"headwater_lifespan.py": good % "two"})
        await site.runtime.reload()
        assert (await said(site), codes(site)) == ("two", [])


async def test_a_lifespan_that_was_broken_from_the_start_is_told_until_it_is_mended(tmp_path: Path) -> None:
    files = {"headwater_lifespan.py": "x = 1\n", "steps/a_step.py": api("/a", APP)}
    async with serving(tmp_path, files) as site:
        assert codes(site) == [("LIFESPAN_INVALID", "headwater_lifespan.py")]
        site.write({"headwater_lifespan.py": "def lifespan(:\n", "steps/b_step.py": says("b", "/b")})
        await site.runtime.reload()
        assert ("SYNTAX_ERROR", "headwater_lifespan.py") in codes(site)
        site.write({"headwater_lifespan.py": "def lifespan():\n    yield 'mended'\n"})
        await site.runtime.reload()
        assert (await said(site), codes(site)) == ("mended", [])


@pytest.mark.parametrize("does", ["os._exit(7)", "os.kill(os.getpid(), signal.SIGSEGV)", "time.sleep(600)"])
async def test_in_dev_a_file_that_no_worker_survives_leaves_the_others_serving(
    tmp_path: Path, caplog: Any, does: str
) -> None:
    files = {"steps/a_step.py": says("one"), "steps/bad_step.py": f"import os, signal, time\n{does}\n"}
    async with serving(tmp_path, files, dev=True, start_timeout=6.0) as site:
        assert await said(site) == "one"
        assert site.problem("FILE_UNLOADABLE").file == "steps/bad_step.py"
        assert ("steps/bad_step.py, or what it imports, is still busy" in caplog.text) == ("sleep" in does)
