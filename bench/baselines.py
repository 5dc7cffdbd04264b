"""The trained baselines beside each other: LightGCN, SASRec, and RecTools' SASRec where that is installed.

    python bench/baselines.py WORKSPACE [WORKSPACE ...] [--methods lightgcn sasrec] [--rectools-epochs 30]

A workspace needs its dataset stage only. One table a workspace: test NDCG@10 and HR@10 on full ranking, ties against
the target, and seconds of fitting. Every method sees the same training data and the same held-out items. A method that
cannot run is left out, and the table says why.

RecTools is no dependency of this project and no extra of it: RecTools 0.19 states numpy < 2 on Python 3.11 and 3.12,
pandas < 3 and attrs < 24, which contradict constraints.txt, and forced in beside pandas 3.1 it fails (docs/log.md). It
does run on torch 2.13 and numpy 2.4 with pandas 2.3, in an environment of its own that sees this project's packages:

    python3.11 -m venv RECTOOLS
    RECTOOLS/bin/pip install --no-deps rectools==0.19.0 pm-implicit fastrlock typeguard "pytorch-lightning<=2.5.2" \
        torchmetrics lightning-utilities "pandas<3" pytz python-dateutil six tzdata
    echo "$PWD/.venv/lib/python3.11/site-packages" > RECTOOLS/lib/python3.11/site-packages/isrf.pth
    PYTHONPATH=src RECTOOLS/bin/python bench/baselines.py WORKSPACE --methods sasrec rectools-esasrec

On one shared core an epoch of it takes about 340 s on Amazon Beauty (68 of 175 steps timed): plan hours, or a GPU. What
it costs goes with ``--rectools-history`` times ``--rectools-negatives``, as every position draws negatives of its own and
short histories are padded; 20 and 128 instead of 50 and 256 are a fifth of the work.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isrf.core.config import EvaluationSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries
from isrf.data.splits.split import Split
from isrf.data.storage import read_split
from isrf.data.training_data import TrainingData
from isrf.evaluation.protocol import Result, evaluate
from isrf.methods.interface import Method
from isrf.methods.registry import TRAINED
from isrf.methods.score_inputs import Reads
from isrf.workspace.workspace import Workspace

LISTED = 10
"""Length of RecTools' lists: as deep as the table looks."""


class RecTools:
    """SASRec of RecTools with what its authors report as strongest: LiGR layers and sampled softmax (eSASRec).

    Its public call gives ranked lists, not scores: the best LISTED unseen items of a person score LISTED, ..., 1, all
    others 0, which is enough for metrics at 10. Only the sequential task: there is no order to give it in the other.
    """

    name = "rectools-esasrec"
    reads = Reads(order=True, consumer="a trained transformer over item identifiers")

    def __init__(self, epochs: int, history: int = 50, negatives: int = 256, seed: int = 0) -> None:
        self.epochs, self.history, self.negatives, self.seed = epochs, history, negatives, seed

    def fit(self, training: TrainingData) -> None:
        try:
            from pytorch_lightning import Trainer, seed_everything
            from rectools.models import SASRecModel
            from rectools.models.nn.transformers.ligr import LiGRLayers
        except ImportError as missing:
            raise IsrfError(f"RecTools: {missing}; how to install it stands at the top of bench/baselines.py") from None
        seed_everything(self.seed)
        self._n_items = training.n_items
        self._model = SASRecModel(
            n_blocks=2,
            n_heads=4,
            n_factors=128,
            dropout_rate=0.2,
            session_max_len=self.history,
            loss="sampled_softmax",
            n_negatives=self.negatives,
            lr=1e-3,
            batch_size=128,
            transformer_layers_type=LiGRLayers,
            # its own trainer leaves a folder of logs wherever it is called
            get_trainer_func=lambda: Trainer(
                max_epochs=self.epochs,
                min_epochs=self.epochs,
                deterministic=True,
                logger=False,
                enable_model_summary=False,
                enable_checkpointing=False,
                devices=1,
            ),
        )
        self._model.fit(self.dataset(np.arange(training.n_users), training.histories))

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32."""
        people = np.arange(len(queries))
        listed = self._model.recommend(
            people,
            self.dataset(people, queries.histories),
            k=LISTED,
            filter_viewed=True,
            on_unsupported_targets="ignore",
        )
        scores = np.zeros((len(queries), self._n_items), dtype=np.float32)
        scores[listed["user_id"], listed["item_id"]] = LISTED + 1 - listed["rank"]
        return scores

    @staticmethod
    def dataset(people: np.ndarray, histories: Histories) -> Any:
        """RecTools' data set of histories; a day passes between two interactions, so that the order is kept."""
        import pandas as pd
        from rectools.dataset import Dataset

        place = np.arange(len(histories.items)) - histories.offsets[:-1][histories.rows()]
        table = pd.DataFrame(
            {
                "user_id": people[histories.rows()],
                "item_id": histories.items,
                "weight": 1.0,
                "datetime": pd.Timestamp("2000-01-01") + pd.to_timedelta(place, unit="D"),
            }
        )
        return Dataset.construct(table)


def measured(make: Callable[[], Method], split: Split, both_tasks: bool) -> list[Result]:
    """Full ranking of the test part by a method, fitted here."""
    method, start = make(), time.perf_counter()
    method.fit(split.training)
    seconds = time.perf_counter() - start
    tasks = TASKS if both_tasks else TASKS[:1]
    return [evaluate(method, split, "test", task, EvaluationSettings(), seconds)[0] for task in tasks]


def main(arguments: Sequence[str] | None = None) -> None:
    rectools = RecTools.name
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspaces", nargs="+", type=Path)
    parser.add_argument("--methods", nargs="+", choices=[*TRAINED, rectools], default=[*TRAINED, rectools])
    parser.add_argument("--rectools-epochs", type=int, default=30)
    parser.add_argument("--rectools-history", type=int, default=50, help="most recent items that it reads")
    parser.add_argument("--rectools-negatives", type=int, default=256, help="items drawn for each position")
    chosen = parser.parse_args(arguments)
    sizes = chosen.rectools_epochs, chosen.rectools_history, chosen.rectools_negatives
    makers: dict[str, Callable[[], Method]] = {**TRAINED, rectools: lambda: RecTools(*sizes)}
    for folder in chosen.workspaces:
        split = read_split(Workspace.existing(folder))
        print(f"\n## {folder.name}\n\n| method | task | NDCG@10 | HR@10 | fit, s |\n|---|---|--:|--:|--:|", flush=True)
        for name in chosen.methods:
            try:
                results = measured(makers[name], split, both_tasks=name != rectools)
            except IsrfError as error:
                note(f"{name} is left out: {error}")
                print(f"| {name} | left out: {error} | | | |", flush=True)
                continue
            for r in results:
                print(
                    f"| {r.method} | {r.task} | {r.ndcg(10):.4f} | {r.hr(10):.4f} | {r.fit_seconds:.0f} |", flush=True
                )


if __name__ == "__main__":
    main()
