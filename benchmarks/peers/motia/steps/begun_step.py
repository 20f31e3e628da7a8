import time

config = {"type": "event", "name": "Begun", "subscribes": ["old.py"], "emits": [], "flows": []}


async def handler(event, context):
    """Notes how many ms each event took from its emit to here, a line each."""
    with open("begun.txt", "a") as notes:
        notes.write(f"{time.time() * 1000 - event['at']:.3f}\n")
