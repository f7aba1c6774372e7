"""Is the twin's geography the Amazon's: its size, its rivers, its gauges?"""

import shutil

import numpy as np
import pandas as pd
import pytest

from hybridlib.study.schema import InputError
from hybridlib.twin import geography

ALONG_RIVERS = [
    "SAO PAULO DE OLIVENCA < SANTO ANTONIO DO ICA < ITAPEUA < MANACAPURU < OBIDOS - LINIGRAFO",
    "PRINCIPE DA BEIRA < GUAJARA-MIRIM < PORTO VELHO < HUMAITA < MANICORE < OBIDOS - LINIGRAFO",
    "SERINGAL FORTALEZA < LABREA < CANUTAMA < MANACAPURU",
    "CURICURIARI < SERRINHA < OBIDOS - LINIGRAFO",
    "SANTOS DUMONT < GAVIAO < ITAPEUA",
    "VILA BITTENCOURT < ITAPEUA",
    "TRES MARIAS < BARRA DO SAO MANUEL-JUSANTE",
    "PRAINHA VELHA < OBIDOS - LINIGRAFO",
    "BOA SORTE < ALTAMIRA",
]


@pytest.fixture(scope="module")
def amazon():
    return geography.amazon()


@pytest.fixture(scope="module")
def first_guess():
    return geography.amazon(corrected=False)


@pytest.fixture(scope="module")
def smoke():
    return geography.smoke()


@pytest.fixture
def folder(tmp_path):
    """A copy of the tables that a test may spoil."""
    for name in geography._COLUMNS:
        shutil.copyfile(geography.FOLDER / name, tmp_path / name)
    return tmp_path


def correct(folder, *rows, keep=True):
    """Add rows to the corrections, or put them in their place."""
    path = folder / "corrections.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*(lines if keep else lines[:1]), *rows]) + "\n")


def targets(place):
    return place.rout_lat * len(place.lon) + place.rout_lon


def test_is_the_basin_as_large_as_the_paper_says(amazon):
    assert amazon.mask.shape == (60, 72)
    assert amazon.mask.sum() == 1951
    assert amazon.area[amazon.mask].sum() / 1e12 == pytest.approx(5.96, abs=0.005)


def test_do_cell_areas_add_up_to_the_sphere():
    area = geography.cell_areas(np.arange(89.75, -90, -0.5), np.arange(-179.75, 180, 0.5))
    assert area.sum() == pytest.approx(4 * np.pi * 6_371_000.0**2, rel=1e-12)


@pytest.mark.parametrize("name", ["amazon", "first_guess"])
def test_does_all_water_reach_the_one_mouth(name, request):
    place = request.getfixturevalue(name)
    basin = geography.network(place)
    assert basin.size == place.mask.sum()
    assert basin.describe(int(np.flatnonzero(basin.sink).item())) == "at lat 0.25, lon -50.25"
    assert basin.upstream_area[basin.sink].item() == pytest.approx(place.area[place.mask].sum())
    assert 75 <= basin.network.rank.max() + 1 <= 95


def test_does_water_move_to_a_neighbour_only(amazon):
    row, column = np.indices(amazon.mask.shape)
    reach = np.maximum(abs(amazon.rout_lat - row), abs(amazon.rout_lon - column))
    assert (reach[~amazon.mask] == 0).all()
    assert (reach == 1).sum() == 1950
    assert reach.max() == 1


def test_do_rivers_join_rather_than_cross(amazon):
    target, columns = targets(amazon).ravel(), len(amazon.lon)
    for cell in np.flatnonzero(amazon.mask):
        row_step = target[cell] // columns - cell // columns
        column_step = target[cell] % columns - cell % columns
        if row_step and column_step:
            beside, ahead = cell + column_step, cell + row_step * columns
            assert target[beside] != ahead and target[ahead] != beside


def test_do_gauges_drain_what_is_published(amazon):
    gauges = amazon.gauges
    assert len(gauges) == 24
    assert gauges.error.abs().median() <= 0.05
    assert gauges.error.abs().max() <= 0.15
    assert (gauges.area_network_km2 / gauges.area_km2 - 1 == gauges.error).all()
    assert not gauges.duplicated(["cell_lat", "cell_lon"]).any()
    obidos = gauges.set_index("station").area_network_km2["OBIDOS - LINIGRAFO"]
    assert obidos * 1e6 / amazon.area[amazon.mask].sum() == pytest.approx(0.78, abs=0.01)


def test_is_a_moved_gauge_said_to_be_moved(amazon):
    gauges = amazon.gauges
    apart = np.maximum(abs(gauges.cell_lat - gauges.lat), abs(gauges.cell_lon - gauges.lon))
    assert (gauges.snapped == (apart > 0.25)).all()
    assert apart.max() <= 0.75


@pytest.mark.parametrize("river", ALONG_RIVERS)
def test_do_gauges_follow_each_other_down_the_river(amazon, river):
    basin, gauges = geography.network(amazon), amazon.gauges.set_index("station")
    places = gauges.loc[river.split(" < "), ["cell_lat", "cell_lon"]].to_numpy()
    cells = [basin.cell_at(*place) for place in places]
    for above, below in zip(cells, cells[1:], strict=False):
        assert above != below
        assert basin.catchment(below)[above]


def test_are_the_boxes_those_of_the_climate_table(amazon):
    climate = pd.read_csv(geography.FOLDER / "climate_3deg.csv")
    half = climate[climate.cells >= 18]
    assert len(amazon.boxes) == 56
    places = [set(map(tuple, table[["lat", "lon"]].to_numpy())) for table in (amazon.boxes, half)]
    assert places[0] == places[1]
    assert amazon.boxes.index[[0, 55]].tolist() == ["box_01", "box_56"]


def test_does_every_cell_know_its_box(amazon):
    row, column = np.nonzero(amazon.box_of_cell >= 0)
    boxes = amazon.boxes.iloc[amazon.box_of_cell[row, column]]
    assert amazon.mask[row, column].all()
    assert abs(boxes.lat.to_numpy() - amazon.lat[row]).max() < 1.5
    assert abs(boxes.lon.to_numpy() - amazon.lon[column]).max() < 1.5
    assert boxes.cells.groupby(level=0).size().tolist() == amazon.boxes.cells.tolist()


def test_is_each_sub_basin_what_its_gauge_drains(amazon):
    gauges = amazon.gauges.set_index("grdc_id")
    for number, (_, grdc_id) in geography.SUBBASINS.items():
        area = amazon.area[amazon.subbasins == number].sum() / 1e6
        assert area == pytest.approx(gauges.area_network_km2[grdc_id])
    assert set(np.unique(amazon.subbasins)) == set(range(10))


def test_do_the_corrections_change_what_they_say_and_improve_the_network(amazon, first_guess):
    corrections = pd.read_csv(geography.FOLDER / "corrections.csv")
    assert (targets(amazon) != targets(first_guess)).sum() == len(corrections) < 150
    assert (amazon.mask != first_guess.mask).sum() == (corrections.what != "target").sum()
    assert corrections.reason.str.fullmatch(r"[A-Z].{10,98}\.").all()
    before, after = first_guess.gauges.error.abs(), amazon.gauges.error.abs()
    assert after.median() < before.median()
    assert after.max() < 0.2 * before.max()


def test_is_the_smoke_basin_a_small_whole(smoke, amazon):
    basin = geography.network(smoke)
    assert 100 < smoke.mask.sum() == basin.size <= 200
    assert basin.sink.sum() == 1
    edge = np.concatenate([smoke.mask[[0, -1]].ravel(), smoke.mask[:, [0, -1]].ravel()])
    assert not edge.any()
    window = np.ix_(np.isin(amazon.lat, smoke.lat), np.isin(amazon.lon, smoke.lon))
    same = smoke.mask & (smoke.rout_lat + window[0].min() == amazon.rout_lat[window])
    assert same.sum() >= smoke.mask.sum() - 1
    inside = geography.upstream_area(smoke)[smoke.mask]
    assert inside == pytest.approx(geography.upstream_area(amazon)[window][smoke.mask])


def test_has_the_smoke_basin_gauges_and_boxes(smoke):
    basin = geography.network(smoke)
    assert smoke.gauges.station.tolist() == ["ALTAMIRA", "BOA SORTE", "smoke gauge 1"]
    for gauge in smoke.gauges.itertuples():
        cell = basin.cell_at(gauge.cell_lat, gauge.cell_lon)
        assert not basin.sink[cell]
        assert basin.upstream_area[cell] / 1e6 == pytest.approx(gauge.area_network_km2)
    assert len(smoke.boxes) >= 3
    assert (smoke.boxes.cells >= 12).all()
    assert set(np.unique(smoke.subbasins)) == {0, 9}


def test_is_a_missing_column_named(folder):
    path = folder / "stations.csv"
    pd.read_csv(path).drop(columns="area_km2").to_csv(path, index=False)
    with pytest.raises(InputError, match=r"stations\.csv: column area_km2 is missing"):
        geography.amazon(folder)


@pytest.mark.parametrize(
    "row, sentence",
    [
        ("12.25,-60.25,add,,,off", "lat 12.25, lon -60.25 is not the centre of a cell"),
        ("-3.3,-60.25,drop,,,off", "lat -3.3, lon -60.25 is not the centre of a cell"),
        ("-3.25,-60.25,target,,,none", "lat nan, lon nan is not the centre of a cell"),
        ("-3.25,-60.25,target,-3.25,-61.25,far", "expected one of its eight neighbours"),
        ("-3.25,-60.25,target,-3.25,-60.25,itself", "expected one of its eight neighbours"),
        ("-3.25,-60.25,move,-3.25,-60.75,what", "expected add, drop or target"),
        ("-3.25,-60.25,add,,,stale", "inside the basin already"),
        ("8.25,-60.25,drop,,,stale", "outside the basin already"),
        ("8.25,-60.25,target,8.25,-60.75,outside", "expected both inside the basin"),
        ("8.25,-60.25,add,,,an island", "no way leads from lat 8.25, lon -60.25"),
        ("-3.25,-59.75,target,-3.25,-60.25,uphill", "run in a cycle"),
        ("0.25,-50.25,target,-0.25,-50.75,uphill", "run in a cycle"),
        ("-9.75,-53.75,target,-9.25,-53.75,again", "is corrected twice"),
        ("x,-60.25,drop,,,word", "could not convert string to float: 'x'"),
    ],
)
def test_is_a_correction_that_cannot_be_applied_refused(folder, row, sentence):
    correct(folder, row)
    with pytest.raises(InputError, match=f"corrections.csv.*{sentence}"):
        geography.amazon(folder)


def test_does_a_course_that_leaves_the_grid_stop_the_work(folder):
    with (folder / "rivers.csv").open("a") as file:
        file.write("69,0,-100.25,0.25,30\n69,1,-60.25,0.25,30\n")
    with pytest.raises(InputError, match="rivers.csv, river 69: lat 0.25, lon -100.25"):
        geography.amazon(folder)


def test_do_no_corrections_give_the_first_guess(folder, first_guess):
    correct(folder, keep=False)
    assert (targets(geography.amazon(folder)) == targets(first_guess)).all()
