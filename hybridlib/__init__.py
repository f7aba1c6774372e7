"""HydroPy as a recurrent neural network: the compute behind the book.

The face is loaded when it is used: ``open_study``, ``prepare`` and ``make_twin`` bring data,
``HydroPyNN`` is the physics, ``Settings`` and ``train`` make a ``Run``, and ``run_notebooks`` tells
the study.
"""

import importlib
import os
import sys
import warnings

# One kernel for several results keeps XLA from computing the inputs they share once for each: the
# backward pass of a day shrinks from 6,900 to 840 elementwise operations and runs twice as fast.
# It needs the newer fusion emitters, which without it are 3-5 times slower (TensorFlow 2.21).
# XLA reads the variable once, when TensorFlow is imported, so it is set here; what a user has put
# there about either stays.
_XLA_FLAGS = (
    "--xla_cpu_use_fusion_emitters=true",
    "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion=true",
)
_given = os.environ.get("XLA_FLAGS", "")
if not any(flag.partition("=")[0] in _given for flag in _XLA_FLAGS):
    os.environ["XLA_FLAGS"] = " ".join([_given, *_XLA_FLAGS]).strip()
# Without it TensorFlow leaves oneDNN off on some processors, and Conv3D is ten times slower there.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if "tensorflow" in sys.modules:
    warnings.warn(
        "tensorflow was imported before hybridlib, which sets its compiler's flags: training takes "
        "about twice as long; import hybridlib first",
        stacklevel=2,
    )

__version__ = "0.1.0"
_FACE = {
    "open_study": "hybridlib.study.store",
    "prepare": "hybridlib.study.prepare",
    "make_twin": "hybridlib.twin.make",
    "HydroPyNN": "hybridlib.hydropy.model",
    "Settings": "hybridlib.learning.settings",
    "train": "hybridlib.learning.training",
    "Run": "hybridlib.learning.run",
    "run_notebooks": "hybridlib.publish.notebooks:run",
}
"""Public names and the modules that hold them."""
__all__ = ["__version__", *_FACE]


def __getattr__(name: str):
    if name not in _FACE:
        raise AttributeError(f"module 'hybridlib' has no attribute '{name}'")
    module, _, own = _FACE[name].partition(":")
    return getattr(importlib.import_module(module), own or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACE})
