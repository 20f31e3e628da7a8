"""The least that JSON costs with the parts that Headwater's HTTP is made of: a GET that answers, a POST that
parses and answers."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def say(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


async def noop(request: Request) -> JSONResponse:
    return JSONResponse({"ok": True})


if __name__ == "__main__":
    uvicorn.run(
        Starlette(routes=[Route("/say", say, methods=["POST"]), Route("/noop", noop)]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
