"""VGGish: 0.96 s of log-mel to 128 numbers, with torchvggish's parameter names.

Source: Hershey et al., "CNN architectures for large-scale audio classification" (ICASSP 2017), and the AudioSet
release's ``vggish_slim.py`` and ``vggish_postprocess.py`` as ported in torchvggish.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from m3ser.encoders.base import AudioEncoder
from m3ser.encoders.states import EncoderStates, check_mask, zero_padding
from m3ser.errors import UsageError

__all__ = ["EXAMPLE_BANDS", "EXAMPLE_FRAMES", "VGGISH_DIM", "Postprocessor", "VGGish", "VGGishEncoder"]

EXAMPLE_FRAMES = 96  # of 10 ms: 0.96 s
EXAMPLE_BANDS = 64  # mel bands
VGGISH_DIM = 128

_CONVOLUTIONS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool")
_POOLINGS = _CONVOLUTIONS.count("pool")
_FLAT = 512 * (EXAMPLE_FRAMES >> _POOLINGS) * (EXAMPLE_BANDS >> _POOLINGS)  # 512 x 6 x 4 = 12,288
_HIDDEN = 4096
_AT_ONCE = 16  # examples that go through the convolutions together on a processor


class VGGish(nn.Module):
    """The network: four blocks of 3x3 convolutions, three linear layers, ReLU after each, the last too.

    72,141,184 parameters. ``state_dict()`` has torchvggish's names (``features.*``, ``embeddings.*``); with
    `postprocess` the PCA is in the buffers ``pproc.pca_eigen_vectors`` and ``pproc.pca_means``.

    Args:
        postprocess: end with the AudioSet release's :class:`Postprocessor`. VGGish cannot be trained through it.
    """

    def __init__(self, *, postprocess: bool = False) -> None:
        super().__init__()
        self.features = _convolutions()
        self.embeddings = nn.Sequential(
            nn.Linear(_FLAT, _HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(_HIDDEN, VGGISH_DIM),
            nn.ReLU(inplace=True),
        )
        self.pproc = Postprocessor() if postprocess else None

    @classmethod
    def from_published(
        cls,
        *,
        postprocess: bool = False,
        weights_file: str | os.PathLike[str] | None = None,
        pca_file: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        base_url: str | None = None,
    ) -> VGGish:
        """VGGish as trained on AudioSet, from the files of torchvggish's release.

        They are fetched once (288 MB, and 0.2 MB for the PCA), checked by the hash in their names and kept in the
        cache.

        Args:
            postprocess: end with the :class:`Postprocessor`, and load its PCA.
            weights_file: a local file to use in place of the release's (safetensors, or ``torch.save``'s format).
            pca_file: the same for the PCA.
            cache_dir: where fetched files are kept; by default :func:`m3ser.download.cache_folder`.
            base_url: a mirror of the release to fetch from.

        Raises:
            DownloadError: a file could not be fetched, or is not the file that was published.
            CheckpointError: a file holds something else.
        """
        from m3ser.encoders import published
        from m3ser.encoders.weights import load_weights, read_state_dict

        weights_path = weights_file or published.fetch(published.VGGISH_WEIGHTS, cache_dir=cache_dir, base_url=base_url)
        state_dict = read_state_dict(weights_path)
        if postprocess:
            pca_path = pca_file or published.fetch(published.VGGISH_PCA, cache_dir=cache_dir, base_url=base_url)
            eigen_vectors, means = published.read_vggish_pca(pca_path)
            state_dict |= {"pproc.pca_eigen_vectors": eigen_vectors, "pproc.pca_means": means}
        with torch.device("meta"):  # 72 million random numbers would be drawn only to be overwritten
            vggish = cls(postprocess=postprocess)
        vggish.to_empty(device="cpu")
        load_weights(vggish, state_dict, source=weights_path)
        return vggish

    def forward(self, examples: Tensor) -> Tensor:
        """Embed log-mel examples.

        Args:
            examples: (n, 96, 64) or (n, 1, 96, 64) float, as :func:`m3ser.audio.log_mel_examples` gives them.

        Returns:
            (n, 128) float: at least 0; with `postprocess` whole numbers in [0, 255].

        Raises:
            UsageError: `examples` are of another shape.
        """
        if examples.dim() == 3:
            examples = examples.unsqueeze(1)
        if examples.dim() != 4 or examples.shape[1:] != (1, EXAMPLE_FRAMES, EXAMPLE_BANDS):
            raise UsageError(
                f"VGGish takes examples of shape (n, {EXAMPLE_FRAMES}, {EXAMPLE_BANDS}), not {tuple(examples.shape)}."
            )
        maps = self._maps(examples)
        # The published weights come from TensorFlow, which flattens (height, width, channel).
        embeddings: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return embeddings if self.pproc is None else self.pproc(embeddings)

    def _maps(self, examples: Tensor) -> Tensor:
        """(n, 1, 96, 64) -> (n, 512, 6, 4): the convolutions.

        On a processor a few examples at a time: the maps of many are so large that their memory goes back to the system
        and is fetched anew for each layer, which takes longer than the first convolution itself. And channels last, the
        order that VGGish flattens them in, so that oneDNN need not reorder the maps between layers.
        """
        if torch.compiler.is_compiling() or examples.device.type != "cpu":
            whole: Tensor = self.features(examples)
            return whole
        # Not `contiguous`: with one channel both orders are the same, and it would leave the strides as they are.
        examples = examples.to(memory_format=torch.channels_last)
        return torch.cat([self.features(some) for some in examples.split(_AT_ONCE)])


class Postprocessor(nn.Module):
    """PCA with whitening, clamped to [-2, 2], rounded to 0..255, as AudioSet's features were released.

    The rounding has no gradient: nothing before it can be trained.

    Attributes:
        pca_eigen_vectors: (128, 128), one principal component a row.
        pca_means: (128,).
    """

    LIMIT = 2.0
    LEVELS = 255.0

    pca_eigen_vectors: Tensor
    pca_means: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("pca_eigen_vectors", torch.eye(VGGISH_DIM))
        self.register_buffer("pca_means", torch.zeros(VGGISH_DIM))

    def forward(self, embeddings: Tensor) -> Tensor:
        """(n, 128) VGGish embeddings to (n, 128) whole numbers in [0, 255], as floats."""
        components = (embeddings - self.pca_means) @ self.pca_eigen_vectors.T
        clamped = components.clamp(-self.LIMIT, self.LIMIT)
        return torch.round((clamped + self.LIMIT) * (self.LEVELS / (2 * self.LIMIT)))


class VGGishEncoder(AudioEncoder):
    """VGGish as an audio encoder: one state for each example of 0.96 s.

    Args:
        vggish: the network, with or without post-processing.
    """

    front_end = "vggish"
    dim = VGGISH_DIM

    def __init__(self, vggish: VGGish) -> None:
        super().__init__()
        self.vggish = vggish

    def encode(self, features: Tensor, mask: Tensor) -> EncoderStates:
        """Encode a padded batch of examples.

        Args:
            features: (batch, examples, 96, 64) float.
            mask: (batch, examples) bool, True = real.

        Returns:
            States (batch, examples, 128), and the same mask.

        Raises:
            UsageError: a shape or the mask's type is not as above.
        """
        check_mask(mask, features)
        if torch.compiler.is_compiling():
            # How many examples are real is not known while tracing: run all of them, keep the real ones.
            embeddings = self.vggish(zero_padding(features, mask).flatten(0, 1))
            states = zero_padding(embeddings.unflatten(0, mask.shape), mask)
        else:
            embeddings = self.vggish(features[mask])
            blank = embeddings.new_zeros(*mask.shape, self.dim)
            states = blank.masked_scatter(mask.unsqueeze(-1), embeddings)
        return EncoderStates(states, mask)


def _convolutions() -> nn.Sequential:
    """The convolutional blocks; positions in the sequence are torchvggish's."""
    layers: list[nn.Module] = []
    channels = 1
    for width in _CONVOLUTIONS:
        if isinstance(width, int):
            layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        else:
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)
