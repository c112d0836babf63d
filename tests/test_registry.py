"""The registry: names, in order, with errors that help."""

import pytest

from ganno_env.registry import Registry


@pytest.fixture
def colours() -> Registry[int]:
    registry = Registry[int]("colour")
    registry.add("red", 1)
    registry.add("green", 2)
    return registry


def test_is_a_mapping_in_order_of_registration(colours: Registry[int]) -> None:
    assert dict(colours) == {"red": 1, "green": 2}
    assert list(colours) == ["red", "green"]
    assert len(colours) == 2
    assert "red" in colours
    assert "blue" not in colours


def test_add_returns_the_member(colours: Registry[int]) -> None:
    assert colours.add("blue", 3) == 3
    assert colours["blue"] == 3


def test_register_leaves_what_it_decorates_alone() -> None:
    makers = Registry[object]("maker")

    @makers.register("one")
    def one() -> int:
        return 1

    assert makers["one"] is one
    assert one() == 1


def test_refuses_a_name_that_is_taken(colours: Registry[int]) -> None:
    with pytest.raises(ValueError, match="colour 'red' is registered already"):
        colours.add("red", 3)
    assert colours["red"] == 1


def test_an_unknown_name_is_answered_with_the_known_ones(colours: Registry[int]) -> None:
    with pytest.raises(ValueError, match=r"unknown colour 'purple'; known: red, green"):
        colours["purple"]


def test_a_near_miss_is_answered_with_a_suggestion(colours: Registry[int]) -> None:
    with pytest.raises(ValueError, match=r"unknown colour 'gren' \(did you mean 'green'\?\)"):
        colours["gren"]


@pytest.mark.parametrize("name", [None, 1, ["red"]])
def test_a_name_of_another_type_is_unknown(colours: Registry[int], name: object) -> None:
    with pytest.raises(ValueError, match="unknown colour"):
        colours[name]  # type: ignore[index]


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(ValueError, match="known: none"):
        Registry[int]("colour")["red"]
