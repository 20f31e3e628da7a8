"""Who asks, who may, who is here, and what was taken away: these parts, put together for one server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from headwater.clock import Clock
from headwater.config import Settings
from headwater.observe import Observer
from headwater.server.http.authentication import Authentication
from headwater.server.http.origins import Origins
from headwater.server.live.attendance import Attendance, Guest
from headwater.server.live.gate import AskRule, StreamGate
from headwater.server.live.lapses import Lapses
from headwater.server.live.revoking import Revoking
from headwater.steps.project.declare import Project
from headwater.steps.project.triggers.authenticate import AuthQuestion
from headwater.streams.realm import Realms
from headwater.streams.revocations import Revocations

if TYPE_CHECKING:
    from headwater.server.http.jwt_keys import KeySet
    from headwater.server.http.jwt_tokens import JwtTokens


class ProjectSays(Protocol):
    """What the project says of who asks, and of what they may do."""

    @property
    def project(self) -> Project:
        """What it declares."""
        ...

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
        self._project = project
        self._tokens: JwtTokens | None = None
        self.keys: KeySet | None = None
        """The keys of tokens, where they are fetched again and again."""
        self.who = Authentication(
            self._ask_who, auth, self.origins, wall=clock.now, revoked=self.revocations.refuses
        )
        """Who asks."""
        if auth.claims:
            self._take_claims(settings, clock, observer)
        self.lapses = Lapses(clock, auth.expiring)
        self.guests = Attendance(self.lapses, self.who)
        """Whose sockets and event streams are open."""
        self.revoking = Revoking(self.revocations, self.guests, self.who, here)
        self._here = here

    def _take_claims(self, settings: Settings, clock: Clock, observer: Observer) -> None:
        """Believe what tokens say themselves. What checks them takes long to import, and few need it.

        :raises ConfigError: a key cannot be used.
        """
        from headwater.server.http.jwt_keys import KeySet
        from headwater.server.http.jwt_tokens import jwt_tokens

        self._tokens = jwt_tokens(settings.auth, settings.project, clock.now, observer)
        if isinstance(self._tokens.keys, KeySet):
            self.keys = self._tokens.keys
            self.keys.changed = self._keys_changed

    def _keys_changed(self, withdrawn: bool) -> None:
        """Other keys check tokens now; whoever came by one that is no more comes again."""
        self.who.forget()
        if withdrawn:
            for guest in tuple(self._here()):
                guest.send_away()

    async def _ask_who(self, asked: AuthQuestion) -> bytes | None:
        """See AskWho."""
        who = self._project.project.authenticator
        if self._tokens is None or who is None or who.broken:
            return await self._project.authenticate(asked)
        return await self._tokens.ask(asked)
