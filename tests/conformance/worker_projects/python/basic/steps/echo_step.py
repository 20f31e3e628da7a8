config = {"type": "api", "name": "Echo", "path": "/echo", "method": "POST", "emits": []}


async def handler(req, ctx):
    kinds = {"raw": "text" if isinstance(req["rawBody"], str) else "bytes"}
    kinds["body"] = "bytes" if isinstance(req["body"], bytes) else "text" if isinstance(req["body"], str) else "json"
    shown = {name: req[name] for name in ("pathParams", "queryParams", "headers")}
    shown["body"] = req["body"] if kinds["body"] != "bytes" else None
    shown["rawBody"] = req["rawBody"] if kinds["raw"] == "text" else None
    return {"status": 200, "body": {"request": shown, "kinds": kinds, "members": sorted(req)}}
