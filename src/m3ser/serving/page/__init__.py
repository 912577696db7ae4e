"""The web page: record or choose a file, press a button, see the emotion. Gradio is imported when it is mounted."""

from __future__ import annotations

from m3ser.serving.page.mounting import mount_page
from m3ser.serving.page.service import LocalPageService, PageService

__all__ = ["LocalPageService", "PageService", "mount_page"]
