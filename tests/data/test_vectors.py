"""Word vectors in GloVe's text format and their neighbours."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.system.errors import UserError


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b)
    )


def test_neighbours_by_hand(tmp_path):
    """Angles 0, 10, 90 and 180 degrees, lengths of no consequence."""
    vectors = WordVectors.read(
        write(tmp_path / "v", "east 1 0\nnearly 98 17\nnorth 0 0.5\nwest -3 0\n")
    )
    assert vectors.neighbours(["east", "unheard"], 3) == {"east": ["nearly", "north", "west"]}
    assert vectors.neighbours(["west", "north"], 1) == {"west": ["north"], "north": ["nearly"]}


@given(
    st.integers(2, 25), st.integers(2, 6), st.integers(1, 30), st.integers(1, 7), st.integers(0, 99)
)
def test_neighbours_equal_brute_force(count, width, k, block, seed):
    matrix = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    vectors = WordVectors([f"w{i}" for i in range(count)], matrix)
    found = vectors.neighbours([f"w{i}" for i in range(count)], k, block)
    for i in range(count):
        similar = {
            j: cosine(matrix[i].tolist(), matrix[j].tolist()) for j in range(count) if j != i
        }
        best = sorted(similar.values(), reverse=True)[:k]
        places = [int(word[1:]) for word in found[f"w{i}"]]
        assert len(set(places)) == len(places) == min(k, count - 1)
        assert [similar[j] for j in places] == pytest.approx(best, abs=1e-5)


def test_the_order_of_questions_does_not_matter():
    vectors = WordVectors(
        list("abcdef"), np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    )
    assert vectors.neighbours(list("abab"), 2) == vectors.neighbours(list("ba"), 2, block=1)
    assert vectors.neighbours([], 2) == {} and WordVectors(["only"], np.ones((1, 2))).neighbours(
        ["only"], 3
    ) == {"only": []}


def test_words_may_hold_spaces(tmp_path):
    vectors = WordVectors.read(
        write(tmp_path / "v", "the 1 2\n. . . 3 4\nat name@domain.com 5 6\n2 7 8\n")
    )
    assert vectors.words == ["the", ". . .", "at name@domain.com", "2"]
    assert np.allclose(vectors.matrix[1], [0.6, 0.8])


@pytest.mark.parametrize(
    "text",
    [
        "a 1 2 \nb 3 4 \n",
        "a  1   2\nb  3 4\n",
        "a\t1\t2\nb\t3\t4\n",
        "a\t1 2\t \nb\t3 4\n",
        "2 2\t\na 1 2 \nb 3 4 \n",
        "2\t2\na\t1\t2\t\nb\t3\t4\t\n",
        "a 1 2\rb 3 4\r",
    ],
)
def test_runs_of_white_space_separate_and_nothing_else_changes(tmp_path, text):
    found = WordVectors.read(write(tmp_path / "v", text))
    wanted = WordVectors.read(write(tmp_path / "v", "a 1 2\nb 3 4\n"))
    assert found.words == wanted.words and (found.matrix == wanted.matrix).all()


def test_other_blanks_are_part_of_a_word(tmp_path):
    text = "\u00a0 1 2\na\u3000b 3 4\n\u0085 5 6\n"
    assert WordVectors.read(write(tmp_path / "v", text)).words == ["\u00a0", "a\u3000b", "\u0085"]


def test_words_in_broken_utf_8_are_left_out_with_a_count(tmp_path, capsys):
    text = b"a 1 2\ncaf\xe9 3 4\nb 5 6\n\xe7\x94 7 8\n"
    assert WordVectors.read(write(tmp_path / "v", text)).words == ["a", "b"]
    assert "v: 2 words left out, not UTF-8 text; the first is in line 2" in (
        capsys.readouterr().err
    )


def test_words_that_are_not_read_are_said(tmp_path, capsys):
    WordVectors.read(write(tmp_path / "v", "a 1 2\nb 3 4\nc 5 6\n"), most=2)
    assert "v: only its first 2 words are used" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["\ufeffa 1 2\nb 3 4\n", "a 1 2\r\nb 3 4\r\n", "a 1 2\nb 3 4", "2 2\na 1 2\nb 3 4\n"]
)
def test_bom_line_ends_and_a_count_line_change_nothing(tmp_path, text):
    vectors = WordVectors.read(write(tmp_path / "v", text))
    assert vectors.words == ["a", "b"] and np.allclose(
        vectors.matrix, np.float32([[1, 2], [3, 4]]) / np.sqrt([[5], [25]])
    )


def test_no_more_rows_are_read_than_asked_for(tmp_path):
    assert WordVectors.read(write(tmp_path / "v", "a 1 2\nb 3 4\nc broken\n"), most=2).words == [
        "a",
        "b",
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "text, says",
    [
        ("a 1 2 3\nb 1 2\n", "line 2: is not a word and 3 finite numbers"),
        ("a 1 2\nb 1 x\n", "line 2"),
        ("a 1 2\n\nb 1 2\n", "line 2"),
        ("a 1 2\nb nan 2\n", "line 2"),
        ("a 1 2\nb inf 2\n", "line 2"),
        ("a 1 2\nb 1e39 2\n", "line 2"),
        ("word\n", "line 1"),
        ("<html>\n", "is a web page"),
        ("a b\n", "line 1"),
        ("", "is empty"),
        ("3 2\n", "is empty"),
        (b"a 1 2\nb caf\xe9 2\n", "line 2"),
        (b"caf\xe9 1 2\n", "is empty"),
    ],
)
def test_what_is_no_vector_is_named_by_file_and_line(tmp_path, text, says):
    path = write(tmp_path / "glove.txt", text)
    with pytest.raises(UserError, match="glove.txt") as error:
        WordVectors.read(path)
    assert says in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="glove.txt is missing"):
        WordVectors.read(tmp_path / "glove.txt")


def test_a_row_of_zeros_is_far_from_everything():
    vectors = WordVectors(["zero", "a", "b"], np.float32([[0, 0], [1, 0], [1, 0.1]]))
    assert (
        vectors.neighbours(["a"], 2) == {"a": ["b", "zero"]} and np.isfinite(vectors.matrix).all()
    )
