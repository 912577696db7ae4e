"""What a leakage audit costs, fingerprints included, beside decoding the recordings, which it cannot do without.

    python benchmarks/audit.py ravdess=FOLDER nemo=FOLDER

Each argument is a corpus that m3ser reads, and where it is. One run after the other, on two threads each; the ratio is
what the audit takes, times what decoding alone takes in the same run.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from m3ser.audio import SAMPLE_RATE, load_waveform
from m3ser.corpora import audit, find_confounds, find_same_audio, make_split, measure_durations, read_corpus
from m3ser.schema import Utterance


def main(places: list[str]) -> None:
    """Measure and print."""
    utterances: list[Utterance] = []
    for place in places:
        name, _, folder = place.partition("=")
        utterances += read_corpus(name, folder).utterances
    split = make_split(utterances, "speaker", seed=0)
    begin = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        samples = sum(pool.map(lambda path: len(load_waveform(path)), [u.audio for u in utterances if u.audio]))
    decoded = time.perf_counter()
    same = find_same_audio(utterances)
    heard = time.perf_counter()
    found = audit(split.fold(0), same_audio=same)
    told = find_confounds(split, measure_durations(split.utterances).seconds)
    done = time.perf_counter()
    whole = done - decoded
    hours = samples / SAMPLE_RATE / 3600
    print(f"{len(utterances):,} utterances, {hours:.1f} hours: {len(same.pairs)} pairs sound the same")
    print(f"overlaps between parts: {len(found.overlaps):,}")
    print(f"tells much of the emotion: {', '.join(one.variable for one in told.variables if one.strong) or 'nothing'}")
    print(f"decoding alone         {decoded - begin:6.1f} s")
    print(f"fingerprints, search   {heard - decoded:6.1f} s")
    print(f"the rest of the audit  {done - heard:6.1f} s")
    print(
        f"audit / decoding       {whole / (decoded - begin):6.2f}    {len(utterances) / whole:,.0f} utterances a second"
    )


if __name__ == "__main__":
    if not sys.argv[1:] or not all("=" in place for place in sys.argv[1:]):
        sys.exit(__doc__)
    main(sys.argv[1:])
