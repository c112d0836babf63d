"""Names that are not known, and the nearest that are."""

from __future__ import annotations

import pytest

from ganno.names import nearest, unknown


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("optimizer", ["dataset", "optimiser"], "optimiser"),
        ("normalize_values", ["normalise_values", "normalise_observations"], "normalise_values"),
        ("epoch", ["epochs", "batch_size"], "epochs"),
        ("width", ["dataset", "network_options.width"], "network_options.width"),
        ("Adam", ["sgd", "adam"], "adam"),
        ("system.gamam", ["system.gamma", "system.name"], "system.gamma"),
        ("system.foo", ["system.gamma", "system.name"], None),
        (3, ["adam"], None),
    ],
)
def test_the_nearest_name(name, known, expected):
    assert nearest(name, known) == expected


def test_an_unknown_name_is_answered_with_the_known_ones():
    assert unknown("dataset", "x", ["digits"]) == "unknown dataset 'x'; known: digits"
    assert unknown("dataset", "x", []) == "unknown dataset 'x'; known: none"
