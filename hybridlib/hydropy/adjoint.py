"""The adjoint of the recurrence: gradients through thousands of days in the memory of one run.

The forward run keeps the stores at the start of each day. The backward run walks the days from
the last to the first, recomputes each under a tape and pulls the gradient through it. Nothing else
of a day is ever held, so memory grows with the stores and not with the operations of a day.

A program keeps one core busy, and several members in it were no clear gain: the members of an
ensemble run the same program at the same time, one a core, each as if it were alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Weather
from hybridlib.hydropy.model import HydroPyNN, known_variables, variable_shape, whole_day
from hybridlib.hydropy.parameters import Parameters
from hybridlib.hydropy.step import State
from hybridlib.study.schema import InputError


def differentiable_run(
    model: HydroPyNN,
    weather: Weather,
    parameters: Parameters,
    state: State,
    variables: Iterable[str] = ("dis", "tws"),
    segments: int = 1,
) -> tuple[State, dict[str, tf.Tensor]]:
    """Run all days of ``weather`` as one differentiable operation.

    A ``tf.GradientTape`` around the call yields gradients for ``parameters``, ``state`` and
    ``weather.pet``. Rain, snow and temperature are data and have none.

    Args:
        model: HydroPyNN of the basin.
        weather: fields (time, cell) in the model's dtype; pet also (time, member, cell).
        parameters: each (…, cell); a leading axis runs an ensemble, one member a core.
        state: stores at the first day's start, (…, cell).
        variables: what to return of each day, from :data:`hybridlib.hydropy.model.VARIABLES`.
        segments: 1 keeps the stores of every day. More keep those at the start of each segment
            and recompute the days of one segment at a time: the square root of the number of days
            needs the least memory, for one more forward run.

    Returns:
        The stores after the last day, and each variable, (time, …, cell).

    Raises:
        InputError: an unknown variable, no day, a number of segments that days cannot fill, or
            parameters or PET of other members than the stores.
    """
    names = tuple(sorted(known_variables(variables)))
    days = weather.rainf.shape[0]
    if days == 0:
        raise InputError("the weather has no day; expected at least one")
    if not 1 <= segments <= days:
        raise InputError(f"{segments} segments are asked for; expected 1 to {days}, the days")
    _check_members(state, parameters, weather.pet)
    parts = [slice(part[0], part[-1] + 1) for part in np.array_split(np.arange(days), segments)]
    fixed = (model.land, model.network, model.substeps)

    def forward(state, parameters, pet):
        driven, starts, series = weather._replace(pet=pet), [], []
        for part in parts:
            starts.append(state)
            state, piece, kept = _forward(
                state, driven.part(part), parameters, *fixed, names, segments == 1
            )
            series.append(piece)
        whole = {name: _joined([piece[name] for piece in series]) for name in names}
        return (state, whole), (driven, parameters, starts, kept)

    def backward(memory, slopes):
        (driven, parameters, starts, kept), (d_state, d_series) = memory, slopes
        d_pet, d_parameters = [], Parameters(*map(tf.zeros_like, parameters))
        for start, part in zip(reversed(starts), reversed(parts), strict=True):
            days = driven.part(part)
            stores = kept
            if segments > 1:
                stores = _forward(start, days, parameters, *fixed, (), True)[2]
            d_days = {name: field[part] for name, field in d_series.items()}
            d_state, d_parameters, piece, _ = _backward(
                stores, days, parameters, *fixed, names, d_state, d_days, d_parameters
            )
            d_pet.append(piece)
        return d_state, d_parameters, _joined(d_pet[::-1])

    @tf.custom_gradient
    def run(*inputs):
        # The outer tape must not look inside: the programs below have their own backward run.
        inputs = tf.nest.map_structure(tf.stop_gradient, inputs)
        members = state.swe.shape[0] if len(state.swe.shape) == 2 else 0
        into, out = _member_axes(state, parameters, weather.pet, names)
        pieces, memories = zip(*_at_once(forward, _apart(inputs, into, members)), strict=True)
        outputs = _together(pieces, out, members)

        def gradient(*slopes):
            own = _apart(tf.nest.pack_sequence_as(outputs, slopes), out, members)
            pulled = _at_once(backward, zip(memories, own, strict=True))
            return _together(pulled, into, members)

        return outputs, gradient

    return run(state, parameters, weather.pet)


def _check_members(state: State, parameters: Parameters, pet) -> None:
    """See that parameters and PET have no member axis, or that of the stores."""
    expected = tuple(state.swe.shape[:-1])
    found = {name: tuple(field.shape[:-1]) for name, field in parameters._asdict().items()}
    for name, members in (found | {"PET": tuple(pet.shape[1:-1])}).items():
        if members not in ((), expected):
            raise InputError(f"{name} has members {members}; expected {expected}, as the stores")


def _joined(parts: list):
    """The days of all parts; no copy is made of a single one."""
    return parts[0] if len(parts) == 1 else tf.concat(parts, 0)


def _member_axes(state: State, parameters: Parameters, pet, names: Iterable[str]):
    """Where what goes in and what comes out has its member axis; None where members share it."""
    into = (
        State(*[0] * len(state)),
        Parameters(*(0 if len(field.shape) == 2 else None for field in parameters)),
        1 if len(pet.shape) == 3 else None,
    )
    return into, (into[0], dict.fromkeys(names, 1))


def _apart(tensors, axes, members: int) -> list:
    """What belongs to each member; all of it where there is no member axis."""
    if not members:
        return [tensors]

    def take(member: int):
        return lambda tensor, axis: tensor if axis is None else tf.gather(tensor, member, axis=axis)

    return [tf.nest.map_structure(take(member), tensors, axes) for member in range(members)]


def _together(pieces: Sequence, axes, members: int):
    """Put the members together again; slopes of what they share add up."""
    if not members:
        return pieces[0]

    def join(axis, *parts):
        return tf.add_n(parts) if axis is None else tf.stack(parts, axis)

    return tf.nest.map_structure(join, axes, *pieces)


def _at_once(call: Callable, arguments: Iterable[tuple]) -> list:
    """Call with each tuple of arguments, as many at a time as there are cores."""
    arguments = list(arguments)
    if len(arguments) == 1 or not tf.executing_eagerly():  # a graph finds its own parallel parts
        return [call(*own) for own in arguments]
    with ThreadPoolExecutor(_cores()) as pool:
        return list(pool.map(lambda own: call(*own), arguments))


def _cores() -> int:
    """Cores that this process may use; a cluster's scheduler may give fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@tf.function(jit_compile=True, autograph=False)
def _forward(state, weather, parameters, land, network, substeps, variables, keep):
    """Run the days: the last stores, the series and, if ``keep``, each day's first stores."""
    days, kind = weather.rainf.shape[0], weather.rainf.dtype
    shapes = {name: variable_shape(name, state) for name in variables}
    series = {n: tf.TensorArray(kind, days, element_shape=shape) for n, shape in shapes.items()}
    kept = [tf.TensorArray(kind, days, element_shape=s.shape) for s in state] if keep else []

    def advance(day, state, series, kept):
        kept = [array.write(day, store) for array, store in zip(kept, state, strict=False)]
        state, today = whole_day(state, weather.day(day), parameters, land, network, substeps)
        series = {
            name: array.write(day, tf.broadcast_to(today[name], shapes[name]))
            for name, array in series.items()
        }
        return day + 1, state, series, kept

    _, state, series, kept = tf.while_loop(
        lambda day, *_: day < days,
        advance,
        (tf.constant(0), state, series, kept),
        maximum_iterations=days,
    )
    return state, {n: array.stack() for n, array in series.items()}, [k.stack() for k in kept]


@tf.function(jit_compile=True, autograph=False)
def _backward(
    kept, weather, parameters, land, network, substeps, variables, d_state, d_series, d_parameters
):
    """Pull the slopes of stores and series back to the first stores, the parameters and PET."""
    days, kind = weather.rainf.shape[0], weather.rainf.dtype
    d_pet = tf.TensorArray(kind, days, element_shape=weather.pet.shape[1:])
    # Discharge is added up, though nobody asks for it: were its outflow used by the next gather
    # alone, XLA would compute it inside that, once for each of six neighbours in each sub-step.
    used = tf.zeros_like(d_state.infl)

    def retreat(day, d_state, d_parameters, d_pet, used):
        state, today = State(*(store[day] for store in kept)), weather.day(day)
        inputs = [*state, *parameters, today.pet]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            after, values = whole_day(state, today, parameters, land, network, substeps)
            outputs = [*after, *(values[name] for name in variables)]
        slopes = tape.gradient(
            outputs,
            inputs,
            [*d_state, *(d_series[name][day] for name in variables)],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        before, own = slopes[: len(state)], slopes[len(state) : -1]
        total = Parameters(*(a + b for a, b in zip(d_parameters, own, strict=True)))
        return day - 1, State(*before), total, d_pet.write(day, slopes[-1]), used + values["dis"]

    _, d_state, d_parameters, d_pet, used = tf.while_loop(
        lambda day, *_: day >= 0,
        retreat,
        (tf.constant(days - 1), d_state, d_parameters, d_pet, used),
        maximum_iterations=days,
    )
    return d_state, d_parameters, d_pet.stack(), used
