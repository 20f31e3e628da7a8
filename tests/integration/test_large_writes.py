"""Items that are too much for the loop, written by a step of a whole server."""

from __future__ import annotations

from pathlib import Path

import httpx

from headwater.config import ServerSettings, Settings
from headwater.heavyjson import LOOP_VALUES
from headwater.lifetime import running
from support.steps_project import api, stream, write

FILES = {
    "steps/lists_stream.py": stream("lists"),
    "steps/many_step.py": api(
        "/many",
        f"""
        await ctx.streams.lists.set("group", "a", {{"list": [[]] * {LOOP_VALUES + 1000}}})
        await ctx.streams.lists.revoke("group", "somebody")
        return {{"status": 200, "body": {{}}}}
        """,
    ),
}


async def test_a_step_writes_what_is_large_beside_the_loop(tmp_path: Path) -> None:
    """Told by the process that did it; and the service that does so revokes as well."""
    write(tmp_path, FILES)
    settings = Settings(project=tmp_path, server=ServerSettings(port=0))
    async with running(settings) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        assert not server.aside.idle
        answer = await client.post("/many", json={})
        assert answer.status_code == 200, answer.text
        assert server.aside.idle == 1
