"""What every figure of the book is drawn from: numbers that are known."""

import cases
import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import norm

from hybridlib.analysis import recovery, routing, weather
from hybridlib.analysis.budget import TERMS, find_catchment
from hybridlib.figures.style import SCHEME_COLOURS
from hybridlib.hydropy.parameters import Parameters
from hybridlib.learning.run import Run
from hybridlib.learning.settings import PRESETS, Configuration
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.splits import Period
from hybridlib.twin.geography import amazon

TITLES = list(SCHEME_COLOURS)
TWO = ["Hybrid(Q,S)", "Hybrid(Q,S)+"]
PETS = ["Penman–Monteith", "Hargreaves–Samani", "Priestley–Taylor", "Hybrid(Q,S)+", "truth"]
BALANCE = "P − Q − ΔS"
YEAR, BOTH = Period(2004, 2004), Period(2003, 2004)
DAYS = pd.date_range("2003-01-01", "2004-12-31")
STATIONS = ["NORTH - BRIDGE", "EAST", "SOUTH", "WEST"]
PAIR, SWEEP = ["hydropynn", "hybrid_qs"], ["weights", "temporal"]
PATH = np.arange(12)


def flow():
    """Two gauges, without fault in 2004, 9000 m3 s-1 before; the first day is not observed."""
    seen = 1000 * (np.sin(np.arange(len(DAYS)) / 58) + 2)
    found = np.where(DAYS.year == 2003, 9000.0, seen)
    fields = {"discharge_observed": seen, "discharge_simulated": found}
    two = {name: (("time", "station"), np.stack([one, one], 1)) for name, one in fields.items()}
    flow = xr.Dataset(two, {"time": DAYS, "station": ["GAUGE - A", "OTHER"]})
    flow.discharge_observed[0] = np.nan
    return flow


def pulse(pace):
    """Water that passes the next of twelve cells every so many days."""
    days = np.arange(1, 121)
    passing = norm.pdf(days[:, None], 9 + pace * PATH, 2)
    return xr.Dataset({"dis": (("day", "cell"), passing)}, {"day": days})


def trainings():
    """A scheme that is not trained, and one of which members chose three and two steps of six."""
    rows = [("choose", k, 1 / (k + 1), 0.5 + abs(k - 3), 0.5 + abs(k - 2)) for k in range(7)]
    rows += [("fit", k, 1 / (k + 1), np.nan, np.nan) for k in range(3)]
    columns = ["phase", "epoch", "loss_0", "held_out_0", "held_out_1"]
    met = {"train": "2002-2003", "validation": "2004-2004", "schedule": PRESETS["fast"]}
    met |= {"study": "", "basin": "", "source": "twin", "data": "", "members": 2, "epochs": 7}
    own, run = (Run(Configuration(scheme=name, **met)) for name in ("hydropynn", "hybrid_q"))
    vars(run)["history"] = pd.DataFrame(rows, columns=columns)
    return {"HydroPyNN": own, "Hybrid(Q)": run}


def scored(nse):
    """NSE in the validation years as told, 0.5 everywhere else."""
    field = np.full((3, 2, 1, len(nse)), 0.5)
    field[0, 1, 0] = nse
    coords = {"metric": ["NSE", "KGE", "RMSE"], "period": ["train", "validation"]}
    return xr.Dataset({"discharge": ((*coords, "member", "station"), field)}, coords)


def moselle():
    """Steps chosen by three trainings, and what they reach after every step."""
    rows = [("hydropynn_q", 0, 2, 0.90, 0.93), ("hydropynn_q", 1, 1, 0.92, 0.95)]
    rows += [("hybrid_q", 0, 1, 0.95, 0.96)]
    results = pd.DataFrame(rows, columns=["scheme", "seed", "steps", "train", "validation"])
    steps = [results.assign(step=k, validation=0.8 + 0.1 * k) for k in (0, 1)]
    return results, pd.concat(steps).drop(columns="steps")


def fields():
    """0 to 5, and one less."""
    grid = {"lat": [-3.0, -4.0], "lon": [-60.0, -59.0, -58.0]}
    attrs = {"long_name": "correction", "units": "mm d⁻¹"}
    truth = xr.DataArray(np.arange(6.0).reshape(2, 3), grid, ("lat", "lon"), attrs=attrs)
    return xr.Dataset({"truth": truth, "learned": (truth - 1).assign_attrs(attrs)})


def run(experiment, scheme, split, fold=0, member=0, weight=0.5, level=0.8):
    """Scores that say where they come from: level, plus 0.02 for each gauge's place.

    They are 0.05 lower in the training years, and KGE is 0.4 below NSE. Fold 1 holds the first two
    gauges out, fold 2 the others.
    """
    about = {"experiment": experiment, "scheme": scheme, "split": split, "fold": fold}
    about |= {"member": member, "weight": weight, "replacement": "conv3d"}
    about |= {"held_out": ("station", np.array([1, 1, 2, 2]) == fold)}
    coords = {"metric": ["NSE", "KGE"], "period": ["train", "validation"], "station": STATIONS}
    step = xr.DataArray(np.add.outer([0.0, -0.4], [-0.05, 0.0]), dims=("metric", "period"))
    values = {"twsa": level + step + xr.DataArray([0.0, 0.0], dims="box")}
    values["discharge"] = level + step + 0.02 * xr.DataArray(range(4), dims="station")
    values["evap"] = 0.5 * weight + 0.1 + step
    return xr.Dataset(values, coords).assign_coords(about).expand_dims("run")


def results():
    """Scores of two schemes in space, of two members, and of three weights."""
    runs = [
        run(split, scheme, split, fold, level=level + 0.1 * fold)
        for scheme, level in (("hydropynn", 0.5), ("hybrid_qs", 0.8))
        for split in ("spatial", "spatiotemporal")
        for fold in (1, 2)
    ]
    runs += [run("temporal", "hybrid_qs", "temporal", member=m, level=0.8 + m / 10) for m in (0, 1)]
    runs += [run("weights", "hybrid_qs", "temporal", weight=w, level=w) for w in (0.0, 1.0)]
    return xr.concat(runs, "run", coords="all")


def year_budget(**terms):
    """Two years of one catchment, the second ten higher."""
    years = xr.DataArray([0.0, 10.0], {"year": [2003, 2004]}, ("year",))
    told = {name: terms.get(name, np.nan) + years for name in TERMS}
    return xr.Dataset(told).expand_dims(catchment=["LAND - END"])


BUDGETS = {title: year_budget(Q=10.0 * k, dS=0) for k, title in enumerate([*TITLES, "truth"])}
BIAS = pd.DataFrame({"dS": range(6), "Q": range(6, 12), "ET": np.nan}, [*TITLES, "truth"])
YEARS = xr.Dataset.from_dataframe(BIAS.rename_axis("title")).expand_dims(year=2, axis=-1)
SEASON = pd.DataFrame({"HydroPyNN": np.arange(12.0), "truth": 4.0, "observed": 5.0}, range(1, 13))
PEAKS = pd.DataFrame({"scheme": "HydroPyNN", "days late": [-30, -10], "height (%)": [10.0, 14.0]})
NUMBERS = [[1000.0, 950.0, 990.0], [1100.0, 1120.0, 1110.0]]
SUB_BASINS = pd.DataFrame(NUMBERS, ["1 All", "2 Head"], [BALANCE, "Hybrid(Q,S)", "truth"])
IMPORTANCE = pd.DataFrame(
    {"importance": [6.0, 3.0, 1.0], "truth": [0.0, 0.0, 5.0], "member 0": [2.0, 1.0, 1.0],
     "member 1": [1.0, 2.0, 1.0], "told the truth": [np.nan, 3.0, 1.0]}, [*"abc"],
)  # fmt: skip


def towers():
    """A tower that sees 3 mm, in July 4, on every other day; schemes 1 and 2 mm above; scores."""
    seen = np.where(np.arange(len(DAYS)) % 2, np.nan, np.where(DAYS.month == 7, 4.0, 3.0))[:, None]
    coords = {"time": DAYS, "tower": ["K34"]}
    found = xr.Dataset({name: (("time", "tower"), seen) for name in ("et", "et_true")}, coords)
    runs = {title: found.et.fillna(9.0) + k for k, title in enumerate(("truth", *TWO))}
    index = pd.MultiIndex.from_product([["K34"], TWO])
    table = pd.DataFrame({"r": 0.9, "MAE": 1.5, "RMSE": 1.7, "p by these": 0.0}, index)
    return found, xr.Dataset(runs).to_array("scheme"), table


def explained(basin):
    """Shares that grow with the attribute's place, in cells numbered from west to east."""
    units, numbers = {"units": "1"}, np.arange(basin.size)
    share = np.outer(numbers - 4.0, np.arange(1, 22)) / 1000
    fields = {"share": (("cell", "attribute"), share, units), "value": ("cell", numbers, units)}
    coords = {"attribute": list(ATTRIBUTES), "draws": [25, 100]}
    fields["convergence"] = "draws", [0.4, 0.2]
    return xr.Dataset(fields, coords, {"parameter": "f_crit"})


def judged(**columns):
    """The same of every parameter and two schemes; s_min has no spread."""
    pairs = [TITLES[2:4], Parameters._fields]
    table = pd.DataFrame(columns, pd.MultiIndex.from_product(pairs, names=["scheme", "parameter"]))
    table.loc[(slice(None), "s_min"), "spread"] = 0.0
    return table


def arguments(study):
    """Room and arguments of every figure, by the name of its function."""
    basin, names = study.basin, list(Parameters._fields)
    daily, monthly = weather.summarise(study)
    ones = np.ones(basin.size)
    deep = dict.fromkeys(("rootmoist", "groundwstor", "lakestor"), np.ones((3, basin.size)))
    river = {"riverstor": np.broadcast_to(basin.area / 5e3, (3, 5, basin.size))}  # 1 mm deep
    scores = {t: scored([0.1 * k, 0.1 * k + 0.2, 0.1 * k + 0.3]) for k, t in enumerate(TITLES)}
    scores["HydroPyNN"] = scored([-40.0, np.nan, *np.linspace(0.5, 0.8, 9)])
    pulses = {"fast": pulse(4), "slow": pulse(8)}
    timings = {name: routing.pulse_timing(one, PATH) for name, one in pulses.items()}
    inside = [find_catchment(study, *one) for one in (("mouth", "1 All"), ("head", "2 Head"))]
    more = dict(zip(PETS, (0, 400, 2, 3, 4), strict=True))
    pets = {title: xr.full_like(study.landsurface.lsm, 1000.0 + k) for title, k in more.items()}
    own, sage = Run.untrained(study), cases.Known(recovery.true_parameters(study))
    learned = {"HydroPyNN": own, "Hybrid(Q)": cases.Ready(own.problem, [sage])}
    sd = ("parameter", "cell"), np.outer([0.01] * 4 + [0.03] + [0.01] * 4, ones)
    apart = xr.Dataset({"sd": ("cell", 0.1 * ones), "error": ("cell", -ones)})
    nse, members = pd.DataFrame({"NSE": [0.5, -2]}, ["mouth", "head"]), flow().expand_dims("member")
    return {
        "basin_map": ("geography", study),
        "network_figure": ("geography", amazon(corrected=False), amazon()),
        "discharge_figure": ("geography", study),
        "storage_map": ("geography", study),
        "storage_figure": ("geography", study),
        "climatology_figure": ("weather", daily),
        "weather_maps": ("weather", study, monthly),
        "annual_rain_figure": ("weather", study, daily),
        "hydrograph": ("hydrographs", flow(), "GAUGE - A"),
        "hydrograph_grid": ("hydrographs", flow(), 2, "Hybrid(Q)"),
        "seasonal_hydrograph": ("hydrographs", flow(), "GAUGE - A"),
        "score_map": ("hydrographs", study.discharge, nse, basin),
        "storage_layers": ("hydrographs", deep | river, DAYS[:3], basin),
        "draw_transfer": ("routing", routing.example_basin(), routing.EXAMPLE_OUTFLOW),
        "draw_hydrographs": ("routing", pulses, PATH, 50.0 * PATH, [2, 4]),
        "draw_arrival": ("routing", timings, {"fast": 4, "slow": 1}),
        "map_travel_time": ("routing", basin, PATH, PATH, [2, 4]),
        "training_curves": ("schemes", trainings()),
        "score_boxes": ("schemes", scores, ("NSE", "RMSE"), scored([0.97, 0.98, 0.99])),
        "hydrographs": ("schemes", dict.fromkeys(TWO, members), "GAUGE - A", YEAR),
        "moselle_curves": ("schemes", *moselle()),
        "field_maps": ("maps", [fields(), fields()], ["truth", "learned"], "BrBG", True),
        "scores_by_gauge": ("transfer", results(), PAIR, STATIONS[::-1]),
        "part_boxes": ("transfer", results(), "spatiotemporal", PAIR),
        "weight_sweep": ("transfer", results(), "hybrid_qs", SWEEP),
        "member_spread": ("transfer", results(), ["hybrid_qs"]),
        "annual_terms": ("budget", BUDGETS, year_budget(Q=7.0, dS=2.0), "LAND - END", BOTH),
        "bias_bars": ("budget", BIAS, YEARS),
        "sub_basin_maps": ("budget", basin, inside, SUB_BASINS, [BALANCE, *TWO]),
        "sub_basin_scatter": ("budget", SUB_BASINS, TWO),
        "runoff_season": ("budget", SEASON, BIAS.loc[["HydroPyNN", "truth"]], "4 Madeira"),
        "flood_dots": ("budget", PEAKS.set_index("scheme"), "LAND - END"),
        "tower_scatter": ("evaporation", *towers(), TWO, YEAR),
        "tower_season": ("evaporation", *towers()[:2], TWO, BOTH),
        "tower_series": ("evaporation", *towers()[:2], TWO, 2004),
        "pet_season": ("evaporation", pd.DataFrame(more, range(1, 366))),
        "pet_maps": ("evaporation", study, xr.Dataset(pets)),
        "parameterization": ("attention", study, explained(basin)),
        "attention": ("attention", IMPORTANCE, "f_crit"),
        "convergence": ("attention", {"Hybrid(Q,S)": explained(basin)}),
        "learned_against_true": ("attention", study, learned, "f_crit"),
        "spread_maps": ("attention", study, xr.Dataset({"sd": sd}, {"parameter": names})),
        "spread_and_error": ("attention", judged(spread=2.0, error=10.0)),
        "pet_spread_map": ("attention", study, apart),
    }
