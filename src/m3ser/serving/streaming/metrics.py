"""What the streams of a service count, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["StreamMetrics"]

_LAG_SECONDS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0)


class StreamMetrics:
    """Counters of all streams together.

    Args:
        registry: where they are registered.

    Attributes:
        open: streams that have a place.
        ended: streams by how they ended: "done", "gone" (the client), or a problem's cause.
        heard: seconds of sound.
        segments: that were sent, by kind ("final", "provisional").
        lag: seconds from the arrival of the sound that made a final segment certain until that was sent.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge("m3ser_streams_open", "Streams that are open.", registry=registry)
        self.ended = Counter("m3ser_streams_ended", "Streams that have ended.", ("how",), registry=registry)
        self.heard = Counter("m3ser_stream_audio_seconds", "Seconds of sound heard in streams.", registry=registry)
        self.segments = Counter("m3ser_stream_segments", "Segments sent.", ("kind",), registry=registry)
        self.lag = Histogram(
            "m3ser_stream_lag_seconds", "Seconds that finals were late.", buckets=_LAG_SECONDS, registry=registry
        )
