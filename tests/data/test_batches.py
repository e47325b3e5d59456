"""Rows to batches: nothing lost, nothing twice, padding that says so."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinybert_lite.data.batches import Batches, Examples, bucketed, in_order

row_lists = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=9), min_size=1, max_size=12)


def examples(rows, first=None, **more) -> Examples:
    made = Examples.joined([(rows, [1] * len(rows) if first is None else first)])
    return Examples(made.ids, made.starts, made.first, **more)


def test_a_batch_by_hand():
    made = examples(
        [[2, 7, 3], [2, 8, 9, 3, 7, 3]],
        [3, 4],
        labels=np.float32([1, 0]),
        soft_targets=np.float32([[1, 2], [3, 4]]),
    )
    batch = made.batch([1, 0])
    assert {name: value.tolist() for name, value in batch.items()} == {
        "input_ids": [[2, 8, 9, 3, 7, 3], [2, 7, 3, 0, 0, 0]],
        "attention_mask": [[1] * 6, [1, 1, 1, 0, 0, 0]],
        "token_type_ids": [[0, 0, 0, 0, 1, 1], [0] * 6],
        "labels": [0.0, 1.0],
        "soft_targets": [[3.0, 4.0], [1.0, 2.0]],
    }
    assert all(
        value.dtype == (torch.float32 if name in ("labels", "soft_targets") else torch.int64)
        for name, value in batch.items()
    )


@given(row_lists, st.data())
def test_a_batch_holds_its_rows_and_padding_alone(rows, data):
    first = [data.draw(st.integers(1, len(row))) for row in rows]
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=6))
    batch = examples(rows, first).batch(chosen)
    assert batch["input_ids"].shape == (len(chosen), max(len(rows[i]) for i in chosen))
    for place, i in enumerate(chosen):
        row, mask = rows[i], batch["attention_mask"][place].bool()
        assert mask.sum() == len(row) and mask[: len(row)].all()
        assert batch["input_ids"][place][mask].tolist() == row
        assert batch["input_ids"][place][~mask].eq(0).all()
        assert batch["token_type_ids"][place].tolist() == [
            int(first[i] <= j < len(row)) for j in range(len(mask))
        ]


@given(row_lists, row_lists)
def test_joining_blocks_is_taking_all_at_once(some, others):
    once, parts = (
        examples(some + others),
        Examples.joined((rows, [1] * len(rows)) for rows in (some, [], others)),
    )
    for name in ("ids", "starts", "first"):
        assert np.array_equal(getattr(once, name), getattr(parts, name))
    assert len(parts) == len(some) + len(others) and parts.lengths.tolist() == [
        len(row) for row in some + others
    ]
    assert parts.ids.dtype == np.int32


@given(
    st.lists(st.integers(1, 50), max_size=200),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(0, 9),
)
def test_every_row_comes_once_in_full_batches_of_like_lengths(lengths, size, pool, seed):
    lengths = np.array(lengths, dtype=int)
    batches = bucketed(lengths, size, np.random.default_rng(seed), pool)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size) and sorted(map(len, batches))[1:] == [size] * (
        len(batches) - 1
    )
    if len(lengths) <= pool * size:  # one pool: no two batches overlap in length
        ranges = sorted((lengths[batch].min(), lengths[batch].max()) for batch in batches)
        assert all(low[1] <= high[0] for low, high in pairwise(ranges))


def test_epochs_are_shuffled_by_seed_and_number():
    made = examples([[1] * (1 + i % 7) for i in range(40)])

    def order(seed, epoch):
        return [row for batch in Batches(made, 4, seed).epoch(epoch)[1] for row in batch]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4
    lengths = made.lengths[order(1, 0)]
    assert (
        not (np.diff(lengths) >= 0).all() and not (np.diff(lengths) <= 0).all()
    )  # long and short batches mixed


@given(st.integers(0, 30), st.integers(1, 7))
def test_steps_count_the_batches_without_reading_where_rows_are_known(count, size):
    made = Batches(examples([[1]] * count), size, seed=0)
    assert made.steps(0) == len(made.epoch(0)[1])
    assert Batches(lambda epoch: 1 / 0, size, seed=0, rows=lambda epoch: count + epoch).steps(
        2
    ) == -(-(count + 2) // size)


def test_each_epoch_may_have_its_own_data():
    made = Batches(lambda epoch: examples([[1]] * (epoch + 2)), 2, seed=0)
    for epoch in (0, 1, 5):
        found, batches = made.epoch(epoch)
        assert len(found) == epoch + 2 == sum(map(len, batches))


@given(row_lists, st.integers(1, 5))
def test_prediction_meets_every_row_once_longest_first(rows, size):
    seen, longest = [], []
    for numbers, batch in in_order(examples(rows), size):
        seen += numbers.tolist()
        longest.append(batch["input_ids"].shape[1])
        assert batch["attention_mask"].sum(1).tolist() == [len(rows[i]) for i in numbers]
    assert sorted(seen) == list(range(len(rows))) and longest == sorted(longest, reverse=True)


@given(row_lists, st.integers(1, 5), st.floats(0, 1))
def test_prediction_batches_hold_rows_of_similar_length(rows, size, similar):
    seen = []
    for numbers, batch in in_order(examples(rows), size, similar=similar):
        seen += numbers.tolist()
        lengths = batch["attention_mask"].sum(1)
        assert len(numbers) <= size and lengths.min() >= similar * lengths.max()
    assert sorted(seen) == list(range(len(rows)))


def test_labels_travel_with_their_rows():
    made = examples([[1], [2], [3]]).with_labels(np.float32([10, 20, 30]))
    assert made.batch([2, 0])["labels"].tolist() == [30, 10]
    assert "labels" not in examples([[1]]).batch([0]) and "targets" not in examples([[1]]).batch(
        [0]
    )
