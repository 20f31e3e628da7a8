"""Rules of HTTP that have one owner hold for every input."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.server.http.conditional import knows
from support.response_gates import by_all

no_lone_halves = st.characters(exclude_categories=["Cs"])
names = st.text(st.sampled_from("aZ09!-_ \n\x7fé:(") | no_lone_halves, max_size=5)
values = st.text(st.sampled_from("a \t\n\r\x00\x7f\x80ÿĀ") | no_lone_halves, max_size=5)


@given(st.integers(-10, 1000), names, values)
def test_all_gates_agree_on_every_response(status: int, name: str, value: str) -> None:
    if name.lower() not in ("connection", "date", "trailer", "upgrade"):
        by_all(status, name, value)


tags = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"'), max_size=8)


@given(st.lists(tags, max_size=5), tags, st.booleans(), st.sampled_from([",", ", ", " ,  "]))
def test_a_tag_is_known_exactly_if_it_is_in_the_list(
    listed: list[str], tag: str, weak: bool, comma: str
) -> None:
    known = comma.join(f'{"W/" if weak else ""}"{one}"' for one in listed)
    assert knows(f'"{tag}"', {"if-none-match": known}) == (tag in listed)
    assert knows(f'W/"{tag}"', {"if-none-match": known}) == (tag in listed)
