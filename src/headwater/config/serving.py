"""What strangers reach: the port, HTTP and sockets, and what each may cost.

Each class is a table of `headwater.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headwater.config.declaring import KIB, MIB, MOMENT, setting


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens and what it accepts over HTTP."""

    host: str = setting("127.0.0.1", "Address to listen on. 0.0.0.0 opens it to the network.")
    port: int = setting(3000, "TCP port; 0 picks a free one.", most=65_535)
    cors_origins: tuple[str, ...] = setting(
        (),
        'Origins of pages that may call the API and follow streams, as "https://app.example.com"; "*" '
        "for all, but for what their users' cookies open. In `dev` pages of this machine may without it, "
        "whatever their port.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Names by which the server may be addressed beside those of this machine, as a proxy in front passes "
        'them on: "api.example.com", ".example.com" for all below it, "*" for any. Empty: none while it '
        "listens on this machine alone, else any.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        'Addresses and networks of proxies in front, as "127.0.0.1" or "10.0.0.0/8": what they say in '
        "`X-Forwarded-*` or `Forwarded` of client, scheme and host is believed, what others say there is "
        "dropped. Empty: those headers mean nothing to the server.",
    )
    root_path: str = setting(
        "",
        'Path below which a proxy in front shows the server, as "/app": taken off the paths of requests '
        "that have it, put before redirects.",
        may_be_empty=True,
    )
    tls_cert: str = setting(
        "",
        "File of the certificate in PEM, those of its authorities behind it, relative to the project: the "
        "server speaks https and wss. Empty: plain HTTP, as behind a proxy.",
        may_be_empty=True,
    )
    tls_key: str = setting(
        "", "File of its private key, without a passphrase. Empty: it is in `tls_cert`.", may_be_empty=True
    )
    max_body_bytes: int = setting(
        32 * MIB, "Largest request body, in bytes; above it the answer is 413.", least=1
    )
    max_bodies_bytes: int = setting(
        512 * MIB,
        "Request bodies held at once, in bytes; above it the one that has been unfinished longest is "
        "answered with 503.",
        least=1,
    )
    unread_bytes: int = setting(
        256 * MIB,
        "Bytes of answers that wait for their clients to read them, over all connections; above it the one "
        "that has waited longest is cut off.",
        least=MIB,
    )
    max_body_values: int = setting(
        1_000_000,
        "Most JSON values in a request body, members and elements together; above it the answer is 413.",
        least=1,
    )
    max_body_depth: int = setting(
        128,
        "How deep lists and objects of a JSON body may nest; above it the answer is 413.",
        least=1,
        most=250,
    )
    max_connections: int = setting(
        20_000,
        "Most open sockets, HTTP and WebSocket together; above it the answer is 503, far above it there is "
        "none.",
        least=1,
    )
    max_connections_per_address: int = setting(
        1000,
        "Most open sockets from one address, or from one /64 of IPv6; above it the answer is 429. Loopback "
        "and `trusted_proxies` are not counted; behind these their clients are, for requests under way and "
        "for WebSockets.",
        least=1,
    )
    max_handshakes_per_second: int = setting(
        100,
        "Connections that one address may open a second over time, counted as above; beyond it the answer is "
        "429, and in a flood none.",
        least=1,
    )
    handshake_burst: int = setting(
        1000,
        "Connections that one address may open at once, before `max_handshakes_per_second` counts.",
        least=1,
    )
    request_timeout: float = setting(
        300.0, "Seconds an API handler may take; above it the answer is 504.", least=MOMENT
    )
    max_header_bytes: int = setting(
        32 * KIB,
        "Largest request line and headers together, in bytes; above it the answer is 431.",
        least=KIB,
    )
    max_form_bytes: int = setting(
        8 * MIB, "Largest form (urlencoded or multipart), in bytes; above it the answer is 413.", least=1
    )
    read_timeout: float = setting(
        15.0,
        "Seconds a client may take for a handshake of TLS, for a request's headers, or pause in its body; "
        "then the answer is 408.",
        least=MOMENT,
    )
    write_timeout: float = setting(
        60.0, "Seconds a client may leave an answer unread before it is cut off.", least=MOMENT
    )
    keepalive_timeout: float = setting(
        75.0, "Seconds an idle HTTP connection is kept open for the next request.", least=MOMENT
    )
    shutdown_timeout: float = setting(10.0, "Seconds that running requests get to finish on shutdown.")
    control: Literal["on", "off"] = setting(
        "on",
        "Whether `headwater queue`, `emit`, `cancel` and `limits` reach the server, by a socket in "
        ".headwater/ for its owner alone.",
    )


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """Limits and keepalive of one WebSocket."""

    max_frame_bytes: int = setting(
        1 * MIB,
        "Largest message a client may send, in bytes; a larger one closes its socket with 1009.",
        least=1,
    )
    max_frame_values: int = setting(
        10_000,
        "Most JSON values in one message of a client, members and elements together; one with more is "
        "refused with `PROTOCOL_FAULT`.",
        least=1,
    )
    max_frames_per_second: int = setting(
        5000, "Frames a client may send a second over time; above it the socket is closed with 1008.", least=1
    )
    frame_burst: int = setting(
        10_000, "Frames a client may send at once, before `max_frames_per_second` counts.", least=1
    )
    unfinished_bytes: int = setting(
        128 * MIB,
        "Messages of which a part has come, over all sockets, in bytes; above it the socket of the oldest is "
        "closed with 1013.",
        least=1,
    )
    max_subscriptions: int = setting(
        1000, "Most subscriptions on one socket; a further one is refused with `TOO_MANY`.", least=1
    )
    max_writes: int = setting(
        100,
        "Most writes and events of one socket that are not answered yet; more are refused.",
        least=1,
    )
    max_id_bytes: int = setting(
        1 * KIB,
        "Longest stream name, group id or item id, in UTF-8 bytes; a longer one is refused (400).",
        least=1,
    )
    max_state_bytes: int = setting(
        4 * KIB,
        "Largest presence state, in bytes of JSON; a larger one is refused with `TOO_LARGE`.",
        least=1,
    )
    high_water_bytes: int = setting(256 * KIB, "Unsent bytes at which a socket falls behind.", least=1)
    ping_interval: float = setting(20.0, "Seconds between pings to an idle client; 0 sends none.")
    ping_timeout: float = setting(
        20.0, "Seconds without a pong after which a socket is closed.", least=MOMENT
    )
    stall_timeout: float = setting(
        120.0, "Seconds a socket may stay undrained before it is closed.", least=MOMENT
    )
