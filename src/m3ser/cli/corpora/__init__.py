"""``m3ser corpora``: from a folder of recordings to a split that can be trusted, one file a verb."""

from __future__ import annotations

import typer

from m3ser.cli.corpora.audit_verb import audit
from m3ser.cli.corpora.convert_verb import convert
from m3ser.cli.corpora.import_verb import import_corpus
from m3ser.cli.corpora.list_verb import list_corpora
from m3ser.cli.corpora.pair_verb import pair
from m3ser.cli.corpora.split_verb import split
from m3ser.cli.corpora.stats_verb import stats
from m3ser.cli.corpora.validate_verb import validate

__all__ = ["corpora"]

corpora = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@corpora.callback()
def _corpora() -> None:
    """Corpora: read, check, split, audit, pair."""


corpora.command("list")(list_corpora)
corpora.command("import")(import_corpus)
corpora.command("convert")(convert)
corpora.command("validate")(validate)
corpora.command("stats")(stats)
corpora.command("split")(split)
corpora.command("audit")(audit)
corpora.command("pair")(pair)
