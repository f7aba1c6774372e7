"""One day of HydroPy: stores at 00:00 and weather in, fluxes and new stores out."""

from __future__ import annotations

from typing import NamedTuple

from hybridlib.hydropy import processes
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Land, Weather
from hybridlib.hydropy.parameters import Field, Parameters
from hybridlib.hydropy.routing import SUBSTEPS, Network, route


class State(NamedTuple):
    """What a cell carries from day to day: mm, but riverstor m3 and infl m3 d-1.

    All (…, cell), riverstor (…, reservoir, cell).
    """

    swe: Field
    wliq: Field
    skinstor: Field
    canopystor: Field
    rootmoist: Field
    lakestor: Field
    groundwstor: Field
    riverstor: Field
    infl: Field


def total_water_storage(state: State, area):
    """Water held by a cell (mm); water in transit (``infl``) is not part of it."""
    vertical = tf.add_n(list(state[:7]))
    return vertical + tf.math.divide_no_nan(tf.reduce_sum(state.riverstor, axis=-2), area) * 1000.0


def _interpolate(monthly, weather: Weather):
    before = tf.gather(monthly, weather.month)
    after = tf.gather(monthly, weather.next_month)
    return before + weather.share_next * (after - before)


def day_step(
    state: State,
    weather: Weather,
    parameters: Parameters,
    land: Land,
    network: Network,
    substeps: int = SUBSTEPS,
) -> tuple[State, dict[str, tf.Tensor]]:
    """Advance every cell by one day.

    Args:
        state: stores at the start of the day.
        weather: this day's, fields (…, cell).
        parameters: the nine, each (…, cell).
        land: static fields.
        network: who drains into whom.
        substeps: routing sub-steps a day.

    Returns:
        Stores at the end of the day, and every flux of it (mm d-1; dis, rivdis and freshwater
        m3 d-1; fractions) by HydroPy's name, with ``tws`` (mm).
    """
    p = parameters
    flake, fveg, fbare = processes.cover(
        _interpolate(land.fveg, weather), _interpolate(land.flake, weather)
    )
    lai = tf.maximum(_interpolate(land.lai, weather), 0.0)
    frozen = weather.melt < 0.0
    pet = weather.pet

    swe, wliq, smelt = processes.snow(state.swe, state.wliq, weather.snowf, weather.melt, frozen)
    rainmelt = weather.rainf + smelt
    skinstor, skinevap, from_skin = processes.interception(
        state.skinstor, rainmelt, pet, fbare, processes.SKIN_CAPACITY
    )
    canopystor, canoevap, from_canopy = processes.interception(
        state.canopystor, rainmelt, pet, fveg, processes.SKIN_CAPACITY * lai
    )
    throu = from_skin + from_canopy

    moisture = state.rootmoist
    qs = processes.surface_runoff(
        moisture, throu, land.wcap, land.wmin, land.wmax, land.bmod, frozen
    )
    qsb = processes.drainage(moisture, land.wcap, p.d_min, p.d_max, p.s_min, p.s_max, frozen)
    levap = processes.lake_evaporation(pet, flake, state.lakestor)
    transp = processes.transpiration(moisture, pet, canoevap, fveg, land.wcap, land.wilt, p.f_crit)
    sevap = processes.soil_evaporation(moisture, pet, skinevap, fbare, land.wcap, p.f_evap)

    rootmoist, qs, transp, sevap, qsb = processes.soil_balance(
        moisture, throu, qs, transp, sevap, qsb, land.wcap
    )
    lakestor, levap, qsl = processes.lake_balance(
        state.lakestor, rainmelt, flake, qs, levap, p.lag_sur
    )
    groundwstor, qg = processes.groundwater_balance(state.groundwstor, qsb, p.lag_gw)
    riverstor, infl, dis, rivdis, freshwater = route(
        (qsl + qg) * (land.area / 1000.0),
        state.riverstor,
        state.infl,
        p.lag_river,
        network,
        substeps,
    )

    after = State(
        swe, wliq, skinstor, canopystor, rootmoist, lakestor, groundwstor, riverstor, infl
    )
    fluxes = {
        "precip": weather.rainf + weather.snowf,
        "rainf": weather.rainf,
        "snowf": weather.snowf,
        "smelt": smelt,
        "rainmelt": rainmelt,
        "throu": throu,
        "evap": skinevap + canoevap + transp + sevap + levap,
        "potevap": pet,
        "transp": transp,
        "sevap": sevap,
        "levap": levap,
        "canoevap": canoevap,
        "skinevap": skinevap,
        "qs": qs,
        "qsb": qsb,
        "qtot": qs + qsb,
        "qsl": qsl,
        "qg": qg,
        "rivdis": rivdis,
        "dis": dis,
        "freshwater": freshwater,
        "flake": flake,
        "fveg": fveg,
        "fbare": fbare,
        "tws": total_water_storage(after, land.area),
    }
    return after, fluxes
