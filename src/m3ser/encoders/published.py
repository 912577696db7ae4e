"""Published weight files: what they are called, where they are and how they are told from anything else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from m3ser.download import cache_folder, download
from m3ser.encoders.vggish import VGGISH_DIM
from m3ser.encoders.weights import SafeGlobal, read_torch_file
from m3ser.errors import CheckpointError

__all__ = ["BERT_BASE", "VGGISH_PCA", "VGGISH_WEIGHTS", "PublishedFile", "fetch", "read_vggish_pca"]

BERT_BASE = "bert-base-uncased"
"""The paper's text encoder, on the Hugging Face Hub."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of a release.

    Attributes:
        name: its name there and in the cache.
        base_url: the folder that it is in.
        sha256: as much of its SHA-256 as was published, in hexadecimal.
    """

    name: str
    base_url: str
    sha256: str


_TORCHVGGISH = "https://github.com/harritaylor/torchvggish/releases/download/v0.1"

# The release gives the first eight digits of each hash, in the file's name (torch.hub's convention), and no more.
VGGISH_WEIGHTS = PublishedFile("vggish-10086976.pth", _TORCHVGGISH, "10086976")
VGGISH_PCA = PublishedFile("vggish_pca_params-970ea276.pth", _TORCHVGGISH, "970ea276")

# The PCA was saved as NumPy arrays. A saved array names the function that rebuilds it by where NumPy 1 or 2 keeps it.
_rebuild_array: Callable[..., Any] = np.empty(0).__reduce__()[0]  # type: ignore[assignment]
_NUMPY_ARRAYS: list[SafeGlobal] = [
    (_rebuild_array, "numpy.core.multiarray._reconstruct"),
    (_rebuild_array, "numpy._core.multiarray._reconstruct"),
    np.ndarray,
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(np.float64)),
]


def fetch(file: PublishedFile, *, cache_dir: str | os.PathLike[str] | None = None, base_url: str | None = None) -> Path:
    """The local copy of `file`, fetched first where it is not in the cache.

    Args:
        file: which one.
        cache_dir: the folder to keep it in; by default ``weights`` in :func:`m3ser.download.cache_folder`.
        base_url: a mirror to fetch from in place of the release.

    Raises:
        DownloadError: it could not be fetched, or its hash is not the published one.
    """
    folder = cache_folder() / "weights" if cache_dir is None else Path(cache_dir)
    return download(f"{(base_url or file.base_url).rstrip('/')}/{file.name}", folder / file.name, sha256=file.sha256)


def read_vggish_pca(path: str | os.PathLike[str]) -> tuple[Tensor, Tensor]:
    """The PCA of VGGish's post-processing, from a file in the release's layout.

    Args:
        path: a file of ``torch.save`` with NumPy arrays or tensors `pca_eigen_vectors` (128, 128) and `pca_means`
            (128,) or (128, 1).

    Returns:
        Eigenvectors (128, 128), one a row, and means (128,); float32.

    Raises:
        CheckpointError: the file is missing or damaged, could run code, or holds something else.
    """
    found = read_torch_file(path, safe_globals=_NUMPY_ARRAYS)
    expected = f"expected arrays pca_eigen_vectors ({VGGISH_DIM}, {VGGISH_DIM}) and pca_means ({VGGISH_DIM},)"
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path} holds {type(found).__name__}; {expected}.")
    arrays = [found.get(name) for name in ("pca_eigen_vectors", "pca_means")]
    if not all(isinstance(array, np.ndarray | Tensor) for array in arrays):
        raise CheckpointError(f"{path} holds {', '.join(map(str, found)) or 'nothing'}; {expected}.")
    eigen_vectors, means = (torch.as_tensor(array).float() for array in arrays)
    if eigen_vectors.shape != (VGGISH_DIM, VGGISH_DIM) or means.numel() != VGGISH_DIM:
        shapes = f"{tuple(eigen_vectors.shape)} and {tuple(means.shape)}"
        raise CheckpointError(f"{path} holds pca_eigen_vectors and pca_means of shapes {shapes}; {expected}.")
    return eigen_vectors, means.reshape(VGGISH_DIM)
