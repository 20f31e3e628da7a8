config = {"type": "cron", "name": "OnTime", "cron": "* * * * *", "emits": []}


def handler(ctx):
    ctx.streams.chat.set("g", "time", {"run": ctx.run})
