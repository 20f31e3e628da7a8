"""Who asks, who may, who is here, and what was taken away: these parts, put together for one server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from headwater.clock import Clock
from headwater.config import Settings
from headwater.observe import Observer
from headwater.server.http.authentication import Authentication
from headwater.server.http.origins import Origins
from headwater.server.live.attendance import Attendance, Guest
from headwater.server.live.gate import AskRule, StreamGate
from headwater.server.live.lapses import Lapses
from headwater.server.live.revoking import Revoking
from headwater.steps.project.triggers.authenticate import AuthQuestion
from headwater.streams.realm import Realms
from headwater.streams.revocations import Revocations


class ProjectSays(Protocol):
    """What the project says of who asks, and of what they may do."""

    @property
    def access(self) -> AskRule:
        """See AskRule."""
        ...

    async def authenticate(self, asked: AuthQuestion) -> bytes | None:
        """See AskWho."""
        ...


class Reception:
    """One for the whole server. `here` gives everybody who is connected."""

    def __init__(
        self,
        project: ProjectSays,
        realms: Realms,
        settings: Settings,
        clock: Clock,
        observer: Observer,
        here: Callable[[], Iterable[Guest]],
    ) -> None:
        auth, durable = settings.auth, realms.durable
        self.revocations = Revocations(
            realms.catalog,
            durable.store,
            durable.queue,
            clock,
            age=auth.revocation_age,
            most=auth.max_revocations,
        )
        self.gate = StreamGate(realms.catalog, project.access, observer, self.revocations.denies)
        """Who may."""
        self.origins = Origins(settings.server, dev=settings.dev)
        self.who = Authentication(
            project.authenticate, auth, self.origins, wall=clock.now, revoked=self.revocations.refuses
        )
        """Who asks."""
        self.lapses = Lapses(clock, auth.expiring)
        self.guests = Attendance(self.lapses, self.who)
        """Whose sockets and event streams are open."""
        self.revoking = Revoking(self.revocations, self.guests, self.who, here)
