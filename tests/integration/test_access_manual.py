"""What the manual of access shows runs as it stands there, with the authenticator of either language."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from support.command import serving
from support.node_worker import node_worker
from support.tree import text

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
