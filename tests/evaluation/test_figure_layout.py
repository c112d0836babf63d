"""Figures of made-up runs: every text legible, every point inside its panel."""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pytest

from tests.evaluation.made_up import ALL


@pytest.mark.parametrize("name", ALL)
def test_every_text_is_legible(name, monkeypatch):
    figure = ALL[name]()
    figure.canvas.draw()
    # Matplotlib keeps labels of ticks outside an axis; they are not drawn.
    drawn = {}
    draw = matplotlib.text.Text.draw

    def note(text, renderer):
        if text.get_text() and text.get_visible():
            drawn[text] = text.get_window_extent(renderer)
        draw(text, renderer)

    monkeypatch.setattr(matplotlib.text.Text, "draw", note)
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    shown = [(text.get_text(), box) for text, box in drawn.items()]
    assert len(shown) > 5
    for text, box in shown:
        assert box.x0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= height + 1, text
    for (text, box), (other, other_box) in itertools.combinations(shown, 2):
        apart = (
            min(box.x1, other_box.x1) - max(box.x0, other_box.x0) < 1
            or min(box.y1, other_box.y1) - max(box.y0, other_box.y0) < 1.5
        )
        assert apart, (text, other, box, other_box)


@pytest.mark.parametrize("name", ALL)
def test_every_point_is_inside_its_panel(name):
    figure = ALL[name]()
    figure.canvas.draw()
    for axis in figure.axes:
        low, high = axis.get_ylim()
        for line in axis.get_lines():
            values = np.asarray(line.get_ydata(), float)
            values = values[np.isfinite(values)]
            assert ((values >= low) & (values <= high)).all()
