"""A whole table: every recipe of a folder of recipes, cross-validated side by side.

The folder of the results holds one cross-validation for each row, by group and name (``session/server``); see
:mod:`m3ser.training.crossval`. What is finished there is not trained again. A row that cannot be trained costs the
others nothing: it is reported with its reason, once the others are finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from m3ser import models
from m3ser.errors import M3serError, UsageError
from m3ser.training.corpus import Prepared, prepare
from m3ser.training.crossval import CrossValidation, crossvalidate
from m3ser.training.recipe import Recipe
from m3ser.training.recipe_file import load_recipe, recipe_folder

__all__ = ["Reproduced", "Row", "reproduce", "rows_of"]

_LIKE = "3m-ser-ln"
"""The system whose recipes those of one's own are trained by: the paper's best."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        group: what it is judged on: the recipe's folder ("session", "ravdess").
        name: the recipe's file name ("3m-ser-ln-quantised").
        recipe: the recipe itself.
    """

    group: str
    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Reproduced:
    """What came of a table.

    Attributes:
        finished: row -> its cross-validation.
        failed: row -> the sentence that says why there is none.
    """

    finished: Mapping[tuple[str, str], CrossValidation]
    failed: Mapping[tuple[str, str], str]


def rows_of(
    table: str,
    *,
    groups: Sequence[str] = (),
    systems: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> tuple[Row, ...]:
    """The rows of a table: its recipes, by group, and in each by system in the paper's order.

    Systems of one's own (:func:`m3ser.models.register`) have a row in each group: what the recipe of 3M-SER with
    LayerNorm there says of all but the model, so that they differ in nothing else. Their options are their defaults.

    Args:
        table: a folder of the recipes that come with m3ser ("iemocap", "zoo"); its own folders are the groups.
        groups: these alone, in this order; none: all.
        systems: these alone, by the file's name or the system's; none: all.
        overrides: ``key=value``, for every recipe that is asked for.

    Raises:
        UsageError: there is no such group, or none of its recipes is of such a system; lists those that there are.
        RecipeError: an override is not possible.
    """
    folder = recipe_folder() / table
    like = {}
    found = {}
    for group in sorted(folder.iterdir(), key=_protocols_in_order):
        if group.is_dir():
            paths = [path for path in sorted(group.glob("*.yaml")) if not path.stem.startswith("_")]
            shipped = [Row(group.name, path.stem, load_recipe(path)) for path in paths]
            like[group.name] = next((row.name for row in shipped if row.recipe.model.system == _LIKE), None)
            found[group.name] = (*shipped, *_own_rows(shipped))
    _known("group", groups, found)
    rows = [row for group in groups or found for row in found[group]]
    _known("system", systems, dict.fromkeys(name for row in rows for name in (row.name, row.recipe.model.system)))
    order = list(groups or found)
    asked = sorted(
        (row for row in rows if not systems or row.name in systems or row.recipe.model.system in systems),
        key=lambda row: (order.index(row.group), models.names().index(row.recipe.model.system), row.name),
    )
    # Only now: what one system's encoder can be told, another's may not know.
    return tuple(_overridden(row, folder / row.group, like[row.group], overrides) for row in asked)


def _overridden(row: Row, folder: Path, like: str | None, overrides: Sequence[str]) -> Row:
    if not overrides:
        return row
    if (folder / f"{row.name}.yaml").exists():
        return Row(row.group, row.name, load_recipe(folder / f"{row.name}.yaml", overrides))
    base = Row(row.group, str(like), load_recipe(folder / f"{like}.yaml", overrides))
    return next(own for own in _own_rows([base]) if own.name == row.name)


def reproduce(
    rows: Iterable[Row],
    out: str | Path,
    *,
    seeds: Sequence[int],
    cache: str | Path,
    workers: int = 1,
    on_row: Callable[[Row, CrossValidation], None] | None = None,
) -> Reproduced:
    """Cross-validate every row; see :func:`~m3ser.training.crossval.crossvalidate`.

    All data are read and divided before the first training, so that a corpus that is not there costs no time.

    Args:
        rows: of :func:`rows_of`.
        out: folder for the results.
        seeds: of the trainings.
        cache: folder for the frozen encoders' states.
        workers: folds that are trained at the same time.
        on_row: called for each row that is finished.
    """
    rows = tuple(rows)
    failed: dict[tuple[str, str], str] = {}
    data: dict[str, Prepared | str] = {}
    for row in rows:
        key = row.recipe.data.model_dump_json()
        if key not in data:
            data[key] = _prepared(row.recipe)
    finished: dict[tuple[str, str], CrossValidation] = {}
    for row in rows:
        place = (row.group, row.name)
        prepared = data[row.recipe.data.model_dump_json()]
        if isinstance(prepared, str):
            failed[place] = prepared
            continue
        try:
            found = crossvalidate(
                row.recipe,
                Path(out) / row.group / row.name,
                seeds=seeds,
                cache=cache,
                workers=workers,
                prepared=prepared,
            )
        except M3serError as error:
            failed[place] = str(error)
            continue
        assert found is not None, "nothing was left to other jobs"
        finished[place] = found
        if on_row is not None:
            on_row(row, found)
    return Reproduced(MappingProxyType(finished), MappingProxyType(failed))


def _own_rows(shipped: Sequence[Row]) -> Iterator[Row]:
    like = next((row for row in shipped if row.recipe.model.system == _LIKE), None)
    if like is None:
        return
    there = {row.recipe.model.system for row in shipped}
    for system in models.systems().values():
        if system.tier == "own" and system.name not in there:
            model = like.recipe.model.model_copy(update={"system": system.name, "options": {}})
            name = like.recipe.name.replace(_LIKE, system.name, 1)
            update = {"name": name, "expected": "", "model": model}
            yield Row(like.group, system.name, like.recipe.model_copy(update=update))


def _prepared(recipe: Recipe) -> Prepared | str:
    try:
        return prepare(recipe.data)
    except M3serError as error:
        return str(error)


_PROTOCOLS = ("paper", "random", "session", "speaker", "session+script", "corpus")


def _protocols_in_order(group: Path) -> tuple[int, str]:
    return (_PROTOCOLS.index(group.name) if group.name in _PROTOCOLS else len(_PROTOCOLS), group.name)


def _known(what: str, asked: Sequence[str], known: Iterable[str]) -> None:
    known = list(known)
    strange = [name for name in asked if name not in known]
    if strange:
        raise UsageError(f"There is no {what} '{strange[0]}' in this table; it has {', '.join(known)}.")
