# %% [markdown]
# # ISRF in five minutes
#
# A log of who had what and a catalogue become recommendations with reasons. Both are made up here, so that this runs
# anywhere in a minute; your own go in as a path, or as a frame of polars, pandas or Arrow.

# %%
import random
from pathlib import Path
from tempfile import mkdtemp

import altair as alt
import polars as pl

import isrf

rng = random.Random(1)
kinds = {"tea": ["green", "black", "herbal", "iced"], "bread": ["rye", "wheat", "corn", "sourdough"]}
items = pl.DataFrame(
    [
        (100 * place + n, f"{kinds[kind][n % 4]} {kind} no. {n}", kind, 2 + n % 5)
        for place, kind in enumerate(kinds, 1)
        for n in range(24)
    ],
    schema=["item_id", "title", "category", "price"],
    orient="row",
)
rows = []
for person in range(120):
    shelf = 100 * (1 + person % 2)
    taste = rng.randrange(4)
    wanted = [n for n in range(24) if n % 4 == taste or rng.random() < 0.15]
    rng.shuffle(wanted)
    rows += [(person, shelf + n, 1_700_000_000 + 86_400 * day) for day, n in enumerate(wanted)]
log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
log.head()

# %% [markdown]
# ## From the log to a workspace
#
# `isrf.run` is every stage: import, reasons, vectors, graphs, weights. With `train=True` a small T5 is trained too; here the
# interest graphs are enough. The workspace is a folder, and running it again does only what changed.

# %%
folder = Path(mkdtemp()) / "shop"
workspace = isrf.run(log, folder, items=items, settings={"data.min_interactions": 0}, train=False)
recommender = isrf.open(workspace)
recommender.method

# %% [markdown]
# ## Recommendations with reasons
#
# For users of the log, and for somebody who never was in it. Ids come back as they went in.

# %%
recommender.recommend(users=[0, 1], k=3, explain=True).select("user_id", "rank", "item_id", "title", "reasons")

# %%
recommender.recommend(histories=[[101, 105]], k=3, exclude=[109], explain=True).select(
    "rank", "item_id", "title", "reasons"
)

# %% [markdown]
# ## Why
#
# What carried each recommendation: the person's own interests, those of people like them, or popularity.

# %%
answer = recommender.recommend(users=[0], k=5, explain=True).unnest("shares")
shares = answer.unpivot(on=["individual", "group", "popularity"], index=["rank", "title"], variable_name="carried by")
chart = (
    alt.Chart(shares, title="What carries the recommendations for user 0", width=420)
    .mark_bar()
    .encode(x=alt.X("value:Q", title="share"), y=alt.Y("title:N", sort=None, title=None), color="carried by:N")
)
alt.renderers.enable("svg")
chart

# %%
profile = recommender.profile(0)
[(interest.title, round(interest.strength, 2)) for interest in profile.interests[:3]]

# %% [markdown]
# ## Items like an item

# %%
recommender.similar_items([101], k=3)
