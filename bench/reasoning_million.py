"""Reasoning over a catalogue of a million items: how many prompts are answered a second, and in how much memory.

    python bench/reasoning_million.py [--items 1000000] [--users 300000] [--concurrency 32] [--again] [--folder DIR]

The endpoint is a process of its own that answers at once, with three plausible sentences that no other item gets, so
that what is measured is this side: building prompts, HTTP, the store, the gate, statistics and the table. It has to
share the cores with us and is no faster than it has to be, so the rate is a lower bound. ``--again`` runs a second time
over the same store, where every answer is known and nothing is sent. Linux only: peaks are read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# the server, a process of its own, imports none of what follows; see the end of the file

MODEL = "scripted"
RADIX = 32
SCATTER = 8_191_021
"""Odd, so that counting through ``n * SCATTER`` modulo a power of two meets every number once, neighbours far apart."""
# ruff: noqa: SIM905 (lists of words read better as text)
# fmt: off
WHO = (
    "walkers gardeners painters cooks runners campers readers collectors climbers sailors knitters bakers cyclists skaters "
    "drummers potters swimmers hikers anglers dancers teachers students nurses parents dreamers builders tinkerers "
    "travellers hosts singers skiers surfers"
).split()
WHAT = (
    "bright sturdy quiet gentle warm bold compact elegant rugged simple playful classic modern rustic sleek cosy vivid "
    "subtle smooth crisp durable handy festive dainty mellow neat robust soft tidy rich clever fresh"
).split()
FOR = (
    "mornings evenings picnics journeys festivals workshops kitchens balconies classrooms gardens beaches forests "
    "meetings weddings birthdays winters summers harbours mountains studios offices markets concerts libraries trains "
    "cabins rivers islands deserts villages cities museums"
).split()
LESS = (
    "noisy fragile heavy costly complicated flashy plain bulky slow formal loud dark sticky stiff cheap sweet salty thin "
    "narrow wild strict greasy dusty shiny blunt damp rough pale vague stale rigid dull"
).split()
THINGS = (
    "lamp kettle jacket puzzle notebook speaker blanket teapot backpack candle brush basket mirror racket helmet bottle "
    "clock wallet drum tent scarf pillow whistle ladder stool bracelet compass apron kite easel ribbon saddle"
).split()
MATERIALS = (
    "cotton oak steel linen bamboo leather copper glass ceramic wool cork marble silk brass walnut velvet rubber canvas "
    "granite paper wicker pewter maple denim felt slate birch jute pine satin clay iron"
).split()
SYLLABLES = "ba co di fu ga he ji ko lu ma ne po qui ra se ti vo wa xe yu za bri cle dro fla gre".split()
# fmt: on


def answer(n: int) -> dict[str, str]:
    """Three sentences, the n-th of 33 million sets: no two items get the same."""
    n = n * SCATTER % RADIX**5
    a, b, c, d, e = (n >> shift & RADIX - 1 for shift in (0, 5, 10, 15, 20))
    return {
        "likes": f"{WHO[a].capitalize()} and {WHO[b ^ 1]} who want something {WHAT[c]} for {FOR[d]}, not too {LESS[e]}.",
        "dislikes": f"Those who find {WHAT[c]} things too {LESS[d]} or would rather keep to {LESS[e ^ 1]} ones.",
        "feature": f"A {WHAT[c]} companion for {WHO[a]} and {WHO[b]}, made for {FOR[d]} and {FOR[e]}.",
    }


class Scripted(asyncio.Protocol):
    """As little HTTP as one keep-alive client needs; every POST is answered at once."""

    answered = 0

    def __init__(self) -> None:
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (head := self.waiting.find(b"\r\n\r\n")) >= 0:
            at = self.waiting.lower().index(b"content-length:", 0, head)
            length = int(self.waiting[at + 15 : self.waiting.index(b"\r\n", at)])
            end = head + 4 + length
            if len(self.waiting) < end:
                return
            probe = b'\\"colour\\"' in self.waiting[head:end]  # the question that negotiation asks
            said = {"colour": "blue"} if probe else answer(Scripted.answered)
            Scripted.answered += not probe
            self.waiting = self.waiting[end:]
            message = {"role": "assistant", "content": json.dumps(said)}
            usage = {"prompt_tokens": length // 4, "completion_tokens": 64, "total_tokens": length // 4 + 64}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            body = json.dumps({"id": "x", "object": "chat.completion", "choices": choices, "usage": usage}).encode()
            start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self.transport.write(start + body)


async def serve() -> None:
    """Until standard input closes; says its port first and what it spent at the end, one JSON line each."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Scripted, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"answered": Scripted.answered, "cpu": used.ru_utime + used.ru_stime}), flush=True)


@contextmanager
def scripted_server() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yields the base URL, and a call that ends the server and says how much it answered in how many CPU seconds."""
    with subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        port = json.loads(child.stdout.readline())["port"]

        def end() -> dict[str, Any]:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.close()
            said: dict[str, Any] = json.loads(child.stdout.readline())
            return said

        try:
            yield f"http://127.0.0.1:{port}/v1", end
        finally:
            child.kill()


def make(items: int, users: int, folder: Path) -> None:
    """Titles of six words, a brand and two categories; ten interactions a user, popular items first."""
    import numpy as np
    import polars as pl

    from isrf.data.dataset import Columns
    from isrf.data.histories import Histories
    from isrf.data.splits.storage import save_training
    from isrf.data.training_data import Catalogue, TrainingData

    random = np.random.default_rng(0)

    def drawn(words: list[str], skew: float = 1.0) -> pl.Series:
        place = (len(words) * random.random(items) ** skew).astype(np.int64)
        return pl.Series(words, dtype=pl.String).gather(place)

    made_up = sorted({a + b + c + d for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES for d in SYLLABLES[:4]})
    rare = [made_up[n] for n in random.permutation(len(made_up))[:50_000]]
    brands = [made_up[n].capitalize() for n in random.permutation(len(made_up))[:5_000]]
    columns = {"a": WHAT, "b": MATERIALS, "c": THINGS, "d": rare, "e": rare, "f": THINGS}
    words = pl.DataFrame({name: drawn(w, 2.0 if w is rare else 1.0) for name, w in columns.items()})
    kinds = pl.DataFrame({"g": drawn([f"{m} goods" for m in MATERIALS]), "h": drawn([f"for {f}" for f in FOR])})
    table = pl.DataFrame(
        {
            Columns.ITEM: pl.select((pl.lit("B") + pl.int_range(items).cast(pl.String).str.zfill(9)).alias("i"))["i"],
            Columns.TITLE: words.select(pl.concat_str(pl.all(), separator=" ").alias("t"))["t"],
            Columns.BRAND: drawn(brands, 3.0),
            Columns.CATEGORIES: kinds.select(pl.concat_str(pl.all(), separator="|").alias("c"))["c"],
        }
    )
    bought = (items * random.random(10 * users) ** 3).astype(np.int64)
    histories = Histories(np.arange(0, 10 * users + 1, 10, dtype=np.int64), bought)
    save_training(TrainingData([f"u{n}" for n in range(users)], Catalogue(table), histories), folder)


class Meter:
    """Seconds, CPU seconds and memory of each named phase; the kernel's mark of the peak starts anew with each."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")
        before, start, cpu = memory_mb("VmRSS"), time.perf_counter(), time.process_time()
        yield
        self.rows.append(
            {
                "phase": name,
                "seconds": time.perf_counter() - start,
                "cpu": time.process_time() - cpu,
                "before_mb": before,
                "peak_mb": memory_mb("VmHWM"),
                "after_mb": memory_mb("VmRSS"),
            }
        )
        row = self.rows[-1]
        print(
            f"{name:34} {row['seconds']:8.1f} s  cpu {row['cpu']:7.1f} s  "
            f"memory {before:5.0f} -> {row['after_mb']:5.0f} MB, peak {row['peak_mb']:5.0f} MB",
            flush=True,
        )

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*given: Any, **named: Any) -> Any:
            with self.phase(name):
                return function(*given, **named)

        return measured


def memory_mb(field: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process, 10^6 bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/self/status has no {field}")


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    from isrf.core.config import ReasoningSettings
    from isrf.data.splits.storage import load_training
    from isrf.reasoning import reason

    meter = Meter()
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    # made by a process of its own, whose leftovers are no part of what is measured here
    child = [sys.executable, __file__, "--items", str(arguments.items), "--users", str(arguments.users)]
    subprocess.run([*child, "--make", str(folder)], check=True)
    with meter.phase("catalogue and histories"):
        training = load_training(folder)
    # reason_items looks these up when it calls them: its phases are measured from outside, and it is run as it is
    whole = (reason.AttributeStatistics.fit, reason.ask_all, reason.assemble)
    reason.AttributeStatistics.fit = meter.timed("  statistics: counts", whole[0])  # type: ignore[method-assign]
    reason.ask_all = meter.timed("  asking", whole[1])
    reason.assemble = meter.timed("  statistics: sentences, and table", whole[2])
    store = folder / "answers.sqlite"
    for turn in range(1 + arguments.again):
        with scripted_server() as (base_url, end):
            settings = ReasoningSettings(
                supplier="openai",
                base_url=base_url,
                model=MODEL,
                plan="single",
                concurrency=arguments.concurrency,
                language="en",  # made-up words leave it unclear to auto, and judging the language is part of the work
            )
            start = time.perf_counter()
            table = reason.reason_items(training, settings, store)
            seconds = time.perf_counter() - start
            served = end()
        by_llm = int((table["supplier"] == "openai").sum())
        asking = next(row for row in meter.rows[::-1] if row["phase"].strip() == "asking")
        print(
            f"{'again, from the store' if turn else 'reason_items'}: {seconds:.1f} s; {by_llm:,} of {table.height:,} rows by "
            f"the LLM; {served['answered']:,} prompts answered by the server in {served['cpu']:.1f} CPU seconds"
        )
        print(
            f"  {arguments.items / asking['seconds']:,.0f} rows/s while asking; our CPU "
            f"{1e6 * asking['cpu'] / arguments.items:.0f} us a row; memory grew by "
            f"{asking['peak_mb'] - asking['before_mb']:.0f} MB while asking"
        )
        files = ", ".join(
            f"{path.name} {path.stat().st_size / 1e6:,.0f} MB" for path in sorted(folder.glob("*.sqlite*"))
        )
        print(f"  table {table.estimated_size() / 1e6:,.0f} MB in memory; {files}", flush=True)
        del table
    print(f"peak memory of the process {max(row['peak_mb'] for row in meter.rows):.0f} MB (10^6 bytes)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=300_000)
    parser.add_argument("--concurrency", type=int, default=32, help="requests in flight")
    parser.add_argument("--again", action="store_true", help="a second time, when the store knows every answer")
    parser.add_argument("--folder", type=Path, help="where the store goes; a temporary folder if not given")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return
    if arguments.make:
        make(arguments.items, arguments.users, arguments.make)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure(arguments, Path(folder))


if __name__ == "__main__":
    main()
