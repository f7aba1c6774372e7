"""What several tests share."""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

from hybridlib.figures.style import STYLE

matplotlib.use("Agg")


@pytest.fixture
def closed_figures():
    """Close what a test drew."""
    yield
    plt.close("all")


@pytest.fixture
def book_style(closed_figures):
    """Draw as the book does, and close it."""
    with plt.style.context(STYLE):
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the project's folder."""
    return Path(__file__).resolve().parents[1]
