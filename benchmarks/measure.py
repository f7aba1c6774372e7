"""What a call costs: seconds and the memory at its peak, in a process of its own."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Cost(NamedTuple):
    """Of a call: best of some repeats, what the first took longer, peak above what was held."""

    seconds: float
    compile_seconds: float
    megabytes: float


def in_fresh_process(function: Callable, *arguments):
    """Call a function where no earlier memory, thread or compiled program counts."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def cost_of(call: Callable, repeats: int = 3) -> tuple[object, Cost]:
    """Call once to compile and then ``repeats`` times.

    Returns:
        What the first call returned, and the cost. Its memory is that of the hungriest call.
    """
    held = _held_memory()
    result, first = timed(call)
    best = min(timed(call)[1] for _ in range(repeats))
    return result, Cost(best, first - best, _peak_memory() - held)


def timed(call: Callable) -> tuple[object, float]:
    """Return what a call returned and the seconds it took."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def _held_memory() -> float:
    """Forget the peak so far; return what the process holds, MB."""
    if not CLEAR.exists():
        return _peak_memory()
    CLEAR.write_text("5")
    return _status("VmRSS")


def _peak_memory() -> float:
    """Largest memory the process held since :func:`_held_memory`, MB.

    Where the system cannot forget a peak (macOS) it is that since the process began.
    """
    if CLEAR.exists():
        return _status("VmHWM")
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _status(key: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1000.0
