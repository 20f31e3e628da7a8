"""GET /model: who answers here. Never tells the key."""

from llm import LlmError, endpoint, model_of
from local_model import SUGGESTIONS

config = {"type": "api", "name": "WhichModel", "method": "GET", "path": "/model", "emits": []}


async def handler(req, ctx):
    try:
        place = endpoint()
        told = {"local": place.local, "host": place.host, "model": await model_of(place)}
    except LlmError as error:
        told = {"local": False, "problem": str(error)}
    return {"status": 200, "body": told | {"suggestions": SUGGESTIONS if told["local"] else []}}
