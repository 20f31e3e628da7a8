"""How often one client may write: who is one, and what those hear that write too often."""

from __future__ import annotations

import pytest

from headwater.config import ServerSettings, StreamSettings
from headwater.errors import TooMany
from headwater.peer import Peer
from headwater.server.http.forwarded import Proxies
from headwater.server.live.write_rates import WriteRates


class Hand:
    """A clock that a test moves."""

    at = 5.0

    def __call__(self) -> float:
        return self.at


def rates(hand: Hand | None = None) -> WriteRates:
    proxies = Proxies(ServerSettings(trusted_proxies=("10.0.0.0/8",)))
    return WriteRates(StreamSettings(max_writes_per_second=10, write_burst=3), proxies, hand or Hand())


def written(known: WriteRates, *peers: Peer) -> int:
    """How many writes of these peers, in turn, are taken."""
    taken = 0
    for peer in peers:
        try:
            known.take(peer)
        except TooMany:
            continue
        taken += 1
    return taken


def test_a_burst_is_taken_and_then_so_many_a_second() -> None:
    hand = Hand()
    known, ada = rates(hand), Peer("websocket", address="203.0.113.9", identity="ada")
    assert written(known, *[ada] * 10) == 3
    with pytest.raises(TooMany) as refused:
        known.take(ada)
    assert (refused.value.status, refused.value.details) == (429, {"limit": 10, "seconds": 0.1})
    assert refused.value.limit == ("streams.max_writes_per_second", 10)
    hand.at += 0.2
    assert written(known, *[ada] * 10) == 2


def test_a_user_is_one_client_wherever_it_is_connected_and_another_is_another() -> None:
    known = rates()
    tabs = [Peer("websocket", address=f"203.0.113.{n}", identity="ada") for n in range(10)]
    assert written(known, *tabs) == 3
    assert written(known, *[Peer("http", address="203.0.113.1", identity="bob")] * 5) == 3


def test_who_has_said_nothing_is_the_address() -> None:
    known = rates()
    kinds = [Peer("websocket", address="203.0.113.9"), Peer("http", address="203.0.113.9")]
    assert written(known, *kinds * 5) == 3
    household = [Peer("http", address=f"2001:db8::{n}") for n in range(1, 9)]
    assert written(known, *household) == 3


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", ""])
def test_an_address_that_says_nothing_is_not_counted_unless_there_is_a_user(address: str) -> None:
    known = rates()
    assert written(known, *[Peer("http", address=address)] * 50) == 50
    assert written(known, *[Peer("http", address=address, identity="ada")] * 50) == 3
    assert len(known) == 1
