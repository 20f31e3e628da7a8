"""What the manual of requests shows runs as it stands there."""

from __future__ import annotations

import hashlib
import hmac
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
FILES = dict(BLOCK.findall(text(Path("docs/requests.md"))))
ECHO = """
config = {"type": "api", "name": "Echo", "method": "POST", "path": "/echo/:one/:rest*", "emits": []}


async def handler(req, ctx):
    told = {name: req[name] for name in ("body", "pathParams", "queryParams", "headers", "auth")}
    headers = {"set-cookie": ["a=1", "b=2"]}
    return {"status": 200, "body": {**told, "raw": type(req["rawBody"]).__name__}, "headers": headers}
"""


def test_the_page_runs_as_printed(tmp_path: Path) -> None:
    node_worker()
    for name, source in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    (tmp_path / "steps" / "echo_step.py").write_text(ECHO)
    (tmp_path / ".env").write_text("PAYMENTS_SECRET=whsec\n")
    with serving("start", "--port", "0", cwd=tmp_path) as server:
        assert "Problems" not in server.out.text
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert client.delete("/rooms/a").status_code == 403
            hello = client.get("/hello", params={"name": "Ada"})
            assert (hello.json(), "server-timing" in hello.headers) == ({"hello": "Ada"}, True)
            body = '{"id": "e1"}'
            mac = hmac.new(b"whsec", f"1.{body}".encode(), hashlib.sha256).hexdigest()
            for signature, status in ((mac, 200), ("0" * 64, 400), ("é", 400)):
                headers = {
                    "content-type": "application/json",
                    "stripe-signature": f"t=1,v1={signature}".encode(),
                }
                assert client.post("/webhooks/payments", content=body, headers=headers).status_code == status


def test_a_request_is_told_as_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "echo_step.py").write_text(ECHO)
    with (
        serving("start", "--port", "0", cwd=tmp_path) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        form = client.post(
            "/echo/x/y/z?q=1&q=2&a[b]=3", data={"n": "1"}, files={"f": ("t.txt", b"hi", "text/plain")}
        )
        assert {name: value for name, value in form.json().items() if name != "headers"} == {
            "body": {
                "n": "1",
                "f": {"filename": "t.txt", "contentType": "text/plain", "size": 2, "data": "aGk="},
            },
            "pathParams": {"one": "x", "rest": "y/z"},
            "queryParams": {"q": ["1", "2"], "a": {"b": "3"}},
            "auth": None,
            "raw": "str",
        }
        assert form.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert client.post("/echo/x/y").json()["body"] == {}
        told = client.post(
            "/echo/x/y", headers=[("x-a", "1"), ("x-a", "2"), ("cookie", "a=1"), ("cookie", "b=2")]
        )
        assert {told.json()["headers"][name] for name in ("x-a", "cookie")} == {"1, 2", "a=1; b=2"}
        plain = client.post("/echo/x/y", content=b"hello", headers={"content-type": "text/plain"})
        assert plain.json()["body"] == "hello"


@pytest.mark.npm
def test_its_typescript_checks_strictly(tmp_path: Path) -> None:
    node_worker()
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "hello.step.ts").write_text(FILES["steps/hello.step.ts"])
    options = {"target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": ["node"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["**/*.ts"]}))
    assert headwater("types", cwd=tmp_path).returncode == 0
    assert compile_strictly(tmp_path) == []
