"""Where state is kept, and how changes travel from there to subscribers.

Each class is a table of `headwater.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headwater.config.declaring import KIB, MIB, setting


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where state is kept, and how hard."""

    url: str = setting("sqlite:.headwater/data.db", '"sqlite:PATH" (relative to the project) or "memory:".')
    synchronous: Literal["full", "normal"] = setting(
        "full",
        "full: a power cut loses nothing acknowledged; normal: only a crash of the process is survived.",
    )
    tombstone_age: float = setting(
        86_400.0, "Seconds for which deletes are remembered, so that clients can resume."
    )
    max_item_bytes: int = setting(
        32 * MIB, "Largest item, in bytes of JSON; a larger one is refused with `TOO_LARGE`.", least=1
    )
    max_item_values: int = setting(
        250_000,
        "Most JSON values in one item, members and elements together; one with more is refused with "
        "`TOO_COMPLEX`.",
        least=1,
    )
    max_pending_bytes: int = setting(
        256 * MIB,
        "Writes waiting for a commit, in bytes; above it they are refused with `TOO_MANY`.",
        least=1,
    )
    max_unit_writes: int = setting(
        1000, "Most writes and events that commit together, all or nothing.", least=1000
    )
    max_unit_bytes: int = setting(
        64 * MIB, "Most data that commits together, all or nothing, in bytes of JSON.", least=1
    )


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How changes travel from the store to subscribers."""

    ring_bytes: int = setting(256 * KIB, "Recent changes kept in memory for each subscribed group, in bytes.")
    rings_bytes: int = setting(
        64 * MIB,
        "Recent changes kept in memory for all groups together, in bytes; those of the quietest group go "
        "first.",
    )
    snapshots_bytes: int = setting(
        128 * MIB,
        "Whole groups held in memory for clients of protocol v0 that have not read them, in bytes; others "
        "wait their turn.",
        least=1,
    )
    presence_age: float = setting(
        60.0,
        "Seconds for which presences that left are remembered, so that clients can resume; who comes back "
        "later is told anew who is there.",
    )
    max_presence_left: int = setting(
        50_000,
        "Presences that left and are remembered, over all groups (about 800 bytes each); the oldest are "
        "forgotten first.",
    )
    compare_interval: float = setting(
        5.0,
        "Seconds between comparisons of followed groups with the store, which find changes that no notice "
        "told of; 0 makes none.",
    )
    max_writes_per_second: int = setting(
        100,
        "Writes without a step that one client, its user or else its address, may make a second over time; "
        "above it they are refused with `TOO_MANY`. Loopback and trusted proxies without a user are not "
        "counted.",
        least=1,
    )
    write_burst: int = setting(
        1000, "Writes that one client may make at once, before `max_writes_per_second` counts.", least=1
    )
    prefix: str = setting(
        "/streams",
        "Path under which streams are read over plain HTTP; empty turns it off.",
        may_be_empty=True,
    )
    page_bytes: int = setting(1 * MIB, "One page of a catch-up, in bytes of item data.", least=1)
    max_window: int = setting(
        1000, "Most items that a window grows by at once, over a socket or by `limit` over HTTP.", least=1
    )
    max_write_bytes: int = setting(
        1 * MIB,
        "Largest item, list of operations or event that a client writes over plain HTTP without a step, in "
        "bytes; above it the answer is 413. Over sockets it is `[socket] max_frame_bytes`.",
        least=1,
    )
    max_judged_bytes: int = setting(
        64 * MIB,
        "Clients' writes that wait for the project's rules, over all clients, in bytes; above it they are "
        "refused.",
        least=1,
    )
    max_snapshot_bytes: int = setting(
        32 * MIB,
        "Largest group that plain HTTP answers whole, in bytes; above it the answer is 413: use `limit`.",
        least=1,
    )
