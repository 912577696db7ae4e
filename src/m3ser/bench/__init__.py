"""Benchmarks that ship with the package: m3ser beside its peers, and beside the machine's limit, in one run.

Importing this room loads nothing heavy. A further group of rows is a file like :mod:`m3ser.bench.front_end`, named in
:func:`m3ser.bench.run.groups`.
"""

from m3ser.bench.machine import Machine, this_machine
from m3ser.bench.measure import Figure, take_turns
from m3ser.bench.page import markdown
from m3ser.bench.rows import Measured, Outcome, Ready, Row, Side, Sizes
from m3ser.bench.run import GROUPS, choose, measure_row

__all__ = [
    "GROUPS",
    "Figure",
    "Machine",
    "Measured",
    "Outcome",
    "Ready",
    "Row",
    "Side",
    "Sizes",
    "choose",
    "markdown",
    "measure_row",
    "take_turns",
    "this_machine",
]
