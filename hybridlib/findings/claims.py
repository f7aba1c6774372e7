"""Every claim of the paper, and the rule by which it is judged.

The paper is Wang et al. (2024), Water Resources Research 60, e2023WR036170; its numbers are of the
real Amazon. Limits that it does not give are ours, and named here.
"""

from __future__ import annotations

from hybridlib.analysis.attention import PAPER_COLD, PAPER_SIX
from hybridlib.analysis.evaporation import FORMULAS, LOW
from hybridlib.analysis.schemes import SERIES
from hybridlib.analysis.towers import SIGNIFICANT
from hybridlib.findings.rules import (
    UNDECIDED,
    UNTRAINED_TOO,
    Claim,
    Held,
    Verdicts,
    judge_all,
)
from hybridlib.learning.schemes import TRUTH

SMALL_SHARE = 0.1
"""Spread of members, over what their NSE lacks to 1, that counts as small; our choice."""
NEGLIGIBLE = 10.0
"""A mean bias within this counts as none, mm a-1; our choice, half a percent of the
Amazon's rain."""
EARLY, HIGHER = 5.0, 5.0
"""Days and percent within which the time and the height of floods count as met; our choice."""
CLEAR = 0.02
"""Relative departure of a region's PET from the mean lowland's that counts as one. Ours."""
ALIKE = 0.7
"""Correlation of two seasons from which they count as consistent. Ours."""
DOMINANT = 2 / 3
"""Part of all importance from which attributes dominate. Ours; half is no more than chance."""
FAINT = 0.05
"""Share of the standard deviation over the cells below which no sign is read. Ours."""
NOTHING_TO_MEND = "not testable, there is nothing to mend"

UNTRAINED, FREE = "HydroPyNN", "HydroPyNN(Q,S)"
Q, QS, PLUS = "Hybrid(Q)", "Hybrid(Q,S)", "Hybrid(Q,S)+"
FOUR = (*FORMULAS.values(), "{scheme}")


def better(worse: float, best: float) -> bool | None:
    """Whether the second score is higher; None where they are :func:`alike`."""
    return None if abs(best - worse) <= UNDECIDED else best > worse


def alike(one: float, other: float) -> bool:
    """Whether two scores differ by no more than :data:`~hybridlib.findings.rules.UNDECIDED`."""
    return abs(one - other) <= UNDECIDED


def surely_better(worse: float, best: float, more: float, p: float) -> bool | None:
    """As :func:`better`, of medians; None where a test does not say so, too.

    Args:
        worse: median of one.
        best: of the other.
        more: mean difference that the test is about.
        p: its p-value, two-sided.
    """
    alike_signs = (best - worse) * more > 0
    return better(worse, best) if p < SIGNIFICANT and alike_signs else None


def _above(*biases: float) -> bool:
    """Whether the last bias is positive, and not so small that it counts as none."""
    return biases[-1] > NEGLIGIBLE


def _below(*biases: float) -> bool:
    """Whether the last bias is negative, and not so small that it counts as none."""
    return biases[-1] < -NEGLIGIBLE


def _unless_untrained_does(told: str, shown: float, untrained: float) -> Held:
    """Whether all towers show it; where the untrained model does so, too, nothing was learned."""
    return UNTRAINED_TOO if shown == untrained == 1.0 else shown == 1.0


def _clearly_above(departure: float) -> bool | None:
    return None if abs(departure) <= CLEAR else departure > 0


def _with_wind(*links: float) -> Held:
    """Whether signs are the paper's in the scheme, given first, and not in the formula, too."""
    signs = [link * way > 0 for link, way in zip(links, (1, 1, 1, 1, -1, -1), strict=True)]
    return "not testable, Penman–Monteith shows it, too" if all(signs) else all(signs[::2])


def _nearest(*values: float) -> Held:
    """Whether the scheme, given last, has the least error and the best pattern of the four."""
    errors, patterns = values[: len(FOUR)], values[len(FOUR) :]
    best = min(errors) == errors[-1], max(patterns) == patterns[-1]
    return best[0] if best[0] == best[1] else f"mixed, best in {'RMSE' if best[0] else 'map'} only"


def _sign(number: float, spread: float) -> int | None:
    """1, 0 or -1; None where a number is faint beside what tells the cells apart."""
    return None if abs(number) <= FAINT * spread else (number > 0) - (number < 0)


def _dominate(share: float, by_chance: float) -> bool | None:
    return True if share > DOMINANT else (None if share > by_chance else False)


def _opposite(low: float, forest: float, spread: float) -> bool | None:
    signs = _sign(low, spread), _sign(forest, spread)
    return None if None in signs else signs == (1, -1)


def _cold_alone(inside: float, outside: float, spread: float) -> bool | None:
    sign = _sign(inside, spread)
    return None if sign is None else sign > 0 and outside < 0.5 * inside


def _higher(above: float, below: float, spread: float) -> bool | None:
    sign = _sign(above - below, spread)
    return None if sign is None else sign > 0


def _scheme(text: str, series: str, worse: str, best: str, paper: str = "–", how=better) -> Claim:
    """A claim of section 4.1 about medians of two schemes in the validation years."""
    names = tuple(f"{SERIES[series]}, {title}" for title in (worse, best))
    return Claim("schemes", "4.1", text, paper, names, how, bound=f"{SERIES[series]}, {TRUTH}")


def _tested(other: str) -> tuple[str, str]:
    """Names of what a paired test of Hybrid(Q,S)+ and another scheme says."""
    return f"mean difference to {other}", f"p to {other}"


def _budget(text, paper, measure, titles, holds, section="4.3", **more) -> Claim:
    """A claim about one measure of some schemes."""
    names = tuple(f"{measure}, {title}" for title in titles)
    return Claim("budget", section, text, paper, names, holds, **more)


def _pet(text: str, measures, holds, **more) -> Claim:
    """A claim of section 5.1, told with the truth's number where there is one."""
    return Claim("pet", "5.1", text, "–", tuple(measures), holds, **more)


def _titled(measure: str, titles=("{scheme}",)) -> list[str]:
    return [f"{measure}, {title}" for title in titles]


def _way(text: str, part: str, low: float, high: float) -> Claim:
    """PET lies on some part of the way from Penman-Monteith to Priestley-Taylor."""
    return _pet(text, _titled(f"way, {part}"), lambda way: low < way < high,
                form=".2f", also=(f"way, {part}, {TRUTH}",))  # fmt: skip


def _attention(text: str, measures, holds, template: str) -> Claim:
    """A claim of section 5.2 on f_crit."""
    return Claim("attention", "5.2", text, "–", tuple(measures), holds, template)


def _untestable(section: str, text: str, paper: str = "–", *, why: str) -> Claim:
    return Claim("", section, text, paper, not_testable=why)


# fmt: off
CLAIMS = (
    _untestable("3.1", "a network that sees neighbours corrects PET better than one that does not",
                "Table S2", why="the twin's PET error has no neighbours in it"),
    _untestable("4.1", "training is far cheaper than a heuristic calibration of HydroPy",
                why="no calibration of the original was run here"),
    _untestable("4.2", "at gauges held out, Hybrid(Q,S)+ falls below 0.70 at few", "3 of 24",
                why="levels of twin and Amazon do not compare"),
    _untestable("4.2", "held out, the hydrograph at Óbidos is met almost perfectly", "NSE 0.92",
                why="levels of twin and Amazon do not compare; Figure 6b shows it"),
    _untestable("5.3", "errors of weather and observations would add to the uncertainty",
                why="the twin's weather has no error"),

    # The schemes in time: section 4.1, Figure 5.
    _scheme("training improves discharge, without a network, too", "discharge",
            UNTRAINED, FREE, "HydroPyNN 0.59, HydroPyNN(Q,S) 0.76"),
    _scheme("parameters from a network serve discharge as well as free ones", "discharge",
            FREE, QS, how=alike),
    _scheme("gravimetry costs some discharge", "discharge", QS, Q),
    _scheme("trained on discharge alone, storage is worse than untrained", "twsa", Q, UNTRAINED),
    _scheme("gravimetry repairs storage", "twsa", Q, QS),
    _scheme("learning PET improves discharge", "discharge", QS, PLUS, "Hybrid(Q,S)+ 0.83"),
    _scheme("learning PET improves storage", "twsa", QS, PLUS, "Hybrid(Q,S)+ 0.77"),
    _scheme("all together improve discharge", "discharge", UNTRAINED, PLUS,
            "HydroPyNN 0.59, Hybrid(Q,S)+ 0.83"),
    _scheme("all together improve storage", "twsa", UNTRAINED, PLUS,
            "HydroPyNN ≈ 0.57, Hybrid(Q,S)+ 0.77"),

    # Gauges held out, and other starts: sections 4.2 and 5.3.
    Claim("transfer", "4.2", "at gauges held out, Hybrid(Q,S) is better than the untrained model",
          "HydroPyNN 0.63, Hybrid(Q,S) 0.66",
          (f"held out, {UNTRAINED}", f"held out, {QS}"), better),
    Claim("transfer", "4.2", "at gauges held out, Hybrid(Q,S)+ is better than the untrained model",
          "HydroPyNN 0.63, Hybrid(Q,S)+ 0.80, p < 0.01",
          (f"held out, {UNTRAINED}", f"held out, {PLUS}", *_tested(UNTRAINED)), surely_better),
    Claim("transfer", "4.2", "at gauges held out, Hybrid(Q,S)+ is better than Hybrid(Q,S)",
          "Hybrid(Q,S) 0.66, Hybrid(Q,S)+ 0.80, p < 0.01",
          (f"held out, {QS}", f"held out, {PLUS}", *_tested(QS)), surely_better),
    Claim("transfer", "4.2", "Hybrid(Q,S)+ keeps its skill where neither gauge nor year trained",
          "0.76", (f"trained on, {PLUS}", f"held out in both, {PLUS}"),
          lambda seen, unseen: unseen >= seen - UNDECIDED),
    Claim("transfer", "5.3", "scores hardly depend on the random start", "ten repeats",
          (f"spread of members over distance of NSE from 1, {QS}", "members"),
          lambda share, members: share <= SMALL_SHARE),

    # The water budget: section 4.3, Figures 7 to 9; floods at Óbidos: 4.2, there in space.
    _budget("trained on discharge alone, storage gains too much", "ΔS +26 mm",
            "ΔS bias", [Q], _above),
    _budget("trained on discharge alone, ET is too low", "ET −36 mm", "ET bias", [Q], _below),
    _budget("gravimetry takes the bias out of ΔS", "ΔS +26, 0 mm", "ΔS bias", [Q, QS],
            lambda q, qs: abs(qs) <= NEGLIGIBLE if abs(q) > NEGLIGIBLE else NOTHING_TO_MEND),
    _budget("with gravimetry there is too much runoff", "Q +10, +37 mm",
            "Q bias", [Q, QS], _above),
    _budget("with gravimetry ET is too low, as without", "ET −36, −37 mm",
            "ET bias", [Q, QS], _below),
    _budget("learning PET makes the bias of ET smaller", "ET −37, ≈ 0 mm",
            "ET bias", [QS, PLUS], lambda qs, plus: abs(plus) < abs(qs) - NEGLIGIBLE),
    Claim("budget", "4.3", "learning PET leaves no bias in any term", "≈ 0",
          tuple(f"{term} bias, {PLUS}" for term in ("ΔS", "Q", "ET")),
          lambda *terms: max(map(abs, terms)) <= NEGLIGIBLE),
    Claim("budget", "4.3", "without it, ET is too low in sub-basins 1, 3 and 5", "notably",
          tuple(f"sub-basin {number} ET bias, {QS}" for number in (1, 3, 5)),
          lambda *terms: "not testable, the paper's sub-basins are not known"),
    _budget("learning PET brings the sub-basins' ET nearer", "Figure 8e",
            "sub-basin ET RMSE", [QS, PLUS], lambda qs, plus: plus < qs - NEGLIGIBLE),
    _budget("learning PET draws their pattern better", "Figure 8b–d",
            "sub-basin ET r", [QS, PLUS], better, bound=f"sub-basin ET r, {TRUTH}"),
    _budget("with learned PET, ET is lowest in sub-basin 4", "low",
            "sub-basin 4 ET rank", [QS, PLUS],
            lambda qs, plus: "not testable, it is without, too" if qs == plus == 1 else plus == 1),
    _budget("the other trained schemes lack runoff there", "pronounced",
            "sub-basin 4 Q bias", [FREE, Q, QS], lambda *terms: max(terms) < -NEGLIGIBLE),
    _budget("untrained, floods come early", "earlier",
            "peak days late", [UNTRAINED], lambda late: late < -EARLY, "4.2", given=True),
    _budget("untrained, floods come high", "higher",
            "peak height (%)", [UNTRAINED], lambda height: height > HIGHER, "4.2", given=True),
    _budget("training mends their time", "to different extents",
            "peak days late", [UNTRAINED, QS, PLUS],
            lambda own, *others: max(map(abs, others)) < abs(own) - EARLY, "4.2"),
    _budget("learning PET makes high floods less high", "less notable",
            "peak height (%)", [QS, PLUS],
            lambda qs, plus: plus < qs if qs > HIGHER else NOTHING_TO_MEND, "4.2"),

    # Flux towers: section 4.3, Figure 10.
    Claim("towers", "4.3", f"daily ET correlates with the towers' (p < {SIGNIFICANT:g})", "–",
          ("correlation at the towers", "towers that correlate", "untrained that correlate"),
          _unless_untrained_does, "{0}"),
    Claim("towers", "4.3", "measured and modelled ET are within the same range", "–",
          ("days within the towers' range", "towers of the same range", "untrained of the same"),
          _unless_untrained_does, "{0}"),

    # Potential evapotranspiration: section 5.1, Figure 11.
    _way("learned PET lies between Penman–Monteith and Priestley–Taylor", "year", 0, 1),
    _way("on days 90–270 it is close to Penman–Monteith", "days 90–270", -0.5, 0.5),
    _pet("on the other days it is closer to Priestley–Taylor",
         [*_titled("way, other days"), *_titled("way, days 90–270")],
         lambda other, middle: other > max(0.5, middle),
         form=".2f", also=(f"way, other days, {TRUTH}", f"way, days 90–270, {TRUTH}")),
    _pet("all four have one season", ["least correlation of two"], lambda least: least > ALIKE,
         form=".2f", given=True),
    _pet("all four are high when it is warm and bright",
         ["least correlation with temperature", "least correlation with shortwave"],
         lambda *links: min(links) > 0,
         form=".2f", given=True),
    _pet("Penman–Monteith is likely too low", [f"{LOW} less the truth"], lambda less: less < 0,
         told="{0:+.2f} mm d⁻¹ against the truth", given=True),
    _pet("all four are low in the Andes", _titled("Andes", FOUR),
         lambda *departures: max(departures) < -CLEAR,
         form="+.1%", also=(f"Andes, {TRUTH}",), given=True),
    _pet("the north-west is low by Penman–Monteith and the learned PET alone",
         _titled("north-west", FOUR),
         lambda low, other, high, own: (low < -CLEAR, other < -CLEAR, high < -CLEAR, own < -CLEAR)
         == (True, False, False, True),
         form="+.1%", also=(f"north-west, {TRUTH}",)),
    _pet("learned PET is high in the south", _titled("south"), _clearly_above,
         form="+.1%", also=(f"south, {TRUTH}",)),
    _pet("learned PET is high where wind and light are, low where it is humid",
         [f"r with {name}, {title}" for name in ("wind", "shortwave", "humidity")
          for title in ("{scheme}", LOW)], _with_wind, form="+.2f"),
    _pet("learned PET is the most plausible of the four",
         [*_titled("RMSE to the truth", FOUR), *_titled("r of the map", FOUR)],
         _nearest, form=".2f"),

    # What f_crit attends to: section 5.2, Figure 12.
    *(_attention(f"the {word} most important attributes are {', '.join(PAPER_SIX[:count])}",
                 [f"among the first {word}", f"the first {word}"],
                 lambda hits, names, count=count: hits == count, f"{{0}} of {count} among {{1}}")
      for count, word in ((4, "four"), (6, "six"))),
    _attention("vegetation and climate dominate f_crit",
               ["vegetation and climate", "vegetation and climate by chance"], _dominate,
               "{0:.0%} of all importance, by chance {1:.0%}"),
    _attention("vegetation raises f_crit under shrub and grass, lowers it under forest",
               ["share under shrub and grass", "share under forest", "spread of f_crit"],
               _opposite, "mean share {0:+.4f} and {1:+.4f}"),
    _attention(f"temperature raises f_crit below {PAPER_COLD:g} °C, elsewhere its share is weak or "
               "none", ["share where cold", "size of the share elsewhere", "spread of f_crit"],
               _cold_alone,
               "mean share {0:+.4f} where cold, mean size of the share {1:.4f} elsewhere"),
    _attention("f_crit is high in the Andes, low in the plains",
               ["f_crit in the Andes", "f_crit below", "spread of f_crit"],
               _higher, "mean {0:.3f} and {1:.3f}"),

    # Members that started apart: section 5.3, Figure S10.
    Claim("members", "5.3", "parameters of repeated trainings differ little", "–",
          ("wide spreads", "spreads in % of the range"), lambda wide, told: wide == 0,
          "spread in % of the range: {1}"),
)
# fmt: on
"""All claims, by subject; those that nothing here can judge come first.

:meta hide-value:
"""


def verdicts(about: str, measures, twin: bool = False, scheme: str = "") -> Verdicts:
    """Judge the claims of one subject; see :func:`hybridlib.findings.rules.judge`.

    Args:
        about: "schemes", "transfer", "budget", "towers", "pet", "attention" or "members".
        measures: of the analysis of that subject, by name.
        twin: whether they are a twin's.
        scheme: title of the scheme in focus, for claims about one.
    """
    return judge_all([one for one in CLAIMS if one.about == about], measures, twin, scheme)
