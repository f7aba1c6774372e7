"""What enters: the schema, the prepared study, the instruments, the splits; no TensorFlow."""

from hybridlib.study.prepare import prepare
from hybridlib.study.store import Study, open_study, write_study

__all__ = ["Study", "open_study", "prepare", "write_study"]
