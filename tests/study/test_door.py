"""Does what is odd come in with the right number, and what is wrong not at all?

A table a file: its change, and either words of the refusal or words of the report. Where a good
file is only written oddly, the study that comes of it is the very same.
"""

import gzip
import importlib
import os
import zipfile

import cases
import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import drop, put
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlib.hydropy.simulate import simulate
from hybridlib.study.report import Report
from hybridlib.study.schema import InputError
from hybridlib.study.stamps import check_daily, months_of
from hybridlib.study.units import same_unit

# The package gives the function of this name.
door = importlib.import_module("hybridlib.study.prepare")
DAYS = 400
FILES = ("landsurface", "forcing", "discharge", "storage")


@pytest.fixture(scope="module")
def good():
    """The four datasets of a good basin, with a sea cell in the north-west corner."""
    land = put("lsm", 0.0, 0, 0)(cases.landsurface())
    storage = cases.storage(baseline_first="2003-01", baseline_last="2003-12")
    return dict(zip(FILES, (land, cases.forcing(land), cases.discharge(), storage), strict=True))


@pytest.fixture(scope="module")
def folder(good, tmp_path_factory):
    """Their files."""
    folder = tmp_path_factory.mktemp("door")
    for name, dataset in good.items():
        dataset.to_netcdf(folder / f"{name}.nc")
    return folder


@pytest.fixture
def enter(folder, tmp_path, monkeypatch):
    """Read the basin with one file exchanged; nothing is written, the groups come back."""
    monkeypatch.setattr(door, "write_study", lambda path, groups, attrs: groups)

    def enter(name="", path=None):
        files = {n: path if n == name else folder / f"{n}.nc" for n in FILES}
        report = Report()
        land, forcing, discharge, storage = files.values()
        output = tmp_path / "study.zarr"
        return door.prepare(land, forcing, discharge, output, storage, found=report), report

    return enter


@pytest.fixture(scope="module")
def usual(folder):
    """The groups of the good basin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "write_study", lambda path, groups, attrs: groups)
        files = [folder / f"{name}.nc" for name in FILES]
        return door.prepare(*files[:3], folder / "study.zarr", files[3], found=Report())


def scale(name, factor):
    """A variable times a factor, its unit unchanged."""
    return lambda d: d.assign({name: (d[name] * factor).assign_attrs(d[name].attrs)})


def times(change):
    """Other stamps."""
    return lambda d: d.assign_coords(time=change(d.indexes["time"]))


def bounds(begin, length=24, stamp=0.0):
    """Stamps moved by hours, and bounds that begin so many hours after 00:00 of the day."""

    def change(d):
        days = d.indexes["time"]
        ends = [days + pd.Timedelta(hours=h) for h in (begin, begin + length)]
        d = d.assign_coords(time=days + pd.Timedelta(hours=stamp))
        d["time"].attrs["bounds"] = "time_bnds"
        return d.assign(time_bnds=(("time", "nv"), np.stack(ends, axis=1)))

    return change


def stored(**encoding):
    """The same values, otherwise stored."""

    def change(d):
        for name, how in encoding.items():
            d[name].encoding = dict(how)
        return d

    return change


def kind(name, dtype):
    """The same values of another type."""
    return lambda d: d.assign({name: d[name].astype(dtype).assign_attrs(d[name].attrs)})


def attrs(name, **changed):
    """Other attributes."""
    return lambda d: d.assign({name: d[name].assign_attrs(changed)})


def gaps(value):
    """The missing days of a gauge written as a number."""
    return lambda d: d.assign(discharge=d.discharge.fillna(value))


def names(*stations, dtype=None):
    """Other names of the stations."""
    return lambda d: d.assign_coords(station=np.array(stations, dtype))


def solutions(*spans, stamps=()):
    """Months of gravimetry told by spans (first day, days)."""

    def change(d):
        first = pd.DatetimeIndex([f"2003-{start}" for start, _ in spans])
        last = first + pd.to_timedelta([days for _, days in spans], "D")
        middle = pd.DatetimeIndex(stamps) if stamps else first + (last - first) / 2
        d = d.isel(time=slice(len(spans))).assign_coords(time=middle)
        d["time"].attrs["bounds"] = "b"
        return d.assign(b=(("time", "nv"), np.stack([first, last], axis=1)))

    return change


def spelled(name, spellings):
    """A change for each spelling of a unit."""
    return [(attrs(name, units=text), "") for text in spellings.split(", ")]


FLUXES = (
    "kg/m2/s, kg m**-2 s**-1, kg m^-2 s^-1, kg m-2 s**-1, kg.m-2.s-1, kg·m⁻²·s⁻¹, kg/(m2 s), "
    "kg m-2 sec-1, kg/m²/s, kg  m-2  s-1"
)
ODD = {
    "forcing": [
        *spelled("Precip", FLUXES),
        *spelled("TSurf", "Kelvin, kelvin, degK, KELVIN, degree_K"),
        (lambda d: d.rename(Precip="pr", TSurf="tas", PET="evspsblpot"), ""),
        (lambda d: d.rename(TSurf="tsurf", PET="pet"), ""),
        (lambda d: d.transpose("lon", "time", "lat"), ""),
        (lambda d: d.assign_coords(lon=d.lon + 360), ""),
        (lambda d: d.assign_coords(lat=d.lat.astype("f4"), lon=d.lon.astype("f4")), ""),
        (lambda d: d.assign(height=2.0, expver=("time", ["0001"] * DAYS)), ""),
        (times(lambda t: t + pd.Timedelta(hours=12)), "stamps at 12:00 without bounds"),
        (times(lambda t: t + pd.Timedelta("23h59min59s")), "stamps at 23:59 without bounds"),
        (times(lambda t: t - pd.Timedelta("1ms")), "stamps at 00:00 without bounds"),
        (bounds(0, stamp=24), "bounds from 00:00 to 00:00 say the day"),
        (bounds(0, stamp=12), "bounds from 00:00 to 00:00 say the day"),
        (bounds(6, stamp=30), "bounds from 06:00 to 06:00 say the day"),
        (bounds(-6, stamp=18), "bounds from 18:00 to 18:00 say the day"),
        (bounds(0, length=0), "stamps at 00:00 without bounds"),
        (stored(time={"units": "hours since 1900-01-01"}), ""),
        (stored(time={"units": "days since 2003-01-01", "dtype": "float32"}), ""),
        (stored(time={"calendar": "proleptic_gregorian"}), ""),
        (stored(Precip={"dtype": ">f8"}, TSurf={"zlib": True}), ""),
        (put("Precip", 1e20, 3, 0, 0), "pr is 1e+20 in 1 places"),
        (put("TSurf", -9999.0, slice(None), 0, 0), "tas is -9999 in 400 places, a fill value"),
        (put("PET", 9.969209968386869e36, slice(None), 0, 0), "counted as missing"),
        (put("Precip", np.nan, slice(None), 0, 0), ""),
    ],
    "landsurface": [
        *spelled("area", "m^2, m², m**2, meter2, square meter"),
        *spelled("wcap", "kg/m2, kg m**-2, kg/m^2, kg m^-2"),
        *spelled("lsm", "1, -, fraction, dimensionless, m2 m-2"),
        *spelled("slope_avg", "m/m, 1, m m**-1"),
        (lambda d: d.assign_coords(month=pd.date_range("1990-01-01", periods=12, freq="MS")), ""),
        (lambda d: d.assign_coords(month=np.arange(1.0, 13.0)), ""),
        (lambda d: drop("month")(d), ""),
        (lambda d: d.transpose("lon", "month", "lat"), ""),
        (lambda d: d.assign_coords(lon=d.lon + 360), ""),
        (kind("rout_lat", "int32"), ""),
        (kind("rout_lon", "float32"), ""),
        (put("rout_lat", -999.0, 0, 0), "rout_lat is -999 in 1 places"),
        (put("wcap", 1e20, 0, 0), "wcap is 1e+20 in 1 places"),
        (put("area", -9999.0, 0, 0), "area is -9999 in 1 places"),
        (put("lsm", np.nan, 0, 0), ""),
        (attrs("lat", units="degrees_N"), ""),
    ],
    "discharge": [
        *spelled("discharge", "m^3/s, m³/s, m**3/s, m3/sec, m3 s^-1, m3.s-1, m³ s⁻¹, cumecs"),
        *spelled("area", "km^2, km², km**2"),
        (gaps(-999.0), "discharge is -999 in 5 places"),
        (gaps(-9999.0), "discharge is -9999 in 5 places"),
        (gaps(1e20), "discharge is 1e+20 in 5 places"),
        (gaps(9.969209968386869e36), "counted as missing"),
        (gaps(-99999.0), "counted as missing"),
        (lambda d: kind("discharge", ">f8")(d), ""),
        (lambda d: d.transpose("station", "time"), ""),
        (lambda d: d.assign(station_lon=d.station_lon + 360), ""),
        (times(lambda t: t + pd.Timedelta(hours=12)), "stamps at 12:00"),
        (bounds(0, stamp=24), "say the day"),
        (attrs("station_lat", units="degree_north"), ""),
    ],
    "storage": [
        *spelled("twsa", "millimeter, millimetres, mm"),
        (times(lambda t: t + pd.Timedelta(days=14)), "read as the month they lie in"),
        (lambda d: d.isel(time=slice(None, None, -1)), ""),
        (lambda d: d.assign(box_lon=d.box_lon + 360), ""),
        (lambda d: d.rename(time="month"), ""),
    ],
}


@pytest.mark.parametrize(
    ("name", "change", "told"), [(name, *case) for name in ODD for case in ODD[name]]
)
def test_is_a_good_file_of_odd_form_the_same_study(
    good, usual, enter, tmp_path, name, change, told
):
    change(good[name].copy(deep=True)).to_netcdf(tmp_path / "odd.nc")
    groups, report = enter(name, tmp_path / "odd.nc")
    assert told in "\n".join(report.notes)
    land = good["landsurface"].lsm > 0
    for group, dataset in groups.items():
        for field, expected in usual[group].data_vars.items():
            found = dataset[field].transpose(*expected.dims)
            if {"lat", "lon"} <= set(expected.dims):
                found, expected = (np.where(land, values, 0.0) for values in (found, expected))
            turned = 360.0 * bool(np.max(found) > 180) if field.endswith("_lon") else 0
            np.testing.assert_allclose(found - turned, expected, rtol=1e-6)
    for group in ("forcing", "discharge"):
        assert groups[group].indexes["time"].equals(usual[group].indexes["time"])


SET_RIGHT = [
    (put("Precip", -1e-19, 5, 1, 1), "pr", 0.0, "pr is a little below 0 in 1 places: set to 0"),
    (put("Precip", -9e-9, 5, 1, 1), "pr", 0.0, "set to 0"),
    (put("PET", -5.7e-6, 5, 1, 1), "evspsblpot", 0.0, "evspsblpot is a little below 0 in 1 places"),
    (
        lambda d: d.assign(tasmin=d.TSurf + 5e-3, tasmax=d.TSurf).assign(
            {n: (d.TSurf + s).assign_attrs(units="K") for n, s in (("tasmin", 5e-3), ("tasmax", 0))}
        ),
        "tasmin",
        None,
        "tasmin is above tasmax by",
    ),
]


@pytest.mark.parametrize(("change", "name", "value", "told"), SET_RIGHT)
def test_is_noise_set_right_and_told(good, enter, tmp_path, change, name, value, told):
    change(good["forcing"].copy(deep=True)).to_netcdf(tmp_path / "noisy.nc")
    groups, report = enter("forcing", tmp_path / "noisy.nc")
    forcing = groups["forcing"]
    assert told in "\n".join(report.notes)
    if value is None:
        np.testing.assert_array_equal(forcing.tasmin, forcing.tasmax)
    else:
        assert forcing[name][5, 1, 1] == value and (forcing[name] >= 0).all()


WRONG = {
    "forcing": [
        (scale("Precip", 24), "mean rain is .* mm yr-1; expected 20 to 12000"),
        (scale("Precip", 1 / 86400), "mean rain is .* expected 20 to 12000"),
        (scale("Precip", 0.0), "mean rain is 0 mm yr-1"),
        (scale("PET", 1e-3), "mean PET is .* expected 100 to 4000"),
        (scale("PET", 5), "mean PET is .* expected 100 to 4000"),
        (scale("PET", 0.0), "mean PET is 0 mm yr-1"),
        (scale("Precip", 86400), "pr is .* expected a value from 0 to 0.03"),
        (
            attrs("Precip", units="mm s-1"),
            "'mm s-1'; expected 'kg m-2 s-1'; multiply by 1, for wat",
        ),
        (attrs("Precip", units="m s-1"), "multiply by 1000, for water"),
        (attrs("Precip", units="mm/day"), "multiply by 1.15741e-05, for water"),
        (attrs("Precip", units="kg m-2 d-1"), "multiply by 1.15741e-05, nothing is converted"),
        (attrs("TSurf", units="degC"), "'degC'; expected 'K'; add 273.15"),
        (attrs("TSurf", units="W m-2"), "it measures something else"),
        (attrs("PET", units="furlongs per fortnite"), "no unit that is known"),
        (put("PET", -5.7e-6), "evspsblpot is -5.7e-06 .* expected a value from 0 to 0.0005"),
        (put("PET", -7e-6, 5, 1, 1), "evspsblpot is -7e-06"),
        (put("Precip", 1e20, 5, 1, 1), "pr is missing .NaN. at .* on 2003-01-06; .*fill value"),
        (put("TSurf", -9999.0, 5, 1, 1), "tas is missing"),
        (put("TSurf", -9999.0, 5, 1, 1), "NaN or a fill value"),
        (bounds(0, length=48), "time bounds span 2 days .*; expected one day"),
        (bounds(0, length=1), "time bounds span .*; expected one day each"),
        (lambda d: bounds(0)(d).assign(time_bnds=("time", d.indexes["time"])), "time and 2"),
        (lambda d: d.convert_calendar("noleap"), "calendar 'noleap'; .*convert_calendar"),
        (lambda d: d.convert_calendar("360_day", align_on="date"), "calendar '360_day'"),
        (drop("time"), "coordinate time is missing"),
        (times(lambda t: t.strftime("%Y-%m-%d").to_numpy("U10")), "time holds '2003-01-01'"),
        (times(lambda t: t.where(t != t[50])), "time lacks a date in place 50"),
        (lambda d: d.rename(time="valid_time"), "found valid_time: rename .*valid_time='time'"),
        (lambda d: d.rename(lat="latitude", lon="longitude"), r"rename\(latitude='lat', lo"),
        (kind("Precip", "U8"), "Precip holds text; expected numbers"),
        (lambda d: d.assign(Precip=(d.Precip > 0).assign_attrs(d.Precip.attrs)), "true and false"),
        (
            lambda d: d.assign(
                {
                    n: (d.TSurf + s).assign_attrs(units="K")
                    for n, s in (("tasmin", 0.5), ("tasmax", 0.0))
                }
            ),
            "tasmin is above tasmax by 0.5 K at lat .* on 2003-01-01",
        ),
        (lambda d: d.isel(lat=slice(None, None, -1)), "the same rows in the other order"),
    ],
    "landsurface": [
        *(
            (put(name, value, 1, 2), f"{name} is .* lat -2.75, lon -59.25")
            for name in ("wmax", "wcap", "beta", "topo_std", "slope_avg", "srftopo", "perm")
            for value in (1e20, 2e4)
        ),
        (put("lai", 1e20, slice(None), 1, 2), "lai is missing .* lat -2.75, lon -59.25"),
        (put("area", 1e20, 1, 2), "area is missing .* fill value"),
        (scale("area", 1e-6), r"8.1e-07 of what its coordinates give .* \(km2\?\)"),
        (scale("area", 1e-4), "hectares"),
        (scale("area", 2.0), "1.6.* of what its coordinates give"),
        (scale("area", 0.5), "0.4.* of what its coordinates give and the largest of all"),
        (put("area", 1e-3, 1, 2), "leave next to no land"),
        (put("lsm", 1e-9, 1, 2), "leave next to no land"),
        (
            lambda d: d.assign({n: scale(n, 1e-3)(d)[n] for n in ("wcap", "wava", "wmin", "wmax")}),
            "median soil capacity is 0.3.* mm; expected 5 to 5000",
        ),
        (scale("lsm", 100), "lsm is 100"),
        (scale("lai", 1000), "lai is .* expected a value from -0.01 to 20"),
        (attrs("area", units="km2"), "'km2'; expected 'm2'; multiply by 1e.06"),
        (attrs("wcap", units="m"), "multiply by 1000, for water"),
        (attrs("flake", units="percent"), "multiply by 0.01"),
        (attrs("lat", units="radians"), "coordinate lat has units 'radians'; expected degrees"),
        (lambda d: d.assign_coords(month=np.arange(12)), "fveg has 12 months .0, 1"),
        (
            lambda d: d.assign_coords(month=pd.date_range("1990-03-01", periods=12, freq="MS")),
            "12 months .3, 4",
        ),
        (lambda d: d.assign(rout_lat=d.rout_lat + 1, rout_lon=d.rout_lon + 1), "whole number"),
        (put("rout_lon", 3, 1, 0), "no neighbours: lat -2.75, lon -60.25 to lat -2.75, lon -58.75"),
        (lambda d: d.assign(rout_lat=d.rout_lon, rout_lon=d.rout_lat), "rout_l"),
        (lambda d: d.isel(lat=[0], lon=[3]), "1 rows and 1 columns, .*give the spacing"),
        (put("slope_avg", -999.0, 1, 1), "slope_avg is missing .* a fill value"),
    ],
    "discharge": [
        (scale("discharge", 86400), "discharge is .* expected a value from 0 to 1e.06"),
        (scale("discharge", 1000), "runoff over rain at Mouth is .*; expected 0 to 1.5"),
        (scale("discharge", 60), "runoff over rain at Mouth"),
        (attrs("discharge", units="l/s"), "multiply by 0.001"),
        (attrs("discharge", units="ft3/s"), "multiply by 0.0283168"),
        (attrs("discharge", units="cfs"), "multiply by 0.0283168"),
        (attrs("discharge", units="mm/d"), "it measures something else"),
        (attrs("discharge", units="m3"), "it measures something else"),
        (scale("area", 1e6), "area is 3e.10 km2 at station Mouth"),
        (put("station_lat", -999.0, 0), "station_lat is missing"),
        (put("station_lat", np.deg2rad(-3.25), 0), "outside the basin"),
        (times(lambda t: t.delete(7).append(t[-1:] + pd.Timedelta(days=1))), "days are missing"),
    ],
    "storage": [
        (scale("twsa", 1e3), "twsa is 100000 mm in box 1 in 2003-01; expected a value from -5000"),
        (attrs("twsa", units="cm"), "multiply by 10"),
        (attrs("twsa", units="kg m-2"), "multiply by 1, for water"),
        (
            times(lambda t: t.where(t.month != 2, t[0] + pd.Timedelta(days=20))),
            "2003-01 stands twice in month; give CF time bounds",
        ),
        (solutions(("01-01", 31), ("01-05", 20)), "2003-01 stands twice .* do not tell them apart"),
        (lambda d: d.assign_attrs(baseline_first="2010-01"), "attributes baseline_first and"),
        (lambda d: drop("time")(d), "coordinate month is missing|holds no dates|is missing"),
        (put("box_lat", 50.0, 0), "holds no land cell"),
        (put("box_lon", np.nan, 0), "box_lon is missing"),
    ],
}


@pytest.mark.parametrize(
    ("name", "change", "sentence"), [(name, *case) for name in WRONG for case in WRONG[name]]
)
def test_is_a_wrong_file_refused_with_its_name(good, enter, tmp_path, name, change, sentence):
    change(good[name].copy(deep=True)).to_netcdf(tmp_path / "wrong.nc")
    with pytest.raises(InputError, match=sentence) as error:
        enter(name, tmp_path / "wrong.nc")
    assert "wrong.nc" in str(error.value)


WARNED = [
    ("forcing", scale("Precip", 0.05), "mean rain is .* usual is 100 to 6000|runoff over rain"),
    ("forcing", scale("PET", 2.5), "mean PET is .* usual is 250 to 2500"),
    ("landsurface", scale("lai", 0.0), "lai is 0 everywhere"),
    ("landsurface", scale("slope_avg", 0.0), "slope_avg is 0 everywhere"),
    ("landsurface", scale("srftopo", 1e-3), "expected heights in m"),
    ("discharge", scale("discharge", 1e-3), "runoff over rain at Mouth is .* usual is 0.01"),
    ("discharge", scale("area", 20.0), "over the published one at Mouth is 0.0"),
    ("storage", scale("twsa", 1.0), "median range of storage is 11 mm; usual is 30"),
    ("forcing", times(lambda t: pd.date_range("2003-01-02", "2004-02-01")[:DAYS]), "end of its d"),
]


@pytest.mark.parametrize(("name", "change", "odd"), WARNED)
def test_is_what_is_only_odd_told(good, enter, tmp_path, name, change, odd):
    dataset = change(
        good[name].copy(deep=True).isel(time=slice(396))
        if "end" in odd
        else good[name].copy(deep=True)
    )
    dataset.to_netcdf(tmp_path / "odd.nc")
    _, report = enter(name, tmp_path / "odd.nc")
    assert any(pd.Series(report.odd).str.contains(odd)), report.odd


@pytest.mark.parametrize(
    ("station", "read"),
    [
        (names("Óbidos"), "Óbidos"),
        (names("Óbidos".encode("latin-1"), dtype="S10"), "Óbidos"),
        (names("Óbidos".encode(), dtype="S10"), "Óbidos"),
        (names(3629000), "3629000"),
        (names(3629000.0), "3629000"),
    ],
)
def test_are_names_of_stations_read_in_any_encoding(good, enter, tmp_path, station, read):
    station(good["discharge"]).to_netcdf(tmp_path / "named.nc")
    assert enter("discharge", tmp_path / "named.nc")[0]["discharge"].station.values == [read]


@pytest.mark.parametrize(
    ("west", "lon", "box"),
    [(179.25, -179.25, -179.5), (359.25, 0.75, 0.5), (-180.25, 181.25, 180.0)],
)
def test_does_a_basin_lie_across_the_ends_of_the_longitudes(
    good, folder, tmp_path, monkeypatch, west, lon, box
):
    monkeypatch.setattr(door, "write_study", lambda path, groups, attrs: groups)
    east = (west + 0.5 * np.arange(4) + 180) % 360 - 180
    place = {"landsurface": {"lon": east}, "forcing": {"lon": east % 360}}
    for name, coords in place.items():
        good[name].assign_coords(coords).to_netcdf(tmp_path / f"{name}.nc")
    moved = good["discharge"].assign(station_lon=("station", [lon]))
    moved.to_netcdf(tmp_path / "discharge.nc")
    boxes = good["storage"].assign(box_lon=("box", [box, box], {"units": "degrees_east"}))
    boxes.to_netcdf(tmp_path / "storage.nc")
    files = [tmp_path / f"{name}.nc" for name in FILES]
    groups = door.prepare(*files[:3], tmp_path / "s.zarr", files[3], found=Report())
    assert (np.diff(groups["landsurface"].lon) == 0.5).all()
    assert groups["discharge"].cell_area[0] == pytest.approx(2.75e4)


HEADS = [
    (b"", "empty"),
    (b"time,pr\n2003-01-01,3\n", "text, such as CSV"),
    (b"<!DOCTYPE html><html>", "a web page"),
    (b"# Title:  GRDC STATION DATA FILE\r\n", "GRDC's text"),
    ("# Estación: Óbidos; caudal".encode("latin-1"), "text"),
    (b"GRIB\x00\x00\x01", "GRIB; convert"),
    (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    (b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "not a NetCDF file that can be read"),
    (b"CDF\x01" + b"\xff" * 40, "not a NetCDF file that can be read"),
    (bytes(range(256)) * 8, "not a NetCDF file that can be read"),
]


@pytest.mark.parametrize(("content", "what"), HEADS)
@pytest.mark.parametrize("name", ["landsurface", "discharge"])
def test_is_a_file_called_what_it_is(enter, tmp_path, name, content, what):
    (tmp_path / "x.nc").write_bytes(content)
    with pytest.raises(InputError, match=f"x.nc: .*{what}"):
        enter(name, tmp_path / "x.nc")


def test_are_packed_files_folders_and_pipes_called_what_they_are(folder, enter, tmp_path):
    whole = (folder / "forcing.nc").read_bytes()
    (tmp_path / "gz.nc").write_bytes(gzip.compress(whole))
    with zipfile.ZipFile(tmp_path / "zip.nc", "w") as archive:
        archive.write(folder / "forcing.nc")
    (tmp_path / "folder.nc").mkdir()
    os.mkfifo(tmp_path / "pipe.nc")
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    told = {
        "gz": "gunzip", "zip": "unzip", "folder": "a folder", "pipe": "a device or a pipe",
        "cut": "cannot be read|can be read", "absent": "no such file",
    }  # fmt: skip
    for name, what in told.items():
        with pytest.raises(InputError, match=f"{name}.nc: .*({what})"):
            enter("forcing", tmp_path / f"{name}.nc")


@pytest.mark.parametrize(
    ("units", "sentence"),
    [
        (None, "time has no attribute units"),
        ("months since 2003-01-01", "time has units 'months since 2003-01-01'"),
        ("day as %Y%m%d.%f", "time (has|holds) .*day as %Y%m%d.%f"),
        ("days since the flood", "days since the flood"),
    ],
)
def test_is_a_time_without_dates_refused(folder, enter, tmp_path, units, sentence):
    path = tmp_path / "t.nc"
    path.write_bytes((folder / "forcing.nc").read_bytes())
    with netCDF4.Dataset(path, "a") as file:
        file["time"].delncattr("units")
        if units is None:
            file["time"].Units = "days since 2003-01-01"
        else:
            file["time"].units = units
    with pytest.raises(InputError, match=sentence):
        enter("forcing", path)


def test_is_rain_that_ran_over_its_packing_carried_back(good, usual, enter, tmp_path):
    """Three values above the top of 16 bits fall below zero, as in a file that was found."""
    wet = good["forcing"].copy(deep=True)
    wet["Precip"] = wet.Precip.clip(max=1.25e-3)
    wet["Precip"][[5, 60, 300], 1, 1] = [1.27e-3, 1.3e-3, 1.25e-3]
    packed = {"dtype": "int16", "scale_factor": 2e-8, "add_offset": 6e-4, "_FillValue": -32767}
    with np.errstate(invalid="ignore"):
        wet.to_netcdf(tmp_path / "packed.nc", encoding={"Precip": packed})
    groups, report = enter("forcing", tmp_path / "packed.nc")
    np.testing.assert_allclose(groups["forcing"].pr[:, 1:], wet.Precip[:, 1:], atol=1.1e-8)
    assert "pr is negative in 2 places of a packed file" in "\n".join(report.odd)


def test_is_an_undeclared_fill_of_a_packed_file_missing(good, enter, tmp_path):
    path = tmp_path / "packed.nc"
    packed = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 50.0, "_FillValue": -32767}
    good["discharge"].to_netcdf(path, encoding={"discharge": packed})
    with netCDF4.Dataset(path, "a") as file:
        file.set_auto_maskandscale(False)
        raw = file["discharge"][:]
        twin = file.createVariable("bare", "i2", file["discharge"].dimensions, fill_value=False)
        twin.setncatts({"scale_factor": 0.01, "add_offset": 50.0, "units": "m3 s-1"})
        twin.set_auto_maskandscale(False)
        twin[:] = raw
        file.renameVariable("discharge", "other")
        file.renameVariable("bare", "discharge")
    groups, report = enter("discharge", path)
    assert int(groups["discharge"].discharge.isnull().sum()) == 5
    assert "in 5 places" in "\n".join(report.notes)


def test_are_two_solutions_of_a_month_told_apart_by_their_bounds(good):
    spans = ("01-01", 31), ("02-01", 28), ("03-01", 26), ("03-20", 20), ("05-01", 31)
    named = solutions(*spans)(good["storage"]).rename(time="month")
    named["month"].attrs["bounds"] = "b"
    report = Report()
    months = months_of(named, "S.nc", report)
    assert list(months.month) == [1, 2, 3, 4, 5]
    assert any("by its bounds" in note or "middle of the bounds" in note for note in report.notes)


@pytest.fixture
def run(folder, tmp_path):
    """Run files with one exchanged; give what was found and the file that was written."""

    def run(name="", change=None, output="o.nc", **more):
        files = {n: folder / f"{n}.nc" for n in ("landsurface", "forcing")}
        if change is not None:
            with xr.open_dataset(files[name]) as dataset:
                change(dataset.load().drop_encoding()).to_netcdf(tmp_path / f"{name}.nc")
            files[name] = tmp_path / f"{name}.nc"
        found = simulate(*files.values(), tmp_path / output, variables=("dis",), **more)
        return found, xr.open_dataset(tmp_path / output).load()

    return run


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("forcing", put("Precip", -1e-19, 390), "pr is a little below 0 in 11 places"),
        ("forcing", bounds(0, stamp=24), "say the day"),
        ("forcing", lambda d: d.assign_coords(lon=d.lon + 360), ""),
        ("landsurface", put("lsm", -999.0, 0, 0), "lsm is -999 in 1 places"),
    ],
)
def test_does_a_run_read_odd_files_as_a_study_does(run, name, change, told):
    _, expected = run("forcing", put("Precip", 0.0, 390) if "pr is" in told else None)
    found, written = run(name, change)
    assert told in "\n".join(found.notes)
    np.testing.assert_allclose(written.dis, expected.dis, rtol=1e-12)
    assert written.indexes["time"].equals(expected.indexes["time"])


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("forcing", put("Precip", np.nan, DAYS - 1, 1, 1), "pr is missing .* on 2004-02-04"),
        ("forcing", scale("Precip", 24), "mean rain is .* expected 20 to 12000"),
        ("landsurface", scale("area", 1e-6), "km2"),
        (
            "landsurface",
            lambda d: put("rout_lat", 0)(put("rout_lon", 0)(d.isel(lat=[0], lon=[3]))),
            "landsurface.nc: .*spacing",
        ),
    ],
)
def test_is_a_wrong_file_refused_before_the_first_day_runs(run, name, change, sentence):
    steps = []
    with pytest.raises(InputError, match=sentence):
        run(name, change, progress=lambda done, total: steps.append(done))
    assert not steps


def test_is_an_output_that_is_no_file_left_alone(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for output, what in (("pipe", "a device or a pipe"), ("folder", "a folder")):
        with pytest.raises(InputError, match=f"{output}: is {what}"):
            run(output=output)
    with pytest.raises(InputError, match="/dev/null: is a device"):
        run(restart_out="/dev/null")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "pipe"]


@given(
    start=st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("2100-01-01")).map(
        lambda day: pd.Timestamp(day).normalize()
    ),
    hour=st.integers(0, 23),
    jitter=st.lists(st.integers(-400, 400), min_size=5, max_size=5),
    bounded=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_does_a_day_stay_the_same_whatever_its_stamp(start, hour, jitter, bounded):
    days = pd.date_range(start, periods=5)
    stamps = days + pd.Timedelta(hours=hour) + pd.to_timedelta(jitter, "ms")
    dataset = xr.Dataset(coords={"time": stamps + pd.Timedelta(days=3 * bounded)})
    if bounded:
        dataset["time"].attrs["bounds"] = "b"
        dataset["b"] = ("time", "nv"), np.stack([days, days + pd.Timedelta(days=1)], axis=1)
    assert check_daily(dataset, "file").equals(days.as_unit("ns"))


@given(
    powers=st.dictionaries(
        st.sampled_from(["m", "s", "kg", "K"]), st.sampled_from([-3, -2, -1, 1, 2]), min_size=1
    ),
    join=st.sampled_from([" ", ".", "*", "·"]),
    power=st.sampled_from(["", "^", "**"]),
)
@settings(max_examples=60, deadline=None)
def test_is_a_unit_the_same_in_every_spelling_and_no_other(powers, join, power):
    def spell(join, power):
        return join.join(f"{u}{power}{p}" if p != 1 else u for u, p in powers.items())

    plain = spell(" ", "")
    assert same_unit(spell(join, power), plain)
    assert not same_unit(f"1000 {plain}", plain)
    assert not same_unit(plain + " mol", plain)


def test_is_the_runoff_of_a_gauge_what_its_water_over_its_area_is(enter):
    _, report = enter()
    runoff = 50.0 * 86400 * 365.25 / 2.75e10 * 1e3
    assert float(report.numbers.runoff[0]) == pytest.approx(runoff, rel=0.1)
    share = report.numbers.runoff / report.numbers.rain
    assert float(report.numbers.rain_share[0]) == pytest.approx(float(share[0]), rel=0.1)
    assert any(line.startswith("gauge Mouth: drains 27,500 km2") for line in report.lines())
