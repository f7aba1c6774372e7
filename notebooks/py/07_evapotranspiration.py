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
# # Evapotranspiration, measured and potential
#
# **Much of the rain goes back into the air, and hardly anybody measures it.** A tower does, over a
# patch far smaller than a cell, and does not see all of it. This page holds the schemes against
# towers that never trained them, and the learned demand of the air against three classic formulas
# {cite}`wang2024`.
#
# After this page you can
#
# - say what a tower misses, and what that does to a correlation and to an error;
# - give a correlation of daily values a p-value that you can defend;
# - compare formulas of {term}`PET` by season and on a map;
# - say whether a learned PET moved towards the truth, or only away from the old formula.
#
# You need {doc}`04_five_schemes`.

# %% tags=["parameters"]
study: str = "data/cache/default.zarr"  # prepared study
runs: str = "data/runs/temporal"  # folder with finished runs, named by scheme
scheme: str = "hybrid_qs_plus"  # the scheme in focus
period: str = ""  # years shown, such as 2003-2016; by default all from the first that trains
member: int = -1  # member shown, counted from 0; -1 for the mean of all
tower_files: str = ""  # folder with LBA daily files, for a study of real data
live_steps: int = 3  # steps of training made where no weights are kept

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hybridlib.analysis import evaporation, towers
from hybridlib.figures import evaporation as figures
from hybridlib.figures import style
from hybridlib.findings import claims
from hybridlib.hydropy.backend import tf
from hybridlib.learning import comparison
from hybridlib.learning.schemes import TRUTH
from hybridlib.twin.make import open_or_make

plt.style.use(style.STYLE)
pd.options.display.float_format = "{:.2f}".format
pd.options.display.max_colwidth = 160
data = open_or_make(study)
trained = comparison.open_all(data, comparison.find_or_train(data, runs, live_steps))
focus = comparison.in_focus(trained, scheme)
beside = evaporation.companion(trained, focus)
years = evaporation.shown_years(period, trained[focus])
print(f"{data.attrs['title']} ({data.attrs['source']}), {years}: {focus}, beside it {beside}")

# %% [markdown]
# ## What a tower sees
#
# {term}`Eddy covariance <eddy covariance>` is the closest there is to a direct measurement. Three
# things stand between it and the evapotranspiration (ET) of a 0.5° cell.
#
# - **The {term}`footprint`.** A tower sees one or two kilometres; a cell is 55 km wide.
# - **{term}`Closure <energy-balance closure>`.** The heat and vapour that a tower measures do not
#   add up to the radiation that fed them. The paper quotes 20 to 30 % of missing energy for
#   tropical forest; over all kinds of land it is about 20 % {cite}`wilson2002`.
# - **Gaps.** Rain on the sensors, calm nights, failures.

# %% [markdown] tags=["truth"]
# On the twin the towers are derived from the hidden truth, with all three errors and a random one.
# The sizes of the errors are constants of the library, and those without a source are marked as our
# choice there. No scheme has ever read a tower.

# %% tags=["towers"]
found = towers.find_towers(data, tower_files)
for name, cell in zip(found.tower.values, found.cell.values, strict=True):
    days = int(found.et.sel(tower=name).notnull().sum())
    print(f"tower {name}, cell {data.basin.describe(cell)}: {days} days with a value")

# %% [markdown]
# A study of real data takes the towers' own files (LBA-ECO CD-32, {doc}`../book/data`). Their
# latent heat in W m⁻² becomes water with 2.45 MJ kg⁻¹; the gaps stay gaps.

# %% [markdown] tags=["towers"]
# ## Daily evapotranspiration in the towers' cells

# %% tags=["towers"]
simulated = towers.at_towers(found, evaporation.simulate_evaporation(trained, member))
table = towers.agreement_table(found, simulated, years)
figures.tower_table(table)

# %% [markdown] tags=["towers"]
# **Table. Agreement with the towers, day by day.** MAE, RMSE and means in mm d⁻¹. `p` takes every
# day for a new one, as the usual formula does; `p by these` counts {term}`effective days`.
# `within its range`: share of simulated days between the tower's extremes. *Source: {{source}}.*

# %% [markdown] tags=["truth"]
# Row `truth`: what happened in the cell, scored like a scheme.

# %% [markdown] tags=["towers"]
# ### How many days are there really?
#
# The usual p-value of a correlation asks how likely it is among *independent* pairs. Daily ET is
# not independent: tomorrow resembles today, and next July this one. Two unrelated series with such
# a memory correlate by chance far more often than the formula says. So each series' autocorrelation
# $\rho$ at lag $k$ is multiplied with the other's, and the number of days shrinks to
#
# $$N^* = \frac{N}{1 + 2 \sum_{k \le N/5} \frac{n_k}{N}\,\rho_x(k)\,\rho_y(k)}$$
#
# and never more than $N$, where $n_k$ counts the pairs of days that far apart, so that gaps count
# {cite}`pyper1998`. The p-value then comes from Student's t with $N^* - 2$ degrees of freedom. A
# tiny p says that two series have something in common. A shared season is enough for that, so the
# table also has the correlation of what is left without each side's season.
#
# Here is $N^*$ of one tower and the scheme in focus, by hand.

# %% tags=["towers"]
tower = found.tower.values[0]
pair = simulated.sel(scheme=focus, tower=tower).values, found.et.sel(tower=tower).values
inside = years.holds(found.indexes["time"])
seen = inside & np.isfinite(pair[0]) & np.isfinite(pair[1])  # days with both values
N = seen.sum()
rho, n = [], np.array([(seen[k:] & seen[:-k]).sum() for k in range(1, N // 5 + 1)])
for series in pair:
    x = np.where(seen, series - series[seen].mean(), 0.0)  # 0 leaves a missing day out of a sum
    lagged = np.array([x[k:] @ x[:-k] for k in range(1, N // 5 + 1)]) / np.maximum(n, 1)
    rho.append(lagged / (x @ x / N))
by_hand = N / max(1.0, 1.0 + 2.0 * (n / N * rho[0] * rho[1]).sum())
library = table.loc[(tower, focus), "effective days"]
assert abs(by_hand / library - 1) < 1e-4, "more than rounding"
print(f"{tower}, {focus}: {N} days count as {by_hand:.1f}, by the library as {library:.1f}")

# %% tags=["hide-input", "towers"]
shown = [beside, focus]
figures.tower_scatter(found, simulated, table, shown, years);

# %% [markdown] tags=["towers"]
# **Figure 10. Measured against simulated ET.** A dot a day. p is the one by effective days.
# *Source: {{source}}.*

# %% [markdown] tags=["truth"]
# The dashed line is where a faultless model would lie on average, because the tower sees only part
# of the water.

# %% tags=["amazon"]
claims.verdicts("towers", towers.measures(table, tuple(shown)))

# %% [markdown] tags=["amazon"]
# **Table. What the paper found at K34 and K67, and what we find.** "Same range" is our reading:
# 95 % of the simulated days lie between the tower's extremes, which is a weak demand. A twin's
# tower feels the weather that drives the model, so what the untrained model shows there, too, says
# nothing about training. *Source: column one the paper, real Amazon; the rest {{source}}. Twin
# towers do not have real towers' numbers.*

# %% [markdown] tags=["truth"]
# ### A low error, for the wrong reason
#
# Look at the row `truth` again. No scheme can be better than what happened, yet some have a lower
# MAE: they evaporate too little, and so does the tower. An error against a biased instrument
# rewards the same bias. A correlation does not see a constant factor, so at a tower it is the safer
# number, and neither tells whether the mean is right.

# %% tags=["truth"]
against = towers.agreement_table(found, simulated, years, "et_true")
against[["days", "r", "MAE", "RMSE", "mean"]].drop(TRUTH, level="scheme")

# %% [markdown] tags=["truth"]
# **Table. The same schemes against what really happened in the cell**, on all days, those of the
# tower's gaps included; so the means differ a little. Compare the order of the MAEs with that of
# the first table. Real towers have no such table. *Source: {{source}}.*

# %% tags=["hide-input", "towers"]
lines = [*shown, *simulated.scheme.values[simulated.scheme == TRUTH]]
figures.tower_season(found, simulated, lines, years);

# %% [markdown] tags=["towers"]
# **Figure. The season at the towers.** Means over the days on which the tower has a value. *Source:
# {{source}}.*

# %% tags=["hide-input", "towers"]
figures.tower_series(found, simulated, shown, years.last);

# %% [markdown] tags=["towers"]
# **Figure. The last year, day by day.** *Source: {{source}}.*

# %% [markdown]
# ## How much could evaporate?
#
# {term}`PET` is what the air would take from a surface that never runs dry. It is not measured but
# computed, and formulas disagree, most of all in the tropics. Those of the three are compared that
# the study has the weather for:
#
# - **Penman–Monteith** {cite}`allen1998`: radiation, temperature, humidity and wind. HydroPy's own.
# - **Hargreaves–Samani** {cite}`hargreaves1985`: temperature and its daily range alone,
#   and the sun's height, from latitude and date.
# - **Priestley–Taylor** {cite}`priestley1972`: radiation and temperature.
#
# Beside them stands the PET of the scheme in focus.

# %% [markdown] tags=["radiation", "twsa"]
# ### A learned PET by hand
#
# Hybrid(Q,S)+ adds the correction of its {term}`replacement network` to the reference PET. Here is
# one day of its first member. Each input has mean 0 and spread 1, weather over land and training
# years, attributes over land; beyond the grid it is 0. In `conv3d` each layer sees a cell, its
# neighbours and the days around it, so four layers need four days on either side, and one day is
# left. Negative values between layers become 0 (ReLU), and PET never falls below 0.

# %% tags=["radiation", "twsa"]
plus = trained["Hybrid(Q,S)+"]
network, window = plus.learners[0].replacement, plus.problem.window
day = len(plus.problem.days) // 2
reach = sum(kernel.shape[0] // 2 for kernel in network.kernels)
weather = window.weather[day - reach : day + reach + 1]  # normalised, (day, lat, lon, 6)
ground = tf.broadcast_to(window.attributes, (*weather.shape[:3], window.attributes.shape[-1]))
field = tf.concat([weather, ground], axis=-1)[None]
for kernel, bias in zip(network.kernels[:-1], network.biases[:-1], strict=True):
    field = tf.nn.relu(tf.nn.conv3d(field, kernel, [1] * 5, "VALID") + bias)
field = tf.nn.conv3d(field, network.kernels[-1], [1] * 5, "VALID") + network.biases[-1]
correction = tf.gather(tf.reshape(field, [-1]), window.cells).numpy()  # mm d-1, (cell,)
by_hand = np.maximum(plus.problem.weather.pet[day] + correction, 0.0)
apart = abs(by_hand - plus.pet[0, day]).max()
assert apart < 1e-3, "more than rounding"
print(f"{plus.problem.days[day]:%F}: corrections of {correction.min():+.2f} to ", end="")
print(f"{correction.max():+.2f} mm d⁻¹; by hand and library differ by {apart:.0e} at most")

# %% [markdown]
# ### By season and by place

# %%
formulas = evaporation.possible_formulas(data)
fields = evaporation.pet_fields(data, trained[focus], member)
season = evaporation.climatology(data, fields, years)
pets = evaporation.annual_maps(data, fields, years)
print(f"formulas that the weather allows: {', '.join(formulas) or 'none'}")
evaporation.seasons(season)

# %% [markdown]
# **Table. Basin mean of PET.** Cells count by area. *Source: {{source}}.*

# %% [markdown] tags=["radiation"]
# `way`: 0 is Penman–Monteith, 1 is Priestley–Taylor.

# %% tags=["hide-input"]
figures.pet_season(season);

# %% [markdown]
# **Figure 11a. PET by day of the year.** Mean over basin and years, not smoothed; 29 February is
# left out, so that a number means the same date in every year. Grey: days 90 to 270, which the
# paper speaks of. *Source: {{source}}.*

# %% tags=["hide-input"]
figures.pet_maps(data, pets);

# %% [markdown]
# **Figure 11b. PET of a mean year.** *Source: {{source}}.*

# %% [markdown] tags=["radiation"]
# (a) Penman–Monteith; the other maps show how much more or less each says, on one scale but for
# Hargreaves–Samani.

# %% [markdown] tags=["radiation", "truth"]
# A perfect correction would look like the map of the truth.

# %% [markdown]
# ### Which weather is behind it?

# %%
cells = data.basin.land

# %% tags=["amazon"]
cells = evaporation.regions(data)["lowland"]

# %%
links = evaporation.weather_links(data, season, pets, years, cells)
links

# %% [markdown]
# **Table. Correlation of PET with the weather.** Left: over the days of the year, basin means.
# Right: from cell to cell, means of all years. *Source: {{source}}.*

# %% [markdown] tags=["amazon"]
# Cells are those of the lowland (below 500 m).

# %% tags=["amazon"]
pd.options.display.float_format = "{:,.0f}".format
regions = evaporation.region_table(data, pets)
regions

# %% [markdown] tags=["amazon"]
# **Table. PET of a mean year by region, mm.** Lowland: below 500 m. Andes: above 1000 m, south of
# the equator. North-west: lowland north of 4° S and west of 66° W. South: lowland south of 10° S.
# The limits are ours. *Source: {{source}}.*

# %% [markdown] tags=["amazon"]
# (verdicts-07)=
# ## What the paper found, and what we find on the twin

# %% tags=["amazon"]
comparison.caution(trained)
distance = evaporation.distance_to_truth(data, fields, season, pets, years)
learns = trained[focus].problem.scheme.replacement
compared = evaporation.Compared(focus, learns, season, regions, links, distance)
claims.verdicts("pet", evaporation.measures(compared), True, focus)

# %% [markdown] tags=["amazon"]
# **Table. Findings about PET and verdicts.** A region is called low or high where it departs by
# more than 2 % from the mean, the Andes from that of the basin, north-west and south from that of
# the lowland; seasons are called one above a correlation of 0.7. Both limits are ours. *Source:
# column one the paper, real Amazon; the rest {{source}}.*
#
# Read the verdicts with care. The twin's truth moves from Penman–Monteith towards Priestley–Taylor
# by construction. So finding the learned PET there says that training follows the truth it was
# given. It does not say that the real Amazon's PET lies there. Where the truth's own number would
# give another verdict than the learned one, the network has learned something that is not there.

# %% [markdown] tags=["truth"]
# ### Did it move towards the truth?
#
# The paper could only ask whether the learned PET is plausible. On the twin the true one is known.

# %% tags=["truth"]
pd.options.display.float_format = "{:.2f}".format
distance = evaporation.distance_to_truth(data, fields, season, pets, years)
distance

# %% [markdown] tags=["truth"]
# **Table. Distance from the true PET.** mm d⁻¹, and the correlation of the mean map with the true
# one. In the mean error and in the day of the year cells count by area; in errors and correlation
# over cells each counts alike. *Source: {{source}}.*

# %% tags=["radiation", "truth"]
evaporation.moved_to_truth(distance, focus).to_frame()

# %% [markdown] tags=["radiation", "truth"]
# **Table. Share of Penman–Monteith's error that the scheme removed.** 1 is all, 0 none, below 0 it
# added to it. A mean can be put right without the pattern: compare the rows with each other, and
# the correlation of the map in the table above with that of Penman–Monteith. Discharge and storage
# tell the network how much water left a sub-basin, not in which of its cells; a map that correlates
# less with the truth than Penman–Monteith's own has water put right in the wrong cells. *Source:
# {{source}}.*

# %% [markdown]
# ## What to keep
#
# - A tower sees a part of a cell and a part of its water. Trust its days more than its mean.
# - An error against a biased instrument rewards a model with the same bias.
# - Before you quote a p-value of daily series, count the effective days.
# - PET is a choice of formula. A learned PET is a choice that discharge and storage made, and they
#   see totals better than patterns.

# %% [markdown] tags=["truth"]
# ```{exercise} Give the tower its water back
# :label: evaporation-closure
# Divide the towers by their closure and score the schemes again. Which numbers change, and which
# do not? What would you have to know to do this with real towers?
# ```

# %% [markdown]
# ```{exercise} Two strangers with a season
# :label: evaporation-strangers
# Make two series of ten years: one season for both, and noise that they do not share. What do `p`,
# `p by these` and `r without season` say?
# ```

# %% [markdown] tags=["amazon"]
# ```{exercise} The right constant
# :label: evaporation-alpha
# Priestley–Taylor multiplies with 1.26. Which constant would meet the true PET of the twin on
# average? Would it be right in the north-west, too?
# ```

# %% [markdown]
# ## Solutions

# %% [markdown] tags=["truth"]
# ````{solution} evaporation-closure
# :class: dropdown
#
# ```python
# whole = found.assign(et=found.et / towers.CLOSURE)
# columns = ["r", "p by these", "MAE", "RMSE", "tower's mean"]
# towers.agreement_table(whole, simulated, years)[columns]
# ```
#
# Correlations and p-values stay, because a constant factor does not touch them; errors and means
# change, and with them the order of the schemes. With real towers the closure is known only where
# net radiation, ground heat and sensible heat are measured, too, and it is not known whether
# vapour misses the same share as heat.
# ````

# %% [markdown]
# ````{solution} evaporation-strangers
# :class: dropdown
#
# ```python
# import numpy as np
#
# chance = np.random.default_rng(1)
# days = pd.date_range("2001-01-01", "2010-12-31")
# wave = 0.5 * np.sin(2 * np.pi * days.dayofyear / 365.25)
# pair = [3 + wave + chance.normal(0, 0.7, len(days)) for _ in range(2)]
# towers.agreement(*pair, days)
# ```
#
# The series share the season and nothing else. `p` takes each of thousands of days for a new proof
# of it. `p by these` counts about a hundred days in place of thousands, still too many for ten
# seasons, because a fixed season is not the random memory the formula assumes. Without the season
# nothing is left. No p-value tells you *what* two series have in common.
# ````

# %% [markdown] tags=["amazon"]
# ````{solution} evaporation-alpha
# :class: dropdown
#
# ```python
# from hybridlib.study.pet import ALPHA
#
# ALPHA * regions.loc["truth"] / regions.loc["Priestley–Taylor"]
# ```
#
# One constant per region: they differ, because the truth depends on humidity and wind, which
# Priestley–Taylor does not know.
# ````
