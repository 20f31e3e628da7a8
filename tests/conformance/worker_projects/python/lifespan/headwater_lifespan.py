import asyncio
from contextlib import asynccontextmanager

tries = []


@asynccontextmanager
async def lifespan(worker):
    worker.logger.info("opening")
    tries.append(1)
    await asyncio.sleep(0)
    if len(tries) == 1:
        raise OSError("no database")
    yield {"tries": len(tries)}
    await asyncio.sleep(0)
    print("left")
    raise ValueError("still open")
