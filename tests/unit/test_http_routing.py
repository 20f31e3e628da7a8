"""Finding the step of a request: what matches, what wins, what the values are."""

from __future__ import annotations

import time
from itertools import permutations

import pytest

from headwater.errors import RequestInvalid
from headwater.server.http.routing import Router
from support.http_site import step


def router(*routes: str) -> Router:
    return Router(step(route) for route in routes)


def found(routes: Router, request: str) -> tuple[str, dict[str, str]] | None:
    method, path = request.split(" ", 1)
    match = routes.find(method, path)
    return (match.step.name, match.params) if match else None


def params(path: str, asked: str) -> dict[str, str] | None:
    match = router(f"GET {path}").find("GET", asked)
    return match.params if match else None


@pytest.mark.parametrize(
    ("path", "asked", "expected"),
    [
        ("/", "/", {}),
        ("/todos", "/todos", {}),
        ("/todos", "/todos/", {}),
        ("/todos/", "/todos", {}),
        ("/Todos", "/tODOs", {}),
        ("/todos", "//todos", None),
        ("/todos", "/todos//", None),
        ("/todos", "/todosx", None),
        ("/todos/:id", "/todos/5", {"id": "5"}),
        ("/todos/:id", "/todos/5/", {"id": "5"}),
        ("/todos/:id", "/todos/AbC", {"id": "AbC"}),
        ("/todos/:id", "/todos/", None),
        ("/todos/:id", "/todos/5/6", None),
        ("/todos/:id", "/todos/a%2Fb", {"id": "a/b"}),
        ("/todos/:id", "/todos/a%20b%C3%A9", {"id": "a bé"}),
        ("/todos/:id", "/todos/a+b", {"id": "a+b"}),
        ("/todos/:id", "/todos/x.json", {"id": "x.json"}),
        ("/todos/:id?", "/todos", {}),
        ("/todos/:id?", "/todos/", {}),
        ("/todos/:id?", "/todos/5", {"id": "5"}),
        ("/:a?/:b?", "/", {}),
        ("/:a?/:b?", "/x", {"a": "x"}),
        ("/:a?/:b?", "/x/y", {"a": "x", "b": "y"}),
        ("/a/:b?/c", "/a/c", {}),
        ("/a/:b?/c", "/a/x/c", {"b": "x"}),
        ("/:from-:to", "/a-b", {"from": "a", "to": "b"}),
        ("/:from-:to", "/a-b-c", {"from": "a", "to": "b-c"}),
        ("/:from-:to", "/-b", None),
        ("/:from-:to", "/--b", {"from": "-", "to": "b"}),
        ("/:from-:to", "/a-", None),
        ("/:name.json", "/A.JSON", {"name": "A"}),
        ("/:name.json", "/a.json.json", {"name": "a.json"}),
        ("/:name.json", "/.json", None),
        ("/:name.:ext?", "/a.b", {"name": "a", "ext": "b"}),
        ("/:name.:ext?", "/a", {"name": "a"}),
        ("/v:major.:minor", "/V1.2", {"major": "1", "minor": "2"}),
        (r"/:id(\d+)", "/12", {"id": "12"}),
        (r"/:id(\d+)", "/12a", None),
        (r"/:id(\d+)", "/%31%32", {"id": "12"}),
        (r"/:id(\d+).json", "/12.json", {"id": "12"}),
        ("/:lang(en|de)", "/EN", {"lang": "EN"}),
        ("/:lang(en|de)", "/end", None),
        ("/(users|people)/:id", "/people/5", {"0": "people", "id": "5"}),
        ("/files/*", "/files/a/b", {"0": "a/b"}),
        ("/files/*", "/files/a/b/", {"0": "a/b/"}),
        ("/files/*", "/files/", {"0": ""}),
        ("/files/*", "/files", None),
        ("/files/*", "/filesx", None),
        ("/files/*", "/files/a%2Fb/c%20d", {"0": "a/b/c d"}),
        ("*", "/", {"0": ""}),
        ("*", "/a//b", {"0": "a//b"}),
        ("/files/*.json", "/files/a/b.JSON", {"0": "a/b"}),
        ("/files/*.json", "/files/a/b.json/", {"0": "a/b"}),
        ("/files/*.json", "/files/a.txt", None),
        ("/img-*", "/img-a/b", {"0": "a/b"}),
        ("/img-*", "/img-", {"0": ""}),
        ("/img-*", "/im", None),
        ("/a*a", "/a", None),
        ("/a/*/b", "/a/x/y/b", {"0": "x/y"}),
        ("/a/*/b", "/a/b", None),
        ("/a/*/b/:c", "/a/x/b/5", {"0": "x", "c": "5"}),
        ("/:p(*)", "/a/b", {"p": "a/b"}),
        ("/f/:p(.+)", "/f/", None),
        ("/f/:p(.+)", "/f/a/b", {"p": "a/b"}),
        ("/f/:p*", "/f", {"p": ""}),
        ("/f/:p*", "/f/a/b/", {"p": "a/b"}),
        ("/f/:p+", "/f", None),
        ("/f/:p+", "/f/a", {"p": "a"}),
        ("/f/:p+/raw", "/f/a/b/raw", {"p": "a/b"}),
        ("/f/:p+/raw", "/f/raw", None),
        (r"/time/12\:30", "/time/12:30", {}),
        (r"/time/12\:30", "/time/12%3A30", {}),
        ("/caf%C3%A9", "/caf%c3%a9", {}),
        ("/Café", "/CAF%C3%A9", {}),
        ("/ein stück", "/ein%20st%C3%BCck", {}),
        ("/a/b", "/a%2Fb", None),
        ("/a%2Fb", "/a/b", None),
        ("/a%2Fb", "/a%2Fb", {}),
        ("/$metadata", "/$metadata", {}),
    ],
)
def test_a_path_matches(path: str, asked: str, expected: dict[str, str] | None) -> None:
    assert params(path, asked) == expected


@pytest.mark.parametrize("asked", ["/x/%", "/x/%2", "/x/%zz", "/x/%ff", "/x/%C3", "/%zz/x"])
def test_a_path_with_broken_percent_encoding_is_refused(asked: str) -> None:
    with pytest.raises(RequestInvalid):
        params("/x/:id", asked)


def test_what_is_fixed_wins_whatever_the_order_of_the_files() -> None:
    paths = ["/x/me", "/x/:name.json", r"/x/:id(\d+)", "/x/:id", "/x/*"]
    for order in permutations(paths):
        routes = router(*(f"GET {path}" for path in order))
        chosen = [found(routes, f"GET /x/{last}") for last in ("ME", "a.json", "12", "a", "a/b")]
        assert [one and one[0] for one in chosen] == [f"GET {path}" for path in paths]


def test_an_earlier_segment_counts_more_than_a_later_one() -> None:
    routes = router("GET /:a/b/c", "GET /a/:b/:c", "GET /*", "GET /a/*")
    assert found(routes, "GET /a/b/c") == ("GET /a/:b/:c", {"b": "b", "c": "c"})
    assert found(routes, "GET /x/b/c") == ("GET /:a/b/c", {"a": "x"})
    assert found(routes, "GET /a/x") == ("GET /a/*", {"0": "x"})
    assert found(routes, "GET /x") == ("GET /*", {"0": "x"})


def test_a_dead_end_behind_fixed_text_does_not_hide_a_parameter() -> None:
    routes = router("GET /users/me/settings", "GET /users/:id/posts")
    assert found(routes, "GET /users/me/posts") == ("GET /users/:id/posts", {"id": "me"})


def test_a_path_declared_as_it_is_wins_over_one_whose_parameter_is_left_out() -> None:
    for order in permutations(["GET /x/:id?", "GET /x"]):
        routes = router(*order)
        assert found(routes, "GET /x") == ("GET /x", {})
        assert found(routes, "GET /x/1") == ("GET /x/:id?", {"id": "1"})


def test_routes_of_one_shape_keep_the_names_of_their_own_parameters() -> None:
    routes = router("GET /x/:id", "POST /x/:name")
    assert found(routes, "GET /x/1") == ("GET /x/:id", {"id": "1"})
    assert found(routes, "POST /x/1") == ("POST /x/:name", {"name": "1"})


def test_a_less_fixed_route_answers_the_methods_that_a_fixed_one_lacks() -> None:
    routes = router("GET /x/me", "POST /x/:id")
    assert found(routes, "POST /x/me") == ("POST /x/:id", {"id": "me"})


def test_head_finds_a_get_step_unless_a_head_step_is_declared() -> None:
    assert found(router("GET /x"), "HEAD /x") == ("GET /x", {})
    assert found(router("GET /x", "HEAD /x"), "HEAD /x") == ("HEAD /x", {})
    assert found(router("GET /x/:id"), "HEAD /x/1") == ("GET /x/:id", {"id": "1"})
    assert found(router("POST /x"), "HEAD /x") is None


def test_the_allowed_methods_are_those_of_every_route_that_matches() -> None:
    routes = router("GET /x/me", "POST /x/:id", "DELETE /x/*")
    assert routes.allowed("/x/me") == ("DELETE", "GET", "HEAD", "OPTIONS", "POST")
    assert routes.allowed("/x/1") == ("DELETE", "OPTIONS", "POST")
    assert routes.allowed("/y") == ()


def test_near_routes_are_named_with_their_methods() -> None:
    routes = router("POST /chat-messages", "GET /chat-messages/:id", "GET /health")
    assert routes.near("/chat-message") == ["POST /chat-messages", "GET /chat-messages/:id"]
    assert routes.near("/zzz") == []
    assert routes.near("/chat-message" + "s" * 500) == []


def test_a_path_that_cannot_be_served_is_left_out() -> None:
    routes = router("GET /{a}", "GET /b")
    assert found(routes, "GET /b") == ("GET /b", {})
    assert found(routes, "GET /{a}") is None


def test_an_empty_router_finds_nothing() -> None:
    assert Router().find("GET", "/") is None
    assert Router().allowed("/") == ()


@pytest.mark.parametrize(
    "path",
    ["/:a-:b-:c-:d-:e-:f", r"/:a([a-z0-9-]+-[a-z]+)", "/*-x/y", "/x/:p+/y/:q", "/:a?/:b?/:c?/:d?/end"],
)
def test_no_request_path_makes_matching_slow(path: str) -> None:
    routes = router(f"GET {path}")
    hostile = ["/" + "-" * 30_000, "/" + "a-" * 15_000, "/x" * 15_000, "/" + "a" * 1024, "/" + "a-" * 512]
    began = time.process_time()
    for asked in hostile:
        routes.find("GET", asked)
    assert time.process_time() - began < 2
