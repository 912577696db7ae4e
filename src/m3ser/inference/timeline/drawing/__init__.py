"""A timeline as a picture: emotions over time under the waveform, as PNG or as a page."""

from __future__ import annotations

from m3ser.inference.timeline.drawing.image import require_drawing, timeline_png
from m3ser.inference.timeline.drawing.web_page import timeline_page, timeline_picture, utterance_table

__all__ = ["require_drawing", "timeline_page", "timeline_picture", "timeline_png", "utterance_table"]
