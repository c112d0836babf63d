import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systems.utils.strict_json import plain, to_json

NUMPY = st.one_of(
    st.floats(width=32).map(np.float32),
    st.integers(0, 100).map(np.int64),
    st.booleans().map(np.bool_),
    st.lists(st.floats()).map(np.array),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), NUMPY),
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(st.text(), inner)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_a_strict_parser_reads_back_what_the_value_is_in_plain_types(value):
    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(to_json(value), parse_constant=refuse)
    assert read == plain(value)
    assert plain(read) == read


def test_null_stands_for_what_is_no_finite_number():
    values = {"a": [math.nan, -math.inf, 1.5], "b": np.array([[np.nan, 2.0]], np.float32)}
    assert to_json(values) == '{"a": [null, null, 1.5], "b": [[null, 2.0]]}'


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_json({"a": object()})
