"""The command line: thin verbs over the library, one module each.

What a verb needs beyond typer is imported when the verb runs, so that ``m3ser --help`` is quick and works on the bare
core install.
"""

from __future__ import annotations

__all__: list[str] = []
