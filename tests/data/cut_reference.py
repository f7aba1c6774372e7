"""Cut the reference runs of the original HydroPy down to test data.

Run once as ``python cut_reference.py FOLDER`` with the folder that holds the runs.
Inputs keep their first 456 days (29 February 2004 included), outputs every fifth day of these.
"""

import sys
from pathlib import Path

import xarray as xr

DAYS, EVERY = 456, 5

for name in ("tropical", "cold", "partial"):
    target = Path(__file__).with_name(f"{name}.nc")
    for group in ("landsurface", "forcing", "derived", "output"):
        if (name, group) == ("partial", "derived"):
            continue  # the original did not keep them
        dataset = xr.open_dataset(Path(sys.argv[1]) / f"{name}.nc", group=group)
        if "time" in dataset.dims:
            dataset = dataset.isel(time=slice(0, DAYS, EVERY if group == "output" else 1))
        packed = {v: {"zlib": True, "complevel": 9, "shuffle": True} for v in dataset.data_vars}
        mode = "w" if group == "landsurface" else "a"
        dataset.drop_encoding().to_netcdf(target, mode, group=group, encoding=packed)
