"""The door of the operator's pages: whatever stands behind it is reached by operators alone.

Owns that nobody else learns even what there is. Who is one, is `admission.py`'s.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.observe import Observer, telling_refusals
from headwater.peer import read_headers
from headwater.server.inspect.admission import Admission
from headwater.server.peers import peer_of_request

PEER = "headwater.peer"
"""Name in a scope behind the door: the Peer that has come in."""


class Guarded:
    """An ASGI application before another one."""

    def __init__(self, app: ASGIApp, admission: Admission, observer: Observer) -> None:
        self._app = app
        self._admission = admission
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        :raises HeadwaterError: it is refused, or what stands behind raises it; before anything is sent.
        """
        peer = peer_of_request(scope, read_headers(scope["headers"]))
        with telling_refusals(self._observer, peer):
            self._admission.admit(peer)
        await self._app({**scope, PEER: peer}, receive, send)
