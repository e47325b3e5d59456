"""Which teacher layer teaches which student layer."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybert_lite.method.layer_mapping import layer_mapping
from tinybert_lite.system.errors import UserError


@pytest.mark.parametrize(
    "mapping, student, teacher, expected",
    [
        ("uniform", 4, 12, [0, 3, 6, 9, 12]),
        ("uniform", 6, 12, [0, 2, 4, 6, 8, 10, 12]),
        ("uniform", 3, 3, [0, 1, 2, 3]),
        ("top", 4, 12, [0, 9, 10, 11, 12]),
        ("bottom", 4, 12, [0, 1, 2, 3, 4]),
        ("3,6,9,12", 4, 12, [0, 3, 6, 9, 12]),
        ("0,3,6,9,12", 4, 12, [0, 3, 6, 9, 12]),
        ("2,2", 2, 4, [0, 2, 2]),
        (" 1 , 4 ", 2, 4, [0, 1, 4]),
        ("12", 1, 12, [0, 12]),
    ],
)
def test_by_hand(mapping, student, teacher, expected):
    assert layer_mapping(mapping, student, teacher) == expected


@given(st.integers(1, 8), st.integers(1, 4), st.sampled_from(["uniform", "top", "bottom"]))
def test_every_named_mapping_starts_at_the_embeddings_and_climbs_within_the_teacher(
    student, times, mapping
):
    layers = layer_mapping(mapping, student, student * times)
    assert layers[0] == 0 and len(layers) == student + 1
    assert all(low < high for low, high in pairwise(layers)) and layers[-1] <= student * times
    assert mapping == "bottom" or layers[-1] == student * times  # the last layer teaches the last


@given(st.integers(1, 6), st.integers(6, 12), st.data())
def test_a_list_is_taken_as_it_is(student, teacher, data):
    layers = data.draw(st.lists(st.integers(1, teacher), min_size=student, max_size=student))
    assert layer_mapping(",".join(map(str, layers)), student, teacher) == [0, *layers]


@pytest.mark.parametrize(
    "mapping, student, teacher, says",
    [
        ("uniform", 5, 12, "multiple.* list such as 2,5,7,10,12"),
        ("uniform", 6, 4, "6 layers, more than the teacher's 4"),
        ("top", 6, 4, "more than"),
        ("3,6,9", 4, 12, "give one teacher layer"),
        ("3,6,9,12,12,12", 4, 12, "give one teacher layer"),
        ("3,6,9,13", 4, 12, "from 1 to 12"),
        ("3,6,0,12", 4, 12, "from 1 to 12"),
        ("-1,6,9,12", 4, 12, "from 1 to 12"),
        ("middle", 4, 12, "middle is unknown"),
        ("", 4, 12, "is unknown"),
        ("3,six", 2, 12, "is unknown"),
    ],
)
def test_what_does_not_fit_is_said(mapping, student, teacher, says):
    with pytest.raises(UserError, match=says):
        layer_mapping(mapping, student, teacher)
