"""Short lives of a store, each killed one call later than the one before: from its first call to its clean
end.

Run as `python -m support.storage_lives FILE`. Each life is a forked process that opens the store, writes one
item and closes. A line tells how far it came: `EPOCH` once it was open, then `ID` once its write was
acknowledged. The calls that count are those that the store's own modules make: every statement, every file
that is written.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

import headwater.storage.sqlite
from headwater.model import GroupKey, Write
from headwater.storage.sqlite import SqliteStore

OURS = str(Path(headwater.storage.sqlite.__file__).parent)
GROUP = GroupKey("lives", "all")


class Death:
    """Kills this process at a call."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "c_call" and frame.f_code.co_filename.startswith(OURS):
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def live(file: Path, number: int) -> None:
    store = await SqliteStore.open(file)
    say(store.epoch)
    await store.commit([Write(GROUP, f"i{number}", "set", b"{}")], stamp=float(number))
    say(f"i{number}")
    await store.close()


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def main(file: Path, stride: int) -> None:
    uvloop.run(live(file, -1))
    for number in count(0, stride):
        child = os.fork()
        if not child:
            death = Death(number)
            threading.setprofile(death)
            sys.setprofile(death)
            uvloop.run(live(file, number))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
