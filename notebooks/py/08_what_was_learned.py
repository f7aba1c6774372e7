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
# You need {doc}`04_five_schemes`. The captions describe the published page, which shows the Amazon
# twin.

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
import pandas as pd

from hybridlib.analysis import attention, identifiability, recovery, schemes
from hybridlib.figures import attention as figures
from hybridlib.figures import maps, style
from hybridlib.findings import claims, rules
from hybridlib.learning import comparison
from hybridlib.learning.schemes import TRUTH
from hybridlib.twin.make import open_or_make

plt.style.use(style.STYLE)
pd.options.display.float_format = "{:.3g}".format
pd.options.display.max_colwidth = 160
data = open_or_make(study)
twin, land = data.has("truth"), data.basin.land
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
# rules the exchange between soil, plants and air. In a hybrid scheme a network computes it from 21
# attributes. How much of its value in a cell is owed to which attribute?
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
# The sum on the right is known exactly, so the error of sampling can be watched.

# %%
explained = attention.expected_gradients(learners, parameter, land, samples)
relative = 100 * float(explained.convergence[-1])
print(f"after {samples} draws shares miss their sum by {relative:.1f} % of the spread over cells")

# %% tags=["hide-input"]
figures.convergence({title: explained});

# %% [markdown]
# **Figure. How many draws are enough?** Root mean square over the cells of the sum of all shares
# less what they have to add up to, as a part of the parameter's standard deviation over the cells.
# It falls with the square root of the number of draws. *Source: Amazon twin.*
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
# The colours of (d) and (f) have their own scales. *Source: Amazon twin.*
#
# (verdicts-08)=
# ### What the paper found, and what we find on the twin
#
# The paper explains `f_crit` of Hybrid(Q,S)+ on the real Amazon. The table holds its findings
# against the shares above, and against those of Hybrid(Q,S)+ where it was trained.

# %%
comparison.caution(trained)
shares, plus = {title: explained}, trained.get("Hybrid(Q,S)+")
if plus and plus is not trained[title]:
    extra = attention.expected_gradients(plus.learners, parameter, land, samples)
    shares = {"Hybrid(Q,S)+": extra} | shares  # the paper's comes first
f_crit = parameter == "f_crit"
said = {
    name: claims.verdicts("attention", attention.measures(data, one))
    for name, one in shares.items() if f_crit
}
rules.side_by_side(said, True) if said else print("the paper explains f_crit alone")

# %% [markdown]
# **Table. Findings and verdicts.** Signs and orders are compared, never levels. The limits are
# ours: attributes "dominate" with two thirds of all importance (11 of 21 have half by chance), a
# share is "weak" where its mean size is below half of the other, and no sign is read of a mean
# below 5 % of the parameter's standard deviation over the cells. *Source: "the paper found" the
# paper (section 5.2, Figure 12), real Amazon; "here" and the verdict Amazon twin.*
#
# The twin's rule was made after the paper's own finding: vegetation, the season of leaves and cold
# rule `f_crit`. So an agreement in sign is partly built in. A ranking that misses these attributes
# says that this method, with these observations, did not find such a rule although it exists. It
# does not say what rules `f_crit` in nature, but it is a reason not to read any such ranking as a
# finding about nature.
#
# ## What the truth attends to
#
# The twin's `f_crit` was made by a known rule. So its true shares can be computed, from the rule
# itself: attributes of one cell are put in the place of another's, one after the other, and each
# is credited with the change it makes (Shapley's way to divide a sum). As a control, networks of
# the same size were fitted to the true parameters themselves, cell by cell. They had a perfect
# teacher: what they miss, too, the method cannot tell apart.

# %%
true = attention.true_shares(data, default, parameter) if twin else None
taught = [identifiability.told_the_truth(data, trained[title], seed=k) for k in range(3) if twin]
told = attention.expected_gradients(taught, parameter, land, samples) if twin else None
rule = f"rule: {', '.join(attention.rulers(true))}" if twin else "real data: the rule is not known"
print(rule)

# %% tags=["hide-input"]
alone = [attention.expected_gradients([one], parameter, land, samples) for one in learners]
table = attention.importance_table(explained, alone if len(alone) > 1 else (), true)
figures.attention(table, parameter, attention.importance_table(told) if twin else None);

# %% [markdown]
# **Figure. Learned, taught and true.** Each attribute's part of all importance (mean absolute
# share). Bars: shares of the members' mean parameter; whiskers: mean standard error of a cell's
# share. Noise makes sizes larger, never smaller: do not rank bars that are no longer than their
# whiskers. Marks: every member alone, each as a part of
# its own sum; where members give opposite reasons these cancel in the mean, and a bar is shorter
# than its marks. Diamonds: the rule that made the truth. Dots: networks that were told the truth in
# every cell. *Source: Amazon twin.*
#
# Compare three things. Bars with diamonds: did training on discharge and storage find what truly
# rules the parameter? Dots with diamonds: can a network find it at all? Marks with each other: do
# members that fit the observations alike give the same reasons?
#
# A sign may be right and the share far too small, or be right for another reason. So here is what
# the same findings look like on the truth:

# %%
of_truth = attention.measures(data, true) if twin and f_crit else {}
claims.verdicts("attention", of_truth).table[["the paper found", "here"]] if of_truth else None

# %% [markdown]
# **Table. The paper's findings on the twin's true rule.** Compare the sizes with those above.
# *Source: Amazon twin.*
#
# Dots away from diamonds, although their networks know the truth, are the work of attributes that
# go together. Where the mean vegetation fraction is high, so are the largest one and the leaf
# area. A network may use any of them, or a little of each: the parameter is the same. So do not
# read a ranking of such attributes as a finding about nature. Add up what belongs together first.

# %%
all_shares = shares | {"told the truth": told} if twin else {}
agreements = {who: attention.share_agreement(one, true) for who, one in all_shares.items()}
schemes.readable(pd.concat(agreements, axis=1)) if twin else None

# %% [markdown]
# **Table. Shares of groups of attributes.** Mean absolute share, learned and true, and the
# correlation $r$ of the two from cell to cell. A dash: no such share in the truth. *Source: Amazon
# twin.*

# %% tags=["hide-input"]
sources = {"truth": true, "told the truth": told, "learned": explained}
groups = {"vegetation": attention.VEGETATION, "temperature": ("temp_avg",)}
rows = [
    attention.share_fields(data, sources, names, f"share of {group}")
    for group, names in groups.items() if twin
]
maps.field_maps(rows, list(sources), cmap="BrBG_r", centred=True) if twin else None;

# %% [markdown]
# **Figure. Where vegetation and temperature raise or lower the parameter.** One scale a row.
# *Source: Amazon twin.*
#
# ## How far is the parameter from the truth?

# %%
departed = identifiability.departures(data, trained, parameter) if twin else None
schemes.readable(departed) if twin else None

# %% [markdown]
# **Table. The parameter in every scheme.** Mean and standard deviation over the cells, bias and
# RMSE against the truth, correlation from cell to cell. HydroPyNN has HydroPy's own value
# everywhere. *Source: Amazon twin.*

# %% tags=["hide-input"]
figures.learned_against_true(data, trained, parameter) if twin else None;

# %% [markdown]
# **Figure. Cell by cell.** On the dashed line learned and true are the same. HydroPyNN(Q,S) learns
# each cell's number for itself: nothing ties cells of one landscape together, and they scatter.
# A network gives cells of one landscape one value, right or wrong. *Source: Amazon twin.*

# %%
types = attention.vegetation_types(data)
short = {"days short of water (%)": recovery.limited_days(data)} if twin else {}
fields = {name: identifiability.land_mean(one, parameter) for name, one in trained.items()}
fields |= {TRUTH: true.value.values} | short if twin else {}
attention.means_by_type(types, fields).T if types else print("this study has no vegetation types")

# %% [markdown]
# **Table. Mean of the parameter over each vegetation type.** Last, the share of days on which the
# true evapotranspiration is more than a tenth below PET. *Source: Amazon twin.*
#
# `f_crit` acts on such days only. Where the soil is hardly ever short of water, neither discharge
# nor storage feels it, and no method can learn it from them; a ranking or an RMSE over all cells
# counts these cells, too.
#
# Every scheme without a replacement network has a wrong {term}`PET`. Then the right `f_crit` would
# give the wrong evapotranspiration, and training has a reason to move `f_crit` away from the truth
# until the water balance fits. A parameter that makes up for an error elsewhere is explained by the
# pattern of that error. Hybrid(Q,S)+ may learn PET, and still make up for what is wrong in it:
# where its PET is too high, a higher `f_crit` holds transpiration back. Look at each vegetation
# type, not only at the RMSE.
#
# ## All nine parameters

# %%
who = {title: learners, "told the truth": taught} if twin else {}
rules = {name: identifiability.rules_found(data, each, default) for name, each in who.items()}
rules[title] if twin else None

# %% tags=["hide-input"]
rules["told the truth"] if twin else None

# %% [markdown]
# **Tables. Are the attributes that rule a parameter those the network finds most important?** Top:
# learned from discharge and storage. Bottom: told the truth. `share` is the part of all importance
# (%) that falls on the true rule; compare it with `by chance`, where all attributes count alike.
# Shares of 200 draws.
# A share below chance says that the network looks elsewhere. Look in the bottom table for near
# relatives in place of the true ones, such as the largest for the mean water capacity. `s_min` has
# no gradient and is left out. *Source: Amazon twin.*
#
# ## Do members agree, and are they right?
#
# The same training from other starts gives other parameters. Their spread is the usual measure of
# what the observations leave open ({term}`equifinality`, {cite}`beven2006`).

# %% tags=["hide-input"]
several = identifiability.with_members(trained)
single = [name for name in trained if name not in several and name != "HydroPyNN"]
print("one member only, not judged:", ", ".join(single) or "none")
spreads = identifiability.spread(trained[title]) if title in several else None
figures.spread_maps(data, spreads) if spreads else print("a spread needs several members");

# %% [markdown]
# **Figure S10a. How far members lie apart, by cell.** Hybrid(Q,S), as many members as the page says
# above, all parameters on one scale. The paper shows the like for its ten repeats and calls the
# uncertainty small. *Source: Amazon twin.*

# %%
judged = identifiability.identify(data, several) if several else pd.DataFrame()
claims.verdicts("members", identifiability.measures(judged, title))

# %% [markdown]
# **Table. What the paper found, and what we find on the twin.** The paper names no limit. Ours is a
# root mean square spread of 5 % of the range in each parameter. *Source: first column the paper
# (section 5.3), real Amazon; the rest Amazon twin.*

# %% tags=["hide-input"]
figures.spread_and_error(judged) if several else print("a spread needs several members");

# %% [markdown]
# **Figure. Apart from each other, and from the truth.** Bars: spread of the members. Dots: error of
# their mean. Both are root mean squares over the cells, in % of the range. The line between is what
# the members do not know about themselves. *Source: Amazon twin.*
#
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

# %%
identifiability.by_parameter(judged) if several else print("a verdict needs several members")

# %% [markdown]
# **Table. Which parameters are identifiable?** Half and 75 % are our choice. *Farther from the
# truth* means that members agree and training did harm: their mean is worse than what HydroPy began
# with. A field may be identifiable while the attributes that the network credits are not those of
# its rule: compare the tables of rules. *Source: Amazon twin.*

# %% tags=["hide-input"]
detail = judged.loc[title].drop(columns="verdict") if title in several else None
schemes.readable(detail) if title in several else None

# %% [markdown]
# **Table. The numbers behind it, Hybrid(Q,S).** Spread, way moved and error in % of the range;
# `worst member` and `worst pattern` are errors over those of HydroPy's own value, so above 1
# training did harm; `own r` is the correlation of HydroPy's own value with the truth. *Source:
# Amazon twin.*

# %% tags=["hide-input"]
plus = several.get("Hybrid(Q,S)+")
spread_of_pet = identifiability.pet_spread(data, plus) if plus else None
figures.pet_spread_map(data, spread_of_pet) if plus else print("no spread of a learned PET");

# %% [markdown]
# **Figure S10b. The learned PET: members apart, and their mean from the truth.** Means over all
# days. Shown where Hybrid(Q,S)+ has several members. *Source: Amazon twin.*
#
# ## What to keep
#
# - Shares explain a network. Check that they add up, and say how many draws were made.
# - Attributes that go together share their credit by chance. Add up groups before you rank.
# - Agreement of members measures the luck of the start. The errors they have in common do not show.
# - Ask first which parameters the observations fix. Explaining one that they do not fix explains
#   what it makes up for.
#
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
# attention.importance_table(lag, true=ruled)
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
