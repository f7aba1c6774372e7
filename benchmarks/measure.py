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
    """Of a call.

    Attributes:
        seconds: best of the repeats.
        compile_seconds: what the first call took longer.
        megabytes: peak memory above what the process held before the first call.
        total_megabytes: all memory of the process at that peak.
    """

    seconds: float
    compile_seconds: float
    megabytes: float
    total_megabytes: float


def in_fresh_process(function: Callable, *arguments):
    """Call a function where no earlier memory, thread or compiled program counts."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def cost_of(call: Callable, repeats: int = 3) -> tuple[object, Cost]:
    """Call once to compile and then ``repeats`` times.

    Returns:
        What the first call returned, and the cost; its memory is that of the hungriest call.
    """
    held = _forget_peak()
    result, first = timed(call)
    best = min(timed(call)[1] for _ in range(repeats))
    peak = _peak()
    return result, Cost(best, first - best, peak - held, peak)


def timed(call: Callable) -> tuple[object, float]:
    """Return what a call returned and the seconds it took."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def _forget_peak() -> float:
    """Let the peak begin anew and return what the process holds, MB.

    Where the system keeps no such record (macOS) a process has one peak from its beginning on.
    """
    if not CLEAR.exists():
        return _peak()
    CLEAR.write_text("5")
    return _status("VmRSS")


def _peak() -> float:
    """Most memory the process held since :func:`_forget_peak`, MB."""
    if CLEAR.exists():
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _status(key: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024 / 1e6
