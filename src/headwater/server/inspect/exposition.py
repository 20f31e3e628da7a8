"""The counts of a server as Prometheus reads them, by its own client library.

Owns their names, which are part of the interface: dashboards and alarms match them. Numbers are made when
they are read, so what nobody reads costs nothing more than counting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headwater import __version__
from headwater.holdings import Holdings
from headwater.server.inspect.meter import Meter, Ranges

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition_of(meter: Meter, holdings: Holdings) -> Callable[[], bytes]:
    """What answers the text of all numbers, each time anew."""
    registry = CollectorRegistry()
    registry.register(_Counts(meter, holdings))
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)


class _Counts(Collector):
    def __init__(self, meter: Meter, holdings: Holdings) -> None:
        self._meter = meter
        self._holdings = holdings

    def describe(self) -> list[Metric]:
        """Nothing beforehand: names are known by reading."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All numbers, by topic."""
        version = GaugeMetricFamily("headwater_info", "The version that runs.", labels=["version"])
        version.add_metric([__version__], 1)
        yield version
        yield from self._clients()
        yield from self._streams()
        yield from self._steps()
        yield from self._memory()

    def _clients(self) -> Iterator[Metric]:
        m = self._meter
        kinds = {kind: m.open[kind] for kind in ("websocket", "sse")}
        yield _gauges("connections", "Sockets and event streams that are open.", "kind", kinds)
        accepted = "Sockets and event streams that were opened."
        yield _counts("connections_accepted", accepted, "protocol", m.accepted_by)
        yield _counts("refusals", "What was refused to clients, by its code.", "code", m.refusals)
        yield _counts("limits_met", "Limits that were met, by their setting.", "setting", m.limits)
        yield _counts("http_requests", "Requests that were answered.", "status", m.requests)
        yield _ranges("http_request_seconds", "What their answers took.", m.request_seconds)

    def _streams(self) -> Iterator[Metric]:
        m = self._meter
        yield _gauges("subscriptions", "Subscriptions that there are.", "state", m.subscriptions)
        yield _count("subscriptions_begun", "Subscriptions that began.", m.begun)
        why = "Subscriptions that had to catch up, and why."
        yield _counts("subscriptions_behind", why, "why", m.fell_behind)
        yield _count("flushes", "Flushes of feeds; changes to each are those that were joined.", m.flushes)
        yield _count("changes", "Changes that flushes carried.", m.changes)
        yield _count("deliveries", "Flushes times the subscribers that they went to.", m.deliveries)
        yield _count("delivered_bytes", "Bytes of those.", m.delivered_bytes)
        yield _ranges("commit_seconds", "What the store took for a batch.", m.commit_seconds)
        yield _ranges("commit_writes", "Writes that were committed together.", m.commit_writes)
        yield _count("writes_refused", "Writes that a commit refused.", m.refused_writes)

    def _steps(self) -> Iterator[Metric]:
        m = self._meter
        runs = CounterMetricFamily(
            "headwater_invocations",
            "Invocations of steps that ended; an empty code is success.",
            labels=["step", "code"],
        )
        for (step, code), count in sorted(m.runs.items()):
            runs.add_metric([step, code], count)
        yield runs
        yield _counts("invocation_seconds", "What they took together.", "step", m.run_seconds)
        jobs = CounterMetricFamily(
            "headwater_jobs", "Events and cron runs, and what became of them.", labels=["step", "what"]
        )
        for (step, what), count in sorted(m.jobs.items()):
            jobs.add_metric([step, what], count)
        yield jobs
        yield _count("worker_stalls", "Times that a worker showed no sign of life.", m.stalls)
        yield _count("workers_lost", "Workers whose process ended unasked.", m.workers_lost)
        yield _count("reloads", "Generations that took over.", m.reloads)
        yield GaugeMetricFamily("headwater_generation", "The generation that serves.", value=m.generation)
        failures = "Background tasks that failed and were started again."
        yield _counts("background_failures", failures, "task", m.faltered_tasks)

    def _memory(self) -> Iterator[Metric]:
        held = GaugeMetricFamily(
            "headwater_held", "What is held in memory for others.", labels=["kind", "unit"]
        )
        most = GaugeMetricFamily("headwater_held_limit", "Its bound.", labels=["kind", "unit", "setting"])
        for one in self._holdings.read():
            held.add_metric([one.kind, one.unit], one.now)
            most.add_metric([one.kind, one.unit, one.limit.setting], one.limit.value)
        yield held
        yield most


def _count(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"headwater_{name}", about, value=value)


def _counts(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"headwater_{name}", about, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"headwater_{name}", about, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _ranges(name: str, about: str, ranges: Ranges) -> Metric:
    """Prometheus wants of each bound how many lie at or below it."""
    below, buckets = 0, list[tuple[str, float]]()
    for bound, count in zip([*map(str, ranges.bounds), "+Inf"], ranges.counts, strict=True):
        below += count
        buckets.append((bound, below))
    family = HistogramMetricFamily(f"headwater_{name}", about)
    family.add_metric([], buckets, ranges.total)
    return family
