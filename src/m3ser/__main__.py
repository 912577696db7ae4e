"""``python -m m3ser``: the same as the ``m3ser`` command."""

from __future__ import annotations

from m3ser.cli.app import main

main()
