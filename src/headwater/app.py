"""The whole server, put together: the only place that picks concrete parts.

Owns which part is given which; when they begin and end is `lifetime.py`'s.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from typing import Any, cast

from starlette.types import ASGIApp

from headwater.aside.runner import Aside
from headwater.clock import Stamps, SystemClock
from headwater.config import Settings
from headwater.errors import Limit
from headwater.holdings import Holdings
from headwater.observe import Observers
from headwater.operating.access import access_methods
from headwater.operating.methods import READS, server_methods, work_methods
from headwater.operating.table import Methods
from headwater.server.held import HeldBytes
from headwater.server.http import client_script
from headwater.server.http.app import build_http_app
from headwater.server.http.bodies import body_reader
from headwater.server.http.forwarded import Proxies
from headwater.server.inspect.admission import Admission
from headwater.server.inspect.guarded import Guarded
from headwater.server.inspect.meter import Meter
from headwater.server.inspect.metrics import HEALTH, METRICS, READY, MetricsPage, WellBeing
from headwater.server.inspect.registry import PROJECT_STREAM, Registry
from headwater.server.inspect.surface import LIVE, PATH, AdminSurface
from headwater.server.limit_log import LimitLog
from headwater.server.listen.serve import HttpServer
from headwater.server.listen.tls import Renewal
from headwater.server.live.client_writes import ClientWrites
from headwater.server.live.opening import OperatorsDoor, SocketOpening
from headwater.server.live.reception import Reception
from headwater.server.live.rejudging import Rejudging
from headwater.server.live.session import Session
from headwater.server.live.sessions import Sessions
from headwater.server.live.sse import EventStreams, Visit
from headwater.server.live.stream_http import StreamHttp
from headwater.server.live.write_http import WriteHttp
from headwater.server.live.write_rates import WriteRates
from headwater.steps.consumers import consumers_of, cron_jobs_of
from headwater.steps.perform import StepPerformer
from headwater.steps.project.declare import Project
from headwater.steps.runtime import StepRuntime
from headwater.steps.services.events import event_service
from headwater.steps.services.revoking import revoking_service
from headwater.steps.services.runs import run_service
from headwater.steps.services.state import state_service
from headwater.steps.services.streams import stream_service
from headwater.storage.base import Store
from headwater.storage.memory import MemoryStore
from headwater.streams.catalog import Catalog
from headwater.streams.fanout.budgets import Budgets
from headwater.streams.large import LargeItems
from headwater.streams.limits import Limits
from headwater.streams.presence import Presence
from headwater.streams.realm import Realm, Realms
from headwater.streams.revocations import REVOCATIONS_STREAM
from headwater.streams.state import STATE_STREAM, StateService
from headwater.streams.writer import Writer
from headwater.tasks import Supervisor
from headwater.work.work import Work, hidden_streams

FAULT_SECONDS = 5.0
"""For how long after the store failed the server says that it is not ready."""

MOST_QUESTION_BYTES_BESIDE = 64 * 1024
"""Of an operator's question, beside an event's data, of which JSON may double the length."""


class Running:
    """A server that serves."""

    def __init__(self, settings: Settings, store: Store, tls: ssl.SSLContext | None = None) -> None:
        self.settings = settings
        self.store = store
        self.ending = False
        """It has begun to end."""
        self.observers = Observers()
        """Who is told what happens; see observe.py."""
        self.observers.add(LimitLog())
        self.tasks = Supervisor(self.observers)
        """The work in the background."""
        self.aside = Aside()
        """Where what is too large for the loop is read."""
        clock = SystemClock()
        stamps = Stamps(clock, store.stamp)
        self.catalog = Catalog(
            [STATE_STREAM, REVOCATIONS_STREAM, PROJECT_STREAM, *hidden_streams(settings.work)]
        )
        budgets = Budgets.of(settings.streams, self.observers)
        durable = Realm(self.catalog, store, stamps, settings, clock, self.observers, budgets=budgets)
        most = settings.streams.max_presence_left
        presences = MemoryStore(most, lambda: self.observers.limited("streams.max_presence_left", most))
        fleeting = Realm(self.catalog, presences, stamps, settings, clock, self.observers, budgets=budgets)
        self.realms = Realms(self.catalog, durable, fleeting)
        self.writer = Writer(
            self.catalog,
            store,
            durable.queue,
            max_item_bytes=settings.storage.max_item_bytes,
            max_id_bytes=settings.socket.max_id_bytes,
            max_item_values=settings.storage.max_item_values,
        )
        self.presence = Presence(
            self.catalog, fleeting.queue, max_state_bytes=settings.socket.max_state_bytes
        )
        self.state = StateService(
            store,
            durable.queue,
            Limits(
                max_item_bytes=settings.storage.max_item_bytes,
                max_id_bytes=settings.socket.max_id_bytes,
                max_item_values=settings.storage.max_item_values,
            ),
            aside=self.aside,
            piece=settings.storage.max_unit_writes,
        )
        self.runtime = StepRuntime(settings, observer=self.observers)
        self.work = Work(
            store, durable.queue, StepPerformer(self.runtime), settings.work, clock, self.observers
        )
        self.runtime.offer("runs", run_service(self.work.runs))
        self.runtime.offer("events", event_service(self.work.events, self.runtime.emits_of))
        self.runtime.offer("state", state_service(self.state))
        said = self.runtime, self.realms, settings, clock, self.observers
        self.reception = Reception(*said, self._here)
        self.gate, self.who, origins = self.reception.gate, self.reception.who, self.reception.origins
        self.guests, self.lapses = self.reception.guests, self.reception.lapses
        cancel = self.work.runs.cancel_item
        most_bytes = settings.streams.max_judged_bytes
        rates = WriteRates(settings.streams, Proxies(settings.server))
        writing = self.gate, self.catalog, self.writer, store.epoch
        self.writes = ClientWrites(*writing, max_bytes=most_bytes, rates=rates, fault_of=self.who.fault_of)
        """What clients write without a step."""
        parts = self.realms, self.presence, self.gate, settings.socket, stamps, cancel
        sessions = Sessions(*parts, self.observers, self.guests, self.writes)
        unread: HeldBytes[Any] = HeldBytes(settings.server.unread_bytes)
        opened = settings.server, settings.socket, sessions.open, self.observers
        admission = Admission(settings, origins) if settings.admin.enabled else None
        door = None if admission is None else OperatorsDoor(LIVE, admission.admit)
        self.opening = SocketOpening(*opened, origins, self.who, unread, door)
        self.events = EventStreams(
            self.realms,
            high_water_bytes=settings.socket.high_water_bytes,
            guests=self.guests,
            observer=self.observers,
        )
        large = LargeItems(self.writer, store, self.aside)
        revoking = revoking_service(self.reception.revoking)
        self.runtime.offer("streams", {**stream_service(self.writer, large), **revoking})
        bodies = body_reader(settings)
        written = WriteHttp(self.writes, settings, store.epoch, bodies)
        parts = self.realms, self.gate, self.events, settings, cancel, written
        pages = StreamHttp(*parts, origins, self.who, self.observers)
        internal: list[tuple[str, ASGIApp]] = [(client_script.PATH, client_script.ClientScript())]
        internal += [(pages.prefix, pages)] if pages.prefix else []
        self.holdings = Holdings()
        """What is held in memory for others, to be asked for at any time."""
        self.methods: Methods = {
            **work_methods(self.work),
            **server_methods(lambda: self.url, self.holdings),
            **access_methods(self.reception.revoking),
        }
        """What an operator may ask."""
        self.question_bytes = 2 * settings.work.max_payload_bytes + MOST_QUESTION_BYTES_BESIDE
        well = WellBeing(self._unready)
        internal += [(HEALTH, well), (READY, well)]
        if admission is not None:
            internal += self._operators_pages(admission)
        self.http = build_http_app(
            settings,
            self.runtime,
            internal,
            self.observers,
            aside=self.aside,
            origins=origins,
            who=self.who,
            bodies=bodies,
        )
        self.renewal = None if tls is None else Renewal(tls, settings)
        self.server = HttpServer(
            self.http, settings.server, cast(Any, self.opening.protocol), self.observers, tls, unread
        )
        for part in (self.http, self.opening, budgets, self.runtime, self.work):
            part.tell_holdings(self.holdings)
        durable.queue.tell_holdings(self.holdings)
        left = Limit("streams.max_presence_left", most)
        self.holdings.add("presences that left", left, lambda: presences.deletes, "presences")
        self.rejudging = Rejudging(self.gate, self._here)
        """Whom a reload of rules asks again."""
        self.runtime.on_project(self._take)

    def _operators_pages(self, admission: Admission) -> Iterator[tuple[str, ASGIApp]]:
        """What lies below /headwater for operators alone. What nobody may read is neither kept nor counted,
        and what writes it out, which takes long to import, is not loaded."""
        admin = Guarded(AdminSurface(self.methods, READS, self.question_bytes), admission, self.observers)
        yield PATH, admin
        if not admission.can_be_passed:
            yield METRICS, admin  # It says why, too.
            return
        from headwater.server.inspect.exposition import CONTENT_TYPE, exposition_of

        self.runtime.on_project(Registry(self.realms.fleeting.queue).take)
        meter = Meter()
        self.observers.add(meter)
        page = MetricsPage(exposition_of(meter, self.holdings), CONTENT_TYPE)
        yield METRICS, Guarded(page, admission, self.observers)

    def _unready(self) -> str | None:
        """Why it should be sent no requests now. A store that failed may have recovered since: only the next
        write shows it, so it is not held against it for long."""
        if self.ending:
            return "the server is ending"
        failed = self.realms.durable.queue.failed_at
        if failed is not None and time.monotonic() - failed < FAULT_SECONDS:
            return "the store takes no writes"
        return None

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        return self.server.url

    @property
    def project(self) -> Project:
        """What it serves now."""
        return self.runtime.project

    def _here(self) -> Iterator[Session | Visit]:
        """Everybody who is here."""
        for socket in self.opening.sockets:
            if socket.session is not None:
                yield socket.session
        yield from self.events.visits

    def _take(self, project: Project) -> None:
        """A generation takes over: its streams, routes and work, in one turn of the loop."""
        ruled_anew = self.catalog.declare(project.streams)
        if self.who.take(project.authenticator):
            self.opening.ask_again()
            self.events.close()
        self.rejudging.begin(ruled_anew)
        self.http.set_project(project)
        queues = self.runtime.queues
        self.work.take(consumers_of(queues, self.settings.work), cron_jobs_of(queues))
