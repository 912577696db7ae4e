"""Reading a recipe from YAML: inheritance, overrides, and one sentence for all that is wrong with it.

Every key is checked; an unknown one is an error that lists the known ones. A recipe may begin from another::

    extends: ../base.yaml       # relative to this file; or the name of a recipe that comes with m3ser
    name: 3m-ser-ln-session
    data: {protocol: session}   # parts are merged key by key; everything else is replaced

or from several, of which the later ones are put on top of the earlier: ``extends: [_emodb.yaml, _mdre.yaml]``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from m3ser.errors import RecipeError, needing
from m3ser.files import write_whole
from m3ser.training.recipe import Recipe

__all__ = ["find_recipe", "load_recipe", "recipe_folder", "resolve_source", "write_recipe"]

_EXTENDS = "extends"


def recipe_folder() -> Path:
    """Where the recipes are that come with m3ser: in the package, or beside its sources in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parents[1] / "recipes"


def find_recipe(name: str | Path) -> Path:
    """The recipe file that `name` means: a file's path, or what a recipe that comes with m3ser is called.

    Raises:
        RecipeError: there is neither; lists those that come with m3ser.
    """
    path = Path(name)
    if path.is_file():
        return path
    found = _shipped_as(path.as_posix())
    if found is None:
        names = ", ".join(name for name, file in _shipped().items() if not file.stem.startswith("_"))
        raise RecipeError(f"Recipe '{name}' cannot be read: there is no such file; the recipes of m3ser are {names}.")
    return found


def _shipped() -> dict[str, Path]:
    """Name of each recipe that comes with m3ser -> its file; those beginning with "_" are there to be extended."""
    folder = recipe_folder()
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.yaml"))}


def _shipped_as(name: str) -> Path | None:
    """The recipe that comes with m3ser and is called `name`: "starter" is starter/starter, the first of its folder."""
    shipped = _shipped()
    name = name.removesuffix(".yaml").removeprefix("recipes/")
    return shipped.get(name, shipped.get(f"{name}/{name}"))


def _extended(heir: Path, name: str) -> Path:
    """The recipe that `heir` means by `name`: a file beside it, or one that comes with m3ser."""
    beside = heir.parent / name
    return beside if beside.is_file() else _shipped_as(name) or beside


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: the YAML file, or the name of a recipe that comes with m3ser.
        overrides: ``key=value``, with dots into the parts (``training.epochs=2``); the value is read as YAML.

    Raises:
        RecipeError: the file cannot be read or is no YAML, a key is unknown (the message lists the known ones), or a
            value is impossible.
        MissingExtraError: PyYAML is not installed.
    """
    yaml = _yaml()
    path = find_recipe(path)
    content = _inherited(path, ())
    for key, text in map(_override, overrides):
        *parents, last = key.split(".")
        part = content
        for parent in parents:
            part = part.setdefault(parent, {})
            if not isinstance(part, dict):
                raise RecipeError(f"--set {key}: '{parent}' is a value, not a part of the recipe.")
        try:
            part[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {key}={text}: the value is not valid YAML.") from error
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"Recipe '{path}' is not possible: {'; '.join(_faults(error))}.") from error


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write `recipe`, resolved, as YAML; :func:`load_recipe` reads the same back.

    Raises:
        DataError: it cannot be written.
    """
    text = _yaml().safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_whole(path, text, "Recipe")


def resolve_source(source: str) -> str:
    """`source` itself, or for ``package:NAME/FOLDER`` that folder of an installed Python package.

    Some packages on the package index carry weights; they are found without being imported.

    Raises:
        RecipeError: the package is not installed, or has no such folder.
    """
    if not source.startswith("package:"):
        return source
    package, _, folder = source.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    if not places:
        raise RecipeError(f"Weights '{source}': the Python package '{package}' is not installed.")
    found = Path(places[0]) / folder
    if not found.is_dir():
        raise RecipeError(f"Weights '{source}': the package '{package}' has no folder '{folder}'.")
    return str(found)


def _yaml() -> Any:
    with needing("train", "Reading a recipe"):
        import yaml
    return yaml


def _inherited(path: Path, heirs: tuple[Path, ...]) -> dict[str, Any]:
    """The keys of the recipe at `path`, on top of those of the recipes that it extends."""
    if path.resolve() in heirs:
        raise RecipeError(f"Recipe '{path}' extends itself.")
    content = _content(path)
    extended = content.pop(_EXTENDS, None) or []
    bases = extended if isinstance(extended, list) else [extended]
    if not all(isinstance(base, str) for base in bases):
        raise RecipeError(
            f"Recipe '{path}' extends {extended!r}; the path of a recipe, or a list of paths, was expected."
        )
    merged: dict[str, Any] = {}
    for base in bases:
        merged = _merged(merged, _inherited(_extended(path, base), (*heirs, path.resolve())))
    return _merged(merged, content)


def _content(path: Path) -> dict[str, Any]:
    yaml = _yaml()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"Recipe '{path}' cannot be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"Recipe '{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise RecipeError(f"Recipe '{path}' holds a {type(content).__name__}; keys and values were expected.")
    return content


def _merged(base: Mapping[str, Any], heir: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in heir.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and value.get("kind") in (None, below.get("kind")):
            value = _merged(below, value)
        # Another kind of encoder or data begins anew: the options of the one mean nothing to the other.
        merged[key] = value
    return merged


def _override(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text}: expected KEY=VALUE, for example training.epochs=2.")
    return key.strip(), value


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        *place, last = fault["loc"] or ("",)
        if fault["type"] == "extra_forbidden":
            model, names = _at(place)
            yield f"unknown key '{'.'.join([*names, str(last)])}' (known: {', '.join(sorted(model.model_fields))})"
        else:
            _, names = _at(place)
            where = ".".join(name for name in (*names, str(last)) if name)
            message = fault["msg"].removeprefix("Value error, ")
            yield f"{where}: {message}" if where else message


def _at(place: Sequence[str | int]) -> tuple[type[BaseModel], list[str]]:
    """The part of the recipe at `place`, and the keys that lead there.

    pydantic also names the kind of encoder or data that it tried, which nobody wrote as a key.
    """
    model: type[BaseModel] = Recipe
    choices: dict[str, type[BaseModel]] = {}
    names: list[str] = []
    for step in place:
        if step in choices:
            model, choices = choices[str(step)], {}
            continue
        names.append(str(step))
        field = model.model_fields.get(str(step))
        if field is None:
            continue
        parts = [one for one in _types(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        if parts:
            model = parts[0]
        choices = {str(one.model_fields["kind"].default): one for one in parts if "kind" in one.model_fields}
    return model, names


def _types(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for one in get_args(annotation):
        yield from _types(one)
