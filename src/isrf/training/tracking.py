"""Figures of every epoch for TensorBoard or MLflow (accelerate's trackers). Knows nothing about training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from isrf.errors import IsrfError

EXPERIMENT = "isrf"
EXTRAS = {"tensorboard": "tracking", "mlflow": "mlflow"}
"""Package -> the extra that brings it."""

GROUPS = ("loss", "gradient_norm", "alignment_norm")
"""What figures are grouped by, where a tracker groups: what stands before the first of the rest of their names."""


def named(figure: str) -> str:
    """The name of a figure for a tracker: "loss/sr" for "loss_sr"."""
    for group in GROUPS:
        if figure.startswith(f"{group}_"):
            return f"{group}/{figure.removeprefix(f'{group}_')}"
    return figure


@contextmanager
def tracked(tracker: str, folder: Path, run: str, settings: Mapping[str, Any]) -> Iterator[Callable[[dict], None]]:
    """Give a call that takes the record of an epoch; what it is called with is kept when the block ends.

    A training that goes on after a stop goes on in TensorBoard's run; in MLflow it is a run of its own, of the same name.

    Args:
        tracker: "none", "tensorboard" or "mlflow" (``training.tracking``).
        folder: ``tensorboard/`` or ``mlflow.db`` is made in it; MLflow's own MLFLOW_TRACKING_URI, where it is set, wins.
        run: name of the run.
        settings: name -> value, kept with the run.

    Raises:
        IsrfError: the package is not installed, or MLflow cannot be reached.
    """
    if tracker == "none":
        yield lambda record: None
        return
    if find_spec(tracker) is None:
        raise IsrfError(
            f"training.tracking={tracker} needs the package {tracker}: run pip install 'isrf[{EXTRAS[tracker]}]', or set "
            "training.tracking=none"
        )
    from accelerate.tracking import MLflowTracker, TensorBoardTracker

    made: MLflowTracker | TensorBoardTracker
    if tracker == "tensorboard":
        made = TensorBoardTracker(run, folder / tracker)
        made.start()
        rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
        made.tracker.add_text("settings", f"| setting | value |\n|---|---|\n{rows}")
    else:
        import mlflow

        if "MLFLOW_TRACKING_URI" not in os.environ:
            folder.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
        made = MLflowTracker(EXPERIMENT, run_name=run)
        try:
            made.start()
            made.store_init_configuration(dict(settings))
        except mlflow.MlflowException as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise IsrfError(f"training.tracking=mlflow: {first}; check MLFLOW_TRACKING_URI") from None
    try:
        yield lambda record: made.log({named(k): v for k, v in record.items()}, step=int(record["epoch"]))
    finally:
        made.finish()
