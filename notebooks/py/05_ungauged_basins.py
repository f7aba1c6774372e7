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
# You need {doc}`04_five_schemes`.

# %% [markdown] tags=["runs"]
# The trainings behind this page take hours; they were made by `hybridlib experiments`, and the page
# reads what they left. The runs in space make all of their steps, fewer than those of the page
# before: no step was chosen by validation. Do not compare the medians of the two pages.

# %% tags=["parameters"]
study: str = "data/cache/default.zarr"  # prepared study
matrix: str = "params/experiments.yml"  # the runs and where their results lie
live_steps: int = 3  # steps of training shown live

# %% tags=["hide-input"]
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hybridlib.analysis import transfer
from hybridlib.experiments import results
from hybridlib.experiments.matrix import read_matrix
from hybridlib.figures import hydrographs, schemes, style
from hybridlib.figures import transfer as figures
from hybridlib.findings import claims
from hybridlib.learning import comparison
from hybridlib.learning.schemes import SCHEMES
from hybridlib.study.splits import FOLDS, station_groups
from hybridlib.twin.make import open_or_make

plt.style.use(style.STYLE)
data = open_or_make(study)
stations = [str(name) for name in data.discharge.station.values]
print(f"{data.attrs['title']} ({data.attrs['source']}): {len(stations)} gauges")

# %% tags=["runs"]
plan = read_matrix(matrix)
scores = results.read(plan.results)
print(f"{plan.study}: {scores.sizes['run']} members of {len(set(scores.name.values))} trainings")

# %% [markdown]
# ## Three ways to split a record
#
# The observations are a table of gauges and years. A **temporal** split trains on early years and
# validates on late ones, at the same gauges. A **spatial** split trains on most of the gauges in
# all years and validates on the others. The **spatiotemporal** split does both at once: its last
# part has neither the gauge nor the year in common with training.

# %%
transfer.parts_table()

# %% [markdown]
# **Table. Parts of the data in each split.** Gravimetry, where there is any, trains in every split:
# satellites see basins without gauges, too.
#
# ### Groups of gauges by hand
#
# The gauges are dealt at random into four groups, or one for each gauge where there are fewer, and
# each group is held out once. So every gauge has one score from a model that never saw it. The
# order comes from a seed: same seed, same groups.

# %%
folds = min(FOLDS, len(stations))
order = np.random.default_rng(0).permutation(len(stations))
groups = [sorted(stations[k] for k in order[fold::folds]) for fold in range(folds)]
assert groups == list(map(list, station_groups(stations, folds))), "not the library's groups"
grouped = transfer.groups_table(data, groups)
alone = grouped[["trained above", "trained below"]] == 0
print(f"of {len(alone)} gauges, each held out once: ", end="")
print(f"{alone['trained above'].sum()} have none above that trains, ", end="")
print(f"{alone['trained below'].sum()} none below, {alone.all(axis=1).sum()} neither")
grouped

# %% [markdown]
# **Table. The gauges of each group, and what is left to tell of them.** Gauges that train above and
# below on the same water's way, and the share of the catchment that drains through one of those
# above. The more train above and below, the more a random split tests gaps in a gauged network, and
# the less basins without any gauge. *Source: {{source}}.*

# %% [markdown] tags=["amazon"]
# The places of the gauges are real, their records the twin's.

# %% [markdown]
# ### A fold, live
#
# One group is held out for a few steps. Training reads the gauges that are left.

# %%
small = data

# %% [markdown] tags=["amazon"]
# The whole Amazon would take long, so a tributary with three gauges stands for it.

# %% tags=["amazon"]
small = open_or_make("data/cache/smoke.zarr")

# %%
pd.options.display.float_format = "{:.3f}".format
names = [str(name) for name in small.discharge.station.values]
folds = min(FOLDS, len(names))
scheme = [one for one in comparison.possible_schemes(small) if not SCHEMES[one].replacement][-1]
print(f"{small.attrs['title']}, {SCHEMES[scheme].title}")
print(f"held out of {len(names)} gauges: {', '.join(station_groups(names, folds)[0])}")
steps = comparison.train_live(small, scheme, live_steps, split="spatial", fold=1, folds=folds)
steps.dropna(axis=1)

# %% [markdown]
# **Table. Loss and mean NSE over what trains only.** The group that is held out counts in neither.
# *Source: the study named above it.*

# %% [markdown] tags=["spatial"]
# ## Transfer in space

# %% [markdown] tags=["spatial", "truth"]
# On the twin one rule from attributes to parameters does exist, because the truth was made that
# way, from the very attributes the network reads. A good score here shows that some mapping from
# attributes serves discharge where no gauge trained. It is mostly not the true one, as
# {doc}`08_what_was_learned` shows, and it does not show that nature has such a rule.

# %% [markdown] tags=["spatial"]
# ### A held-out score by hand
#
# Each gauge's hydrograph comes from the run that held it out. Its NSE is 1 less the squared errors
# over the squared departures of the observations from their mean; the median over the gauges is
# what the paper reports.

# %% tags=["spatial"]
spatial = results.complete(scores, plan, "spatial")
pairs = {SCHEMES[name].title: results.held_out_pairs(plan, "spatial", name) for name in spatial}
richest, key = SCHEMES[spatial[-1]].title, {"experiment": "spatial", "scheme": spatial[-1]}
seen, run = pairs[richest].discharge_observed, pairs[richest].discharge_simulated
error = ((run - seen) ** 2).sum("time")  # days without a reading do not count
spread = ((seen - seen.mean("time")) ** 2).sum("time")
by_hand = (1 - error / spread).mean("member")  # (station,)
library = results.part_of(scores, "discharge", "validation", **key).mean("member")
apart = float(abs(by_hand - library).max())
assert apart < 1e-4, "more than rounding"
print(f"{richest}: median NSE {float(by_hand.median()):.3f} by hand, ", end="")
print(f"{float(library.median()):.3f} in the results; gauges differ by {apart:.0e} at most")

# %% tags=["hide-input", "spatial"]
figures.scores_by_gauge(scores, spatial, stations);

# %% [markdown] tags=["spatial"]
# **Figure 6a. Each gauge by a model that never saw it.** Cross-validation, all years. Dashed lines
# are medians; a value below 0 would be a triangle at the rim. Gauges are in the order of the
# drainage tables. A noisy gauge bounds the score that any model can have. *Source: {{source}}.*

# %% tags=["spatial"]
tests = [("spatial", "validation", more, less) for less, more in combinations(spatial, 2)]
transfer.readable_tests(results.compare(scores, tests))

# %% [markdown] tags=["spatial"]
# **Table. Is one scheme better at unseen gauges?** Two-sided p-values, paired by gauge; `higher at`
# counts the gauges. Gauges on one river are not independent of each other, and those of a fold
# share one model, so any such p-value is too small. *Source: {{source}}.*

# %% [markdown] tags=["amazon", "spatial"]
# The paper found medians of 0.63 (HydroPyNN), 0.66 (Hybrid(Q,S)) and 0.80 (Hybrid(Q,S)+) on the
# real Amazon, the last better with p < 0.01 in a paired t-test; the levels of twin and real Amazon
# do not compare.

# %% tags=["hide-input", "spatial"]
schemes.hydrographs(pairs, data.gauge());

# %% [markdown] tags=["spatial"]
# **Figure 6b. The gauge that drains most, held out.** Where much of its water is measured at
# trained gauges above it, as the table of groups tells, this is not an ungauged place. *Source:
# {{source}}.*

# %% tags=["hide-input", "spatial"]
hydrographs.hydrograph_grid(pairs[richest].mean("member"), title=richest);

# %% [markdown] tags=["spatial"]
# **Figure S5. All gauges, each from the fold that held it out.** *Source: {{source}}.*

# %% [markdown] tags=["spatiotemporal"]
# ## Transfer in space and time

# %% tags=["hide-input", "spatiotemporal"]
both = results.complete(scores, plan, "spatiotemporal")
figures.part_boxes(scores, "spatiotemporal", both);

# %% [markdown] tags=["spatiotemporal"]
# **Figure S6. From what was trained on to what shares nothing with it.** Schemes of which every
# fold has finished. *Source: {{source}}.*

# %% [markdown] tags=["amazon", "spatiotemporal"]
# The paper's median in the last part is 0.76 for Hybrid(Q,S)+ on the real Amazon.

# %% [markdown] tags=["weights"]
# ## How much should each observation weigh?

# %% tags=["hide-input", "weights"]
swept = results.complete(scores, plan, "weights")[-1]
figures.weight_sweep(scores, swept, ["weights"]);

# %% [markdown] tags=["weights"]
# **Figure S3. From storage alone (0) to discharge alone (1).** The richest scheme that was swept,
# one member, the same steps at every point. Scores are of the validation years, so they describe
# the weights but must not be used to choose one. *Source: {{source}}.*

# %% [markdown] tags=["weights", "truth"]
# Evapotranspiration: monthly means over the land against the twin's truth, which no instrument saw.

# %% [markdown] tags=["rival", "temporal"]
# ## Does the network need to see its neighbours?

# %% tags=["rival", "temporal"]
pd.options.display.float_format = "{:.3f}".format
results.rivals(scores, [("temporal", "conv3d"), ("rival", "fcnn")], "hybrid_qs_plus")

# %% [markdown] tags=["rival", "temporal"]
# **Table S2. Two replacement networks in Hybrid(Q,S)+.** `conv3d` sees the cells and days around
# each cell; `fcnn` has kernels of one cell and one day, so it sees nothing but its own weather and
# landscape. Same seed, same split, validation years. The paper chose Conv3D after preliminary
# experiments. *Source: {{source}}.*

# %% [markdown] tags=["amazon", "rival", "temporal"]
# The twin's PET error depends on the cell's own weather, so neighbours cannot help much here; that
# they help on the real Amazon is not testable.

# %% [markdown] tags=["temporal"]
# ## How much is luck?

# %% tags=["hide-input", "temporal"]
repeated = [name for name in results.complete(scores, plan, "temporal") if name != "hydropynn"]
figures.member_spread(scores, repeated);

# %% [markdown] tags=["temporal"]
# **Figure S9. The same training from other starts.** A bar a member: its median over gauges (left)
# and boxes (right), validation years; schemes of which every member has finished. Mind the scale:
# the axes are narrow. *Source: {{source}}.*

# %% [markdown] tags=["runs"]
# ## The whole matrix

# %% tags=["nowrap", "runs"]
results.wide(results.summary(scores))

# %% [markdown] tags=["runs"]
# **Table. Median NSE, and quartiles in brackets.** Mean over the members first; then over gauges or
# boxes. Storage is never held out in space: every box trains in every fold. So storage has a
# validation score only where years are held out. *Source: {{source}}.*

# %% tags=["runs"]
waiting = results.to_do(plan, scores)
waiting if len(waiting) else "every run of the matrix is finished"

# %% [markdown] tags=["runs"]
# **Table. What was not run, and what it would cost.** Hours on two cores, from the pace of finished
# runs of the same scheme. Nothing is filled in for them.

# %% [markdown] tags=["amazon", "spatial", "spatiotemporal", "temporal"]
# (verdicts-05)=
# ### What the paper found, and what we find on the twin

# %% tags=["amazon", "spatial", "spatiotemporal", "temporal"]
finished = {"spatial": spatial, "spatiotemporal": both, "temporal": repeated}
claims.verdicts("transfer", transfer.measures(scores, finished))

# %% [markdown] tags=["amazon", "spatial", "spatiotemporal", "temporal"]
# **Table. Findings and verdicts.** *Source: "the paper found" and "its numbers" the paper, real
# Amazon; "here" and the verdict {{source}}. The levels of the two do not compare.* A difference of
# 0.02 or less is called undecided here, too, however small its p-value: gauges on one river are not
# independent.

# %% [markdown]
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

# %% [markdown] tags=["spatial"]
# ```{exercise} An easy gauge and a hard one
# :label: ungauged-easy
# Which held-out gauge loses most against its own score in the folds in which it trained? Give a
# reason from the network of rivers.
# ```

# %% [markdown]
# ```{exercise} A matrix of your own
# :label: ungauged-matrix
# Write a matrix with two folds of Hybrid(Q,S) on the small twin and perform it with two workers.
# Kill one of the workers meanwhile. What happens?
# ```
#
# ## Solutions

# %% [markdown] tags=["spatial"]
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

# %% [markdown]
# ````{solution} ungauged-matrix
# :class: dropdown
#
# ```yaml
# study: data/cache/smoke.zarr
# runs: build/mine
# results: build/mine/results
# experiments:
#   spatial: {schemes: [hydropynn, hybrid_qs], split: spatial, folds: 2, epochs: 5, choose: false}
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
