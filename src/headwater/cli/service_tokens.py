"""`[auth.service_tokens.NAME]` of `headwater.toml`: the tokens of other backends. Owns what such a table may
hold, and that no token is quoted or kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from headwater.cli.places import Fault
from headwater.config import ServiceToken
from headwater.peer import SHORTEST_TOKEN, token_digest
from headwater.streams.catalog import VERBS

KEY = "auth.service_tokens"

_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_MEMBERS = ("token", "token_env", "hash", "streams", "may")
_TABLE = 'token_env = "BILLING_TOKEN", streams = ["invoices"], may = ["read", "write"]'


def read_service_tokens(
    tables: Mapping[str, Any], environ: Mapping[str, str], where: Callable[[str], str]
) -> tuple[tuple[ServiceToken, ...], list[Fault]]:
    """The tokens of these tables, and what is wrong with them. `environ` is looked into for `token_env`,
    `where` tells where a key stands."""
    found: list[ServiceToken] = []
    faults: list[Fault] = []
    for name, raw in tables.items():
        key = f"{KEY}.{name}"
        table = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        wrong = [Fault(key, where(key), f"{key}: {said}", hint) for said, hint in _faults(table, environ)]
        if not wrong:
            digest = _digest(table, environ)
            if any(one.digest == digest for one in found):
                wrong = [Fault(key, where(key), f"{key} has the token of another one.", "Give it its own.")]
            else:
                found.append(ServiceToken(name, digest, frozenset(table["streams"]), frozenset(table["may"])))
        faults += wrong
    return tuple(found), faults


def _faults(table: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    unknown = next((name for name in table if name not in _MEMBERS), None)
    if unknown is not None:
        yield f'there is no "{unknown}".', f"It has {', '.join(_MEMBERS)}."
    given = [name for name in ("token", "token_env", "hash") if name in table]
    if len(given) != 1:
        yield "it needs one of token, token_env and hash.", f"For example {_TABLE}."
    elif not isinstance(table[given[0]], str):
        yield f"{given[0]} must be a text.", ""
    elif given == ["hash"]:
        if not _HASH.fullmatch(table["hash"]):
            yield "hash must be sha256: and 64 hexadecimal digits.", "They are the SHA-256 of the token."
    elif given == ["token_env"] and table["token_env"] not in environ:
        yield f"the environment has no {table['token_env']}.", "Set it, or write it into the .env."
    elif len(_token(table, environ)) < SHORTEST_TOKEN:
        yield f"the token has fewer than {SHORTEST_TOKEN} characters.", "Use: openssl rand -hex 32"
    if not _are_texts(table.get("streams")):
        yield 'streams must be a list of names, or ["*"].', f"For example {_TABLE}."
    may = table.get("may")
    if not _are_texts(may) or not set(cast("list[str]", may)) <= set(VERBS):
        yield f"may must be a list of {', '.join(VERBS)}.", f"For example {_TABLE}."


def _are_texts(value: Any) -> bool:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(listed) and all(isinstance(one, str) and one for one in listed)


def _token(table: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    return table["token"] if "token" in table else environ[table["token_env"]].strip()


def _digest(table: Mapping[str, Any], environ: Mapping[str, str]) -> bytes:
    if "hash" in table:
        return bytes.fromhex(table["hash"].removeprefix("sha256:"))
    return token_digest(_token(table, environ))
