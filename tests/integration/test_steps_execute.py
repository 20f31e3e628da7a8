"""API steps in real workers: requests in, responses out, failures told."""

from __future__ import annotations

from pathlib import Path

from support.steps_project import api, serving


async def test_a_step_answers_with_json_and_its_headers(tmp_path: Path) -> None:
    body = "return {'status': 201, 'body': {'got': req['body']}, 'headers': {'X-A': 'b'}}"
    async with serving(tmp_path, {"steps/a_step.py": api("/a", body)}) as site:
        response = await site.post("/a", {"n": 1})

    assert response.status == 201
    assert response.headers == [("content-type", "application/json"), ("x-a", "b")]
    assert response.body == b'{"got":{"n":1}}'
