"""A decoder that does as its recordings say: hang, crash, take memory, answer nonsense; else it decodes them."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from m3ser.serving.decoding import worker

decode = worker._decoded


def obey(source: Any, max_seconds: float, **options: Any) -> Any:
    content = source.getvalue()
    if content == b"hang":
        time.sleep(60)
    if content == b"crash":
        os.abort()
    if content == b"memory":
        np.ones(1 << 40, np.uint8)
    if content == b"shapeless":
        write = worker.write_frame
        worker.write_frame = lambda stream, head, payload: write(stream, head | {"shape": {"channels": 2}}, payload)
        return np.ones(16_000, np.float32)
    if content == b"nonsense":
        os.write(worker_outbox, b"\xff" * 100)
    return decode(source, max_seconds, **options)


worker_outbox = os.dup(1)
worker._decoded = obey
worker.main()
