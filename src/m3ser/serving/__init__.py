"""m3ser as a service: REST, WebSocket and a web page over the user wing; needs the extra ``serve``."""

from __future__ import annotations

from m3ser.serving.settings import ServiceSettings

__all__ = ["ServiceSettings"]
