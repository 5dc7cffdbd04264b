"""What spinning threads cost who else works on the machine, and us: both ways of waiting in one run.

    python bench/spinning.py [--seconds 4] [--rounds 3]

On every core but one a busy loop counts, and beside it small layers are multiplied by all threads of torch, as in a step of
the generator. They wait as OpenMP does by default, and asleep, as the command line has them
(``isrf.core.openmp``), in turns, so that whatever else the machine does meets both. Printed are steps and counts a
second, by medians over rounds, and their ratios: above 1, sleeping is the better way.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from isrf.core.openmp import CHOSEN, wait_asleep
from isrf.core.process_limits import cores_here

WIDTH, BATCH = 128, 256
"""Of the layers that are multiplied."""


def step_for(seconds: float) -> float:
    """Steps a second of small layers on all threads of torch."""
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Sequential(*(torch.nn.Linear(WIDTH, WIDTH) for _ in range(8)))
    batch = torch.randn(BATCH, WIDTH)

    def step() -> None:
        layers(batch).sum().backward()

    for _ in range(5):
        step()
    steps, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        step()
        steps += 1
    return steps / (time.perf_counter() - begin)


def count(counted: multiprocessing.sharedctypes.Synchronized[int]) -> None:
    """Count until the process is ended."""
    while True:
        for _ in range(10_000):
            pass
        counted.value += 1


def measured(asleep: bool, seconds: float, beside: int) -> tuple[float, float]:
    """Steps a second, and counts a second of one busy loop, while both run."""
    environment = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    if asleep:
        wait_asleep(environment)
    counters = [multiprocessing.Value("q", 0) for _ in range(beside)]
    loops = [multiprocessing.Process(target=count, args=(counter,), daemon=True) for counter in counters]
    for loop in loops:
        loop.start()
    try:
        begin, before = time.perf_counter(), [counter.value for counter in counters]
        command = [sys.executable, str(Path(__file__)), "--steps", str(seconds)]
        steps = json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
        took = time.perf_counter() - begin
        counted = [counter.value - start for counter, start in zip(counters, before, strict=True)]
    finally:
        for loop in loops:
            loop.kill()
            loop.join()
    return float(steps), statistics.mean(counted) / took if counted else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=int, default=max(cores_here() - 1, 1), help="busy loops")
    parser.add_argument("--steps", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.steps is not None:
        print(json.dumps(step_for(arguments.steps)))
        return
    print(f"{cores_here()} cores, medians of {arguments.rounds} rounds of {arguments.seconds:g} s\n")
    print("| busy loops | waiting | steps a second | counts a second |\n|--:|---|--:|--:|")
    for beside in (0, arguments.beside):
        found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(arguments.rounds):
            for asleep in found:
                found[asleep].append(measured(asleep, arguments.seconds, beside))
        medians = {asleep: [statistics.median(c) for c in zip(*rows, strict=True)] for asleep, rows in found.items()}
        for asleep, (steps, counted) in medians.items():
            print(f"| {beside} | {'asleep' if asleep else 'spinning'} | {steps:.1f} | {counted:.1f} |")
        ratios = [a / s if s else 0.0 for a, s in zip(medians[True], medians[False], strict=True)]
        told = f" | {ratios[1]:.2f} |" if beside else " | |"
        print(f"| {beside} | asleep / spinning | {ratios[0]:.2f}{told}", flush=True)


if __name__ == "__main__":
    main()
