"""What our asking costs beside a bare load generator, on the same llama.cpp server in the same run.

    python bench/reasoning_overhead.py [--rows 48] [--rounds 3] [--plan single] [--gguf FILE] [--source movielens:100k]

Ours is ``ask_all`` as it is: prompts rendered, requests sent, answers stored, judged and kept. Bare is as many
connections that send the very requests of ours, in that order, and only keep the bytes that come back. Each round takes
rows that were not asked about before and runs ours, bare, bare, ours over them, so that a server or a machine that gets
slower or faster favours neither; a first round that is not counted puts the shared beginning of all prompts into every
slot of the server, which keeps no other cache. Every run of ours has an empty store. Tokens are those of the answers, as
the server counted them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from isrf.core.config import DataSettings, ReasoningSettings
from isrf.data.readers.registry import read_dataset
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.data.training_data import Catalogue
from isrf.pipeline.machine_checks import memory
from isrf.reasoning.answers.quality import gate_of
from isrf.reasoning.answers.replies import Completion
from isrf.reasoning.answers.store import open_store
from isrf.reasoning.llm import batch_runner
from isrf.reasoning.llm.batch_runner import Asking, ask_all
from isrf.reasoning.llm.budget_tracker import Allowance
from isrf.reasoning.llm.client import Client, Endpoint
from isrf.reasoning.llm.local_server import gguf_of, identity_of, local_server
from isrf.reasoning.llm.prompts import item_question, prompt_of
from isrf.reasoning.llm.row_results import Replies


@dataclass(frozen=True)
class Side:
    """One run of one side: seconds of the clock, of this process's CPU, and what the server says that it counted."""

    seconds: float
    cpu: float
    requests: int
    tokens_in: int
    tokens_out: int

    @property
    def rate(self) -> float:
        """Tokens of answers a second."""
        return self.tokens_out / self.seconds


class Recording(Client):
    """Our client, which keeps each request that it is asked to send: one append beside some hundred milliseconds."""

    sent: list[dict[str, Any]] = []  # noqa: RUF012 (one client at a time)

    async def complete(self, body: dict[str, Any], *given: Any, **named: Any) -> Completion:
        self.sent.append(body)
        return await super().complete(body, *given, **named)


def ours(rows: np.ndarray, catalogue: Catalogue, shared: Asking, known: dict[str, Any] | None, folder: Path) -> Side:
    """Ask about the rows as ``reason_items`` does, with an empty store that only knows how the endpoint is asked."""
    Recording.sent = []
    questions = (item_question(shared.prompt, catalogue, int(row)) for row in rows)
    store = folder / f"{time.time_ns()}.sqlite"
    with open_store(store) as answers, Replies(len(catalogue)) as replies:
        if known is not None:
            answers.remember(shared.endpoint.supplier, shared.endpoint.identity, known)
        start, cpu = time.perf_counter(), time.process_time()
        ask_all(questions, len(rows), shared, answers, Allowance(None, None), replies)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        tokens = answers.tokens()
        assert len(replies.rows()) == len(rows)
        assert known is None or len(answers) == len(Recording.sent)  # else negotiation sent one more
    return Side(seconds, cpu, len(Recording.sent), *tokens)


def bare(payloads: list[bytes], url: str, connections: int) -> Side:
    """Send them all, in order, each connection the next one as soon as its last is answered."""
    answers: list[bytes] = []

    async def worker(session: aiohttp.ClientSession, waiting: Iterator[bytes]) -> None:
        for payload in waiting:
            async with session.post(url, data=payload, headers={"Content-Type": "application/json"}) as response:
                answers.append(await response.read())

    async def run() -> None:
        waiting = iter(payloads)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            await asyncio.gather(*(worker(session, waiting) for _ in range(connections)))

    start, cpu = time.perf_counter(), time.process_time()
    asyncio.run(run())
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    usage = [json.loads(answer)["usage"] for answer in answers]
    tokens_in, tokens_out = (sum(one[name] for one in usage) for name in ("prompt_tokens", "completion_tokens"))
    return Side(seconds, cpu, len(answers), tokens_in, tokens_out)


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    settings = ReasoningSettings(
        supplier="local",
        gguf=arguments.gguf,
        plan=arguments.plan,
        concurrency=arguments.slots,
        domain=arguments.domain,
        timeout_s=900,  # a busy machine is no fault of the server's: nothing may be sent twice
    )
    training = leave_one_out(read_dataset(arguments.source, None, DataSettings(min_interactions=5))).training
    catalogue = training.catalogue
    order = np.argsort(-training.popularity, kind="stable")
    if len(order) < arguments.slots + arguments.rows * arguments.rounds:
        raise SystemExit(f"{arguments.source} has {len(order)} items; take fewer --rows or --rounds")
    gguf = gguf_of(settings)
    prompt = prompt_of("item", settings)
    gate = gate_of(prompt, catalogue.titles[:400], settings)
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, {memory()}, load {os.getloadavg()[0]:.1f}; {gguf.name}, "
        f"{arguments.slots} slots, plan {settings.plan}, {arguments.rows} rows a run"
    )
    batch_runner.Client = Recording  # type: ignore[misc]
    pairs: list[tuple[Side, Side]] = []
    with local_server(gguf, arguments.slots) as base_url:
        shared = Asking(prompt, Endpoint("local", base_url, gguf.stem, identity_of(gguf)), settings, gate, None)
        url = f"{base_url}/chat/completions"
        ours(order[: arguments.slots], catalogue, shared, None, folder)
        with open_store(next(folder.glob("*.sqlite"))) as warm:
            known = warm.remembered(shared.endpoint.supplier, shared.endpoint.identity)
        for n in range(arguments.rounds):
            start = arguments.slots + n * arguments.rows
            rows = order[start : start + arguments.rows]
            first = ours(rows, catalogue, shared, known, folder)
            payloads = [json.dumps(body).encode() for body in Recording.sent]  # as the client sends them
            between = [bare(payloads, url, arguments.slots) for _ in range(2)]
            last = ours(rows, catalogue, shared, known, folder)
            pairs += [(first, between[0]), (last, between[1])]
            for name, side in (("ours", first), ("bare", between[0]), ("bare", between[1]), ("ours", last)):
                print(
                    f"round {n + 1} {name}: {side.requests:4} requests {side.tokens_in:7,} tokens in "
                    f"{side.tokens_out:6,} out {side.seconds:7.2f} s {side.rate:7.1f} tokens/s, our CPU {side.cpu:.2f} s",
                    flush=True,
                )
    ratios = [mine.rate / other.rate for mine, other in pairs]
    mine, other = ([pair[side] for pair in pairs] for side in (0, 1))
    rates = [sum(s.tokens_out for s in sides) / sum(s.seconds for s in sides) for sides in (mine, other)]
    print(
        f"ours {rates[0]:.1f} tokens/s, bare {rates[1]:.1f} tokens/s, ratio of the whole {rates[0] / rates[1]:.3f}; "
        f"of the pairs: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}"
    )
    requests, cpu = sum(side.requests for side in mine), sum(side.cpu for side in mine)
    print(
        f"our process used {1000 * cpu / requests:.2f} ms of CPU a request, the bare one "
        f"{1000 * sum(s.cpu for s in other) / sum(s.requests for s in other):.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=48, help="items of one run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of ours, bare, bare, ours")
    parser.add_argument("--slots", type=int, default=8, help="slots of the server and requests in flight")
    parser.add_argument("--plan", choices=("single", "chained"), default="single")
    parser.add_argument("--source", default="movielens:100k", help="a source of `isrf run`")
    parser.add_argument("--domain", default="films", help="what its items are")
    parser.add_argument("--gguf", type=Path, help="model; the embedded SmolLM2-135M-Instruct if not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


if __name__ == "__main__":
    main()
