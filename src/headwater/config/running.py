"""What runs user code: workers, how steps are found, and work that outlives its request.

Each class is a table of `headwater.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headwater.config.declaring import KIB, MIB, MOMENT, setting


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The processes that run steps."""

    size: int = setting(0, "Warm Python workers; 0 means one per core, at least 2.")
    max_size: int = setting(0, "Most workers, when some are blocked; 0 means 4 more than `size`.")
    max_blocking: int = setting(
        32,
        "Most processes for Python steps that block, one for each that runs; fewer where memory is short. "
        "What blocks and finds none waits.",
        least=1,
    )
    stall_after: float = setting(
        0.01, "Seconds without a sign of life after which a worker gets no new work.", least=MOMENT
    )
    block_after: float = setting(
        0.1, "Seconds a handler may block its loop before its step is kept from all others.", least=MOMENT
    )
    max_waiting: int = setting(
        10_000, "Requests that may wait for a worker; above it the answer is 503.", least=1
    )
    start_timeout: float = setting(30.0, "Seconds a worker may take to load the project.", least=MOMENT)
    drain_timeout: float = setting(
        10.0,
        "Seconds that running invocations get when their generation ends or their time limit has passed.",
    )
    linger_timeout: float = setting(
        300.0,
        "Seconds that tasks and threads which outlive their response get when their worker is let go: their "
        "generation ends, or there are more workers than needed.",
    )
    access_timeout: float = setting(
        5.0,
        "Seconds an access function or `authenticate` may take; after that the answer is no.",
        least=MOMENT,
    )
    max_frame_bytes: int = setting(64 * MIB, "Largest frame between server and worker, in bytes.", least=KIB)
    node: str = setting(
        "node",
        'The program that runs TypeScript and JavaScript steps; "node" is looked for on PATH, then in the '
        "extra headwater[node].",
    )
    node_size: int = setting(
        1, "Warm Node workers; none is started for a project without TypeScript or JavaScript.", least=1
    )
    node_max_size: int = setting(0, "Most Node workers; 0 means 4 more than `node_size`.")


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How steps are found and checked."""

    folders: tuple[str, ...] = setting(("steps", "src"), "Folders searched for steps and streams.")
    validation: Literal["strict", "warn", "off"] = setting(
        "strict", "What a request that breaks bodySchema meets."
    )
    state_data: Literal["tolerate", "plain"] = setting(
        "tolerate",
        'tolerate: a dict that ctx.state.get gives in Python, without a key "data", answers value["data"] '
        "with itself, as old steps expect; plain: it is a dict like any other.",
    )
    text_bodies: Literal["auto", "html", "plain"] = setting(
        "auto",
        "What a text that a step answers is where its headers do not say: auto takes text that begins with "
        "`<` for HTML, as old steps expect, and other text for plain; html and plain take all text for that.",
    )
    public: str = setting("public", "Folder of static files, served at /.")
    max_files: int = setting(5000, "Most source files of a project; those beyond it are left out.")
    max_source_bytes: int = setting(32 * MIB, "Most source text of a project, in bytes.")


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """Events, cron and what outlives its request."""

    retry_first: float = setting(
        1.0, "Seconds after which a failed event is tried again; doubled at each more failure.", least=MOMENT
    )
    retry_most: float = setting(300.0, "Most seconds between two tries of an event.", least=MOMENT)
    max_retries: int = setting(3, "Tries after the first, where a step's `maxRetries` says nothing.")
    concurrency: int = setting(
        10, "Events that one step handles at once, where its `concurrency` says nothing.", least=1
    )
    input: Literal["strict", "warn", "off"] = setting(
        "warn",
        "What an event meets that breaks a step's `input`: strict refuses the emit, warn runs the step.",
    )
    max_payload_bytes: int = setting(
        4 * MIB,
        "Largest data of one event, in bytes of JSON; above it an emit fails with `TOO_LARGE`.",
        least=1,
    )
    max_payload_values: int = setting(
        100_000,
        "Most JSON values in the data of one event, members and elements together; above it an emit fails "
        "with `TOO_COMPLEX`.",
        least=1,
    )
    max_kept_bytes: int = setting(1 * MIB, "Largest result of one `ctx.step`, in bytes of JSON.", least=1)
    max_kept_steps: int = setting(
        500,
        "Results of `ctx.step` that one run may keep; they are deleted with it at once.",
        least=1,
        most=900,
    )
    max_name_bytes: int = setting(KIB, "Longest message group or key of an event, in UTF-8 bytes.", least=1)
    max_queued: int = setting(
        1_000_000,
        "Events that may wait to be handled, over all steps; above it an emit fails with `QUEUE_FULL`.",
        least=1,
    )
    cache_bytes: int = setting(
        32 * MIB, "Waiting events held in memory beside the store, in bytes; the others are read when due."
    )
    time_zone: str = setting(
        "local", 'Zone of cron steps, as "Europe/Berlin"; "local" is the machine\'s own.'
    )
    missed_cron: Literal["skip", "once"] = setting(
        "skip", "Times of a cron step that passed while no server ran: left out, or made up for by one run."
    )
    finished_age: float = setting(86_400.0, "Seconds for which finished runs are kept; 0 keeps none.")
    finished_count: int = setting(1000, "Finished runs kept for each step; 0 keeps none.")
    dead_age: float = setting(30 * 86_400.0, "Seconds for which events that were given up are kept.", least=1)
    lost_step_age: float = setting(
        7 * 86_400.0, "Seconds for which events wait for a step that the project has no longer.", least=1
    )
