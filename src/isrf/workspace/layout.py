"""Names of the files and folders of a workspace, a paragraph a stage, in the order in which they are made."""

from __future__ import annotations

STAGES = ("dataset", "reasoning", "semantics", "graphs", "ranking", "model", "evaluation")
"""Folders of the stages, in the order in which they are made."""
STAGE_FILE = "stage.json"
"""In each of them: the record of the finished stage."""
LIVE_SUFFIXES = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal")
"""Stores that outlive a rebuild of their stage: answers and vectors that were paid for once."""

SETTINGS_FILE = "settings.yaml"
REPORT_FILE = "report.html"
RULES_FILE = "rules.yaml"
"""What every list of a workspace obeys; written by people."""
CURRENT_FILE = "current.json"
"""Which version answers, in a workspace that was updated (``workspace.versions``)."""
VERSIONS_FOLDER = "versions"
"""Versions that updates made, each a folder of stages."""

# dataset
ABOUT_DATASET_FILE = "dataset.json"
USERS_FILE = "users.parquet"
ITEMS_FILE = "items.parquet"
ITEM_COLUMNS_FILE = "item_columns.parquet"
"""Columns of the catalogue that are more than texts, with their types, in the order of ITEMS_FILE: what filters read."""
TRAIN_FILE = "train.parquet"
VALID_FILE = "valid.parquet"
TEST_FILE = "test.parquet"
NEW_USERS_FILE = "newcomers.parquet"
"""Of a split other than leave-one-out: ids of people without a training interaction."""
HELD_OUT_FILE = "later.parquet"
"""Of a split other than leave-one-out: every held-out interaction by row and part."""
DISLIKES_FILE = "dislikes.parquet"
"""USER_ROW and ITEM_ROW of what users dislike; only where ratings are read (``data.min_value``). For serving alone: no stage
that fits anything reads it, as a dislike may be later than what is held out."""
INTERACTIONS_FILE = "interactions.parquet"
"""The whole log in original ids with its times, held-out items included: no stage that fits anything reads it."""
SOURCE_LOG_FILE = "source_log.parquet"
"""The log as it was read, rows that cleaning dropped or merged among it; only where INTERACTIONS_FILE has not all of it. An
update cleans it anew together with what is new."""
DROPPED_ITEMS_FILE, DROPPED_COLUMNS_FILE = "dropped_items.parquet", "dropped_item_columns.parquet"
"""Texts and typed columns of catalogue items that cleaning dropped; only where it dropped some. An update may bring them back."""
SOURCE_ORDER_FILE = "source_order.parquet"
REJECTED_FILE = "rejected.csv"
APPEARANCE_FILE = "appearance.parquet"
"""Numbers of items that hold the order of held-out items; only where ``data.id_order`` asks for them."""
REVIEW_FILES = {
    "train": "explanations_train.parquet",
    "valid": "explanations_valid.parquet",
    "test": "explanations_test.parquet",
}
"""Part of the leave-one-out split -> its review explanations: USER_ROW, ITEM_ROW, EXPLANATION and FEATURE."""

# reasoning
REASONED_ITEMS_FILE = "items.parquet"
REASONED_USERS_FILE = "users.parquet"
ANSWERS_FILE = "answers.sqlite"

# semantics
SEMANTICS_FILE = "semantics.npz"
VECTORS_FILE = "vectors.sqlite"

# graphs
GRAPHS_FILE = "graphs.npz"
PREFIX_CELLS_FILE = "moments.npz"
"""Cells of the index of histories so far."""

# ranking and model
FUSION_FILE = "fusion.json"

# model
GENERATOR_FILE = "generator.safetensors"
ABOUT_GENERATOR_FILE = "generator.json"
ADAPTER_INPUTS_FILE = "adapter_inputs.npz"
"""What the generator's adapter reads of each item, and which items it was trained on; only where an update kept a generator
of an earlier version, whose reduction of texts it goes by."""
EXPLAINER_FILE = "explainer.json"
"""Pieces and length of the explainer; its weights are among the generator's."""
IDENTIFIERS_FILE = "identifiers.npz"
ABOUT_IDENTIFIERS_FILE = "identifiers.json"
TEMPLATES_FILE = "templates.json"
T5_SIZES_FILE = "t5.json"
TRAINING_LOG_FILE = "training_log.json"
TRAINING_CHART_FILE = "training.svg"
CHECKPOINT_FOLDER = "checkpoint"
"""While the stage is built."""
BEGUN_FILE = ".begun.json"
"""Beside the checkpoint: whether the training began from the backbone that was asked for."""

# evaluation and bench
METRICS_FILE = "metrics.json"
TABLE_FILE = "table.md"

# beside the stages
BENCH_FOLDER = "bench"
RANKS_FOLDER = "ranks"
"""In BENCH_FOLDER: ranks of each method, in a file named after what they depend on."""
SWEEP_FILE = "sweep.json"
"""In BENCH_FOLDER: results of the benches that had variants of a setting, the newest of each."""
VARIANTS_FOLDER = "variants"
"""Workspaces of variants."""
FINDINGS_FOLDER = "inspection"
AUDIT_FILE = "audit.json"
GROUP_EFFECT_FILE = "bridges.json"
TRACKING_FOLDER = "tracking"
"""What trackers of training write into."""
