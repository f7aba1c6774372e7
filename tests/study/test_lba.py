"""Is a tower's daily file read as water on its days, and a damaged one refused?"""

import cases
import pytest

from hybridlib.study.schema import InputError
from hybridlib.study.sources.lba import read_lba


def test_does_latent_heat_become_water_on_its_own_day(tmp_path):
    et = read_lba(cases.tower_file(tmp_path))
    assert et.attrs["units"] == "mm d-1" and et.sizes["time"] == 62
    # 86400 s / 2.45e6 J kg-1 = 0.0352653 mm d-1 for each W m-2.
    flux = et.dropna("time").to_series() / 0.0352653
    expected = {"2003-12-31": 80.0, "2004-01-02": 120.0, "2004-02-29": 100.0, "2004-03-01": -5.0}
    assert {f"{day:%F}": value for day, value in flux.items()} == pytest.approx(expected, rel=1e-5)


def test_is_the_column_that_was_asked_for_read_and_are_blank_lines_passed_over(tmp_path):
    rows = cases.tower_rows()
    rows[0][5], rows[1][5] = "50", "NaN"
    et = read_lba(cases.tower_file(tmp_path, [[""], *rows, ["", " "]], end="\n"), "Leraw")
    assert float(et[0]) == pytest.approx(50 * 0.0352653, rel=1e-5)
    assert int(et.notnull().sum()) == 1


def _with(row, column, text):
    rows = cases.tower_rows()
    rows[row][column] = text
    return {"rows": rows}


NAMES, ROWS = cases.TOWER_NAMES, cases.tower_rows()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"names": [*NAMES[:4], "Le", *NAMES[5:]]}, "column LE is there 0 times; expected once"),
        ({"names": [*NAMES[:5], "LE", "H"]}, "column LE is there 2 times"),
        (
            {"units": ["-"] * 4 + ["mm d-1", "-", "-"]},
            r"LE has 'mm d-1' and 'x'.*expected its unit",
        ),
        (
            {"rows": [*ROWS, ROWS[-1][:5]]},
            "number of fields is '5' in line 9; expected 7 .* line 1",
        ),
        ({"rows": [*ROWS, [*ROWS[-1], "1"]]}, "number of fields is '8' in line 9; expected 7"),
        (_with(2, 4, "1,2"), "LE is '1,2' in line 6; expected a number"),
        (_with(2, 4, ""), "LE is '' in line 6; expected a number"),
        (_with(0, 1, "366"), "Year_LBAMIP DoY_LBAMIP is '2003 366' in line 4; expected a day"),
        (_with(0, 1, "0"), "is '2003 0' in line 4; expected a day"),
        (_with(1, 1, "1.5"), "is '2004 1.5' in line 5; expected a day"),
        (_with(1, 0, "-9999"), "is '-9999 1' in line 5"),
        (_with(2, 1, "1"), "date is '2004-01-01' in line 6; expected a later day in every line"),
        (_with(3, 4, "1e20"), r"latent heat flux is 1e\+20 W m-2 in column LE on 2004-02-29"),
        (_with(3, 4, "inf"), "latent heat flux is inf"),
        ({"rows": []}, "3 lines; expected 3 of header, and days"),
    ],
)
def test_is_a_damaged_file_refused_with_what_is_wrong(tmp_path, change, sentence):
    path = cases.tower_file(tmp_path, **change)
    with pytest.raises(InputError, match=sentence) as error:
        read_lba(path)
    assert str(path) in str(error.value)


def test_is_a_file_that_is_no_table_or_is_not_there_refused(tmp_path):
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 40)
    for path, told in (("noise", "noise"), ("absent", "cannot be read"), (".", "cannot be read")):
        with pytest.raises(InputError, match=told):
            read_lba(tmp_path / path)
