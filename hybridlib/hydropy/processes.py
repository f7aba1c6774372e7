"""HydroPy's processes, one function each, in the order of a day.

Source: HydroPy 1.0, Stacke & Hagemann (2021), Geosci. Model Dev. 14, 7795-7816. All arguments are
tensors that broadcast to (…, cell). Stores are mm, fluxes mm d-1, fractions 0-1; one step is one
day. Functions work in float32 and float64. Thresholds are HydroPy's and stay hard.

Gradients on a threshold itself are those of the branch TensorFlow takes there: at T = 273.15 K
the thawed one, at an empty store the one of the limiting store, at S = wmin the one without
subgrid runoff. At S = wcap the slope of the subgrid level is infinite in HydroPy; ours is 0 there
(:func:`power`).
"""

from __future__ import annotations

from hybridlib.hydropy.backend import tf

SKIN_CAPACITY = 0.2
"""Water a bare surface or a unit of leaf area can hold (mm)."""
LIQUID_SHARE = 0.06
"""Liquid water a snow pack can hold, per unit of its water equivalent."""
DRAINAGE_EXPONENT = 1.5
"""Shape of fast drainage."""
STEEPEST = 1e-8
"""Base below which the slope of a power falls to 0 in the backward pass."""
LEAST_RAMP = 1e-3
"""Narrowest range, per unit of wcap, over which transpiration rises from 0 to its maximum."""

LEAST_WHOLE = 1e-15
"""Denominator (mm, or a share) below which the slope of a quotient grows no further."""


def share_of(part, whole):
    """Quotient that is 0 where the denominator is 0, gradient included.

    The slope is exact from ``LEAST_WHOLE`` on and that of ``LEAST_WHOLE`` below it: a soil that
    dries up for years would carry it beyond float32.
    """
    part = tf.convert_to_tensor(part)
    return _quotient(part, tf.convert_to_tensor(whole, part.dtype))


@tf.custom_gradient
def _quotient(part, whole):
    def gradient(upstream):
        safe = tf.where(tf.abs(whole) < LEAST_WHOLE, tf.constant(LEAST_WHOLE, whole.dtype), whole)
        upstream = tf.where(whole == 0.0, tf.zeros_like(upstream), upstream)
        by_whole = upstream * ((-part / safe) / safe)
        return _like(upstream / safe, part), _like(by_whole, whole)

    return tf.math.divide_no_nan(part, whole), gradient


@tf.custom_gradient
def power(base, exponent):
    """Raise a base to a positive power; bases at or below 0 give 0.

    Written with exp and log, which XLA turns into vector code on CPU, unlike pow. The slope with
    respect to the base is exact from ``STEEPEST`` on and falls to 0 below it, where that of a
    power below 1 would grow without bound.
    """
    base = tf.maximum(base, 0.0)
    safe = tf.maximum(base, STEEPEST)
    value = tf.where(base > 0.0, tf.exp(exponent * tf.math.log(base)), tf.zeros_like(base))

    def gradient(upstream):
        by_base = upstream * exponent * value / safe
        by_exponent = upstream * value * tf.math.log(safe)
        return _like(by_base, base), _like(by_exponent, exponent)

    return value, gradient


def _like(gradient, variable):
    """Sum a broadcast gradient back to the shape of its variable."""
    shape = tf.shape(variable)
    _, summed = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(gradient), s1=shape)
    return tf.reshape(tf.reduce_sum(gradient, axis=summed), shape)


def cover(fveg, flake):
    """Split a cell into lake, vegetation and bare ground, which add up to 1.

    Args:
        fveg: vegetation fraction of the day.
        flake: lake or wetland fraction of the day, whichever is larger.

    Returns:
        flake (at least 1e-10), fveg, fbare.
    """
    flake = tf.clip_by_value(flake, 1e-10, 1.0)
    fveg = tf.minimum(tf.clip_by_value(fveg, 0.0, 1.0), 1.0 - flake)
    return flake, fveg, 1.0 - flake - fveg


def snow(swe, wliq, snowf, melt, frozen):
    """Let the pack refreeze, grow, melt and release what it cannot hold.

    Args:
        swe: snow water equivalent.
        wliq: liquid water in the pack.
        snowf: snowfall.
        melt: degree-day rate times T - 273.15 K; negative on frost days.
        frozen: True where T < 273.15 K.

    Returns:
        swe, wliq, smelt (water that leaves the pack).
    """
    swe = tf.where(frozen, swe + wliq, swe) + snowf
    wliq = tf.where(frozen, tf.zeros_like(wliq), wliq)
    melted = tf.minimum(swe, tf.maximum(melt, 0.0))
    swe = swe - melted
    wliq = wliq + melted
    smelt = tf.maximum(wliq - LIQUID_SHARE * swe, 0.0)
    return swe, wliq - smelt, smelt


def interception(store, rainmelt, pet, fraction, capacity):
    """Wet a surface, evaporate from it and let the excess fall through.

    Serves bare ground (skin) and leaves (canopy).

    Args:
        store: water on the surface, per cell area.
        rainmelt: rain and snowmelt.
        pet: potential evapotranspiration.
        fraction: cover of the surface.
        capacity: most water it holds, per its own area.

    Returns:
        store, evaporation and throughfall, per cell area.
    """
    water = share_of(store, fraction) + rainmelt
    wet = tf.clip_by_value(share_of(water, capacity), 0.0, 1.0)
    supply = tf.clip_by_value(share_of(water, wet * pet), 0.0, 1.0)
    available = store + rainmelt * fraction
    evaporation = tf.minimum(pet * wet * supply * fraction, available)
    left = available - evaporation
    throughfall = tf.maximum(left - capacity * fraction, 0.0)
    return left - throughfall, evaporation, throughfall


def surface_runoff(rootmoist, throu, wcap, wmin, wmax, bmod, frozen):
    """Runoff of a soil whose capacity varies within the cell: the improved ARNO scheme.

    Args:
        rootmoist: root-zone soil moisture S.
        throu: throughfall.
        wcap: mean capacity.
        wmin: smallest capacity within the cell.
        wmax: largest capacity within the cell.
        bmod: shape of the distribution.
        frozen: True where the ground is frozen.
    """
    spread = wmax - wmin
    filled = (rootmoist - wmin) / (wcap - wmin)
    level = wmax - spread * power(1.0 - filled, 1.0 / (1.0 + bmod))
    level = tf.where(rootmoist <= wmin, rootmoist, level)
    # A base above 1, where the soil is below wmin, would overflow; its power is cut to 1 or unused.
    before = power(tf.minimum((wmax - level) / spread, 1.0), 1.0 + bmod)
    after = power(tf.minimum((wmax - level - throu) / spread, 1.0), 1.0 + bmod)
    below = tf.maximum(wmin - rootmoist, 0.0)
    runoff = tf.maximum(throu - below - spread / (1.0 + bmod) * (before - after), 0.0)
    runoff = tf.where(level + throu >= wmax, tf.maximum(throu - (wcap - rootmoist), 0.0), runoff)
    runoff = tf.where(level + throu <= wmin, tf.zeros_like(runoff), runoff)
    return tf.where(frozen, throu, runoff)


def drainage(rootmoist, wcap, d_min, d_max, s_min, s_max, frozen):
    """Slow drainage from a moist soil, fast drainage from a nearly full one.

    Args:
        rootmoist: root-zone soil moisture S.
        wcap: mean capacity.
        d_min: slow drainage velocity.
        d_max: fast drainage velocity.
        s_min: share of wcap where slow drainage starts.
        s_max: share of wcap where fast drainage starts.
        frozen: True where the ground is frozen.
    """
    excess = share_of(rootmoist - s_max * wcap, wcap - s_max * wcap)
    slow = d_min * share_of(rootmoist, wcap)
    flow = slow + (d_max - d_min) * power(excess, tf.constant(DRAINAGE_EXPONENT, excess.dtype))
    dry = (rootmoist <= s_min * wcap) | (wcap <= 1e-10)
    flow = tf.where(dry | frozen, tf.zeros_like(flow), flow)
    return tf.minimum(flow, rootmoist)


def lake_evaporation(pet, flake, lakestor):
    """Open water evaporates at the potential rate while it lasts."""
    return tf.minimum(pet * flake, lakestor)


def transpiration(rootmoist, pet, canoevap, fveg, wcap, wilt, f_crit):
    """Plants use what demand the wet canopy left, less as the soil dries towards wilting.

    Where f_crit puts the critical point within ``LEAST_RAMP`` of the wilting point or below it,
    the ramp keeps that width: the original divides by zero or by a negative number there.
    """
    demand = tf.maximum(pet - share_of(canoevap, fveg), 0.0)
    usable = rootmoist - wilt
    ramp = tf.maximum(f_crit * wcap - wilt, LEAST_RAMP * wcap)
    flow = demand * tf.clip_by_value(share_of(usable, ramp), 0.0, 1.0)
    # In this order, here and below, an empty soil has the slope of what is usable, not flow's.
    return tf.minimum(tf.maximum(usable, 0.0), flow) * fveg


def soil_evaporation(rootmoist, pet, skinevap, fbare, wcap, f_evap):
    """Bare soil uses what demand the wet skin left, in proportion to its moisture."""
    demand = tf.maximum(pet - share_of(skinevap, fbare), 0.0)
    usable = tf.maximum(rootmoist - f_evap * wcap, 0.0)
    flow = demand * share_of(usable, wcap - f_evap * wcap)
    return tf.minimum(usable, flow) * fbare


def soil_balance(rootmoist, throu, qs, transp, sevap, qsb, wcap):
    """Close the soil's balance: excess runs off, a deficit shrinks the three outgoing fluxes.

    Returns:
        rootmoist, qs, transp, sevap, qsb.
    """
    gained = rootmoist + throu - qs
    lost = transp + sevap + qsb
    short = gained < lost
    shrink = tf.where(short, share_of(gained, lost), tf.ones_like(lost))
    moisture = tf.where(short, tf.zeros_like(gained), gained - lost)
    excess = tf.maximum(moisture - wcap, 0.0)
    return moisture - excess, qs + excess, transp * shrink, sevap * shrink, qsb * shrink


def lake_balance(lakestor, rainmelt, flake, qs, levap, lag_sur):
    """Collect rain and surface runoff in the surface store, which empties into the river.

    Returns:
        lakestor, levap, qsl (overland flow into the river).
    """
    available = lakestor + rainmelt * flake + qs
    levap = tf.minimum(levap, available)
    filled = available - levap
    qsl = filled / (lag_sur + 1.0)
    return filled - qsl, levap, qsl


def groundwater_balance(groundwstor, qsb, lag_gw):
    """Collect drainage in the groundwater store, which empties into the river.

    Returns:
        groundwstor, qg (groundwater runoff).
    """
    filled = groundwstor + qsb
    qg = filled / (lag_gw + 1.0)
    return filled - qg, qg
