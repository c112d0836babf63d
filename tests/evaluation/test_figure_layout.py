"""Figures of made-up runs: every text legible, every point inside its panel."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.made_up import ALL
from tests.pictures import check_legible


@pytest.mark.parametrize("name", ALL)
def test_every_text_is_legible(name, monkeypatch):
    check_legible(ALL[name](), 5, monkeypatch)


@pytest.mark.parametrize("name", ALL)
def test_every_point_is_inside_its_panel(name):
    figure = ALL[name]()
    figure.draw_without_rendering()
    for axis in figure.axes:
        low, high = axis.get_ylim()
        for line in axis.get_lines():
            values = np.asarray(line.get_ydata(), float)
            values = values[np.isfinite(values)]
            assert ((values >= low) & (values <= high)).all()
