"""Who may use the admin surface: the bearer of the token, and in dev whoever asks from this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.config import AdminSettings, ServerSettings, Settings
from headwater.errors import ConfigError, HeadwaterError, OriginRefused, Unauthenticated
from headwater.peer import SHORTEST_TOKEN, Peer
from headwater.server.http.origins import Origins
from headwater.server.inspect.admission import Admission, check_admin

TOKEN = "0123456789abcdef"
HERE = Peer("http", "/headwater/admin", "127.0.0.1", {"host": "127.0.0.1:3000"})


def admission(*, dev: bool = True, token: str = "", **server: object) -> Admission:
    settings = Settings(dev=dev, admin=AdminSettings(token=token))
    return Admission(settings, Origins(replace(ServerSettings(), **server), dev=dev))  # type: ignore[arg-type]


def asks(address: str = "127.0.0.1", **headers: str) -> Peer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(HERE, address=address, headers={"host": "127.0.0.1:3000", **named})


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.7"])
def test_the_token_opens_it_from_everywhere(address: str, dev: bool) -> None:
    admission(dev=dev, token=TOKEN).admit(asks(address, authorization=f"Bearer {TOKEN}"))


@pytest.mark.parametrize("brought", [TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "Bearer", "\udcff"])
@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("dev", [True, False])
def test_another_token_opens_nothing_not_even_here(brought: str, token: str, dev: bool) -> None:
    with pytest.raises(Unauthenticated):
        admission(dev=dev, token=token).admit(asks(authorization=f"Bearer {brought}"))


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize(("address", "host"), [("127.0.0.1", "localhost"), ("::1", "[::1]:3000")])
def test_in_dev_this_machine_needs_none(token: str, address: str, host: str) -> None:
    admission(token=token).admit(asks(address, host=host))


@pytest.mark.parametrize(
    "peer",
    [
        asks("192.0.2.7"),
        asks("192.0.2.7", host="localhost"),
        asks(""),
        asks(host="app.example"),
        asks(host="app.example."),
        asks(host=""),
        asks(x_forwarded_for="192.0.2.7"),
        asks(x_forwarded_for="127.0.0.1, 192.0.2.7"),
        asks(x_forwarded_for=""),
        asks(x_real_ip="192.0.2.7"),
        asks(x_forwarded_host="app.example"),
        asks(x_forwarded_host=""),
        asks(forwarded="for=127.0.0.1"),
        asks(via="1.1 tunnel"),
        asks(cf_connecting_ip="192.0.2.7"),
    ],
)
def test_in_dev_others_and_other_names_are_refused(peer: Peer) -> None:
    with pytest.raises(Unauthenticated):
        admission().admit(peer)


def test_in_dev_a_proxy_may_ask_for_this_machine() -> None:
    admission().admit(
        asks(x_forwarded_for="::1, 127.0.0.1", x_forwarded_host="localhost:5173", x_forwarded_proto="http")
    )


def test_a_deployed_server_lets_nobody_in_without_one() -> None:
    with pytest.raises(Unauthenticated) as refused:
        admission(dev=False).admit(HERE)
    assert "[admin] token" in refused.value.hint


@pytest.mark.parametrize(
    ("headers", "lets_in"),
    [
        ({"origin": "http://127.0.0.1:3000"}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"origin": "http://127.0.0.1:5173"}, False),
        ({"origin": "https://app.example"}, False),
        ({"origin": "null"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
    ],
)
@pytest.mark.parametrize("listed", [(), ("*",), ("https://app.example",)])
def test_of_pages_only_its_own_may_without_a_token(
    headers: dict[str, str], lets_in: bool, listed: tuple[str, ...]
) -> None:
    rule = admission(cors_origins=listed)
    if lets_in:
        rule.admit(asks(**headers))
    else:
        with pytest.raises(OriginRefused):
            rule.admit(asks(**headers))


def settings_of(
    *, dev: bool = False, host: str = "0.0.0.0", enabled: bool = True, token: str = ""
) -> Settings:
    admin = AdminSettings(enabled=enabled, token=token)
    return Settings(dev=dev, server=ServerSettings(host=host), admin=admin)


@pytest.mark.parametrize(
    "settings",
    [
        settings_of(token=TOKEN),
        settings_of(enabled=False),
        settings_of(enabled=False, token="short"),
        settings_of(host="127.0.0.1"),
        settings_of(host="::1"),
        settings_of(host="localhost"),
        settings_of(dev=True),
    ],
)
def test_a_server_may_start_that_says_whom_it_lets_in(settings: Settings) -> None:
    check_admin(settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "app.example"])
def test_one_that_others_can_reach_does_not_start_without_a_word(host: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_admin(settings_of(host=host))
    assert "[admin] token" in refused.value.hint
    assert "enabled = false" in refused.value.hint


@pytest.mark.parametrize("dev", [True, False])
def test_a_token_that_can_be_guessed_is_none_and_is_not_told(dev: bool) -> None:
    token = "k" * (SHORTEST_TOKEN - 1)
    with pytest.raises(HeadwaterError) as refused:
        check_admin(settings_of(dev=dev, host="127.0.0.1", token=token))
    assert token not in str(refused.value.to_dict())
