"""What the service counts, for Prometheus. Each service has a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counters, gauges and histograms. Nothing in them tells one client's request from another's.

    Attributes:
        registry: where other parts of the service register theirs.
        requests: by route (its template, never the path that was asked for) and status.
        seconds: from the first byte of the head to the last of the answer, by route.
        failures: by cause, as in :class:`~m3ser.serving.problems.Problem`; recordings of a batch one by one.
        taken_on: recordings and texts that are being answered or wait.
        queue_length: utterances that wait for the model.
        queue_seconds: how long they waited.
        batch_size: utterances that went through the model together.
        audio_seconds: of recordings that were answered.
        decoder_restarts: decoding processes that were replaced, by reason ("crashed", "hung").
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("m3ser_requests", "Requests.", ("route", "status"), registry=self.registry)
        self.seconds = Histogram(
            "m3ser_request_seconds", "Seconds to the answer.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self.failures = Counter("m3ser_failures", "Failures by cause.", ("cause",), registry=self.registry)
        self.taken_on = Gauge("m3ser_taken_on", "Recordings and texts answered or waiting.", registry=self.registry)
        self.queue_length = Gauge("m3ser_queue_length", "Utterances that wait.", registry=self.registry)
        self.queue_seconds = Histogram(
            "m3ser_queue_seconds", "Seconds that utterances waited.", buckets=_SECONDS, registry=self.registry
        )
        self.batch_size = Histogram(
            "m3ser_batch_size", "Utterances together.", buckets=(1, 2, 3, 4, 5, 6, 7, 8), registry=self.registry
        )
        self.audio_seconds = Counter("m3ser_audio_seconds", "Seconds of sound answered.", registry=self.registry)
        self.decoder_restarts = Counter(
            "m3ser_decoder_restarts", "Decoding processes replaced.", ("reason",), registry=self.registry
        )

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
