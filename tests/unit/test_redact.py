"""What the log leaves out: secrets by name, by shape and by value, and nothing that is none."""

from __future__ import annotations

import time

import pytest

from headwater.redact import BLOT, MOST_DEPTH, Redaction

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abc.def-123", f"Authorization: Bearer {BLOT}"),
        ("basic dXNlcjpwYXNz", f"basic {BLOT}"),
        ("GET /streams/a/b?authToken=s3cret&limit=2", f"GET /streams/a/b?authToken={BLOT}&limit=2"),
        ("http://host:3000/x?authToken=s3cret", f"http://host:3000/x?authToken={BLOT}"),
        ("/x?access_token=s3cret;api_key=qwerty", f"/x?access_token={BLOT};api_key={BLOT}"),
        ("headwater.v1, headwater.token.s3cret", f"headwater.v1, headwater.token.{BLOT}"),
        ("redis://:pa55word@10.0.0.1:6379/0", f"redis://:{BLOT}@10.0.0.1:6379/0"),
        ("postgres://ada:pa55/word@db", "postgres://ada:pa55/word@db"),
        (f"the token {JWT} is old", f"the token {BLOT} is old"),
        ("key sk-proj-abcdefghijklmnop1234", f"key {BLOT}"),
        ("Cookie: a=b; session=s3cret\r\nAccept: x", f"Cookie: {BLOT}\r\nAccept: x"),
        ("{'cookie': 'a=b', 'x-api-key': \"k'k\"}", f"{{'cookie': '{BLOT}', 'x-api-key': \"{BLOT}\"}}"),
        (r'{"password":"a\"bcd","n":1}', f'{{"password":"{BLOT}","n":1}}'),
        ("{'access_token': 'unended", f"{{'access_token': '{BLOT}"),
    ],
)
def test_a_secret_is_known_by_what_stands_around_it(text: str, left: str) -> None:
    assert Redaction().text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "Ready at http://127.0.0.1:3000",
        "max_token=5 tokens: 17",
        "a bearer",
        "sk-1 and eyJ.x",
        "https://example.com/a@b:c",
        "the token is not valid here",
        "{'user': 'ada', 'tokens': 17, 'password': None}",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction().text(text) == text


def test_a_known_value_is_blotted_out_wherever_it_stands() -> None:
    redaction = Redaction(["hunter22", "hunter22-longer", "abc"])
    assert redaction.text("x=hunter22-longer, y=hunter22, z=abc") == f"x={BLOT}, y={BLOT}, z=abc"


def test_fields_are_secret_by_name_however_it_is_written_and_however_deep() -> None:
    fields = {
        "X-API-Key": "k",
        "userPassword": "p",
        "password": 1234,
        "headers": {"Cookie": "a=b", "accept": "x"},
        "list": [{"client_secret": "s"}, "Bearer abcdef"],
        "authorization": None,
        "first_token": 0.3,
        "user": "ada",
    }
    assert Redaction().fields(fields) == {
        "X-API-Key": BLOT,
        "userPassword": BLOT,
        "password": BLOT,
        "headers": {"Cookie": BLOT, "accept": "x"},
        "list": [{"client_secret": BLOT}, f"Bearer {BLOT}"],
        "authorization": None,
        "first_token": 0.3,
        "user": "ada",
    }


def test_a_project_may_name_more() -> None:
    assert Redaction(names=["iban"]).fields({"customer_IBAN": "DE02"}) == {"customer_IBAN": BLOT}


def test_what_lies_too_deep_is_blotted_out_whole() -> None:
    value: object = "Bearer abcdef"
    for _ in range(MOST_DEPTH + 2):
        value = {"in": value}
    assert "abcdef" not in str(Redaction().fields({"value": value}))


@pytest.mark.parametrize(
    "run",
    [
        "a-",
        "eyJ-",
        "sk-",
        "a://",
        "token=",
        "bearer ",
        "a.b+c:",
        "eyJaaaaaaaaaa.",
        "'",
        "'cookie'",
        "'token':'ab",
        "cookie:",
    ],
)
def test_a_long_line_is_read_once(run: str) -> None:
    text = run * 100_000
    began = time.thread_time()
    Redaction(["hunter22"]).text(text)
    assert time.thread_time() - began < 2
