"""Every setting: its name, default, unit and meaning. Owns the shape; how values are found (file,
environment, flags) is `cli/settings.py`. Knows no layer above.

A setting `[section] key` of `headwater.toml` is `HEADWATER_SECTION_KEY` in the environment. Each field's
metadata `doc` is what `headwater config` and the manual print; `least` and `most` bound a number (inclusive),
and a text is not empty unless it `may_be_empty`.
The type and name tell the unit: a float is seconds, a whole number named `*_bytes` is bytes, the other whole
numbers are counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

KIB = 1024
MIB = 1024 * KIB


def _setting(
    default: Any, doc: str, *, least: float = 0, most: float | None = None, may_be_empty: bool = False
) -> Any:
    bounds = {"least": least, "most": most, "may_be_empty": may_be_empty}
    return field(default=default, metadata={"doc": doc, **bounds})


MOMENT = 0.001
"""The least duration, in seconds, of settings for which 0 would mean nothing."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens and what it accepts over HTTP."""

    host: str = _setting("127.0.0.1", "Address to listen on. 0.0.0.0 opens it to the network.")
    port: int = _setting(3000, "TCP port; 0 picks a free one.", most=65_535)
    cors_origins: tuple[str, ...] = _setting(
        (),
        'Origins of pages that may call the API and follow streams, as "https://app.example.com"; "*" '
        "for all. In `dev` pages of this machine may without it, whatever their port.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (),
        "Names by which the server may be addressed beside those of this machine, as a proxy in front passes "
        'them on: "api.example.com", ".example.com" for all below it, "*" for any. Empty: none while it '
        "listens on this machine alone, else any.",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (),
        'Addresses and networks of proxies in front, as "127.0.0.1" or "10.0.0.0/8": what they say in '
        "`X-Forwarded-*` or `Forwarded` of client, scheme and host is believed, what others say there is "
        "dropped. Empty: those headers mean nothing to the server.",
    )
    root_path: str = _setting(
        "",
        'Path below which a proxy in front shows the server, as "/app": taken off the paths of requests '
        "that have it, put before redirects.",
        may_be_empty=True,
    )
    tls_cert: str = _setting(
        "",
        "File of the certificate in PEM, those of its authorities behind it, relative to the project: the "
        "server speaks https and wss. Empty: plain HTTP, as behind a proxy.",
        may_be_empty=True,
    )
    tls_key: str = _setting(
        "", "File of its private key, without a passphrase. Empty: it is in `tls_cert`.", may_be_empty=True
    )
    max_body_bytes: int = _setting(
        32 * MIB, "Largest request body, in bytes; above it the answer is 413.", least=1
    )
    max_bodies_bytes: int = _setting(
        512 * MIB, "Request bodies held at once, in bytes; above it the answer is 503.", least=1
    )
    unread_bytes: int = _setting(
        256 * MIB,
        "Bytes of answers that wait for their clients to read them, over all connections; above it the one "
        "that has waited longest is cut off.",
        least=MIB,
    )
    max_body_values: int = _setting(
        1_000_000,
        "Most JSON values in a request body, members and elements together; above it the answer is 413.",
        least=1,
    )
    max_body_depth: int = _setting(
        128,
        "How deep lists and objects of a JSON body may nest; above it the answer is 413.",
        least=1,
        most=250,
    )
    max_connections: int = _setting(20_000, "Most open sockets, HTTP and WebSocket together.", least=1)
    request_timeout: float = _setting(
        300.0, "Seconds an API handler may take; above it the answer is 504.", least=MOMENT
    )
    max_header_bytes: int = _setting(
        32 * KIB,
        "Largest request line and headers together, in bytes; above it the answer is 431.",
        least=KIB,
    )
    max_form_bytes: int = _setting(
        8 * MIB, "Largest form (urlencoded or multipart), in bytes; above it the answer is 413.", least=1
    )
    read_timeout: float = _setting(
        15.0,
        "Seconds a client may take for a handshake of TLS, for a request's headers, or pause in its body; "
        "then the answer is 408.",
        least=MOMENT,
    )
    write_timeout: float = _setting(
        60.0, "Seconds a client may leave an answer unread before it is cut off.", least=MOMENT
    )
    keepalive_timeout: float = _setting(
        75.0, "Seconds an idle HTTP connection is kept open for the next request.", least=MOMENT
    )
    shutdown_timeout: float = _setting(10.0, "Seconds that running requests get to finish on shutdown.")
    control: Literal["on", "off"] = _setting(
        "on",
        "Whether `headwater queue`, `emit` and `cancel` reach the server, by a socket in .headwater/ for its "
        "owner alone.",
    )


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """Limits and keepalive of one WebSocket."""

    max_frame_bytes: int = _setting(1 * MIB, "Largest message a client may send, in bytes.", least=1)
    max_frame_values: int = _setting(
        10_000, "Most JSON values in one message of a client, members and elements together.", least=1
    )
    max_frames_per_second: int = _setting(
        1000, "Frames a client may send a second over time; above it the socket is closed with 1008.", least=1
    )
    frame_burst: int = _setting(
        10_000, "Frames a client may send at once, before `max_frames_per_second` counts.", least=1
    )
    unfinished_bytes: int = _setting(
        128 * MIB,
        "Messages of which a part has come, over all sockets, in bytes; above it the oldest is given up.",
        least=1,
    )
    max_subscriptions: int = _setting(1000, "Most subscriptions on one socket.", least=1)
    max_id_bytes: int = _setting(
        1 * KIB, "Longest stream name, group id or item id, in UTF-8 bytes.", least=1
    )
    max_state_bytes: int = _setting(4 * KIB, "Largest presence state, in bytes of JSON.", least=1)
    high_water_bytes: int = _setting(256 * KIB, "Unsent bytes at which a socket falls behind.", least=1)
    ping_interval: float = _setting(20.0, "Seconds between pings to an idle client; 0 sends none.")
    ping_timeout: float = _setting(
        20.0, "Seconds without a pong after which a socket is closed.", least=MOMENT
    )
    stall_timeout: float = _setting(
        120.0, "Seconds a socket may stay undrained before it is closed.", least=MOMENT
    )


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where state is kept, and how hard."""

    url: str = _setting("sqlite:.headwater/data.db", '"sqlite:PATH" (relative to the project) or "memory:".')
    synchronous: Literal["full", "normal"] = _setting(
        "full",
        "full: a power cut loses nothing acknowledged; normal: only a crash of the process is survived.",
    )
    tombstone_age: float = _setting(
        86_400.0, "Seconds for which deletes are remembered, so that clients can resume."
    )
    max_item_bytes: int = _setting(32 * MIB, "Largest item, in bytes of JSON.", least=1)
    max_item_values: int = _setting(
        250_000, "Most JSON values in one item, members and elements together.", least=1
    )
    max_pending_bytes: int = _setting(
        256 * MIB, "Writes waiting for a commit, in bytes; above it they are refused.", least=1
    )
    max_unit_writes: int = _setting(
        1000, "Most writes and events that commit together, all or nothing.", least=1
    )
    max_unit_bytes: int = _setting(
        64 * MIB, "Most data that commits together, all or nothing, in bytes of JSON.", least=1
    )


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How changes travel from the store to subscribers."""

    ring_bytes: int = _setting(
        256 * KIB, "Recent changes kept in memory for each subscribed group, in bytes."
    )
    rings_bytes: int = _setting(
        64 * MIB,
        "Recent changes kept in memory for all groups together, in bytes; those of the quietest group go "
        "first.",
    )
    snapshots_bytes: int = _setting(
        128 * MIB,
        "Whole groups held in memory for clients of protocol v0 that have not read them, in bytes; others "
        "wait their turn.",
        least=1,
    )
    presence_age: float = _setting(
        60.0,
        "Seconds for which presences that left are remembered, so that clients can resume; who comes back "
        "later is told anew who is there.",
    )
    max_presence_left: int = _setting(
        50_000,
        "Presences that left and are remembered, over all groups (about 800 bytes each); the oldest are "
        "forgotten first.",
    )
    compare_interval: float = _setting(
        5.0,
        "Seconds between comparisons of followed groups with the store, which find changes that no notice "
        "told of; 0 makes none.",
    )
    prefix: str = _setting(
        "/streams",
        "Path under which streams are read over plain HTTP; empty turns it off.",
        may_be_empty=True,
    )
    page_bytes: int = _setting(1 * MIB, "One page of a catch-up, in bytes of item data.", least=1)
    max_window: int = _setting(
        1000, "Most items that a window grows by at once, over a socket or by `limit` over HTTP.", least=1
    )
    max_snapshot_bytes: int = _setting(
        32 * MIB,
        "Largest group that plain HTTP answers whole, in bytes; above it the answer is 413: use `limit`.",
        least=1,
    )


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The processes that run steps."""

    size: int = _setting(0, "Warm Python workers; 0 means one per core, at least 2.")
    max_size: int = _setting(0, "Most workers, when some are blocked; 0 means 4 more than `size`.")
    max_blocking: int = _setting(
        32,
        "Most processes for Python steps that block, one for each that runs; fewer where memory is short. "
        "What blocks and finds none waits.",
        least=1,
    )
    stall_after: float = _setting(
        0.01, "Seconds without a sign of life after which a worker gets no new work.", least=MOMENT
    )
    block_after: float = _setting(
        0.1, "Seconds a handler may block its loop before its step is kept from all others.", least=MOMENT
    )
    max_waiting: int = _setting(
        10_000, "Requests that may wait for a worker; above it the answer is 503.", least=1
    )
    start_timeout: float = _setting(30.0, "Seconds a worker may take to load the project.", least=MOMENT)
    drain_timeout: float = _setting(
        10.0,
        "Seconds that running invocations get when their generation ends or their time limit has passed.",
    )
    linger_timeout: float = _setting(
        300.0,
        "Seconds that tasks and threads which outlive their response get when their worker is let go: their "
        "generation ends, or there are more workers than needed.",
    )
    access_timeout: float = _setting(
        5.0,
        "Seconds an access function or `authenticate` may take; after that the answer is no.",
        least=MOMENT,
    )
    max_frame_bytes: int = _setting(64 * MIB, "Largest frame between server and worker, in bytes.", least=KIB)
    node: str = _setting(
        "node",
        'The program that runs TypeScript and JavaScript steps; "node" is looked for on PATH, then in the '
        "extra headwater[node].",
    )
    node_size: int = _setting(
        1, "Warm Node workers; none is started for a project without TypeScript or JavaScript.", least=1
    )
    node_max_size: int = _setting(0, "Most Node workers; 0 means 4 more than `node_size`.")


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How steps are found and checked."""

    folders: tuple[str, ...] = _setting(("steps", "src"), "Folders searched for steps and streams.")
    validation: Literal["strict", "warn", "off"] = _setting(
        "strict", "What a request that breaks bodySchema meets."
    )
    state_data: Literal["tolerate", "plain"] = _setting(
        "tolerate",
        'tolerate: a dict that ctx.state.get gives in Python, without a key "data", answers value["data"] '
        "with itself, as old steps expect; plain: it is a dict like any other.",
    )
    text_bodies: Literal["auto", "html", "plain"] = _setting(
        "auto",
        "What a text that a step answers is where its headers do not say: auto takes text that begins with "
        "`<` for HTML, as old steps expect, and other text for plain; html and plain take all text for that.",
    )
    public: str = _setting("public", "Folder of static files, served at /.")
    max_files: int = _setting(5000, "Most source files of a project; those beyond it are left out.")
    max_source_bytes: int = _setting(32 * MIB, "Most source text of a project, in bytes.")


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """Events, cron and what outlives its request."""

    retry_first: float = _setting(
        1.0, "Seconds after which a failed event is tried again; doubled at each more failure.", least=MOMENT
    )
    retry_most: float = _setting(300.0, "Most seconds between two tries of an event.", least=MOMENT)
    max_retries: int = _setting(3, "Tries after the first, where a step's `maxRetries` says nothing.")
    concurrency: int = _setting(
        10, "Events that one step handles at once, where its `concurrency` says nothing.", least=1
    )
    input: Literal["strict", "warn", "off"] = _setting(
        "warn",
        "What an event meets that breaks a step's `input`: strict refuses the emit, warn runs the step.",
    )
    max_payload_bytes: int = _setting(4 * MIB, "Largest data of one event, in bytes of JSON.", least=1)
    max_payload_values: int = _setting(
        100_000, "Most JSON values in the data of one event, members and elements together.", least=1
    )
    max_kept_bytes: int = _setting(1 * MIB, "Largest result of one `ctx.step`, in bytes of JSON.", least=1)
    max_name_bytes: int = _setting(KIB, "Longest message group or key of an event, in UTF-8 bytes.", least=1)
    max_queued: int = _setting(
        1_000_000, "Events that may wait to be handled, over all steps; above it an emit fails.", least=1
    )
    cache_bytes: int = _setting(
        32 * MIB, "Waiting events held in memory beside the store, in bytes; the others are read when due."
    )
    time_zone: str = _setting(
        "local", 'Zone of cron steps, as "Europe/Berlin"; "local" is the machine\'s own.'
    )
    missed_cron: Literal["skip", "once"] = _setting(
        "skip", "Times of a cron step that passed while no server ran: left out, or made up for by one run."
    )
    finished_age: float = _setting(86_400.0, "Seconds for which finished runs are kept; 0 keeps none.")
    finished_count: int = _setting(1000, "Finished runs kept for each step; 0 keeps none.")
    dead_age: float = _setting(
        30 * 86_400.0, "Seconds for which events that were given up are kept.", least=1
    )
    lost_step_age: float = _setting(
        7 * 86_400.0, "Seconds for which events wait for a step that the project has no longer.", least=1
    )


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Who asks: what the project's `authenticate` is asked, and how often."""

    cookie: str = _setting(
        "", "Cookie that brings a token where nothing else does; empty: none.", may_be_empty=True
    )
    cache: float = _setting(
        0.0,
        "Seconds for which an answer of `authenticate` holds for further requests with the same token; 0 "
        "asks each time. For where the token alone decides the answer.",
        most=3600.0,
    )
    cache_size: int = _setting(10_000, "Most tokens whose answers are held by `cache`.", least=1)
    max_context_bytes: int = _setting(
        8 * KIB, "Largest answer of `authenticate`, in bytes of JSON; one above it refuses.", least=1
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = _setting("info", "Least level that is printed.")
    format: Literal["pretty", "json"] = _setting("pretty", "pretty for people, json for machines.")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one server.

    `project` is the project's folder, `dev` turns on reload and response checks. `new_epoch` says that what
    is stored is a copy, so its history begins anew.
    """

    project: Path = field(default_factory=Path)
    dev: bool = False
    new_epoch: bool = False
    server: ServerSettings = field(default_factory=ServerSettings)
    socket: SocketSettings = field(default_factory=SocketSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    streams: StreamSettings = field(default_factory=StreamSettings)
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    steps: StepSettings = field(default_factory=StepSettings)
    work: WorkSettings = field(default_factory=WorkSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    log: LogSettings = field(default_factory=LogSettings)
