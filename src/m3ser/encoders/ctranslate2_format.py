"""Reading CTranslate2's ``model.bin``: named arrays, nothing that runs.

Layout, little-endian, as CTranslate2's converters write it (binary versions 4 to 6)::

    u32 binary version; string spec name; u32 spec revision
    u32 number of variables, then for each:
        string name; u8 rank; u32 x rank shape; u8 type; u32 number of bytes; the bytes, row by row
    u32 number of aliases, then for each:
        string alias; string name of the variable that it stands for

A string is a u16 length, which counts the zero byte at its end, and as many bytes of UTF-8. A weight in int8 has beside
it a ``NAME_scale`` with one factor for each output; in int16, one factor. The stored integers are the weights times
that factor.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import CheckpointError

__all__ = ["CTranslate2Model", "read_ctranslate2"]

_VERSIONS = (4, 5, 6)
# In the order of their numbers in the file. NumPy has no bfloat16; its 16 bits are the upper half of a float32.
_TYPES: tuple[str, ...] = ("<f4", "<i1", "<i2", "<i4", "<f2", "bfloat16")


@dataclass(frozen=True)
class CTranslate2Model:
    """What a ``model.bin`` holds.

    Attributes:
        path: the file.
        spec: name of the kind of model ("WhisperSpec").
        revision: version of that kind.
        variables: name -> array as stored, a view of the mapped file; bfloat16 as uint16.
        brain_floats: names of the variables that are bfloat16.
    """

    path: Path
    spec: str
    revision: int
    variables: Mapping[str, NDArray[Any]]
    brain_floats: frozenset[str]

    def weights(self, name: str) -> NDArray[np.float32]:
        """The variable `name` as a new float32 array, quantised weights restored.

        Raises:
            CheckpointError: there is no such variable, or its scale is missing, of another shape, or no usable factor.
        """
        stored = self._variable(name)
        if name in self.brain_floats:
            return (stored.astype(np.uint32) << 16).view(np.float32)
        values = stored.astype(np.float32)
        if stored.dtype.kind == "i" and stored.ndim:
            scale = self._variable(f"{name}_scale").astype(np.float32)
            if scale.shape not in ((), stored.shape[:1]):
                raise CheckpointError(
                    f"{self.path}: {name}_scale has the shape {scale.shape}, its weight {stored.shape}."
                )
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                values /= scale.reshape(scale.shape + (1,) * (values.ndim - scale.ndim))
            if not np.isfinite(values).all():  # a scale that is 0, NaN, or so small that the weight overflows
                raise CheckpointError(f"{self.path} is damaged: {name}_scale does not give finite weights.")
        return values

    def scalar(self, name: str) -> int:
        """The whole number that the variable `name` holds.

        Raises:
            CheckpointError: there is no such variable, or it is not a single whole number.
        """
        stored = self._variable(name)
        if stored.ndim or stored.dtype.kind != "i":
            raise CheckpointError(f"{self.path}: {name} is not a single whole number.")
        return int(stored)

    def _variable(self, name: str) -> NDArray[Any]:
        try:
            return self.variables[name]
        except KeyError:
            raise CheckpointError(f"{self.path} has no variable '{name}'.") from None


def read_ctranslate2(path: str | os.PathLike[str]) -> CTranslate2Model:
    """Map a ``model.bin`` into memory and find its variables; their bytes are read when they are used.

    Raises:
        CheckpointError: the file is missing, truncated or damaged, or of a version that is not known.
    """
    path = Path(path)
    try:
        content = np.memmap(path, dtype=np.uint8, mode="r")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # NumPy's word for an empty file
        raise CheckpointError(f"{path} is empty.") from error
    cursor = _Cursor(path, content)
    version = cursor.number("I")
    if version not in _VERSIONS:
        known = ", ".join(map(str, _VERSIONS))
        raise CheckpointError(
            f"{path} is not a CTranslate2 model, or of an unknown version: {version}, known are {known}."
        )
    spec, revision = cursor.string(), cursor.number("I")
    variables: dict[str, NDArray[Any]] = {}
    brain_floats: set[str] = set()
    for _ in range(cursor.number("I")):
        name = cursor.string()
        shape = tuple(cursor.number("I") for _ in range(cursor.number("B")))
        variables[name], is_brain_float = cursor.array(name, shape)
        if is_brain_float:
            brain_floats.add(name)
    for _ in range(cursor.number("I")):
        alias, name = cursor.string(), cursor.string()
        for suffix in ("", "_scale"):  # a quantised weight brings its scale along
            if name + suffix in variables:
                variables[alias + suffix] = variables[name + suffix]
        if name in brain_floats:
            brain_floats.add(alias)
    return CTranslate2Model(path, spec, revision, variables, frozenset(brain_floats))


class _Cursor:
    """Reads one value after another, and never beyond the end."""

    def __init__(self, path: Path, content: NDArray[np.uint8]) -> None:
        self._path = path
        self._content = content
        self._at = 0

    def number(self, code: str) -> int:
        """An unsigned number, by its code in :mod:`struct`."""
        code = f"<{code}"
        return int(struct.unpack(code, self._take(struct.calcsize(code)).tobytes())[0])

    def string(self) -> str:
        raw = self._take(self.number("H")).tobytes()
        try:
            return raw.removesuffix(b"\0").decode("utf-8")
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{self._path} is damaged: a name at byte {self._at} is not UTF-8.") from error

    def array(self, name: str, shape: tuple[int, ...]) -> tuple[NDArray[Any], bool]:
        """Type, number of bytes and content of a variable; and whether it is bfloat16."""
        type_number, size = self.number("B"), self.number("I")
        if type_number >= len(_TYPES):
            raise CheckpointError(f"{self._path} is damaged: '{name}' is of the unknown type {type_number}.")
        is_brain_float = _TYPES[type_number] == "bfloat16"
        dtype = np.dtype("<u2" if is_brain_float else _TYPES[type_number])
        if size != math.prod(shape) * dtype.itemsize:
            raise CheckpointError(
                f"{self._path} is damaged: '{name}' of shape {shape} and type {dtype} cannot have {size} bytes."
            )
        content = self._take(size)
        try:
            return np.ndarray(shape, dtype, buffer=content), is_brain_float
        except ValueError as error:  # more dimensions, or longer ones, than NumPy has
            raise CheckpointError(f"{self._path} is damaged: '{name}' cannot have the shape {shape}.") from error

    def _take(self, size: int) -> NDArray[np.uint8]:
        if size > self._content.size - self._at:
            raise CheckpointError(
                f"{self._path} is truncated: {size} bytes expected at byte {self._at} of {self._content.size}."
            )
        taken = self._content[self._at : self._at + size]
        self._at += size
        return taken
