"""Talking to an m3ser service (``m3ser serve``) from Python: no model here, and no web server.

.. code-block:: python

    from m3ser.client import Client

    with Client("http://127.0.0.1:8080") as client:
        print(client.predict("clip.wav", text="I'm fine.").label)

:class:`AsyncClient` is the same with ``await``. Needs the extra ``client``. What a service answers becomes what
:mod:`m3ser.inference` returns and raises; anything else is a :class:`~m3ser.errors.ServiceError`.
"""

from __future__ import annotations

from m3ser.client.answers import ServedModel
from m3ser.client.asynchronous import AsyncClient, AsyncStream
from m3ser.client.synchronous import Client, Stream

__all__ = ["AsyncClient", "AsyncStream", "Client", "ServedModel", "Stream"]
