"""`headwater create --language`: each project runs at once and keeps its types, checked by both checkers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.command import headwater, serving
from support.node_worker import node_worker
from support.tree import ROOT
from support.typescript import compile_strictly

LANGUAGES = ("python", "typescript", "mixed")
TYPED = ("typescript", "mixed")


@pytest.fixture(autouse=True)
def _needs_node() -> None:
    node_worker()


def create(folder: Path, language: str) -> Path:
    made = headwater("create", "app", "--language", language, cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder / "app"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_project_runs_at_once(tmp_path: Path, language: str) -> None:
    app = create(tmp_path, language)
    with serving("start", "--port", "0", cwd=app) as server:
        assert "Problems" not in server.out.text
        said = {"channel_id": "general", "message": "hello"}
        made = httpx.post(f"{server.url}/chat-messages", json=said)
        assert made.status_code == 201, made.text
        assert made.json()["message"] == "hello"
        assert made.json()["id"] in httpx.get(f"{server.url}/streams/chatMessage/general").text
        assert httpx.post(f"{server.url}/chat-messages", json={"message": ""}).status_code == 400
        assert "<title>" in httpx.get(server.url).text


def test_in_a_mixed_project_each_language_writes_the_stream_of_the_other(tmp_path: Path) -> None:
    with serving("start", "--port", "0", cwd=create(tmp_path, "mixed")) as server:
        said = {"channel_id": "general", "message": "hello"}
        message = httpx.post(f"{server.url}/chat-messages", json=said).json()
        address = f"{server.url}/chat-messages/general/{message['id']}/likes"
        for name in ("ada", "bob"):
            liked = httpx.post(address, json={"user_id": name})
        assert liked.json() == {"id": message["id"], "likes": 2, "by": ["ada", "bob"]}
        assert liked.headers["x-headwater-items"].startswith("reactions/general/")
        lost = httpx.post(f"{server.url}/chat-messages/general/nowhere/likes", json={"user_id": "ada"})
        assert lost.status_code == 404


def test_a_language_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    refused = headwater("create", "app", "--language", "cobol", cwd=tmp_path)
    assert refused.returncode == 2
    assert "python, typescript, mixed" in refused.stderr
    assert list(tmp_path.iterdir()) == []


# --- types ---


@pytest.mark.parametrize("language", TYPED)
def test_the_types_of_a_new_project_are_up_to_date(tmp_path: Path, language: str) -> None:
    app = create(tmp_path, language)
    assert headwater("types", "--check", cwd=app).returncode == 0
    stream = app / "steps" / "chat-messages.stream.ts"
    stream.write_text(stream.read_text().replace("timestamp: z.string(),", "timestamp: z.number(),"))
    drifted = headwater("types", "--check", cwd=app)
    assert drifted.returncode == 1
    assert "types.d.ts" in drifted.stdout
    assert headwater("types", cwd=app).returncode == 0
    assert "timestamp: number" in (app / "types.d.ts").read_text()
    assert headwater("types", "--check", cwd=app).returncode == 0


def test_types_of_a_project_at_fault_are_left_alone(tmp_path: Path) -> None:
    app = create(tmp_path, "typescript")
    before = (app / "types.d.ts").read_text()
    (app / "steps" / "chat-messages.stream.ts").write_text("export const config = {")
    refused = headwater("types", cwd=app)
    assert refused.returncode == 1
    assert "SYNTAX_ERROR" in refused.stdout
    assert (app / "types.d.ts").read_text() == before


def test_dev_keeps_the_types_fresh(tmp_path: Path) -> None:
    app = create(tmp_path, "mixed")
    (app / "types.d.ts").unlink()
    with serving("dev", "--port", "0", cwd=app) as server:
        assert server.url
        assert "chatMessage: Stream<ChatMessage>" in (app / "types.d.ts").read_text()
        stream = app / "steps" / "reactions_stream.py"
        stream.write_text(stream.read_text().replace('"likes"', '"hearts"'))
        server.err.wait_for("Wrote types.d.ts and headwater_types.pyi")
        assert "hearts?: number" in (app / "types.d.ts").read_text()
        assert "hearts: NotRequired[int]" in (app / "headwater_types.pyi").read_text()


@pytest.mark.npm
@pytest.mark.parametrize("language", TYPED)
def test_a_new_project_checks_strictly(tmp_path: Path, language: str) -> None:
    assert compile_strictly(create(tmp_path, language)) == []


@pytest.mark.npm
def test_a_wrong_field_of_a_stream_in_python_is_a_fault_in_typescript(tmp_path: Path) -> None:
    app = create(tmp_path, "mixed")
    step = app / "steps" / "like-message.step.ts"
    step.write_text(
        step.read_text().replace(
            "return { status: 200",
            "await streams.reactions.set(channel, message, { hates: 1 })\n  return { status: 200",
        )
    )
    (fault,) = compile_strictly(app)
    assert "'hates' does not exist" in fault


def pyright(app: Path) -> list[tuple[str, str]]:
    """The faults that pyright finds in the Python steps: the file's name, and what is wrong."""
    (app / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "standard", "pythonVersion": "3.11"})
    )
    command = [Path(sys.executable).with_name("basedpyright"), "--outputjson", "steps"]
    ran = subprocess.run(command, cwd=app, capture_output=True, text=True, check=False)
    found = json.loads(ran.stdout)["generalDiagnostics"]
    return [(Path(one["file"]).name, one["message"]) for one in found if one["severity"] == "error"]


def test_a_wrong_field_of_a_stream_in_typescript_is_a_fault_in_pyright(tmp_path: Path) -> None:
    app = create(tmp_path, "mixed")
    step = app / "steps" / "create_message_step.py"
    right = step.read_text()
    wrong = {
        '"message": body["message"],': ('"text": body["message"],', "text"),
        '"message": body["message"]': ('"message": 5', "int"),
        'body["channel_id"],': ('body["channel"],', "channel"),
        "streams.chatMessage": ("streams.chatMessages", "chatMessages"),
    }
    files = {f"wrong{number}_step.py": written for number, written in enumerate(wrong)}
    for name, written in files.items():
        (step.parent / name).write_text(right.replace(written, wrong[written][0], 1))
    faults = pyright(app)
    for name, written in files.items():
        assert any(file == name and wrong[written][1] in fault for file, fault in faults), written
    assert {file for file, _ in faults} == files.keys(), "the step as it should be is at fault"


def test_the_examples_are_what_create_writes() -> None:
    for language, example in (("typescript", "chat-typescript"), ("mixed", "chat-mixed")):
        template = ROOT / "src" / "headwater" / "cli" / f"template_{language}"
        assert template.resolve() == ROOT / "examples" / example
