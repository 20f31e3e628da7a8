"""What the manual of access shows runs as it stands there, with the authenticator of either language."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from support.command import headwater, serving
from support.node_worker import node_worker
from support.tree import text
from support.typescript import compile_strictly

BLOCK = re.compile(r"^```\w+\n(?:#|//) ([\w./-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall(text(Path("docs/access.md"))))
AUTHENTICATORS = ("headwater_auth.py", "headwater_auth.ts")
ADA, GUESSED = {"authorization": "Bearer ada-secret"}, {"authorization": "Bearer guessed"}


@pytest.mark.parametrize("authenticator", AUTHENTICATORS)
def test_the_page_runs_as_printed(tmp_path: Path, authenticator: str) -> None:
    node_worker()
    (tmp_path / "steps").mkdir()
    for name, source in FILES.items():
        if name == authenticator or name not in AUTHENTICATORS:
            (tmp_path / name).write_text(source)
    (tmp_path / ".env").write_text("BILLING_TOKEN=the-token-of-billing\n")
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        assert "Problems" not in server.out.text
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert client.post("/diary", json={"text": "x"}).json() == {"error": "sign in first"}
            assert client.post("/diary", json={"text": "x"}, headers=ADA).json()["text"] == "x"
            assert client.post("/diary", json={"text": "x"}, headers=GUESSED).status_code == 401
            for stream in ("diary", "note"):
                assert client.get(f"/streams/{stream}/ada", headers=ADA).status_code == 200
                assert client.get(f"/streams/{stream}/bob", headers=ADA).status_code == 403
                assert client.get(f"/streams/{stream}/ada").status_code == 403
            item, bob = {"text": "Milk", "by": "ada"}, {"authorization": "Bearer bob-secret"}
            assert client.put("/streams/todo/home/1", json=item, headers=bob).status_code == 403
            made = client.put("/streams/todo/home/1", json=item, headers=ADA)
            assert (made.status_code, made.json()) == (201, {"id": "1", **item})
            operations = [{"type": "append", "path": "text", "value": " and bread"}]
            careful = {**ADA, "if-match": made.headers["etag"]}
            assert client.patch("/streams/todo/home/1", json=operations, headers=careful).status_code == 200
            assert client.patch("/streams/todo/home/1", json=operations, headers=careful).status_code == 412
            assert client.post("/streams/todo/home", json={"type": "typing"}).status_code == 204
            assert client.delete("/streams/todo/home/1", headers=bob).status_code == 403
            assert client.delete("/streams/todo/home/1", headers=ADA).status_code == 204
            billing = {"authorization": "Bearer the-token-of-billing"}
            assert client.put("/streams/diary/ada/bill", json={"n": 1}, headers=billing).status_code == 201
            assert client.put("/streams/todo/home/1", json=item, headers=billing).status_code == 403
            for status in (201, 403):
                assert client.put("/streams/poll/g/ada", json={"x": 1}, headers=ADA).status_code == status


@pytest.mark.npm
def test_the_rules_of_the_page_check_strictly(tmp_path: Path) -> None:
    node_worker()
    (tmp_path / "steps").mkdir()
    for name, source in FILES.items():
        if name.endswith(".ts"):
            (tmp_path / name).write_text(source)
    options = {"target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": ["node"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["**/*.ts"]}))
    assert headwater("types", cwd=tmp_path).returncode == 0
    assert compile_strictly(tmp_path) == []
