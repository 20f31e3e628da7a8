from lib.trouble import cause_trouble

config = {"type": "api", "name": "Raise", "path": "/raise", "method": "POST", "emits": []}


async def handler(req, ctx):
    return cause_trouble()
