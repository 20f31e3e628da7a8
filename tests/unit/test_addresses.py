"""Who is connected, by address: whom a connection counts for, and what one too many becomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.config import ServerSettings
from headwater.errors import TooMany
from headwater.server.http.forwarded import Proxies
from headwater.server.listen.addresses import TOLD_BURST, Addresses

STRANGER, OTHER, PROXY = "203.0.113.9", "203.0.113.10", "10.0.0.7"


class Hand:
    """A clock that a test moves."""

    at = 5.0

    def __call__(self) -> float:
        return self.at


def addresses(hand: Hand | None = None, **server: int) -> Addresses:
    settings = replace(ServerSettings(trusted_proxies=("10.0.0.0/8",)), **server)  # type: ignore[arg-type]
    return Addresses(settings, Proxies(settings), now=hand or Hand())


def test_connections_of_one_address_are_bounded_and_come_free_again() -> None:
    known = addresses(max_connections_per_address=3)
    held = [known.connect(STRANGER) for _ in range(3)]
    assert [one.refusal for one in held] == [None] * 3
    refused = known.connect(STRANGER)
    assert refused.refusal is not None
    assert (refused.refusal.code, refused.refusal.status, refused.cut) == ("TOO_MANY", 429, False)
    assert refused.refusal.limit == ("server.max_connections_per_address", 3)
    assert "trusted_proxies" in refused.refusal.hint
    assert known.connect(OTHER).refusal is None
    for one in (*held, refused):
        assert one.place is not None
        one.place.leave()
        one.place.leave()
    assert known.held_by(STRANGER) == 0
    assert known.connect(STRANGER).refusal is None


def test_those_that_hear_that_they_are_too_many_are_few_and_the_rest_is_cut() -> None:
    known = addresses(max_connections_per_address=20, max_handshakes_per_second=1000)
    entries = [known.connect(STRANGER) for _ in range(200)]
    assert sum(one.refusal is None for one in entries) == 20
    assert sum(one.refusal is not None and not one.cut for one in entries) == 3
    assert known.held_by(STRANGER) == 23


def test_handshakes_of_one_address_are_bounded_over_time_and_at_once() -> None:
    hand = Hand()
    known = addresses(hand, max_handshakes_per_second=10, handshake_burst=5)
    entries = [known.connect(STRANGER) for _ in range(100)]
    assert sum(one.refusal is None for one in entries) == 5
    refused = [one for one in entries if one.refusal is not None]
    assert sum(not one.cut for one in refused) == TOLD_BURST
    assert refused[0].refusal is not None
    assert refused[0].refusal.limit == ("server.max_handshakes_per_second", 10)
    assert all(one.place is None for one in entries if one.cut)
    hand.at += 0.2
    assert [known.connect(STRANGER).refusal is None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", PROXY, "", "unix"])
def test_loopback_trusted_proxies_and_who_has_no_address_are_counted_for_nobody(address: str) -> None:
    known = addresses(max_connections_per_address=1, max_handshakes_per_second=1, handshake_burst=1)
    assert all(known.connect(address) == (None, None, False) for _ in range(50))
    assert all(known.ask(address, handshake=True) is None for _ in range(50))
    assert len(known) == 0


def test_an_address_of_ipv6_counts_with_its_network_and_one_of_ipv4_inside_it_as_itself() -> None:
    known = addresses(max_connections_per_address=2)
    assert known.connect("2001:db8:1:2::1").refusal is None
    assert known.connect("2001:db8:1:2:ffff:ffff:ffff:ffff").refusal is None
    assert known.connect("2001:db8:1:2:3::%eth0").refusal is not None
    assert known.connect("2001:db8:1:3::1").refusal is None
    assert known.connect("::ffff:203.0.113.9").refusal is None
    assert known.held_by(STRANGER) == 1


def test_what_a_proxy_hands_on_counts_for_its_client() -> None:
    known = addresses(max_connections_per_address=2, max_handshakes_per_second=10, handshake_burst=3)
    places = [known.ask(STRANGER, handshake=False) for _ in range(2)]
    with pytest.raises(TooMany, match="held from one address"):
        known.ask(STRANGER, handshake=True)
    for place in places:
        assert place is not None
        place.leave()
    for _ in range(2):
        place = known.ask(STRANGER, handshake=True)
        assert place is not None
        place.leave()
    with pytest.raises(TooMany, match="opened from one address"):
        known.ask(STRANGER, handshake=True)
    place = known.ask(STRANGER, handshake=False)
    assert place is not None, "a plain request is no handshake"
    place.leave()
    assert len(known) == 0


def test_a_flood_from_many_addresses_leaves_no_memory_behind() -> None:
    known = addresses()
    for number in range(30_000):
        entry = known.connect(f"198.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        assert entry.place is not None
        entry.place.leave()
    assert len(known) == 0
    assert len(known._handshakes) <= 20_000  # pyright: ignore[reportPrivateUsage]
