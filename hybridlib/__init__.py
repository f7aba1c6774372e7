"""HydroPy as a recurrent neural network: the compute behind the book."""

import os

# The newer XLA fusion emitters leave this model's long elementwise code unvectorised on CPU:
# switching them off made the recurrence 3-5 times faster (TensorFlow 2.21). XLA reads the
# variable once, when TensorFlow is imported, so it is set here, and never overwritten.
_XLA_FLAG = "--xla_cpu_use_fusion_emitters=false"
if "xla_cpu_use_fusion_emitters" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAG}".strip()
# Without it TensorFlow leaves oneDNN off on some processors, and Conv3D is ten times slower there.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
