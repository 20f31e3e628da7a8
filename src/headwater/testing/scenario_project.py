"""The project that scenarios run against: its streams, who may do what with them, the step that writes and
the one that works."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

STREAM = """config = {{"name": "{name}", "schema": {{"type": "object"}}, "baseConfig": {{"storageType":
"default"}}{more}}}
"""
GUARD = """
def can_access(subscription, auth_context):
    return not subscription["groupId"].endswith("secret")
"""
OPEN = """
can_delete = True
can_send = True


def can_write(change, auth_context):
    return not change["id"].startswith("theirs")
"""
AUTH = """import time


def authenticate(request):
    token = request["token"]
    if token is None:
        return None
    name, _, end = token.partition("~")
    if not end or float(end) <= time.time():
        return None
    return {"user": name, "exp": float(end)}
"""
STREAMS: Mapping[str, str] = {
    "room": "",
    "other": "",
    "rolled": ', "rollup": 500',
    "present": ', "presence": True',
    "fleeting": ', "ttl": 1',
    "kept": ', "keep": {"newest": 3}',
    "guarded": "",
    "shared": "",
}
RULES: Mapping[str, str] = {"guarded": GUARD, "shared": OPEN}
"""Who may do what in a stream, where its file says it."""
STEP = """config = {"type": "api", "name": "Write", "method": "POST", "path": "/write", "emits": ["work"]}


async def handler(req, ctx):
    for write in req["body"]["writes"]:
        stream, group = ctx.streams[write["stream"]], write["group"]
        options = {name: write[name] for name in ("if_version", "ttl", "key") if name in write}
        if "set" in write:
            await stream.set(group, write["set"], write["data"], **options)
        elif "update" in write:
            await stream.update(group, write["update"], write["ops"], **options)
        elif "delete" in write:
            await stream.delete(group, write["delete"], **options)
        elif "revoke" in write:
            await stream.revoke(group, write["revoke"])
        elif "restore" in write:
            await stream.restore(group, write["restore"])
        elif "work" in write:
            await ctx.emit({"topic": "work", "data": write})
        else:
            await stream.send({"groupId": group, "id": write.get("id")}, write["send"])
    return {"status": 204}


async def told(req, ctx, next):
    try:
        return await next()
    except Exception as error:
        return {"status": 409, "body": {"code": getattr(error, "code", type(error).__name__)}}


config["middleware"] = [told]
"""
WORK = """import asyncio

config = {"type": "event", "name": "Work", "subscribes": ["work"], "emits": []}


async def handler(input, ctx):
    stream, where = ctx.streams[input["stream"]], (input["group"], input["work"])
    await ctx.owns(await stream.set(*where, {"status": "begins"}))
    try:
        # Whoever sees this may cancel before its answer is here.
        await stream.set(*where, {"status": f"running {ctx.attempt}"})
        while await stream.get(input["group"], "end") is None:
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        await stream.set(*where, {"status": "cancelled"})
        raise
"""


def write_project(folder: Path, *, knows_tokens: bool) -> None:
    """Write the project into a folder that is not there yet. With `knows_tokens` it says who asks, by tokens
    of the form NAME~END, END in seconds since 1970."""
    steps = folder / "steps"
    steps.mkdir(parents=True)
    for name, more in STREAMS.items():
        text = STREAM.format(name=name, more=more) + RULES.get(name, "")
        (steps / f"{name}_stream.py").write_text(text)
    if knows_tokens:
        (folder / "headwater_auth.py").write_text(AUTH)
    (steps / "write_step.py").write_text(STEP)
    (steps / "work_step.py").write_text(WORK)
