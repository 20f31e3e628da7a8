"""The keys by which tokens are checked: one that the settings give, or a set that is fetched and changes.

Owns which key may check what: a key has one algorithm, told by what it is and never by a token, so a public
key is no secret of HMAC whatever a token's head says. Nothing waits on the loop for a file or another server.
"""

from __future__ import annotations

import asyncio
import logging
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import urlsplit

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from headwater.errors import AuthUnavailable, ConfigError

log = logging.getLogger("headwater.access")

LEAST_SECRET_BYTES = 32
"""Of a secret for HS256: as long as its digest, RFC 7518 section 3.2."""

LEAST_RSA_BITS = 2048
"""RFC 7518 section 3.3."""

MOST_BYTES = 1024 * 1024
"""Of a set of keys."""

FETCH_SECONDS = 10.0
"""For which a set of keys is waited for."""

LEAST_BETWEEN = 10.0
"""Seconds between two fetches that tokens of unknown keys cause: strangers can make up many."""


class Key(NamedTuple):
    """A key, the one algorithm that it is for, and its name in a set; `text` tells two apart."""

    name: str | None
    algorithm: str
    key: Any
    text: bytes


class Keys(Protocol):
    """Where a token's key is found."""

    async def find(self, name: str | None, algorithm: str) -> Key | None:
        """The key of that name for that algorithm; of a token that names none, the only one for its
        algorithm. None where there is none.

        :raises AuthUnavailable: no keys are known yet.
        """
        ...


class OneKey:
    """The key of the settings. A token may name it as it likes."""

    def __init__(self, text: str, algorithms: tuple[str, ...], setting: str) -> None:
        """
        :raises ConfigError: it is no key for these algorithms.
        """
        self.key = key_of(text, algorithms, setting)

    async def find(self, name: str | None, algorithm: str) -> Key | None:
        """See Keys."""
        return self.key if self.key.algorithm == algorithm else None


def key_of(text: str, algorithms: tuple[str, ...], setting: str) -> Key:
    """The key that a setting holds: a public key in PEM, or a secret where HS256 is the only algorithm.

    :raises ConfigError: it is neither, or not for these algorithms.
    """
    is_pem = "-----BEGIN" in text
    if algorithms == ("HS256",):
        if is_pem:
            raise _wrong(setting, "is a key in PEM, and no secret for HS256", "Name its own algorithm.")
        secret = text.strip().encode()
        if len(secret) < LEAST_SECRET_BYTES:
            said = f"has {len(secret)} bytes, and a secret for HS256 has at least {LEAST_SECRET_BYTES}"
            raise _wrong(setting, said, "`openssl rand -base64 48` makes one.")
        return Key(None, "HS256", secret, secret)
    if "HS256" in algorithms:
        hint = "A public key could pass for a secret. Name HS256 alone, or leave it out."
        raise _wrong("auth.jwt_algorithms", "mixes HS256 with algorithms of public keys", hint)
    if not is_pem:
        hint = 'It begins with -----BEGIN PUBLIC KEY-----. A secret needs jwt_algorithms = ["HS256"].'
        raise _wrong(setting, "is no public key in PEM", hint)
    if "PRIVATE KEY" in text:
        raise _wrong(setting, "is a private key", "Give the public one: `openssl pkey -pubout` makes it.")
    try:
        public = load_pem_public_key(text.strip().encode())
    except Exception as fault:  # The library raises what it likes for what is no key.
        raise _wrong(setting, f"cannot be read as a public key: {type(fault).__name__}", "") from None
    algorithm = _algorithm_of(public, setting)
    if algorithm not in algorithms:
        hint = f"Add {algorithm} to auth.jwt_algorithms."
        raise _wrong(setting, f"is a key for {algorithm}, which is not allowed", hint)
    return Key(None, algorithm, public, text.encode())


def _algorithm_of(public: object, setting: str) -> str:
    if isinstance(public, RSAPublicKey):
        if public.key_size < LEAST_RSA_BITS:
            raise _wrong(setting, f"has {public.key_size} bits, and RSA needs {LEAST_RSA_BITS}", "")
        return "RS256"
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return "ES256"
    if isinstance(public, Ed25519PublicKey):
        return "EdDSA"
    raise _wrong(setting, "is a key for none of RS256, ES256 and EdDSA", "")


def _wrong(setting: str, said: str, hint: str) -> ConfigError:
    return ConfigError(f"{setting} {said}.", hint=hint, setting=setting)


def keys_of_set(text: bytes, algorithms: tuple[str, ...]) -> list[Key]:
    """The keys of a set (RFC 7517) that can check these algorithms; the others are passed over.

    :raises ValueError: it is no set.
    """
    document = orjson.loads(text)
    if not isinstance(document, dict) or not isinstance(cast("dict[str, Any]", document).get("keys"), list):
        raise ValueError('it has no list "keys"')
    found = (_key_of_member(one, algorithms) for one in cast("dict[str, list[Any]]", document)["keys"])
    return [key for key in found if key is not None]


def _key_of_member(member: Any, algorithms: tuple[str, ...]) -> Key | None:
    if not isinstance(member, dict):
        return None
    told = cast("dict[str, Any]", member)
    algorithm = _ALGORITHMS.get((told.get("kty"), told.get("crv")))
    if algorithm is None or algorithm not in algorithms or told.get("alg", algorithm) != algorithm:
        return None
    if told.get("use", "sig") != "sig" or "verify" not in told.get("key_ops", ["verify"]):
        return None
    try:
        public = {name: value for name, value in told.items() if name not in _PRIVATE}
        key = jwt.PyJWK(public if algorithm != "HS256" else told, algorithm=algorithm).key
    except Exception as fault:
        log.warning("A key of the set of keys cannot be used: %s", type(fault).__name__)
        return None
    if isinstance(key, bytes) and len(key) < LEAST_SECRET_BYTES:
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        return None
    name = told.get("kid")
    return Key(name if isinstance(name, str) else None, algorithm, key, orjson.dumps(told, option=_SORTED))


_ALGORITHMS: Mapping[tuple[Any, Any], str] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
    ("oct", None): "HS256",
}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_SORTED = orjson.OPT_SORT_KEYS

Fetch = Callable[[], Awaitable[bytes]]


class KeySet:
    """A set of keys that changes. It is fetched at the first need, when a token names a key that is not in
    it (at most every `LEAST_BETWEEN` seconds) and every `refresh` seconds; while that fails, those that were
    fetched last go on. `changed` hears of each set that differs, and whether a key is in it no more."""

    def __init__(
        self,
        fetch: Fetch,
        algorithms: tuple[str, ...],
        refresh: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.changed: Callable[[bool], None] = lambda _withdrawn: None
        self._fetch = fetch
        self._algorithms = algorithms
        self._refresh = refresh
        self._now = now
        self._keys: list[Key] | None = None
        self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, name: str | None, algorithm: str) -> Key | None:
        """See Keys."""
        found = self._among(name, algorithm)
        if found is None and (self._fetching is not None or self._now() - self._tried >= LEAST_BETWEEN):
            await self.fetch()
            found = self._among(name, algorithm)
        if found is None and self._keys is None:
            raise AuthUnavailable("The keys by which tokens are checked are not known.", hint="Try again.")
        return found

    async def fetch(self) -> None:
        """Fetch the set, once for all who want it."""
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._take())
        await asyncio.shield(self._fetching)

    async def run(self) -> None:
        """Fetch it again and again, until cancelled."""
        while True:
            await self.fetch()
            await asyncio.sleep(self._refresh)

    def _among(self, name: str | None, algorithm: str) -> Key | None:
        keys = [key for key in self._keys or () if key.algorithm == algorithm]
        if name is not None:
            keys = [key for key in keys if key.name == name]
        return keys[0] if len(keys) == 1 else None

    async def _take(self) -> None:
        self._tried = self._now()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                text = await self._fetch()
            keys = keys_of_set(text, self._algorithms)
        except Exception as fault:
            said = "those of before go on" if self._keys is not None else "tokens cannot be checked"
            log.warning("The set of keys could not be fetched, so %s: %s", said, _named(fault))
            return
        finally:
            self._fetching = None
        if not keys:
            log.warning("The set of keys has none for %s", ", ".join(self._algorithms))
        before, self._keys = self._keys, keys
        if before is not None and before != keys:
            self.changed(not {key.text for key in before} <= {key.text for key in keys})


def _named(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__


def fetching(source: str, root: Path) -> Fetch:
    """The way to fetch a set of keys: from an address (https; http from this machine alone), or else from a
    file, relative to `root`.

    :raises ConfigError: the address cannot be used.
    """
    address = urlsplit(source)
    if "://" not in source:
        path = root / source
        return lambda: asyncio.to_thread(_read_file, path)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _HERE):
        hint = "Whoever can change keys on their way can be anybody."
        raise _wrong("auth.jwt_jwks", "is no address of https", hint)
    return lambda: asyncio.to_thread(_read_address, source)


_HERE = ("127.0.0.1", "localhost", "::1")


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _within(file.read(MOST_BYTES + 1))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An address may not send us to another, which nobody has allowed."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _read_address(address: str) -> bytes:
    request = urllib.request.Request(address, headers={"accept": "application/json"})  # noqa: S310 - looked at
    with _OPENER.open(request, timeout=FETCH_SECONDS) as answer:
        return _within(answer.read(MOST_BYTES + 1))


def _within(text: bytes) -> bytes:
    if len(text) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return text
