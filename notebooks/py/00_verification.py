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
# # Verification
#
# **HydroPyNN is HydroPy: every flux and store of the original is met to rounding on three
# constructed basins, but for `dis` at sinks.** This page measures what the project claims. A number
# is computed by the cell above it, or quoted with its source.
#
# After this page you can
#
# - say how close a rewritten model is to its original, variable by variable;
# - tell a difference of arithmetic from a difference of model;
# - check that water is neither made nor lost.
#
# You need the idea of a floating-point number. The code is in `hybridlib.analysis.original`.

# %% tags=["parameters"]
study: str = "data/cache/default.zarr"  # prepared study whose facts are measured

# %%
import numpy as np
import pandas as pd

from hybridlib.analysis import original
from hybridlib.twin.make import open_or_make

data = open_or_make(study)
known = {}  # of the Amazon twin, where it is the study
print(f"{data.attrs['title']} ({data.attrs['source']}): {data.basin.size} cells, ", end="")
print(f"{len(data.days)} days")

# %% [markdown]
# ## The original's numbers
#
# Three random basins were run through the original HydroPy 1.0 {cite}`stacke2021` and through ours.
# *Tropical* has 59 cells with soils, canopies, lakes, wetlands and river cascades of one, two,
# four and five reservoirs. *Cold* has 47 cells with snow, refreezing, frozen ground and
# permafrost. *Partial* has cells that are land only in part, glaciers, and rivers that end in the
# sea. All stores start empty; the table has the largest difference over all cells on every fifth
# day of 15 months (*partial*: 12). It is the counterpart of the paper's Table S6.

# %%
pd.options.display.float_format = "{:.1e}".format
differences = original.comparison_table()
differences.where(differences.notna(), "–")

# %% [markdown]
# **Table S6.** In float64 the two programs differ by rounding alone, on stores of several hundred
# mm. In float32, which training uses, roundings add up over the days. River water is compared
# relative to the larger of its value and 1 m³ s⁻¹. A dash stands where a run of the original has no
# such output. *Source: runs of the original on constructed inputs.*
#
# One thing differs on purpose. At a sink with land the original's `dis` counts the sink's own
# runoff twice; ours is what leaves the domain, the original's `freshwater`.

# %% [markdown]
# ## Water and gradients
#
# Every cell keeps a budget: what is stored tomorrow is what is stored today plus what came minus
# what went. The next cell looks for the largest violation in any cell of the cases on any day.
# The second number compares the gradient of a day, along random directions through all stores,
# parameters and weather, with central differences.

# %%
closure = original.water_closure()
gradient = original.gradient_error()
print(f"water from nowhere: at most {closure:.1e} mm in a cell and day")
print(f"gradient against finite differences: {gradient:.1e} relative")

# %% [markdown]
# The tests look closer: they check gradients on either side of every threshold, 10⁻³ mm or K
# away, and that they stay finite on the thresholds themselves. One finding belongs here.
# `s_min`, the moisture at which slow drainage starts, only switches a flux on. Its gradient is
# zero everywhere, so no gradient descent can learn it.
#
# ## A real basin
#
# The Moselle at Perl has 30 cells, real weather and an observed discharge. The original HydroPy
# and ours are run untrained with the potential evapotranspiration that comes with the data and
# the original's lags (`--zonal-length original`). The bias is a share of the mean flow.

# %%
moselle = original.kept_moselle_scores()
moselle.round(3).astype(str)

# %% [markdown]
# **Both programs score the same.** The data (mHM test domain, LGPL-3.0) are not
# part of this project, so the table is read from `data/results/moselle.csv`, which
# `original.moselle_scores` wrote. *Source: real data.*

# %% [markdown] tags=["amazon"]
# ## The twin
#
# The twin must look like the Amazon where the Amazon is known. Targets are published facts:
# gauges of the Global Runoff Data Centre, rain by region, the seasons at Óbidos.

# %% tags=["amazon"]
known = {"areas": original.gauge_area_errors().abs(), "facts": original.twin_facts(data)}
pd.Series(known["facts"], name="found", dtype=float).map("{:.4g}".format).to_frame()

# %% [markdown]
# ## All claims in one table

# %%
claims = original.claims(differences, closure, gradient, moselle, data, **known)
claims.set_index("claim")

# %% [markdown]
# How fast the model is stands on a page of its own, {ref}`speed`.
#
# ```{exercise}
# :label: verification-float32
#
# Which store carries most of the float32 difference in the tropical case? How many steps of a
# float32 number is that, near a soil moisture of 600 mm?
# ```

# %%
stores = ["swe", "wliq", "rootmoist", "skinstor", "canopystor", "lakestor", "groundwstor"]
differences.loc[[*stores, "tws"], ["tropical, float32", "cold, float32"]]

# %% [markdown]
# ## Solution
#
# ```{solution} verification-float32
# :class: dropdown
#
# The soil. Near 600 mm neighbouring float32 numbers are 600 mm × 2⁻²³, or about
# 6 × 10⁻⁵ mm, apart. The difference is a few such steps, counted below.
# ```

# %%
step = np.spacing(np.float32(600))
print(f"spacing of float32 near 600 mm: {step:.1e} mm")
found = differences.loc["rootmoist", "tropical, float32"]
print(f"the soil's largest difference: {found / step:.1f} of them")
