"""A process that writes as fast as it can and says what was acknowledged, to be killed in the middle.

Run as `python -m support.storage_storm FILE SEED`. After `open EPOCH` it prints one line for each
acknowledged write, `GROUP VERSION KIND ID NONCE`, and only then begins the next batch. Some of what it writes
are units, each of which sets one item of every group and of WORK to one value, and replaces an outbox entry.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from random import Random

import uvloop

from headwater.clock import Stamps, SystemClock
from headwater.model import Change, GroupKey, Unit, Write
from headwater.storage.base import Committed, UnitOutcome
from headwater.storage.sqlite import SqliteStore

STREAM = "storm"
GROUPS = 5
IDS = 40
UNIT_IDS = 6
WORK = GroupKey("work", "queue")


async def storm(file: Path, seed: int) -> None:
    random = Random(seed)
    store = await SqliteStore.open(file)
    stamps = Stamps(SystemClock(), store.stamp)
    say(f"open {store.epoch}\n")
    while True:
        batch: list[Write | Unit] = [some_write(random) for _ in range(random.choice((1, 2, 64)))]
        if random.random() < 0.5:
            batch[0] = some_unit(random, [entry.id for entry in await store.outbox()])
        outcomes = await store.commit(batch, stamp=stamps.next())
        if random.random() < 0.02:
            await store.sweep(now=time.time(), tombstone_age=3600)
        say("".join(line(change) for outcome in outcomes for change in changes(outcome)))


def some_write(random: Random) -> Write:
    key = GroupKey(STREAM, f"g{random.randrange(GROUPS)}")
    item_id = f"i{random.randrange(IDS)}"
    if random.random() < 0.2:
        return Write(key, item_id, "delete")
    size = random.choice((0, 0, 200, 6000))
    return Write(key, item_id, "set", b"%d %s" % (random.getrandbits(60), b"x" * size))


def some_unit(random: Random, pending: list[int]) -> Unit:
    item_id, data = f"u{random.randrange(UNIT_IDS)}", b"%d x" % random.getrandbits(60)
    keys = [GroupKey(STREAM, f"g{number}") for number in range(GROUPS)]
    random.shuffle(keys)
    writes = [Write(key, item_id, "set", data) for key in keys]
    work = Write(WORK, item_id, "set", data, history=False, outbox=item_id.encode())
    return Unit([*writes, work], settles=pending)


def changes(outcome: UnitOutcome) -> list[Change]:
    """What to tell of an outcome."""
    if isinstance(outcome, Committed):
        return [change for change in outcome.changes if change and change.group != WORK]
    return [outcome] if isinstance(outcome, Change) else []


def line(change: Change) -> str:
    nonce = change.data.split(b" ")[0].decode()
    return f"{change.group.group} {change.version} {change.kind} {change.id} {nonce}\n"


def say(text: str) -> None:
    os.write(1, text.encode())


if __name__ == "__main__":
    uvloop.run(storm(Path(sys.argv[1]), int(sys.argv[2])))
