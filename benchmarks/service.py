"""The service under load, from a client in a process of its own on the same machine.

    python benchmarks/service.py [--only throughput overload hostile streams] [--seconds S] [--requests N]
                                 [--streams N] [--spread S] [--files N]

- throughput: as many requests at a time as saturate it, beside ``annotate`` on the same recordings in the same run.
- overload: twice that rate for a while. What is accepted is right and in time, all else is 503.
- hostile: good requests among those that nobody should send. It stays up, and its memory comes back.
- streams: live speech on many connections at once. How late final segments are.

Recordings are the clips that come with the package, with their words given. Each answer is compared with the one that
``Recogniser.predict`` gives here for the same clip: one that is lost or another client's ends the benchmark.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import service_hostile
from service_client import Client, Reply

import m3ser
from m3ser.bench.annotate import steady
from m3ser.bench.material import clips, link_clips
from m3ser.cores import available_cores
from m3ser.inference.annotation import Progress, annotate

CLIPS = Path(m3ser.__file__).parent / "bundled" / "clips"
CORES = available_cores()
PARTS = ("throughput", "overload", "hostile", "streams")
CONNECTIONS = 16 * CORES  # that saturate it
MAX_WAIT = 5.0  # seconds: what the service promises to those who wait


@dataclass(frozen=True)
class Case:
    """A request and the scores of its answer."""

    name: str
    request: bytes
    scores: dict[str, float]

    def check(self, reply: Reply) -> None:
        """Ends the benchmark where an answer is not this request's."""
        found = json.loads(reply.body)
        same = found["file"] == self.name and all(
            abs(found["scores"][label] - score) < 2e-5 for label, score in self.scores.items()
        )
        if not same:
            sys.exit(f"{self.name} was answered with {found}")


def main() -> None:
    """Runs the parts in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=60.0, help="of throughput, overload and streams")
    parser.add_argument("--requests", type=int, default=10_000, help="hostile and good ones together")
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--spread", type=float, default=5.0, help="seconds within which streams begin")
    parser.add_argument("--files", type=int, default=3_000, help="recordings that annotate is timed with")
    wanted = parser.parse_args()
    print(f"{platform.machine()}, {CORES} cores, Python {platform.python_version()}")
    cases = all_cases()
    rate = None
    if {"throughput", "overload"} & set(wanted.only):
        rate = throughput(cases, wanted.seconds, wanted.files if "throughput" in wanted.only else 0)
    if "overload" in wanted.only:
        assert rate is not None
        overload(cases, rate, wanted.seconds)
    if "hostile" in wanted.only:
        hostile(cases, wanted.requests)
    if "streams" in wanted.only:
        streams(wanted.streams, wanted.seconds, wanted.spread)


def all_cases() -> list[Case]:
    """One request for each clip."""
    recogniser = m3ser.load(transcriber=None)
    with (CLIPS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cases = []
    for row in rows:
        content = (CLIPS / row["audio"]).read_bytes()
        path = f"/v1/emotions?name={quote(row['audio'])}&text={quote(row['text'])}"
        request = service_hostile.post(path, content)
        scores = recogniser.predict(content, text=row["text"]).to_dict()["scores"]
        cases.append(Case(row["audio"], request, scores))
    return cases


@contextmanager
def running(*options: str) -> Iterator[tuple[int, int]]:
    """A service of its own: its process and its port."""
    command = [sys.executable, "-m", "m3ser", "serve", "--port", "0", "--no-page", *options]
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen(command, stderr=log, text=True) as service:
        try:
            port = None
            while port is None:
                if service.poll() is not None:
                    log.seek(0)
                    sys.exit(log.read())
                time.sleep(0.1)
                log.seek(0)
                port = next((line for line in log if "listening on http" in line), None)
            yield service.pid, int(port.partition(";")[0].rpartition(":")[2])
            if service.poll() is not None:
                sys.exit("the service ended by itself")
        finally:
            service.terminate()


def throughput(cases: list[Case], seconds: float, files: int) -> float:
    """Requests per second at saturation; beside ``annotate`` where it is to answer any files."""
    with running("--no-transcriber") as (_, port):
        rate = asyncio.run(saturated(cases, port, seconds))
    print(f"throughput: {rate:.1f} requests/s on {CONNECTIONS} connections")
    if files:
        other = annotated(files)
        print(f"            annotate {other:.1f} files/s; the service has {rate / other:.0%} of it")
    return rate


def annotated(files: int) -> float:
    """Files a second of ``annotate``, once under way, on the same clips with the same words."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.csv"
        link_clips(Path(folder), files)
        texts = [clip.text for clip in clips()]
        with manifest.open("w", encoding="utf-8", newline="") as file:
            listed = ((f"{number:06d}.wav", texts[number % len(texts)]) for number in range(files))
            csv.writer(file).writerows([("audio", "text"), *listed])
        heard: list[tuple[float, int]] = []

        def note(progress: Progress) -> None:
            if progress.stage == "annotating" and progress.finished:
                heard.append((time.perf_counter(), progress.finished))

        annotate(manifest, Path(folder) / "out.csv", text="given", workers=CORES, progress=note)
    return steady(heard, skipped=2 * CORES)


async def saturated(cases: list[Case], port: int, seconds: float) -> float:
    """Requests per second on so many connections, each asking again as soon as it is answered."""
    answered = 0
    begin = time.perf_counter() + 2.0  # what comes before is warming up
    end = begin + seconds

    async def ask(number: int) -> None:
        nonlocal answered
        async with Client(port) as client:
            for i in range(number, sys.maxsize):
                if time.perf_counter() > end:
                    return
                case = cases[i % len(cases)]
                reply = await client.ask(case.request)
                if reply.status != 200:
                    sys.exit(f"{reply.status}: {reply.body!r}")
                case.check(reply)
                answered += begin < time.perf_counter() <= end

    await asyncio.gather(*(ask(number) for number in range(CONNECTIONS)))
    return answered / seconds


def overload(cases: list[Case], rate: float, seconds: float) -> None:
    """Twice what it can do, whether or not it has answered."""
    with running("--no-transcriber", "--max-wait", f"{MAX_WAIT:g}") as (_, port):
        statuses, times = asyncio.run(arriving(cases, port, 2 * rate, seconds))
    times.sort()
    total = sum(statuses.values())
    shown = ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))
    print(
        f"overload:   {2 * rate:.1f} requests/s for {seconds:g} s, {total:,} in all, each answered and none crossed; "
        f"{shown}\n"
        f"            accepted ones: median {1000 * times[len(times) // 2]:.0f} ms, "
        f"p99 {1000 * times[int(0.99 * len(times))]:.0f} ms; promised are {MAX_WAIT:g} s"
    )
    if set(statuses) - {200, 503}:
        sys.exit("there were other answers than 200 and 503")


async def arriving(cases: list[Case], port: int, rate: float, seconds: float) -> tuple[Counter[int], list[float]]:
    """Statuses, and the seconds that accepted requests took."""
    statuses: Counter[int] = Counter()
    times: list[float] = []
    idle: list[Client] = []

    async def ask(case: Case) -> None:
        begun = time.perf_counter()
        client = idle.pop() if idle else await Client(port).__aenter__()
        reply = await client.ask(case.request)
        idle.append(client)
        statuses[reply.status] += 1
        if reply.status == 200:
            times.append(time.perf_counter() - begun)
            case.check(reply)
        elif reply.status == 503 and not reply.headers.get("retry-after", "").isdecimal():
            sys.exit("a 503 says no Retry-After")

    tasks = []
    begin = time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(begin + number / rate - time.perf_counter())
        tasks.append(asyncio.create_task(ask(random.choice(cases))))
    await asyncio.gather(*tasks)
    for client in idle:
        await client.close()
    return statuses, times


def hostile(cases: list[Case], requests: int) -> None:
    """Good requests among bad ones."""
    with running("--no-transcriber", "--max-duration", "60", "--body-limit", "2") as (pid, port):
        asyncio.run(saturated(cases, port, 10.0))
        before = resident(pid)
        begun = time.perf_counter()
        found = asyncio.run(mixed(cases, port, requests))
        seconds = time.perf_counter() - begun
        time.sleep(5.0)
        after = resident(pid)
        asyncio.run(saturated(cases, port, 1.0))
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.items()))
    print(
        f"hostile:    {requests:,} requests in {seconds:.0f} s: {kinds}\n"
        f"            memory {before:.0f} MB before, {after:.0f} MB after ({after / before - 1:+.1%}); still up"
    )


async def mixed(cases: list[Case], port: int, requests: int) -> Counter[str]:
    """How many there were of each kind, all of them answered as they should be."""
    rng = random.Random(0)
    kinds = service_hostile.kinds(CLIPS)
    counts: Counter[str] = Counter()
    places = asyncio.Semaphore(CONNECTIONS)

    async def good(case: Case) -> None:
        async with Client(port) as client:
            reply = await client.ask(case.request)
        if reply.status == 200:
            case.check(reply)
        elif reply.status != 503:
            sys.exit(f"{case.name}: {reply.status} {reply.body!r}")

    async def one(send: Awaitable[None]) -> None:
        try:
            await send
        finally:
            places.release()

    def choose() -> tuple[str, Callable[[], Awaitable[None]]]:
        if rng.random() < 0.5:
            case = rng.choice(cases)
            return "good", lambda: good(case)
        name = rng.choice(list(kinds))
        return name, lambda: kinds[name](port)

    tasks = set()
    for _ in range(requests):
        await places.acquire()
        name, send = choose()
        counts[name] += 1
        task = asyncio.create_task(one(send()))
        tasks.add(task)
        for done in [task for task in tasks if task.done()]:
            tasks.discard(done)
            done.result()
    await asyncio.gather(*tasks)
    return counts


def resident(pid: int) -> float:
    """MB of memory that a process and those that it has started hold."""
    total = 0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    for one in (str(pid), *children):
        with suppress(OSError):
            status = Path(f"/proc/{one}/status").read_text(encoding="utf-8")
            total += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return total / 1024


def streams(count: int, seconds: float, spread: float) -> None:
    """Live speech on many connections."""
    import service_streams

    with running("--no-transcriber") as (_, port):
        print(service_streams.measured(port, count, seconds, spread))


if __name__ == "__main__":
    main()
