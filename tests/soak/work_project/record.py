"""What each attempt at an event says of itself: lines appended to one file, whose order is that of time."""

import json
import os
import time
import uuid

FILE = os.open(os.environ["SOAK_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


class Attempt:
    """One attempt of a step at the event of that label."""

    def __init__(self, step, label, number):
        self.about = {"step": step, "label": label, "attempt": number, "token": uuid.uuid4().hex}
        self.say("begin")

    def say(self, what):
        line = {**self.about, "what": what, "at": time.time()}
        os.write(FILE, json.dumps(line).encode() + b"\n")
