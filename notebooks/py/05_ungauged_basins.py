# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Gauges the model has never seen
#
# **Most rivers have no gauge. What a model is worth there shows only where gauges are held back
# from it.** This page holds gauges out, years out, and both, and looks at what the weights of the
# loss and the luck of the start do to a score {cite}`wang2024`.
#
# After this page you can
#
# - split a record in time, in space and in both, and say what each split tests;
# - read a cross-validation in which each gauge takes its turn;
# - say why gauges on one river are too alike for a p-value;
# - perform the whole matrix of runs yourself, on one machine or on many.
#
# You need {doc}`04_five_schemes`. The trainings behind this page take hours; they were made by
# `hybridlib experiments`, and the page reads what they left. The runs in space make all of their
# steps, fewer than those of the page before: no step was chosen by validation. Do not compare the
# medians of the two pages.

# %% tags=["parameters"]
matrix: str = "params/experiments.yml"  # the runs and where their results lie
live_study: str = "data/cache/smoke.zarr"  # small study of the live fold
live_steps: int = 3  # steps of training shown live

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from hybridlib.analysis import transfer
from hybridlib.experiments import results
from hybridlib.experiments.matrix import read_matrix
from hybridlib.figures import hydrographs, schemes, style
from hybridlib.figures import transfer as figures
from hybridlib.findings import claims
from hybridlib.learning import comparison
from hybridlib.learning.schemes import SCHEMES
from hybridlib.twin.make import open_or_make

plt.style.use(style.STYLE)
plan = read_matrix(matrix)
scores = results.read(plan.results)
print(f"{plan.study}: {scores.sizes['run']} members of {len(set(scores.name.values))} trainings")

# %% [markdown]
# ## Three ways to split a record
#
# The observations are a table of gauges and years. A **temporal** split trains on early years and
# validates on late ones, at the same gauges. A **spatial** split trains on three quarters of the
# gauges in all years and validates on the others. The **spatiotemporal** split does both at once:
# its last part has neither the gauge nor the year in common with training.

# %%
transfer.parts_table()

# %% [markdown]
# **Table. Parts of the data in each split.** Gravimetry trains in every split: satellites see
# basins without gauges, too.
#
# The gauges are dealt at random into four groups, and each group is held out once. So every gauge
# has one score from a model that never saw it.

# %%
stations = [str(name) for name in scores.station.values]
transfer.groups_table(results.read_neighbours(plan.results, "spatial"))

# %% [markdown]
# **Table. The gauges of each group, and what is left to tell of them.** Gauges that train above and
# below on the same water's way, and the share of the catchment that drains through one of those
# above. Hardly a gauge has none above or below that trains, so a random split tests gaps in a
# gauged network more than basins without any gauge. *Source: Amazon twin; the places of the gauges
# are real, their records the twin's.*
#
# ### A fold, live
#
# The same in small: a tributary with three gauges, one held out, a few steps. Training reads the
# gauges that are left.

# %%
pd.options.display.float_format = "{:.3f}".format
small = open_or_make(live_study)
comparison.train_live(small, "hybrid_qs", live_steps, split="spatial", fold=1, folds=3)

# %% [markdown]
# **Table. Loss and mean NSE over the gauges and boxes that train.** *Source: the small twin.*
#
# ## Transfer in space
#
# On the twin one rule from attributes to parameters does exist, because the truth was made that
# way, from the very attributes the network reads. A good score here shows that some mapping from
# attributes serves discharge where no gauge trained. It is mostly not the true one, as
# {doc}`08_what_was_learned` shows, and it does not show that nature has such a rule.

# %% tags=["hide-input"]
spatial = results.complete(scores, plan, "spatial")
figures.scores_by_gauge(scores, spatial, stations) if spatial else print("not run yet");

# %% [markdown]
# **Figure 6a. Each gauge by a model that never saw it.** Four-fold cross-validation, all years.
# Dashed lines are medians; a value below 0 would be a triangle at the rim. Gauges are in the order
# of the drainage tables. A noisy gauge bounds the score that any model can have. *Source: Amazon
# twin.*

# %%
tests = [
    ("spatial", "validation", better, worse)
    for better, worse in (
        ("hybrid_qs", "hydropynn"),
        ("hybrid_qs_plus", "hydropynn"),
        ("hybrid_qs_plus", "hybrid_qs"),
    )
    if {better, worse} <= set(spatial)
]
transfer.readable_tests(results.compare(scores, tests))

# %% [markdown]
# **Table. Is one scheme better at unseen gauges?** Two-sided p-values, paired by gauge; `higher at`
# counts the gauges. The paper
# found medians of 0.63 (HydroPyNN), 0.66 (Hybrid(Q,S)) and 0.80 (Hybrid(Q,S)+) on the real Amazon,
# the last better with p < 0.01 in a paired t-test; the levels of twin and real Amazon do not
# compare. Gauges on one river are not independent of each other, and those of a fold share one
# model, so any such p-value is too small. *Source of the table: Amazon twin.*

# %% tags=["hide-input"]
pairs = {SCHEMES[name].title: results.held_out_pairs(plan, "spatial", name) for name in spatial}
schemes.hydrographs(pairs, stations[0]) if pairs else print("not run yet");

# %% [markdown]
# **Figure 6b. The most downstream gauge, held out.** Much of its water is measured at trained
# gauges above it, so this is not an ungauged place. *Source: Amazon twin.*

# %% tags=["hide-input"]
richest = list(pairs)[-1] if pairs else ""
grid = pairs[richest].mean("member") if pairs else None
hydrographs.hydrograph_grid(grid, title=richest) if pairs else print("not run yet");

# %% [markdown]
# **Figure S5. All gauges, each from the fold that held it out.** *Source: Amazon twin.*
#
# ## Transfer in space and time

# %% tags=["hide-input"]
both = results.complete(scores, plan, "spatiotemporal")
figures.part_boxes(scores, "spatiotemporal", both) if both else print("not run yet");

# %% [markdown]
# **Figure S6. From what was trained on to what shares nothing with it.** Schemes of which every
# fold has finished. The paper's median in the last part is 0.76 for Hybrid(Q,S)+ on the real
# Amazon. *Source of the figure: Amazon twin.*
#
# ## How much should each observation weigh?

# %% tags=["hide-input"]
swept = "hybrid_qs_plus" if "weights" in scores.experiment.values else None
figures.weight_sweep(scores, swept, ["weights"]) if swept else print("not run yet");

# %% [markdown]
# **Figure S3. From storage alone (0) to discharge alone (1).** Hybrid(Q,S)+, one member, the same
# steps at every point; weights that were not run have no dot. Evapotranspiration: monthly means
# over the land against the twin's truth, which no instrument saw. Scores are of the validation
# years, so they describe the weights but must not be used to choose one. *Source: Amazon twin.*
#
# ## Does the network need to see its neighbours?

# %%
pd.options.display.float_format = "{:.3f}".format
pair = [("temporal", "conv3d"), ("rival", "fcnn")]
there = {name for name, _ in pair} <= set(scores.experiment.values)
results.rivals(scores, pair, "hybrid_qs_plus") if there else print("not run yet")

# %% [markdown]
# **Table S2. Two replacement networks in Hybrid(Q,S)+.** `conv3d` sees the cells and days around
# each cell; `fcnn` has kernels of one cell and one day, so it sees nothing but its own weather and
# landscape. Same seed, same split, validation years. The paper chose Conv3D after preliminary
# experiments. The twin's PET error depends on the cell's own weather, so neighbours cannot help
# much here; that they help on the real Amazon is not testable. *Source: Amazon twin.*
#
# ## How much is luck?

# %% tags=["hide-input"]
repeated = [name for name in results.complete(scores, plan, "temporal") if name != "hydropynn"]
figures.member_spread(scores, repeated) if repeated else print("not run yet");

# %% [markdown]
# **Figure S9. The same training from other starts.** A bar a member: its median over gauges (left)
# and boxes (right), validation years; schemes of which every member has finished. Mind the scale:
# the axes are narrow. *Source: Amazon twin.*
#
# ## The whole matrix

# %% tags=["nowrap"]
results.wide(results.summary(scores))

# %% [markdown]
# **Table. Median NSE, and quartiles in brackets.** Mean over the members first; then over gauges or
# boxes. Storage is never held out in space: every box trains in every fold. So storage has a
# validation score only where years are held out. *Source: Amazon twin.*

# %%
waiting = results.to_do(plan, scores)
waiting if len(waiting) else "every run of the matrix is finished"

# %% [markdown]
# **Table. What was not run, and what it would cost.** Hours on two cores, from the pace of finished
# runs of the same scheme. Nothing is filled in for them.
#
# (verdicts-05)=
# ### What the paper found, and what we find on the twin

# %%
finished = {"spatial": spatial, "spatiotemporal": both, "temporal": repeated}
claims.verdicts("transfer", transfer.measures(scores, finished))

# %% [markdown]
# **Table. Findings and verdicts.** *Source: "the paper found" and "its numbers" the paper, real
# Amazon; "here" and the verdict Amazon twin. The levels of the two do not compare.* A difference of
# 0.02 or less is called undecided here, too, however small its p-value: gauges on one river are not
# independent.
#
# ## Run it yourself
#
# ```bash
# .venv/bin/hybridlib experiments --plan                      # what is done, what is not
# .venv/bin/hybridlib experiments --only spatial              # on this machine
# .venv/bin/hybridlib experiments --scheduler tcp://head:8786 # on a Dask cluster
# .venv/bin/hybridlib results                                 # the tables above
# ```
#
# A stopped run goes on from its last step, and so does one whose machine was lost: the cluster
# gives it to another. {doc}`../book/scale-out` says how to run on SLURM or Kubernetes.
#
# ## What to keep
#
# - A temporal split says whether the future will be met at the gauges one has.
# - A random split in space tests gaps in a gauged network: what trains above and below a held-out
#   gauge informs it. For a basin without gauges, hold out whole tributaries.
# - Report every part and every member. A median alone hides the gauge that fails.
#
# ```{exercise} An easy gauge and a hard one
# :label: ungauged-easy
# Which held-out gauge loses most against its own score in the folds in which it trained? Give a
# reason from the network of rivers.
# ```
#
# ```{exercise} A matrix of your own
# :label: ungauged-matrix
# Write a matrix with two folds of Hybrid(Q,S) on the small twin and perform it with two workers.
# Kill one of the workers meanwhile. What happens?
# ```
#
# ## Solutions
#
# ````{solution} ungauged-easy
# :class: dropdown
#
# ```python
# keys = {"experiment": "spatial", "scheme": "hybrid_qs"}
# unseen = results.part_of(scores, "discharge", "validation", **keys).mean("member")
# seen = results.part_of(scores, "discharge", "training", **keys).mean("member")
# (seen - unseen).to_series().sort_values()
# ```
#
# Expect gauges on a tributary of their own, with little in common with what trains; check it in
# your table.
# ````
#
# ````{solution} ungauged-matrix
# :class: dropdown
#
# ```yaml
# study: data/cache/smoke.zarr
# runs: build/mine
# results: build/mine/results
# experiments:
#   space: {schemes: [hybrid_qs], split: spatial, folds: 2, epochs: 5, choose: false}
# ```
#
# ```bash
# .venv/bin/hybridlib experiments --matrix mine.yml --workers 2
# ```
#
# The other worker takes the lost run over, from the last step that was written. To see this page
# for your matrix:
#
# ```bash
# .venv/bin/hybridlib results --matrix mine.yml
# .venv/bin/hybridlib notebooks 05_ungauged_basins --params params/smoke.yml -p matrix=mine.yml
# ```
# ````
