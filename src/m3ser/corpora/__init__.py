"""Corpora: published layouts to utterances, manifests, splits, pairing and the leakage audit. No torch.

From folders to a training manifest::

    from m3ser.corpora import get_reader, pair, split_by_speaker, write_manifest

    voices = [u for name in ("emodb", "ravdess") for u in get_reader(name).read(folders[name]).utterances]
    sentences = get_reader("goemotions").read(folders["goemotions"]).utterances
    shares = {"agree": 0.4, "neutral": 0.3, "conflict": 0.3}
    paired = pair(split_by_speaker(voices, seed=0), sentences, scheme=IEMOCAP4, shares=shares, per_clip=2, seed=0)
    write_manifest("paired.csv", paired.utterances, comment=paired.comment)
"""

from m3ser.corpora.confounds import Confound, Confounds, find_confounds
from m3ser.corpora.corpus import Corpus, CorpusInfo, LabelledReader, Progress, Reader
from m3ser.corpora.durations import Durations, measure_durations
from m3ser.corpora.fold_columns import read_folds, split_comment, with_fold_columns
from m3ser.corpora.folds import Fold, PartSummary, Split, make_split, supported_protocols
from m3ser.corpora.interchange import FORMATS, export_manifest, import_manifest
from m3ser.corpora.labelled_folder import read_labelled_folder
from m3ser.corpora.leakage import PROTOCOLS, Audit, Overlap, audit, protocol_rules
from m3ser.corpora.manifest import (
    COLUMNS,
    SPLITS,
    Fault,
    FaultSample,
    Manifest,
    manifest_faults,
    read_manifest,
    stream_manifest,
    stream_rows,
    write_manifest,
)
from m3ser.corpora.pairing import PLAIN, RELATIONS, PairedCorpus, disjoint_sentences, pair
from m3ser.corpora.parts import LabelledPart, read_part, with_clean_text
from m3ser.corpora.plain import PLAIN_CORPUS, plain_sentences
from m3ser.corpora.pool import identities
from m3ser.corpora.registry import READERS, get_reader, read_corpus
from m3ser.corpora.same_audio import SameAudio, find_same_audio
from m3ser.corpora.splits import split_by_speaker
from m3ser.corpora.stats import Distribution, Group, Statistics, summarise
from m3ser.corpora.stats_figure import statistics_png
from m3ser.corpora.stats_page import statistics_page
from m3ser.corpora.transcription import transcribe

__all__ = [
    "COLUMNS",
    "FORMATS",
    "PLAIN",
    "PLAIN_CORPUS",
    "PROTOCOLS",
    "READERS",
    "RELATIONS",
    "SPLITS",
    "Audit",
    "Confound",
    "Confounds",
    "Corpus",
    "CorpusInfo",
    "Distribution",
    "Durations",
    "Fault",
    "FaultSample",
    "Fold",
    "Group",
    "LabelledPart",
    "LabelledReader",
    "Manifest",
    "Overlap",
    "PairedCorpus",
    "PartSummary",
    "Progress",
    "Reader",
    "SameAudio",
    "Split",
    "Statistics",
    "audit",
    "disjoint_sentences",
    "export_manifest",
    "find_confounds",
    "find_same_audio",
    "get_reader",
    "identities",
    "import_manifest",
    "make_split",
    "manifest_faults",
    "measure_durations",
    "pair",
    "plain_sentences",
    "protocol_rules",
    "read_corpus",
    "read_folds",
    "read_labelled_folder",
    "read_manifest",
    "read_part",
    "split_by_speaker",
    "split_comment",
    "statistics_page",
    "statistics_png",
    "stream_manifest",
    "stream_rows",
    "summarise",
    "supported_protocols",
    "transcribe",
    "with_clean_text",
    "with_fold_columns",
    "write_manifest",
]
