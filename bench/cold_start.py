"""CPU seconds from nothing to the first answer: `python bench/cold_start.py WS [--before SRC] [--rounds 5]`.

Each figure is the user and system time of a fresh process, the least of several rounds, this checkout and another one in
turn: ``import isrf``, ``isrf --help``, and opening a workspace with the first recommendation for one person. SRC is the
``src`` folder of the other checkout, which may be older than ``isrf.open``.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent / "src"

IMPORT = "import isrf"
HELP = "import runpy, sys; sys.argv = ['isrf', '--help']; runpy.run_module('isrf', run_name='__main__')"
ASK = HELP.replace("'--help'", "'recommend', {ws!r}, '--user', {user!r}")


def seconds(code: str, source: Path) -> float:
    """CPU seconds of one process that runs ``code`` with the package of ``source``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{source}: {done.stderr.strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--before", type=Path, help="src folder of another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    import isrf

    user = isrf.open(arguments.workspace).opened.split.user_ids[0]
    measured = {
        "import isrf": IMPORT,
        "isrf --help": HELP,
        "open and first answer": ASK.format(ws=str(arguments.workspace), user=user),
    }
    sources = {"now": HERE} | ({"before": arguments.before} if arguments.before else {})
    print(
        f"| CPU seconds, least of {arguments.rounds} | {' | '.join(sources)} |{' ratio |' if len(sources) > 1 else ''}"
    )
    print(f"|---|{'--:|' * (len(sources) + (len(sources) > 1))}")
    for name, code in measured.items():
        rounds = [[seconds(code, source) for source in sources.values()] for _ in range(arguments.rounds)]
        least = [min(column) for column in zip(*rounds, strict=True)]
        ratio = f" {least[0] / least[1]:.2f} |" if len(least) > 1 else ""
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in least)} |{ratio}")


if __name__ == "__main__":
    main()
