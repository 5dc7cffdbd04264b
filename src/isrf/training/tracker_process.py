"""The process that hands figures to TensorBoard or MLflow: JSON lines in, the run first, then a record an epoch.

Started as a file by ``tracking``, hence without any import of the package: what it loads is the tracker alone. A line on
standard error and an exit code say what went wrong.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXPERIMENT = "isrf"
LONGEST_VALUE = 250
"""Characters of a setting's value; MLflow refuses longer ones."""


def tensorboard(folder: Path, run: str, settings: dict[str, Any]) -> tuple[Callable[[dict], None], Callable[[], None]]:
    """A call that takes a record, and one that ends the run."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.text.summary_v2 import text_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder / "tensorboard" / run))

    def put(summary: Any, step: int) -> None:
        writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        writer.flush()

    rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
    put(text_pb("settings", f"| setting | value |\n|---|---|\n{rows}"), 0)

    def told(record: dict[str, float]) -> None:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in record.items()]
        put(Summary(value=values), int(record["epoch"]))

    return told, writer.close


def mlflow(folder: Path, run: str, settings: dict[str, Any]) -> tuple[Callable[[dict], None], Callable[[], None]]:
    """As ``tensorboard``."""
    import mlflow as library

    if "MLFLOW_TRACKING_URI" not in os.environ:
        folder.mkdir(parents=True, exist_ok=True)
        library.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
    library.set_experiment(EXPERIMENT)
    library.start_run(run_name=run)
    library.log_params({name: str(value)[:LONGEST_VALUE] for name, value in settings.items()})
    return lambda record: library.log_metrics(record, step=int(record["epoch"])), library.end_run


def main() -> None:
    about = json.loads(sys.stdin.readline())
    begin = {"tensorboard": tensorboard, "mlflow": mlflow}[about["tracker"]]
    told, end = begin(Path(about["folder"]), about["run"], about["settings"])
    for line in sys.stdin:
        told(json.loads(line))
    end()


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        print(f"{type(error).__name__}: {first}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)  # a tracker's own threads may be waiting for somebody
