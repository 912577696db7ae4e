"""Annotation: the emotions of thousands of recordings, as a table that an interruption costs nothing."""

from m3ser.inference.annotation.run import Annotation, Progress, annotate

__all__ = ["Annotation", "Progress", "annotate"]
