"""The guide's TypeScript example, from outside: as it is printed, and with its one mistake mended."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from support.command import headwater, serving
from support.node_worker import node_worker
from support.typescript import compile_strictly

STREAM = """\
// steps/streams/chat-messages.stream.ts
import { StreamConfig } from 'motia'
import { z } from 'zod'

export const chatMessageSchema = z.object({
  id: z.string(),
  userId: z.string(),
  message: z.string(),
  timestamp: z.string()
})

export type ChatMessage = z.infer<typeof chatMessageSchema>

export const config: StreamConfig = {
  /**
   * This is the stream name, it's extremely important to
   * be used on the client side.
   */
  name: 'chatMessage',
  schema: chatMessageSchema,
  baseConfig: { storageType: 'default' },
}
"""

STEP = """\
import { ApiRouteConfig, Handlers } from 'motia'
import { z } from 'zod'
import { chatMessageSchema } from './streams/chat-messages.stream'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'CreateChatMessage',
  method: 'POST',
  path: '/chat-messages',
  bodySchema: z.object({
    channelId: z.string(),
    message: z.string(),
  }),
  emits: [],
  responseSchema: {
    201: chatMessageSchema
  }
}

export const handler = async (req, { streams }) => {
  const { channelId, message } = req.body
  const messageId = crypto.randomUUID()
  const userId = 'example-user-id'

  const message = await streams.chatMessage.set(channelId, messageId, {
    id: messageId,
    userId: userId,
    message: message,
    timestamp: new Date().toISOString()
  })

  return { status: 201, body: message }
}
"""

MENDED = STEP.replace("const message = await", "const created = await").replace(
    "body: message }", "body: created }"
)
TYPED = MENDED.replace(
    "export const handler = async", "export const handler: Handlers['CreateChatMessage'] = async"
)

TSCONFIG = {
    "compilerOptions": {
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "noEmit": True,
        "types": ["node"],
    },
    "include": ["types.d.ts", "steps"],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    node_worker()
    (tmp_path / "steps" / "streams").mkdir(parents=True)
    (tmp_path / "steps" / "streams" / "chat-messages.stream.ts").write_text(STREAM)
    (tmp_path / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    write(tmp_path, STEP)
    return tmp_path


def write(project: Path, step: str) -> None:
    (project / "steps" / "create-chat-message.step.ts").write_text(step)


def test_as_printed_it_is_reported_like_any_broken_file_and_the_rest_is_served(project: Path) -> None:
    found = json.loads(headwater("routes", "--json", cwd=project).stdout)
    (problem,) = found["problems"]
    assert problem["code"] == "SYNTAX_ERROR"
    assert problem["file"] == "steps/create-chat-message.step.ts"
    line = (
        STEP.splitlines().index("  const message = await streams.chatMessage.set(channelId, messageId, {") + 1
    )
    assert problem["line"] == line
    assert problem["message"] == "Identifier 'message' has already been declared"
    assert [stream["name"] for stream in found["streams"]] == ["chatMessage"]


def test_with_that_one_name_changed_it_runs_live(project: Path) -> None:
    write(project, MENDED)
    with (
        serving("dev", "--port", "0", cwd=project) as server,
        connect(server.url.replace("http", "ws")) as page,
    ):
        data = {"streamName": "chatMessage", "groupId": "general", "subscriptionId": "1"}
        page.send(json.dumps({"type": "join", "data": data}))
        assert json.loads(page.recv(10))["event"] == {"type": "sync", "data": []}
        made = httpx.post(f"{server.url}/chat-messages", json={"channelId": "general", "message": "hi"})
        assert made.status_code == 201
        assert made.json()["message"] == "hi"
        assert json.loads(page.recv(10))["event"] == {"type": "create", "data": made.json()}
        refused = httpx.post(f"{server.url}/chat-messages", json={"channelId": "general"})
        assert refused.status_code == 400
        assert "message" in refused.json()["faults"][0]["field"]


def test_mended_while_it_is_served_it_is_served_too(project: Path) -> None:
    with serving("dev", "--port", "0", cwd=project) as server:
        assert httpx.post(f"{server.url}/chat-messages", json={}).status_code == 404
        write(project, MENDED)
        server.out.wait_for("CreateChatMessage")
        made = httpx.post(f"{server.url}/chat-messages", json={"channelId": "general", "message": "hi"})
        assert made.status_code == 201


@pytest.mark.npm
def test_it_checks_strictly_against_the_types_that_are_written(project: Path) -> None:
    write(project, TYPED)
    assert headwater("types", cwd=project).returncode == 0
    assert compile_strictly(project) == []
    # The handler as printed has no type, which strict mode refuses of any function; nothing else is wrong.
    write(project, MENDED)
    assert compile_strictly(project, noImplicitAny=False) == []
    assert all("implicitly has an 'any' type" in fault for fault in compile_strictly(project))


@pytest.mark.npm
def test_a_wrong_field_is_a_fault_of_the_compiler(project: Path) -> None:
    write(project, TYPED)
    headwater("types", cwd=project)
    wrong = {
        "userId: userId,": ("user: userId,", "'user' does not exist"),
        "message: message,": ("message: 5,", "'number' is not assignable to type 'string'"),
        "streams.chatMessage": ("streams.chatMessages", "'chatMessages' does not exist"),
        "status: 201": ("status: 500", "'500' is not assignable"),
        "{ channelId, message }": ("{ channel, message }", "'channel' does not exist"),
    }
    files = {f"steps/wrong-{number}.step.ts": right for number, right in enumerate(wrong)}
    for file, right in files.items():
        (project / file).write_text(TYPED.replace(right, wrong[right][0]))
    # What explains a fault follows it, indented.
    faults = re.split(r"\n(?! )", "\n".join(compile_strictly(project)))
    for file, right in files.items():
        own = [fault for fault in faults if fault.startswith(file)]
        assert any(wrong[right][1] in fault for fault in own), (right, own)
    assert all(fault.startswith(tuple(files)) for fault in faults), "the step as it should be is at fault"
