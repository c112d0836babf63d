"""Whether pictures can be read."""

from __future__ import annotations

import itertools

import matplotlib
from matplotlib.figure import Figure


def check_legible(figure: Figure, least: int, monkeypatch) -> None:
    """More texts than `least` are drawn, each inside of the figure, and none on another."""
    figure.draw_without_rendering()  # lays it out
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
    assert len(shown) > least
    for name, box in shown:
        assert box.x0 >= -1, name
        assert box.x1 <= width + 1, name
        assert box.y0 >= -1, name
        assert box.y1 <= height + 1, name
    for (name, box), (other, other_box) in itertools.combinations(shown, 2):
        apart = (
            min(box.x1, other_box.x1) - max(box.x0, other_box.x0) < 1
            or min(box.y1, other_box.y1) - max(box.y0, other_box.y0) < 1.5
        )
        assert apart, (name, other, box, other_box)
