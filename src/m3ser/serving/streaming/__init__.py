"""What is behind the service's WebSocket; begin reading at ``conversation.py``.

``messages.py`` has the protocol, ``session.py`` one stream without its connection, ``opus.py`` what decodes Opus in a
process of its own, ``streams.py`` what all streams share, and ``conversation.py`` how one goes.
"""
