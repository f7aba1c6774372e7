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
# # What was learned
#
# **A network that turns a landscape into parameters can be asked what it attends to. The answer
# explains the network. Whether it explains nature is another question, and only a known truth can
# answer it.** This page asks both about the critical soil moisture `f_crit`, and then asks of all
# nine parameters whether the observations fix them {cite}`wang2024`.
#
# After this page you can
#
# - split a learned parameter into shares of the {term}`attributes`, and say how exact they are;
# - say why a ranking of attributes that go together means little, and their sum more;
# - tell members that agree from members that are right;
# - name the parameters of a model that its observations fix.
#
# You need {doc}`04_five_schemes`.

# %% tags=["parameters"]
study: str = "data/cache/default.zarr"  # prepared study the schemes were trained on
runs: str = "data/runs/temporal"  # folder with finished runs, named by scheme
scheme: str = "hybrid_qs"  # scheme whose network is explained
parameter: str = "f_crit"  # which of the nine is explained
samples: int = 2000  # draws for each cell
member: int = -1  # member that is explained; -1 for the mean over all of them
live_steps: int = 3  # steps of training made where no weights are kept

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hybridlib.analysis import attention, identifiability, recovery, schemes
from hybridlib.figures import attention as figures
from hybridlib.figures import maps, style
from hybridlib.findings import claims, rules
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.parameters import Parameters
from hybridlib.learning import comparison
from hybridlib.learning.networks import squash
from hybridlib.learning.schemes import TRUTH
from hybridlib.twin.make import open_or_make

plt.style.use(style.STYLE)
pd.options.display.float_format = "{:.3g}".format
pd.options.display.max_colwidth = 160
data = open_or_make(study)
land = data.basin.land
print(f"{data.attrs['title']} ({data.attrs['source']}): {land.sum()} cells with land")

# %%
folders = comparison.find_or_train(data, runs, live_steps)
trained = comparison.open_all(data, folders)
title = comparison.in_focus(attention.with_network(trained), scheme)
learners = attention.chosen_members(trained[title], member)
default = trained[title].problem.model.default_parameters()
print(f"explained: {parameter} of {title}, mean over {len(learners)} of its members")

# %% [markdown]
# ## Shares that add up
#
# `f_crit` says below which soil moisture plants begin to save water. The paper chose it because it
# rules the exchange between soil, plants and air. In a hybrid scheme a network computes it from the
# cell's attributes. How much of its value in a cell is owed to which attribute?
#
# {term}`Expected gradients <expected gradients>` {cite}`erion2021` walk from another cell $x'$,
# drawn at random, to the cell $x$ in a straight line. The slope of the parameter $p$ at a random
# point of the way, times the distance in attribute $i$, is one draw; the share is the mean:
#
# $$\varphi_i(x) = \mathrm{E}_{x',\,a}\Big[(x_i - x'_i)\,
# \frac{\partial p}{\partial x_i}\big(x' + a\,(x - x')\big)\Big], \qquad
# \sum_i \varphi_i(x) = p(x) - \mathrm{E}_{x'}\big[p(x')\big].$$
#
# A positive share raises the parameter above its mean over all cells, a negative one lowers it.
# A lag starts at HydroPy's value in its cell, which is no attribute; its shares count from the mean
# of this start with the attributes of all cells. The sum on the right is known exactly, so the
# error of sampling can be watched.
#
# Here are the shares of one cell, drawn by hand. A network shifts the logit at which HydroPy's own
# value stands, and `squash` maps logits into the range of each parameter. Every draw takes another
# cell and a point of the way; TensorFlow follows the slope through the network.

# %%
place, cells = Parameters._fields.index(parameter), np.flatnonzero(land)
one = len(cells) // 2  # the cell that is explained
attributes = tf.gather(learners[0].attributes, cells)  # normalised, (cell, attribute)
begin = learners[0].start[:, cells[one], None]  # logits of HydroPy's own values, (9, 1)


def mean_parameter(points):
    """The parameter at points, (point, attribute); mean over the members."""
    logits = [begin + tf.transpose(learner.network(points)) for learner in learners]
    return tf.add_n([getattr(squash(each), parameter) for each in logits]) / len(learners)


# %%
rng, size = np.random.default_rng(0), len(cells)
others, along = [], []
for _ in range(samples):  # the library draws for all cells; this cell's draw is kept
    others.append(rng.integers(size, size=size)[one])
    along.append(rng.random(size)[one])
start = tf.gather(attributes, others)  # x', (draw, attribute)
step = attributes[one] - start  # x - x'
points = start + tf.constant(along, tf.float32)[:, None] * step  # x' + a (x - x')
with tf.GradientTape() as tape:
    tape.watch(points)
    value = mean_parameter(points)
by_hand = tf.reduce_mean(step * tape.gradient(value, points), axis=0).numpy()
everywhere = mean_parameter(attributes).numpy()
departure = everywhere[one] - everywhere.mean()
print(f"cell {data.basin.describe(cells[one])}: shares add up to {by_hand.sum():+.4f}, ", end="")
print(f"the parameter lies {departure:+.4f} off its mean")
largest = pd.Series(by_hand, learners[0].attribute_names).sort_values(key=abs, ascending=False)
largest.rename("share").head(6).to_frame()

# %% [markdown]
# **Table. The largest shares of this cell**, in the parameter's unit. *Source: {{source}}.*

# %% [markdown]
# The library does so for every cell, with the same draws.

# %%
explained = attention.expected_gradients(learners, parameter, land, samples)
apart = abs(by_hand - explained.share[one]).max() / everywhere.std()
assert apart < 1e-3, "more than rounding"
print(f"by hand and library differ by {float(apart):.0e} of the spread over cells at most")
relative = 100 * float(explained.convergence[-1])
print(f"after {samples} draws shares miss their sum by {relative:.1f} % of the spread over cells")

# %% [markdown] tags=["truth"]
# The richest scheme with such a network is explained beside it.

# %% tags=["truth"]
richest = list(attention.with_network(trained))[-1]
beside = attention.expected_gradients(trained[richest].learners, parameter, land, samples)
shares = {richest: beside} | {title: explained}

# %% tags=["hide-input"]
figures.convergence({title: explained});

# %% [markdown]
# **Figure. How many draws are enough?** Root mean square over the cells of the sum of all shares
# less what they have to add up to, as a part of the parameter's standard deviation over the cells.
# It falls with one over the square root of the number of draws. *Source: {{source}}.*
#
# Two checks that share no code with ours run in the tests (`tests/analysis/test_attention.py`):
# shap's GradientExplainer finds the same shares of the trained network, but for the sampling error
# of both; and the exact integral over all paths lies where our standard errors say.
#
# ## What the network attends to

# %% tags=["hide-input"]
figures.parameterization(data, explained);

# %% [markdown]
# **Figure 12. A learned parameter and its reasons.** (a) Mean over the members. (b) The six
# attributes with the largest mean absolute share. (c) Vegetation types. (d) Shares of all six
# vegetation attributes together; the paper adds up three. (e) Mean temperature and (f) its share.
# The colours of (d) and (f) have their own scales. *Source: {{source}}.*

# %% [markdown] tags=["amazon"]
# (verdicts-08)=
# ### What the paper found, and what we find on the twin
#
# The paper explains `f_crit` of Hybrid(Q,S)+ on the real Amazon. The table holds its findings
# against the shares above, and against those of Hybrid(Q,S)+.

# %% tags=["amazon"]
comparison.caution(trained)
said = {
    name: claims.verdicts("attention", attention.measures(data, found))
    for name, found in shares.items()
}
rules.side_by_side(said, True)

# %% [markdown] tags=["amazon"]
# **Table. Findings and verdicts.** Signs and orders are compared, never levels. The limits are
# ours: attributes "dominate" with two thirds of all importance (11 of 21 have half by chance), a
# share is "weak" where its mean size is below half of the other, and no sign is read of a mean
# below 5 % of the parameter's standard deviation over the cells. *Source: "the paper found" the
# paper (section 5.2, Figure 12), real Amazon; "here" and the verdict {{source}}.*
#
# The twin's rule was made after the paper's own finding: vegetation, the season of leaves and cold
# rule `f_crit`. So an agreement in sign is partly built in. A ranking that misses these attributes
# says that this method, with these observations, did not find such a rule although it exists. It
# does not say what rules `f_crit` in nature, but it is a reason not to read any such ranking as a
# finding about nature.

# %% [markdown] tags=["truth"]
# ## What the truth attends to
#
# The twin's parameters were made by a known rule. So their true shares can be computed, from the
# rule itself: attributes of one cell are put in the place of another's, one after the other, and
# each is credited with the change it makes (Shapley's way to divide a sum). As a control, networks
# of the same size were fitted to the true parameters themselves, cell by cell. They had a perfect
# teacher: what they miss, too, the method cannot tell apart.

# %% tags=["truth"]
true = attention.true_shares(data, default, parameter)
taught = [identifiability.told_the_truth(data, trained[title], seed=k) for k in range(3)]
told = attention.expected_gradients(taught, parameter, land, samples)
print(f"rule: {', '.join(attention.rulers(true))}")

# %% [markdown]
# ## Every attribute, every member

# %%
alone = [attention.expected_gradients([each], parameter, land, samples) for each in learners]
table = attention.importance_table(explained, alone)

# %% tags=["truth"]
for name, found in (("truth", true), ("told the truth", told)):
    table[name] = attention.importance(found).to_series()

# %% tags=["hide-input"]
figures.attention(table, parameter);

# %% [markdown]
# **Figure. What each attribute counts.** Its part of all importance (mean absolute share). Bars:
# shares of the members' mean parameter; whiskers: mean standard error of a cell's share. Noise
# makes sizes larger, never smaller: do not rank bars that are no longer than their whiskers. Marks:
# every member alone, each as a part of its own sum; where members give opposite reasons these
# cancel in the mean, and a bar is shorter than its marks. *Source: {{source}}.*

# %% [markdown] tags=["truth"]
# Diamonds: the rule that made the truth. Dots: networks that were told the truth in every cell.
#
# Compare three things. Bars with diamonds: did training on discharge and storage find what truly
# rules the parameter? Dots with diamonds: can a network find it at all? Marks with each other: do
# members that fit the observations alike give the same reasons?

# %% [markdown] tags=["amazon"]
# A sign may be right and the share far too small, or be right for another reason. So here is what
# the same findings look like on the truth:

# %% tags=["amazon"]
of_truth = claims.verdicts("attention", attention.measures(data, true))
of_truth.table[["the paper found", "here"]]

# %% [markdown] tags=["amazon"]
# **Table. The paper's findings on the twin's true rule.** Compare the sizes with those above.
# *Source: {{source}}.*

# %% [markdown] tags=["truth"]
# Dots away from diamonds, although their networks know the truth, are the work of attributes that
# go together. Where the mean vegetation fraction is high, so are the largest one and the leaf
# area. A network may use any of them, or a little of each: the parameter is the same. So do not
# read a ranking of such attributes as a finding about nature. Add up what belongs together first.

# %% tags=["truth"]
all_shares = shares | {"told the truth": told}
agreements = {who: attention.share_agreement(found, true) for who, found in all_shares.items()}
schemes.readable(pd.concat(agreements, axis=1))

# %% [markdown] tags=["truth"]
# **Table. Shares of groups of attributes.** Mean absolute share, learned and true, and the
# correlation $r$ of the two from cell to cell. A dash: no such share in the truth. *Source:
# {{source}}.*

# %% tags=["hide-input", "truth"]
sources = {"truth": true, "told the truth": told, "learned": explained}
groups = {"vegetation": attention.VEGETATION, "temperature": ("temp_avg",)}
rows = [
    attention.share_fields(data, sources, names, f"share of {group}")
    for group, names in groups.items()
]
maps.field_maps(rows, list(sources), cmap="BrBG_r", centred=True);

# %% [markdown] tags=["truth"]
# **Figure. Where vegetation and temperature raise or lower the parameter.** One scale a row.
# *Source: {{source}}.*
#
# ## How far is the parameter from the truth?

# %% tags=["truth"]
schemes.readable(identifiability.departures(data, trained, parameter))

# %% [markdown] tags=["truth"]
# **Table. The parameter in every scheme.** Mean and standard deviation over the cells, bias and
# RMSE against the truth, correlation from cell to cell. HydroPyNN has HydroPy's own value
# everywhere. *Source: {{source}}.*

# %% tags=["hide-input", "truth"]
figures.learned_against_true(data, trained, parameter);

# %% [markdown] tags=["truth"]
# **Figure. Cell by cell.** On the dashed line learned and true are the same. HydroPyNN(Q,S) learns
# each cell's number for itself: nothing ties cells of one landscape together, and they scatter.
# A network gives cells of one landscape one value, right or wrong. *Source: {{source}}.*

# %% [markdown]
# ## The parameter by vegetation type

# %%
fields = {name: identifiability.land_mean(each, parameter) for name, each in trained.items()}

# %% tags=["truth"]
fields |= {TRUTH: true.value.values, "days short of water (%)": recovery.limited_days(data)}

# %%
attention.means_by_type(attention.vegetation_types(data), fields).T

# %% [markdown]
# **Table. Mean of the parameter over each vegetation type**; over all cells where the study has no
# types. *Source: {{source}}.*

# %% [markdown] tags=["truth"]
# Last, the share of days on which the true evapotranspiration is more than a tenth below PET.

# %% [markdown]
# `f_crit` acts on days short of water only. Where the soil is hardly ever so, neither
# discharge nor storage feels it, and no method can learn it from them; a ranking or an RMSE over
# all cells counts these cells, too.

# %% [markdown] tags=["truth"]
# Every scheme without a replacement network has a wrong {term}`PET`. Then the right `f_crit` would
# give the wrong evapotranspiration, and training has a reason to move `f_crit` away from the truth
# until the water balance fits. A parameter that makes up for an error elsewhere is explained by the
# pattern of that error. Hybrid(Q,S)+ may learn PET, and still make up for what is wrong in it:
# where its PET is too high, a higher `f_crit` holds transpiration back. Look at each vegetation
# type, not only at the RMSE.
#
# ## All nine parameters

# %% tags=["truth"]
identifiability.rules_found(data, learners, default)

# %% tags=["hide-input", "truth"]
identifiability.rules_found(data, taught, default)

# %% [markdown] tags=["truth"]
# **Tables. Are the attributes that rule a parameter those the network finds most important?** Top:
# learned from discharge and storage. Bottom: told the truth. `share` is the part of all importance
# (%) that falls on the true rule; compare it with `by chance`, where all attributes count alike.
# Shares of 200 draws.
# A share below chance says that the network looks elsewhere. Look in the bottom table for near
# relatives in place of the true ones, such as the largest for the mean water capacity. `s_min` has
# no gradient and is left out. *Source: {{source}}.*

# %% [markdown] tags=["members"]
# ## Do members agree, and are they right?
#
# The same training from other starts gives other parameters. Their spread is the usual measure of
# what the observations leave open ({term}`equifinality`, {cite}`beven2006`).

# %% tags=["hide-input", "members"]
several = identifiability.with_members(trained)
single = [name for name in trained if name not in several and name != "HydroPyNN"]
print("one member only, not judged:", ", ".join(single) or "none")
figures.spread_maps(data, identifiability.spread(trained[title]));

# %% [markdown] tags=["members"]
# **Figure S10a. How far members lie apart, by cell.** The scheme explained, as many members as the
# page says above, all parameters on one scale. The paper shows the like for its ten repeats and
# calls the uncertainty small. *Source: {{source}}.*

# %% tags=["members"]
judged = identifiability.identify(data, several)

# %% tags=["amazon", "members"]
claims.verdicts("members", identifiability.measures(judged, title))

# %% [markdown] tags=["amazon", "members"]
# **Table. What the paper found, and what we find on the twin.** The paper names no limit. Ours is a
# root mean square spread of 5 % of the range in each parameter. *Source: first column the paper
# (section 5.3), real Amazon; the rest {{source}}.*

# %% tags=["hide-input", "members"]
figures.spread_and_error(judged);

# %% [markdown] tags=["members"]
# **Figure. Apart from each other.** Bars: spread of the members, a root mean square over the cells,
# in % of the range. *Source: {{source}}.*

# %% [markdown] tags=["members", "truth"]
# Dots: error of their mean against the truth, in the same measure. The line between is what the
# members do not know about themselves.

# %% [markdown] tags=["members"]
# A small spread says that training leads from any start to the same place. It does not say that
# the place is right: all members share the same physics, the same PET and the same observations,
# and so the same error. So we ask for more before we call a parameter **identifiable**:
#
# 1. the loss has a slope along it;
# 2. members agree: their spread is at most half of the way they came from HydroPy's own value;
# 3. every member is nearer to the truth, with at most 75 % of the error of HydroPy's own value;
# 4. and so is its pattern, after means have been taken off; else it is known by its **level only**;
# 5. and the pattern correlates with the truth no less than HydroPy's own does; else it is known by
#    **level and amplitude**, and training made the pattern worse.
#
# Without a truth only the first two can be asked.

# %% tags=["members"]
identifiability.by_parameter(judged)

# %% [markdown] tags=["members"]
# **Table. Which parameters are identifiable?** Half and 75 % are our choice. *Farther from the
# truth* means that members agree and training did harm: their mean is worse than what HydroPy began
# with. A field may be identifiable while the attributes that the network credits are not those of
# its rule: compare the tables of rules. *Source: {{source}}.*

# %% tags=["hide-input", "members"]
schemes.readable(judged.loc[title].drop(columns="verdict"))

# %% [markdown] tags=["members"]
# **Table. The numbers behind it, of the scheme explained.** Spread and way moved in % of the range.
# *Source: {{source}}.*

# %% [markdown] tags=["members", "truth"]
# The error is in % of the range, too; `worst member` and `worst pattern` are errors over those of
# HydroPy's own value, so above 1 training did harm; `own r` is the correlation of HydroPy's own
# value with the truth.

# %% tags=["hide-input", "amazon", "members"]
figures.pet_spread_map(data, identifiability.pet_spread(data, trained["Hybrid(Q,S)+"]));

# %% [markdown] tags=["amazon", "members"]
# **Figure S10b. The learned PET: members apart, and their mean from the truth.** Means over all
# days. *Source: {{source}}.*

# %% [markdown]
# ## What to keep
#
# - Shares explain a network. Check that they add up, and say how many draws were made.
# - Attributes that go together share their credit by chance. Add up groups before you rank.
# - Agreement of members measures the luck of the start. The errors they have in common do not show.
# - Ask first which parameters the observations fix. Explaining one that they do not fix explains
#   what it makes up for.

# %% [markdown] tags=["truth"]
# ```{exercise} Reasons for a lag
# :label: learned-lag
# Explain `lag_sur` instead of `f_crit`. Does the network attend to what truly rules it? Why may a
# lag be easier to find than the critical moisture?
# ```
#
# ```{exercise} With the right PET
# :label: learned-plus
# Explain `f_crit` of Hybrid(Q,S)+ on the whole page. Does it come nearer to the true shares of
# vegetation and temperature than the page above, and why could that be?
# ```
#
# ```{exercise} Credit by chance
# :label: learned-chance
# Explain the three networks that were told the truth, each alone. Compare their first six
# attributes, and then their shares of all vegetation attributes together.
# ```
#
# ## Solutions
#
# ````{solution} learned-lag
# :class: dropdown
#
# ```python
# lag = attention.expected_gradients(learners, "lag_sur", land, 500)
# ruled = attention.true_shares(data, default, "lag_sur")
# attention.importance_table(lag).assign(truth=attention.importance(ruled).to_series())
# ```
#
# Compare the last column with the first. A lag moves the hydrograph in time, and nothing else in
# the model can do that as well; PET cannot make up for it. So discharge speaks about it directly.
# ````
#
# ````{solution} learned-plus
# :class: dropdown
#
# ```bash
# .venv/bin/hybridlib notebooks 08_what_was_learned -p scheme=hybrid_qs_plus
# ```
#
# Look at the table of groups and the maps below it. With a network for PET, `f_crit` need not make
# up for the error of Penman–Monteith any more, as far as that network has learned it.
# ````
#
# ````{solution} learned-chance
# :class: dropdown
#
# ```python
# for network in taught:
#     one = attention.expected_gradients([network], "f_crit", land, 500)
#     print(list(attention.importance(one).attribute.values[:6]))
#     print(attention.share_agreement(one, true).r["vegetation"])
# ```
#
# Expect other orders from the same truth, and nearly the same sum.
# ````
