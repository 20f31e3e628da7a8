"""Round trips on the published old framework: few, since each takes a good part of a second."""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks.measure.course import Course
from benchmarks.measure.dialect import V0
from benchmarks.measure.peers import old_framework
from benchmarks.measure.roundtrip import Client

WARM_UP = 2
SETTLE_SECONDS = 2.0


def old_courses(paths: Mapping[str, str], count: int) -> list[Course]:
    """`count` round trips through each path, by the names of the rows.

    :raises PeerMissing: it cannot be had on this machine.
    """
    courses: list[Course] = []
    with old_framework() as server:
        time.sleep(SETTLE_SECONDS)
        for name, path in paths.items():
            course = Course(name, lambda path=path: Client(server.port, path, V0))
            course.turn(count, WARM_UP)
            courses.append(course)
    return courses
