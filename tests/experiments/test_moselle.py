"""Do the curves of the real basin go on beyond the chosen steps, along the same training?"""

from __future__ import annotations

import cases
import numpy as np
import pytest

from hybridlib.experiments import moselle
from hybridlib.learning.run import Run
from hybridlib.learning.settings import PRESETS, Settings
from hybridlib.learning.training import train


def test_is_the_result_that_of_a_training_stopped_at_the_chosen_step(tmp_path, monkeypatch):
    monkeypatch.setattr(moselle, "SEEDS", 2)
    monkeypatch.setattr(moselle, "WATCHED", 5)
    monkeypatch.setitem(PRESETS, "fast", PRESETS["fast"].model_copy(update={"steps": 2}))
    study = cases.tiny_study(tmp_path, twsa=False)
    results, curves = moselle.train(study.path)
    assert list(curves.groupby(["scheme", "seed"]).step.max()) == [5] * 4
    run = tmp_path / "run"
    train(Settings(scheme="hybrid_q", study=str(study.path), members=2), run)
    scores = Run.open(run).scores().discharge.sel(metric="NSE")
    for row in results[results.scheme == "hybrid_q"].itertuples():
        for period in ("train", "validation"):
            expected = np.nanmean(scores.sel(period=period, member=row.seed))
            assert getattr(row, period) == pytest.approx(expected, abs=1e-5)
