"""The ``m3ser`` command: its verbs, and how each way of ending looks from the shell.

Exit codes: 0 done, 1 failed, 2 bad use, 130 interrupted. A deliberate failure is one sentence on stderr; an exception
that is not an :class:`~m3ser.errors.M3serError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from m3ser import __version__
from m3ser.cli.adapt import adapt
from m3ser.cli.annotate import annotate
from m3ser.cli.bench_verb import bench
from m3ser.cli.compare import compare
from m3ser.cli.complexity import complexity
from m3ser.cli.corpora import corpora
from m3ser.cli.crossval import crossval
from m3ser.cli.demo import demo
from m3ser.cli.evaluate import evaluate
from m3ser.cli.export import export
from m3ser.cli.listen import listen
from m3ser.cli.models_verb import models
from m3ser.cli.predict import predict
from m3ser.cli.report import report
from m3ser.cli.reproduce import reproduce
from m3ser.cli.serve import serve
from m3ser.cli.terminal import complain
from m3ser.cli.timeline import timeline
from m3ser.cli.train import train
from m3ser.errors import M3serError, UsageError

__all__ = ["app", "main"]

FAILED = 1
BAD_USE = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


class Commands(TyperGroup):
    """The verbs, and the one place where an exception becomes a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the verb that `ctx` names."""
        try:
            result = super().invoke(ctx)
            # Here and not at interpreter exit, where a reader that has gone would be a complaint nobody can catch.
            _flush()
        except M3serError as error:
            complain(str(error))
            raise typer.Exit(BAD_USE if isinstance(error, UsageError) else FAILED) from None
        except KeyboardInterrupt:
            complain("interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # "m3ser ... | head": the reader has what it wanted, and there is nobody left to tell.
            _drop_unwritable_output()
            raise typer.Exit(FAILED) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _drop_unwritable_output()
            complain(f"The output could not be written: {os.strerror(error.errno)}.")
            raise typer.Exit(FAILED) from None
        return result


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None where the shell closed it: "m3ser ... >&-"
            stream.flush()


def _drop_unwritable_output() -> None:
    """Leads streams that cannot be written to into nothing, or Python would fail on them again at exit."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


app = typer.Typer(
    name="m3ser",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 failed, 2 bad use.",
)
app.command()(predict)
app.command()(annotate)
app.command()(timeline)
app.command()(adapt)
app.command()(listen)
app.command()(serve)
app.command()(demo)
app.command()(models)
app.add_typer(corpora, name="corpora")
app.command()(train)
app.command()(crossval)
app.command()(evaluate)
app.command()(compare)
app.command()(report)
app.command()(export)
app.command()(complexity)
app.add_typer(reproduce, name="reproduce")
app.command()(bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"m3ser {__version__}")
        raise typer.Exit


@app.callback()
def _m3ser(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """How was it said? Emotion in speech, from audio and text."""


class _Complaints(logging.Handler):
    """What the library warns of looks like everything else that the command says on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


def main() -> None:
    """Runs the command line on ``sys.argv`` and exits."""
    logging.getLogger("m3ser").addHandler(_Complaints(logging.WARNING))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name may hold what the terminal's encoding does not; that is no reason to lose a result.
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="m3ser")
