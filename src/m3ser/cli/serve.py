"""``m3ser serve``: the model as a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from m3ser.cli.model_options import ModelName, ProfileFile, TranscriberName
from m3ser.cli.terminal import complain
from m3ser.errors import UsageError, needing

__all__ = ["serve"]


def serve(
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; 0.0.0.0 is every network of the machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="0 takes any that is free.")] = 8080,
    model: ModelName = "starter",
    profile: ProfileFile = None,
    profiles: Annotated[
        Path | None,
        typer.Option(
            "--profiles",
            metavar="FOLDER",
            show_default=False,
            help="Profiles (m3ser adapt), each a .json, that a request may name in place of --profile.",
        ),
    ] = None,
    transcriber: TranscriberName = None,
    no_transcriber: Annotated[
        bool, typer.Option("--no-transcriber", help="Transcribe nothing: given words, or the voice alone.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes that decode recordings. Default: one per core."),
    ] = None,
    max_duration: Annotated[
        float, typer.Option("--max-duration", metavar="SECONDS", min=0.1, help="The longest recording that is taken.")
    ] = 600.0,
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", metavar="N", min=1, help="The largest request that is read.")
    ] = 32_000_000,
    queue_size: Annotated[
        int,
        typer.Option("--queue-size", metavar="N", min=1, help="Requests taken on at a time; the next one gets 503."),
    ] = 64,
    max_wait: Annotated[
        float,
        typer.Option("--max-wait", metavar="SECONDS", min=0.1, help="In which one is answered, or else gets 503."),
    ] = 10.0,
    time_limit: Annotated[
        float,
        typer.Option(
            "--time-limit", metavar="SECONDS", min=0.1, help="From a request's last byte to its answer, or 504."
        ),
    ] = 60.0,
    body_limit: Annotated[
        float, typer.Option("--body-limit", metavar="SECONDS", min=0.1, help="In which a request's body has to arrive.")
    ] = 30.0,
    max_streams: Annotated[
        int,
        typer.Option("--max-streams", metavar="N", min=1, help="Live streams open at a time; the next one is closed."),
    ] = 64,
    max_stream_duration: Annotated[
        float,
        typer.Option(
            "--max-stream-duration", metavar="SECONDS", min=1.0, help="The longest live stream; it is closed then."
        ),
    ] = 14_400.0,
    stop_limit: Annotated[
        float,
        typer.Option("--stop-limit", metavar="SECONDS", min=1.0, help="For what was accepted, when it is stopped."),
    ] = 20.0,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            show_default=False,
            help="Keys that open the service, one a line. Left out: everybody who reaches it may ask.",
        ),
    ] = None,
    no_page: Annotated[bool, typer.Option("--no-page", help="Serve the API alone, without the web page.")] = False,
    engine: Annotated[
        str,
        typer.Option(
            "--engine", metavar="NAME", help="local: this process; ray: Ray Serve (extra ray), without the web page."
        ),
    ] = "local",
    replicas: Annotated[
        str | None,
        typer.Option(
            "--replicas",
            metavar="MIN-MAX",
            show_default=False,
            help="With --engine ray: of the service, on one core each, as many as there is work for. Left out: from 1 "
            "to one per core.",
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="HOST:PORT",
            show_default=False,
            help="The cluster, as in m3ser annotate.",
        ),
    ] = None,
) -> None:
    """Serve the model over HTTP.

    POST /v1/emotions takes a recording and answers with the same JSON as m3ser predict --json. It listens on this
    machine alone unless --host says otherwise. Requests are logged on stderr, one JSON object a line, without what was
    said. Ctrl-C or SIGTERM stops it: what was accepted is answered first.
    """
    if transcriber is not None and no_transcriber:
        raise UsageError("--transcriber names one and --no-transcriber says to use none; give one of them.")
    if engine not in ("local", "ray"):
        raise UsageError(f"--engine is '{engine}'; expected local or ray.")
    if engine == "local" and (replicas or ray_address):
        raise UsageError("--replicas and --ray-address are for Ray; give --engine ray along with them.")
    with needing("serve", "m3ser serve"):
        from m3ser.serving.server import serve as serve_until_stopped
    from m3ser.profile import read_profile
    from m3ser.serving.keys import read_api_keys
    from m3ser.serving.profiles import read_profiles
    from m3ser.serving.settings import ServiceSettings
    from m3ser.serving.streaming.limits import StreamLimits

    chosen: dict[str, Any] = {} if workers is None else {"workers": workers}
    settings = ServiceSettings(
        model=model,
        profile=None if profile is None else read_profile(profile),
        profiles=() if profiles is None else read_profiles(profiles),
        host=host,
        port=port,
        transcriber=None if no_transcriber else transcriber or "auto",
        api_keys=() if api_key_file is None else read_api_keys(api_key_file),
        page=not no_page,
        max_duration=max_duration,
        max_bytes=max_bytes,
        queue_size=queue_size,
        max_wait=max_wait,
        request_seconds=time_limit,
        body_seconds=body_limit,
        stop_seconds=stop_limit,
        streams=StreamLimits(streams=max_streams, max_seconds=max_stream_duration),
        **chosen,
    )
    if not settings.is_loopback and not settings.api_keys:
        complain(f"warning: everybody who reaches {host} may ask this service; --api-key-file asks for a key.")
    complain(f"loading {model} ...")

    def announce(url: str) -> None:
        complain(f"listening on {url}; Ctrl-C stops it.")

    if engine == "ray":
        from m3ser.serving.ray_app import Replicas, serve_on_ray

        serve_on_ray(settings, Replicas.parse(replicas), address=ray_address, announce=announce)
    else:
        serve_until_stopped(settings, announce=announce)
