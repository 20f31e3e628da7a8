"""Routing against the same paths read as regular expressions, and against itself in any order."""

from __future__ import annotations

import re
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from headwater.server.http.routing import Router
from support.http_site import step

WORDS = ["a", "b", "ab", "A.b", "x-y", "1"]
NAMES = ["p", "q", "r", "s", "t", "u"]


@st.composite
def declared(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """A path, what it means as a regular expression, and the names of its parameters."""
    path, meaning, names = "", "", list[str]()
    wild = False
    for name in NAMES[: draw(st.integers(1, 5))]:
        word = draw(st.sampled_from(WORDS))
        kinds = ["fixed", "param", "suffix", "pair", "number"] + ([] if wild else ["star", "many", "some"])
        kind = draw(st.sampled_from(kinds))
        wild = wild or kind in ("star", "many", "some")
        more, means = {
            "fixed": (f"/{word}", f"/{re.escape(word)}"),
            "param": (f"/:{name}", "/([^/]+)"),
            "suffix": (f"/:{name}.{word}", rf"/([^/]+)\.{re.escape(word)}"),
            "pair": (f"/:{name}-:{name}2", "/([^/]+?)-([^/]+)"),
            "number": (rf"/:{name}(\d+)", r"/(\d+)"),
            "star": (f"/:{name}(*)", "/(.*)"),
            "many": (f"/:{name}*", "(?:/(.*?))?"),
            "some": (f"/:{name}+", "/(.+?)"),
        }[kind]
        path, meaning = path + more, meaning + means
        names += [] if kind == "fixed" else [name, f"{name}2"] if kind == "pair" else [name]
    return path, meaning, names


# No empty segments here: those are the unit tests' business.
asked = st.lists(st.sampled_from([*WORDS, "12", "b.A", "a-b", "-", "a-b-c"]), min_size=1, max_size=7).map(
    lambda words: "/" + "/".join(words)
)


@given(declared(), asked, st.booleans())
def test_a_path_matches_what_it_says_and_nothing_else(
    route: tuple[str, str, list[str]], path: str, slashed: bool
) -> None:
    written, meaning, names = route
    expected = re.fullmatch(meaning + "/?", path + "/" * slashed, re.IGNORECASE)
    match = Router([step(f"GET {written}")]).find("GET", path + "/" * slashed)
    assert (match is not None) == (expected is not None)
    if match and expected:
        assert match.params == {
            name: value or "" for name, value in zip(names, expected.groups(), strict=True)
        }


values = st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable() or "\n" in text)


@given(st.lists(st.tuples(st.booleans(), values), min_size=1, max_size=5))
def test_every_value_comes_back_as_it_was_encoded(parts: list[tuple[bool, str]]) -> None:
    written, path, expected = "", "", {}
    for i, (fixed, text) in enumerate(parts):
        encoded = quote(text, safe="")
        written += f"/{encoded}" if fixed else f"/:p{i}"
        path += f"/{encoded}"
        if not fixed:
            expected[f"p{i}"] = text
    match = Router([step(f"GET {written}")]).find("GET", path)
    assert match is not None
    assert match.params == expected


@given(st.lists(declared(), min_size=2, max_size=6, unique_by=lambda route: route[0]), asked, st.data())
def test_the_order_of_routes_changes_nothing(
    routes: list[tuple[str, str, list[str]]], path: str, data: st.DataObject
) -> None:
    def chosen(written: list[str]) -> object:
        match = Router(step(f"GET {one}") for one in written).find("GET", path)
        return match and (re.sub(r":\w+", ":", match.step.path), sorted(match.params.values()))

    in_order = [route[0] for route in routes]
    assert chosen(in_order) == chosen(data.draw(st.permutations(in_order)))


@given(st.lists(declared(), min_size=1, max_size=6), asked)
def test_a_step_is_found_whenever_one_of_the_paths_matches(
    routes: list[tuple[str, str, list[str]]], path: str
) -> None:
    expected = any(re.fullmatch(meaning + "/?", path, re.IGNORECASE) for _, meaning, _ in routes)
    match = Router(step(f"GET {written}") for written, _, _ in routes).find("GET", path)
    assert (match is not None) == expected


@given(st.text(alphabet="/:*?()[]{}\\|+^$#%.-ab1 é", max_size=25))
def test_any_text_is_either_a_path_or_refused_in_words(text: str) -> None:
    from headwater.steps.project.paths import check_path

    reason = check_path(text)
    assert reason is None or reason.startswith("path ")
    Router([step(f"GET {text}")]).find("GET", "/a/b-1")
