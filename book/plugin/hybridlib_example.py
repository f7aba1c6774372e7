"""One entry for each table of hybridlib that a package may add to.

Addor et al. (2017), Hydrol. Earth Syst. Sci. 21, 5293-5313; Oudin et al. (2005), J. Hydrol. 303,
290-306.
"""

import numpy as np
import xarray as xr

from hybridlib.learning.schemes import Scheme
from hybridlib.study.attributes import Attribute
from hybridlib.study.pet import LATENT_HEAT, Formula, extraterrestrial_radiation
from hybridlib.study.schema import FREEZING


def snowfall(landsurface: xr.Dataset, forcing: xr.Dataset) -> xr.DataArray:
    """Share of precipitation on days below 0 degC, (lat, lon); Addor et al., table 2.

    Args:
        landsurface: HydroPy's land surface, (lat, lon) and (month, lat, lon).
        forcing: with pr [kg m-2 s-1] and tas [K], (time, lat, lon).
    """
    snow = forcing["pr"].where(forcing["tas"] < FREEZING, 0.0).sum("time", dtype=float)
    rain_and_snow = forcing["pr"].sum("time", dtype=float)
    return snow / rain_and_snow.where(rain_and_snow > 0, 1.0)


FRAC_SNOW = Attribute("/", "share of precipitation on days below 0 degC", snowfall)


def oudin(tas, lat, time):
    """Potential evapotranspiration [kg m-2 s-1] from temperature alone; Oudin et al. (2005).

    Args:
        tas: daily mean 2 m air temperature [K], (time, ...).
        lat: degrees north, broadcastable to the shape after time.
        time: dates.
    """
    lat = np.array(lat, ndmin=np.ndim(tas) - 1)
    top = extraterrestrial_radiation(lat, time).astype(tas.dtype)
    return top / LATENT_HEAT * np.maximum(tas - FREEZING + 5.0, 0.0) / 100.0


OUDIN = Formula(oudin, ("tas",), needs_sun=True)

# Both networks of Hybrid(Q,S)+, for a basin without gravimetry.
HYBRID_Q_PLUS = Scheme(
    name="hybrid_q_plus",
    title="Hybrid(Q)+",
    parameters="network",
    replacement=True,
    weights=(1.0, 0.0),
)
