"""The tables that ``m3ser reproduce`` makes from recipes: what stands in them, and what a reader has to know."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TABLE_1", "ZOO", "Reproducible"]


@dataclass(frozen=True)
class Reproducible:
    """A table that can be made.

    Attributes:
        recipes: the folder of its recipes.
        title: heading of its results.
        preface: how it was made, a paragraph each.
        command: what makes it; `group` is its option that chooses among the groups of recipes.
        others: systems that there are recipes for, but whose rows belong to it only where somebody asks for them.
        reading: what its ranking shows and does not show, a paragraph each.
        compares: whether what the systems cost stands beside what they reach, and the best come first.
    """

    recipes: str
    title: str
    preface: tuple[str, ...]
    command: str
    group: str
    others: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()
    compares: bool = False


TABLE_1 = Reproducible(
    recipes="iemocap",
    title="Table 1 of the 3M-SER paper, anew",
    preface=(
        "The paper prints UA and WA under each other's names; here they have the field's meaning, and what a recipe "
        "expects has been exchanged accordingly. Protocol paper is the published procedure, faults and all: "
        "utterances at random, so that speakers are in both halves, clips with fewer than two VGGish examples left "
        "out, and the best epoch chosen on the test set. Its numbers are optimistic. Under the other protocols the "
        "epoch is chosen on speakers of neither part; session+script keeps repeated sentences apart as well.",
    ),
    command="m3ser reproduce table1 --iemocap FOLDER",
    group="--protocol",
    others=("mdre", "mdrea", "are", "tre", "can", "mcsan", "m-elmo", "memocmt", "4m-ser", "adcrnn"),
)
ZOO = Reproducible(
    recipes="zoo",
    title="All systems on open corpora, on the same inputs",
    reading=(
        "It shows how far eleven ways of bringing voice and words together, and five of doing with one of them, come "
        "from the same frozen states, learnt from a few hundred recordings, on voices that none of them has heard. It "
        "does not show how the published "
        "systems compare as published: those hear other features (MFCC, VGGish, HuBERT) and read other words (GloVe, "
        "BERT), most of them train an encoder along, and each has an optimiser of its own. What is called a "
        "reconstruction below is our reading of an idea; its score says little about the original.",
        "A place in the order is not a finding. The speakers are few, so that the intervals are wide, and neighbours "
        "in the order can rarely be told apart: what can be is in the column that compares each system with 3m-ser-ln "
        "on the same utterances, with p-values corrected for how many comparisons there are. A large deviation "
        "between seeds means that another training of the same system may end elsewhere.",
        "RAVDESS has two sentences and EmoDB ten, each spoken in every emotion, so there the words cannot help: what "
        "is ranked is how a system listens, and whether words that tell nothing disturb it. A system that looks at "
        "the words alone has to come out at chance there (25% UA). The paired corpus is semi-synthetic: real voices "
        "with written sentences that nobody said in them. It shows how a system weighs voice against words, and "
        "nothing about any real corpus. There the truth is the voice's emotion for 'voice and words', and a "
        "sentence's own for 'words alone'. How often conflicting words turn an answer that is right from the voice "
        "alone depends on the shares of conflicting pairs that a system was trained with; they are the same for all.",
    ),
    preface=(
        "Same data, same folds, same seeds, and the states of the same two frozen encoders: Whisper-tiny.en's blocks 2 "
        "and 3 of 4, mean and deviation over windows, and MiniLM's token states (its pooled state for server and "
        "text-only). The 3M-SER family, server and audio-only hear windows of 0.96 s, as from VGGish. Systems that are "
        "made for frames (mdre, mdrea, are, can, mcsan, m-elmo, memocmt, adcrnn) hear quarters of them, from which the "
        "larger ones could be computed. Every speaker is tested by models that never heard them; the epoch is chosen "
        "on yet other speakers.",
        "One optimiser for all: AdamW at 0.0005, batches of 32, at most 30 epochs, until five epochs bring no gain. "
        "Sizes and dropout inside a system are its own. So is the loss, where its publication makes it a part of the "
        "system: sigmoid cross-entropy for mdre, mdrea, are and tre, centre loss for adcrnn, contrastive-centre loss "
        "for 4m-ser, which differs from 3m-ser-ln in nothing else. Two exceptions: m-elmo does not leave chance within "
        "these five epochs, and has a learning rate and a patience of its own, chosen on validation speakers of one "
        "fold; and systems that hear frames stop after five epochs of the paired corpus, each as long as twenty of "
        "EmoDB.",
        "Nothing was tuned on what is reported. But encoder blocks, learning rate and dropout of states are those of "
        "the starter, a 3m-ser-ln, chosen on some of these speakers: that may flatter all, and the 3M-SER family most.",
    ),
    command="m3ser reproduce zoo --data FOLDER",
    group="--corpus",
    compares=True,
)
