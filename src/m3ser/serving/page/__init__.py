"""The web page: record or choose a file, press a button, see the emotion. Gradio is imported when it is mounted."""

from __future__ import annotations

from m3ser.serving.page.mounting import mount_page
from m3ser.serving.page.service import PageService, ServedPage

__all__ = ["PageService", "ServedPage", "mount_page"]
