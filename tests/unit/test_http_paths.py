"""The grammar of step paths: what is read, what is refused and why."""

from __future__ import annotations

import pytest

from headwater.steps.project.paths import check_path, parse_path, path_shape

SUPPORTED = [
    "/",
    "/todos",
    "/todos/",
    "/todos/:id",
    "/todos/:id?",
    "/a/:b?/c/:d?",
    "/flights/:from-:to",
    "/files/:name.json",
    "/files/:name.:ext?",
    r"/todos/:id(\d+)",
    r"/todos/:id(\d+)?",
    "/todos/:id([0-9a-f]{8}-[0-9a-f]{4})",
    "/docs/:lang(en|de|pt-br)",
    "/(users|people)/:id",
    "*",
    "/*",
    "/files/*",
    "/files/*.json",
    "/img-*",
    "/a/*/b",
    "/files/:path(*)",
    "/files/:path(.*)",
    "/files/:path(.+)",
    "/files/:path*",
    "/files/:path+/raw",
    "/(.*)",
    r"/time/12\:30",
    "/$metadata",
    "/@:user",
    "/caf%C3%A9/ein stück",
    "/v1.0/:id",
    "/:_private",
    "/:0",
    "/headwaters",
    "/:any/headwater",
]


@pytest.mark.parametrize("path", SUPPORTED)
def test_express_paths_in_common_use_are_supported(path: str) -> None:
    assert check_path(path) is None


REFUSED = {
    "": 'does not begin with "/"',
    "/headwater": "the server's own",
    "/Headwater/admin/:x": "the server's own",
    "/headwater/*": "the server's own",
    "todos": 'does not begin with "/"',
    ":id": 'does not begin with "/"',
    "/a//b": "empty segment",
    "/x/:": '":" without a name',
    "/x/:-a": '":" without a name',
    "/:a:b": "side by side",
    "/:a*x": "segment of its own",
    "/x/:id/y/:id": 'the parameter "id" twice',
    "/a/*/b/*": "more than one wildcard",
    "/a/*/:rest*": "more than one wildcard",
    "/:a?/:b?/:c?/:d?/:e?": "more than 4 optional",
    "/:a?x": "does not end its segment",
    "/:a-*": "beside a parameter",
    "/:a(\\d+)-:b": "constrains one of several",
    "/search?q=:q": "holds a query",
    "/ab?cd": 'uses "?"',
    "/ab+cd": 'uses "+"',
    "/ab(cd": "does not close it",
    "/ab)": 'uses ")"',
    "/{a}": 'uses "{"',
    "/[ab]": 'uses "["',
    "/x#y": 'uses "#"',
    "/*splat": 'name a wildcard thus: "/:rest*"',
    "/*?": '"/:rest*"',
    "/x/:id()": "which is empty",
    "/x/:id((a|b))": 'uses "("',
    "/x/:id(?:a)": 'uses "?"',
    "/x/:id(a+b+c+)": "varying length",
    "/x/:id([b-a])": "no regular expression",
    "/x/:id(\\d+)*": "repeats a constrained parameter",
    "/a\nb": "control character",
}


@pytest.mark.parametrize("path", REFUSED)
def test_a_path_that_cannot_be_served_is_refused_with_its_reason(path: str) -> None:
    reason = check_path(path)
    assert reason is not None
    assert REFUSED[path] in reason


def test_a_nested_group_is_named_whole() -> None:
    assert '"(\\d+(a|b))"' in (check_path("/x/:id(\\d+(a|b))") or "")


def test_an_optional_parameter_gives_one_form_with_it_and_one_without() -> None:
    assert [form.names for form in parse_path("/a/:b?/:c?")] == [("b", "c"), ("b",), ("c",), ()]


def test_unnamed_parameters_are_numbered_from_the_left() -> None:
    (form,) = parse_path("/(a|b)/:name/*")
    assert form.names == ("0", "name", "1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/x/:id", "/x/:name"),
        ("/x/:id", "/X/:id/"),
        ("/x", "/x/"),
        ("/caf%C3%A9", "/Café"),
        ("/x/*", "/x/:rest(*)"),
        ("*", "/*"),
        ("/x/:id(\\d+)", "/x/:n(\\d+)"),
    ],
)
def test_paths_that_match_the_same_requests_have_one_shape(one: str, other: str) -> None:
    assert path_shape(one) == path_shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/x/:id", "/x/id"),
        ("/x/:id", "/x/:id?"),
        ("/x/:id", "/x/*"),
        ("/x/*", "/x/:rest*"),
        ("/x/:id", "/x/:id(\\d+)"),
        ("/x/:a-:b", "/x/:a"),
        ("/x/\\:id", "/x/:id"),
        ("/a/b", "/a%2Fb"),
    ],
)
def test_paths_that_match_different_requests_have_different_shapes(one: str, other: str) -> None:
    assert path_shape(one) != path_shape(other)
