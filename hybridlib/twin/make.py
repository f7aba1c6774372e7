"""Assemble the twin as a prepared study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import TABLE_1
from hybridlib.study import pet
from hybridlib.study.attributes import static_attributes
from hybridlib.study.files import alone, project
from hybridlib.study.instruments import BASELINE, discharge_at
from hybridlib.study.schema import SECONDS_PER_DAY, InputError
from hybridlib.study.store import (
    DIGESTS,
    Study,
    kept_attrs,
    open_study,
    refuse_to_replace,
    stands,
    write_study,
)
from hybridlib.twin import geography, landsurface, nature, weather

VERSION = 1
"""Which twin this is; raised with every change of what is made, and of nothing else."""
SIZES = {
    "default": (geography.amazon, ("2001-01-01", "2016-12-31"), BASELINE),
    "smoke": (geography.smoke, ("2001-01-01", "2006-12-31"), ("2004-01", "2005-12")),
}
"""Geography, first and last day, and baseline of the gravimetry of each size."""


def cached(size: str) -> Path:
    """Where a twin of that size is kept by default: in the project, or else here."""
    return project() / "data" / "cache" / f"{size}.zarr"


def open_or_make(path: Path | str) -> Study:
    """Open a prepared study; a twin that is missing or outdated in its default place is made.

    Raises:
        InputError: there is no study at ``path``, or another one in a twin's default place.
    """
    for size in SIZES:
        if (project() / path).resolve() == cached(size):
            return make_twin(size, 1, cached(size))[0]
    return open_study(path)


def make_twin(
    size: str,
    seed: int,
    output: Path | str,
    force: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> tuple[Study, bool]:
    """Make a twin as a prepared study, or find it already made.

    Args:
        size: "default" (the whole Amazon, 2001-2016) or "smoke" (a tributary, 2001-2006).
        seed: of everything random; the same seed gives the same twin.
        output: the Zarr store to write.
        force: replace whatever stands at ``output``.
        report: called with each step as it begins.

    Returns:
        The study, and whether it was made now.

    Example:
        >>> import hybridlib as hl
        >>> study, made = hl.make_twin("smoke", 1, "data/cache/smoke.zarr")
        >>> made, study.attrs["source"]
        (False, 'twin')

    Raises:
        InputError: an unknown size, or another study already at ``output``.
    """
    if size not in SIZES:
        raise InputError(f"size '{size}' is unknown; expected {' or '.join(SIZES)}")
    attrs = {
        "title": f"Amazon twin, {size} size",
        "source": "twin",
        "size": size,
        "seed": str(seed),
        "version": str(VERSION),
    }
    output = Path(output)
    if not force and _already_made(output, attrs):
        return Study(output), False
    with alone(output):
        refuse_to_replace(output)
        return write_study(output, _twin_groups(size, seed, report), attrs), True


def _already_made(output: Path, attrs: dict[str, str]) -> bool:
    """Whether this very twin stands there; one of another version or without digests is made anew.

    Raises:
        InputError: another study stands there.
    """
    refuse_to_replace(output)
    if not stands(output):
        return False
    found = kept_attrs(output)
    for name in ("source", "size", "seed"):
        if found.get(name) != attrs[name]:
            raise InputError(
                f"{output}: something else stands here ({name} is {found.get(name, 'not given')}, "
                f"expected {attrs[name]}); choose another output, or --force to replace it"
            )
    return found.get("version") == attrs["version"] and (output / DIGESTS).is_file()


def _twin_groups(size: str, seed: int, report) -> dict[str, xr.Dataset]:
    """Make every group of the study."""
    make_geography, period, baseline = SIZES[size]
    streams = np.random.SeedSequence(seed).spawn(4)
    land_seed, weather_seed, gauge_seed, storage_seed = streams
    report("geography")
    place = make_geography()
    climate = pd.read_csv(geography.FOLDER / "climate_3deg.csv")
    report("land surface")
    land = landsurface.land_surface(place, geography.upstream_area(place), climate, land_seed)
    report("weather")
    days = pd.date_range(*period)
    height = land["srftopo"].values
    forcing = weather.generate(
        place.lat, place.lon, height, days, weather_seed, climate, place.mask
    )
    forcing["evspsblpot"] = pet.potential_evaporation(forcing, "penman-monteith")
    attributes = static_attributes(land, forcing)
    report("truth")
    model = HydroPyNN.from_landsurface(land, zonal_length="geometric")
    basin = model.basin
    parameters = nature.true_parameters(attributes, basin, model.default_parameters())
    evspsblpot = nature.true_pet(forcing, basin)
    series = nature.run_truth(model, forcing, parameters, evspsblpot)
    report("observations")
    discharge = _discharge(place, basin, series["dis"], days, np.random.default_rng(gauge_seed))
    storage = nature.observe_storage(
        series["tws"], days, basin, place.boxes, baseline, np.random.default_rng(storage_seed)
    )
    report("writing")
    land["subbasin"] = (("lat", "lon"), place.subbasins, {"units": "/", "long_name": "sub-basin"})
    return {
        "forcing": forcing,
        "landsurface": land,
        "attributes": attributes,
        "discharge": discharge.drop_vars("discharge_true"),
        "twsa": storage.drop_vars("twsa_true"),
        "truth": _hidden(basin, parameters, evspsblpot, series["evap"], days).merge(
            xr.merge([discharge["discharge_true"], storage["twsa_true"]]), compat="override"
        ),
    }


def _discharge(place, basin, dis, days, rng) -> xr.Dataset:
    """True and observed discharge at the gauges."""
    gauges = place.gauges
    cells = [basin.cell_at(row.cell_lat, row.cell_lon, row.station) for row in gauges.itertuples()]
    true = discharge_at(dis, cells).astype(float)
    units = {"units": "m3 s-1"}
    fields = {
        "discharge": (nature.observe_discharge(true, days, rng), "observed daily discharge"),
        "discharge_true": (true, "true daily discharge"),
    }
    along = {
        "station_lat": (gauges.lat, "degrees_north", "latitude, published"),
        "station_lon": (gauges.lon, "degrees_east", "longitude, published"),
        "cell_lat": (gauges.cell_lat, "degrees_north", "latitude of the gauge's cell"),
        "cell_lon": (gauges.cell_lon, "degrees_east", "longitude of the gauge's cell"),
        "area": (gauges.area_km2, "km2", "drainage area, published"),
        "cell_area": (gauges.area_network_km2, "km2", "drainage area in the network"),
        "snapped": (gauges.snapped, "/", "moved to a neighbouring cell"),
    }
    return xr.Dataset(
        {
            name: (("time", "station"), values.astype("float32"), units | {"long_name": text})
            for name, (values, text) in fields.items()
        }
        | {
            name: ("station", values.to_numpy(), {"units": unit, "long_name": text})
            for name, (values, unit, text) in along.items()
        }
        | {"river": ("station", gauges.river.to_numpy(str))},
        {"time": days, "station": gauges.station.to_numpy(str)},
    )


def _hidden(basin, parameters, evspsblpot, evap, days) -> xr.Dataset:
    """The truth on the grid: parameters, potential and actual evapotranspiration."""
    fields: dict[str, tuple] = {
        row.name: (
            ("lat", "lon"),
            basin.unpack(np.asarray(field, np.float32)),
            {"units": row.units, "long_name": row.description},
        )
        for row, field in zip(TABLE_1, parameters, strict=True)
    }
    flux = {"units": "kg m-2 s-1"}
    fields["evspsblpot"] = (
        ("time", "lat", "lon"),
        basin.unpack(evspsblpot),
        flux | {"long_name": "true potential evapotranspiration"},
    )
    fields["evap"] = (
        ("time", "lat", "lon"),
        basin.unpack(evap / np.float32(SECONDS_PER_DAY)),
        flux | {"long_name": "true evapotranspiration"},
    )
    return xr.Dataset(fields, {"lat": basin.lat, "lon": basin.lon, "time": days})
