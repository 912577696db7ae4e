"""The model card of a bundle that was exported from a training."""

from __future__ import annotations

from m3ser.bundle import Manifest
from m3ser.training.exporting.checkpoint import Checkpoint
from m3ser.training.exporting.parity import Parity

__all__ = ["card_of"]

_ARITHMETIC = {
    "fp32": "float32",
    "fp16": "stored as float16 and widened to float32 when loaded",
    "int8": "int8, and so are their products; the activations' ranges are fixed, so that a batch changes nothing",
    "int8-weights": "stored as int8 and widened to float32 when loaded",
}
_CONDITIONS = {"audio": "voice alone", "text": "words alone", "both": "voice and words"}


def card_of(manifest: Manifest, parity: Parity, checkpoint: Checkpoint) -> str:
    """The card as Markdown."""
    recipe, facts = checkpoint.recipe, checkpoint.facts
    data = "\n".join(f"- {one}" for one in manifest.data) or "- a manifest; its licence is not known to m3ser"
    rows = "\n".join(
        f"| {_CONDITIONS.get(name, name)} | {100 * one['ua']:.1f}% | {100 * one['wa']:.1f}% |"
        for name, one in manifest.scores.items()
    )
    paired = (
        '\nThe data are **paired (semi-synthetic)**: real voices with real sentences that they never said; "both" says '
        "how the two are weighed, and nothing about any real corpus of conversation.\n"
        if recipe.data.kind == "paired"
        else ""
    )
    optimistic = (
        "\n**Optimistic: as published.** Under the protocol `paper` speakers are in both halves, and the best epoch "
        "was chosen on the test part.\n"
        if recipe.data.protocol == "paper"
        else ""
    )
    versions = ", ".join(f"{name} {version}" for name, version in manifest.created_by.items())
    report = "\n".join(parity.lines())
    return f"""# {manifest.full_name}

{manifest.description or f"The training '{recipe.name}'."}

Classes: {", ".join(manifest.labels)}. Architecture: `{manifest.architecture}`; it looks at
{" and ".join(manifest.modalities)}. The encoders' weights are {_ARITHMETIC[manifest.precision]}.

**Licence of the weights: {manifest.licence}.** {_LICENCE if manifest.licence == "NOASSERTION" else ""}

## Trained on

{data}

Recipe `{recipe.name}`, seed {recipe.seed}, fold {facts.get("fold")} of the protocol `{recipe.data.protocol}`; exported
with {versions}.

## Scores

Of the model before export, on the test part of that fold.
{paired}{optimistic}
| given | UA (unweighted accuracy = balanced accuracy) | WA (weighted accuracy = accuracy) |
|---|---:|---:|
{rows}

## What exporting changed

{report}

## What it is not

A probability is a statement about this model, not about a person: do not use it to decide about people.
"""


_LICENCE = "Nobody has said which: it depends on the corpora below and on the encoders' weights."
