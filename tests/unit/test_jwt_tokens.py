"""Which signed tokens are believed, and by which keys: real tokens, real keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from headwater.config import AuthSettings
from headwater.errors import AuthUnavailable, ConfigError, Unauthenticated
from headwater.server.http.jwt_keys import LEAST_BETWEEN, KeySet
from headwater.server.http.jwt_tokens import JwtTokens, jwt_tokens
from headwater.steps.project.triggers.authenticate import AuthQuestion

NOW = 1_760_000_000.0
SECRET = "an old secret of at least 32 bytes"
CLAIMS = {"sub": "ada", "exp": NOW + 60}


class Pair(NamedTuple):
    private: Any
    algorithm: str

    @property
    def pem(self) -> str:
        public = self.private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, claims: dict[str, Any] | None = None, **head: Any) -> str:
        return jwt.encode(claims or CLAIMS, self.private, self.algorithm, headers=head)

    def jwk(self, kid: str | None, **more: Any) -> dict[str, Any]:
        told = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key(), as_dict=True)
        return {**told, **({} if kid is None else {"kid": kid}), **more}


RSA = Pair(rsa.generate_private_key(65537, 2048), "RS256")
EC = Pair(ec.generate_private_key(ec.SECP256R1()), "ES256")
ED = Pair(ed25519.Ed25519PrivateKey.generate(), "EdDSA")
PAIRS = (RSA, EC, ED)


def tokens(**settings: Any) -> JwtTokens:
    return jwt_tokens(AuthSettings(**settings), Path(), lambda: NOW)


async def said(by: JwtTokens, token: str | None) -> Any:
    context = await by.ask(AuthQuestion(token, {}, {}, {}, "/", "http"))
    return None if context is None else orjson.loads(context)


async def refused(by: JwtTokens, token: str) -> bool:
    try:
        await said(by, token)
    except Unauthenticated:
        return True
    return False


def hs256(claims: dict[str, Any], secret: bytes, **head: Any) -> str:
    """A token whose signature is made by hand, of whatever secret."""
    parts = [_b64(orjson.dumps(part)) for part in ({"alg": "HS256", "typ": "JWT", **head}, claims)]
    signed = b".".join(parts)
    return b".".join([signed, _b64(hmac.new(secret, signed, hashlib.sha256).digest())]).decode()


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


# --- what is believed ---


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.algorithm)
async def test_the_claims_of_a_token_are_the_context(pair: Pair) -> None:
    by = tokens(jwt_key=pair.pem)
    claims = {**CLAIMS, "role": "admin", "nested": {"a": [1, None]}}
    assert await said(by, pair.token(claims)) == claims
    assert await said(by, None) is None
    other = Pair(_another(pair), pair.algorithm)
    assert await refused(by, other.token())


async def test_a_secret_checks_its_tokens_alone() -> None:
    by = tokens(jwt_key=SECRET, jwt_algorithms=("HS256",))
    assert await said(by, jwt.encode(CLAIMS, SECRET, "HS256")) == CLAIMS
    assert await refused(by, jwt.encode(CLAIMS, SECRET + "x", "HS256"))
    assert await refused(by, RSA.token())


async def test_a_key_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(RSA.pem)
    by = jwt_tokens(AuthSettings(jwt_key_file="key.pem"), tmp_path, lambda: NOW)
    assert await said(by, RSA.token()) == CLAIMS


# --- what is not ---


async def test_a_token_without_a_signature_is_refused() -> None:
    by = tokens(jwt_key=RSA.pem)
    head, claims, signature = RSA.token().split(".")
    for name in ("none", "None", "NONE", "nOnE", "", None, 7, ["RS256"]):
        unsigned = _b64(orjson.dumps({"alg": name, "typ": "JWT"})).decode()
        for end in ("", signature):
            assert await refused(by, f"{unsigned}.{claims}.{end}")
    assert await refused(by, f"{head}.{claims}.")
    assert await refused(by, f"{head}.{claims}")


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.algorithm)
async def test_a_public_key_is_no_secret(pair: Pair) -> None:
    """The oldest trick: sign with the public key, which everybody has, and say that it is a secret."""
    raw = pair.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for by in (tokens(jwt_key=pair.pem), await _set_of(pair.jwk("k"))):
        for secret in (pair.pem.encode(), pair.pem.strip().encode(), raw, b""):
            assert await refused(by, hs256(CLAIMS, secret))
            assert await refused(by, hs256(CLAIMS, secret, kid="k"))


async def test_a_key_checks_no_algorithm_but_its_own() -> None:
    by = await _set_of(RSA.jwk("k"), EC.jwk("e"))
    assert await said(by, RSA.token(kid="k")) == CLAIMS
    assert await said(by, EC.token(kid="e")) == CLAIMS
    assert await refused(by, EC.token(kid="k"))
    assert await refused(by, RSA.token(kid="e"))
    assert await refused(by, ED.token(kid="k"))
    assert await refused(by, jwt.encode(CLAIMS, RSA.private, "RS512", headers={"kid": "k"}))
    assert await refused(by, jwt.encode(CLAIMS, RSA.private, "PS256", headers={"kid": "k"}))


async def test_what_a_head_brings_or_points_to_is_no_key() -> None:
    mallory = Pair(rsa.generate_private_key(65537, 2048), "RS256")
    heads = (
        {"jwk": mallory.jwk("k")},
        {"jku": "http://127.0.0.1:1/keys", "kid": "k"},
        {"x5u": "http://127.0.0.1:1/cert", "kid": "k"},
        {"x5c": [base64.b64encode(mallory.pem.encode()).decode()], "kid": "k"},
    )
    for by in (tokens(jwt_key=RSA.pem), await _set_of(RSA.jwk("k"))):
        for head in heads:
            assert await refused(by, mallory.token(**head))
            assert await said(by, RSA.token(**{"kid": "k"} | head)) == CLAIMS


@pytest.mark.parametrize(
    "kid", ["", "../../../../dev/null", "/etc/passwd", "k' OR 1=1 --", "k\0", "x" * 5000, 7, None, ["k"], {}]
)
async def test_the_name_of_a_key_is_looked_up_and_nothing_else(kid: Any) -> None:
    by = await _set_of(RSA.jwk("k"), EC.jwk("e"))
    head = _b64(orjson.dumps({"alg": "HS256", "kid": kid})).decode()
    assert await refused(by, f"{head}.{_b64(orjson.dumps(CLAIMS)).decode()}.")
    if isinstance(kid, str):
        assert await refused(by, RSA.token(kid=kid))


async def test_a_head_that_asks_for_what_is_not_understood_is_refused() -> None:
    by = tokens(jwt_key=RSA.pem)
    assert await refused(by, RSA.token(crit=["exp"], exp=1))
    assert await refused(by, RSA.token(crit=["b64"], b64=False))


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "ada", "x" * 20_000, "é.é.é", "e30.e30.", "bnVsbA.e30.", "[" * 3000],
)
async def test_what_is_no_token_is_refused(token: str) -> None:
    assert await refused(tokens(jwt_key=RSA.pem), token)


async def test_nesting_without_end_is_refused() -> None:
    deep = _b64(b"[" * 9000 + b"]" * 9000).decode()
    assert await refused(tokens(jwt_key=RSA.pem), f"{deep}.e30.e30")


# --- what it says ---


@pytest.mark.parametrize(
    ("claims", "believed"),
    [
        ({"sub": "ada"}, False),
        ({"sub": "ada", "exp": "1999999999"}, False),
        ({"sub": "ada", "exp": True}, False),
        ({"sub": "ada", "exp": NOW * 1000}, False),
        ({**CLAIMS, "nbf": NOW + 6}, False),
        ({**CLAIMS, "nbf": NOW + 5}, True),
        ({**CLAIMS, "iat": NOW + 6}, False),
        ({**CLAIMS, "iat": "soon"}, False),
        ({**CLAIMS, "nbf": [1]}, False),
        ({**CLAIMS, "iss": "https://evil.example"}, True),
        ({**CLAIMS, "aud": "another"}, False),
        ({**CLAIMS, "sub": {"a": 1}}, False),
        ({**CLAIMS, "big": "x" * 9000}, False),
    ],
)
async def test_claims_that_do_not_hold_are_refused(claims: dict[str, Any], believed: bool) -> None:
    by = tokens(jwt_key=ED.pem, jwt_leeway=5.0)
    parts = [_b64(orjson.dumps(part)) for part in ({"alg": "EdDSA"}, claims)]
    signature = ED.private.sign(b".".join(parts))
    token = b".".join([*parts, _b64(signature)]).decode()
    assert await refused(by, token) is not believed


async def test_whom_it_is_for_and_by_whom() -> None:
    by = tokens(jwt_key=RSA.pem, jwt_audience=("us", "ours"), jwt_issuer=("https://id.example",))
    good = {**CLAIMS, "aud": ["them", "us"], "iss": "https://id.example"}
    assert await said(by, RSA.token(good)) == good
    assert await said(by, RSA.token({**good, "aud": "ours"}))
    for wrong in ({"aud": "them"}, {"aud": []}, {"iss": "https://id.example.evil"}, {"iss": ""}):
        assert await refused(by, RSA.token({**good, **wrong}))
    for missing in ("aud", "iss"):
        assert await refused(by, RSA.token({name: value for name, value in good.items() if name != missing}))


async def test_which_claims_must_be_there_is_a_setting() -> None:
    by = tokens(jwt_key=RSA.pem, jwt_require=("exp", "iat", "sub"))
    assert await refused(by, RSA.token())
    assert await said(by, RSA.token({**CLAIMS, "iat": NOW}))
    assert await said(tokens(jwt_key=RSA.pem, jwt_require=()), RSA.token({"sub": "ada"})) == {"sub": "ada"}


# --- sets of keys ---


class Source:
    """Where a set of keys is fetched, and how often it was."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys: list[dict[str, Any]] = list(keys)
        self.fault: Exception | None = None
        self.fetched = 0
        self.now = 0.0
        self.changes: list[bool] = []

    async def fetch(self) -> bytes:
        self.fetched += 1
        if self.fault is not None:
            raise self.fault
        return orjson.dumps({"keys": self.keys})

    def tokens(self, *algorithms: str) -> JwtTokens:
        known = KeySet(self.fetch, algorithms or ("RS256", "ES256", "EdDSA"), 300.0, lambda: self.now)
        known.changed = self.changes.append
        return JwtTokens(known, AuthSettings(), lambda: NOW)


async def _set_of(*keys: dict[str, Any]) -> JwtTokens:
    return Source(*keys).tokens()


async def test_a_key_that_is_not_in_the_set_has_it_fetched_again_and_not_too_often() -> None:
    source = Source(RSA.jwk("one"))
    by = source.tokens()
    assert await said(by, RSA.token(kid="one")) == CLAIMS
    assert source.fetched == 1
    source.keys.append(EC.jwk("two"))
    for _ in range(20):
        assert await refused(by, EC.token(kid="two")), "it was fetched just now"
    assert source.fetched == 1
    source.now += LEAST_BETWEEN
    assert await said(by, EC.token(kid="two")) == CLAIMS
    assert await said(by, RSA.token(kid="one")) == CLAIMS
    assert (source.fetched, source.changes) == (2, [False])
    source.now += LEAST_BETWEEN
    for n in range(20):
        assert await refused(by, RSA.token(kid=f"made up {n}"))
    assert source.fetched == 3


async def test_keys_go_on_while_they_cannot_be_fetched() -> None:
    source = Source(RSA.jwk("one"))
    by = source.tokens()
    source.fault = OSError("away")
    with pytest.raises(AuthUnavailable):
        await said(by, RSA.token(kid="one"))
    source.fault = None
    source.now += LEAST_BETWEEN
    await said(by, RSA.token(kid="one"))
    for source.fault in (OSError("away"), ValueError("no JSON"), TimeoutError()):
        source.now += LEAST_BETWEEN
        assert await refused(by, RSA.token(kid="two"))
        assert await said(by, RSA.token(kid="one")) == CLAIMS


async def test_a_key_that_is_withdrawn_checks_nothing_more() -> None:
    source = Source(RSA.jwk("one"), EC.jwk("two"))
    by = source.tokens()
    await said(by, RSA.token(kid="one"))
    source.keys = [EC.jwk("two")]
    assert isinstance(by.keys, KeySet)
    await by.keys.fetch()
    assert await refused(by, RSA.token(kid="one"))
    assert source.changes == [True]
    await by.keys.fetch()
    assert source.changes == [True]


async def test_a_token_that_names_no_key_needs_one_that_is_the_only_one() -> None:
    assert await said(await _set_of(RSA.jwk("one"), EC.jwk("two")), RSA.token()) == CLAIMS
    other = Pair(rsa.generate_private_key(65537, 2048), "RS256")
    assert await refused(await _set_of(RSA.jwk("one"), other.jwk("two")), RSA.token())


async def test_keys_of_other_uses_check_nothing() -> None:
    secret = {"kty": "oct", "k": _b64(b"x" * 40).decode(), "kid": "k"}
    for key in (
        RSA.jwk("k", use="enc"),
        RSA.jwk("k", alg="RS512"),
        {**RSA.jwk("k"), "key_ops": ["encrypt"]},
        {**RSA.jwk("k"), "n": "AQAB"},
        {**RSA.jwk("k"), "n": 7},
        {"kty": "RSA"},
        "k",
    ):
        assert await refused(await _set_of(key), RSA.token(kid="k"))  # pyright: ignore[reportArgumentType]
    assert await refused(await _set_of(secret), jwt.encode(CLAIMS, "x" * 40, "HS256", headers={"kid": "k"}))


# --- settings ---


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"jwt_key": "short", "jwt_algorithms": ("HS256",)}, "has 5 bytes"),
        ({"jwt_key": RSA.pem, "jwt_algorithms": ("HS256",)}, "no secret for HS256"),
        ({"jwt_key": RSA.pem, "jwt_algorithms": ("HS256", "RS256")}, "mixes HS256"),
        ({"jwt_key": SECRET}, "no public key in PEM"),
        ({"jwt_key": RSA.pem, "jwt_algorithms": ("ES256",)}, "a key for RS256, which is not allowed"),
        ({"jwt_key": RSA.pem.replace("MII", "MIX")}, "cannot be read as a public key"),
        ({"jwt_key": RSA.pem, "jwt_algorithms": ("none",)}, "no algorithm"),
        ({"jwt_key": RSA.pem, "jwt_key_file": "k.pem"}, "both give keys"),
        ({"jwt_key_file": "not/there.pem"}, "cannot be read"),
        ({"jwt_jwks": "http://id.example/keys"}, "no address of https"),
        ({"jwt_jwks": "ftp://id.example/keys"}, "no address of https"),
    ],
)
def test_a_key_that_cannot_be_used_is_said_to_be(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as told:
        tokens(**settings)
    assert SECRET not in str(told.value)


def test_a_private_or_weak_key_is_no_key() -> None:
    private = RSA.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ConfigError, match="private key"):
        tokens(jwt_key=private)
    weak = Pair(rsa.generate_private_key(65537, 1024), "RS256")
    with pytest.raises(ConfigError, match="1024 bits"):
        tokens(jwt_key=weak.pem)


def _another(pair: Pair) -> Any:
    if pair.algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    if pair.algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()
