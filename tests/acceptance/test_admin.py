"""A server that others can reach says whom it lets in, or does not start."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from support.command import headwater, serving

OPEN = ("--host", "0.0.0.0", "--port", "0")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    return tmp_path


def test_start_refuses_before_it_touches_anything(project: Path) -> None:
    done = headwater("start", *OPEN, cwd=project)
    assert done.returncode == 2
    assert "admin surface has no token" in done.stderr
    assert "[admin] enabled = false" in " ".join(done.stderr.split())
    assert [path.name for path in project.iterdir()] == ["steps"]


def test_a_token_in_the_env_file_lets_it_start_and_is_shown_nowhere(project: Path) -> None:
    (project / ".env").write_text("HEADWATER_ADMIN_TOKEN=0123456789abcdef\n")
    with serving("start", *OPEN, cwd=project) as server:
        url = f"{server.url}/headwater/admin/queue.list"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer 0123456789abcdef"}).status_code == 200
    shown = headwater("config", cwd=project)
    assert "0123456789abcdef" not in shown.stdout + server.out.text + server.err.text
    assert "(not shown)" in shown.stdout


def test_so_does_having_no_such_surface(project: Path) -> None:
    with serving("start", *OPEN, "--set", "admin.enabled=false", cwd=project) as server:
        assert httpx.get(f"{server.url}/headwater/admin/queue.list").status_code == 404


def test_a_short_token_is_refused_and_not_repeated(project: Path) -> None:
    done = headwater("config", cwd=project, HEADWATER_ADMIN_ENABLED="perhaps")
    assert done.returncode == 2
    assert "true or false" in done.stderr
    done = headwater("dev", "--port", "0", cwd=project, HEADWATER_ADMIN_TOKEN="hunter2")
    assert done.returncode == 2
    assert "fewer than 16 characters" in done.stderr
    assert "hunter2" not in done.stderr
