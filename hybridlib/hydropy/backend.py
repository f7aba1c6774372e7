"""TensorFlow and Keras as this project uses them, with their notices kept from the reader.

Importing TensorFlow and opening its devices prints notices about absent graphics cards straight
to the standard error stream, past every logging switch. They are kept from the reader here.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager


@contextmanager
def _without_standard_error():
    """Send file descriptor 2 to nowhere: the notices come from C++, not from Python."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _without_standard_error():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()

tf.get_logger().setLevel("ERROR")

__all__ = ["keras", "tf"]
