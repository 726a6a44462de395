"""Texts laid end to end: where each token lies, how well rows fill, and answers in order."""

import numpy as np
import pytest

from tunery_trainer.packing import ROW_TOKENS, Packed, forward_packed, pack


def texts(lengths: list[int]) -> list[list[int]]:
    """Return texts of these lengths, each of its own token."""
    return [[i + 1] * length for i, length in enumerate(lengths)]


@pytest.mark.parametrize(
    "lengths", [[5], [3, 9, 4], [60] * 7, [300, 8, 8], [16] * 64, [1] * 200, [129, 1, 64, 65, 7]]
)
def test_each_token_lies_once_in_its_text(lengths: list[int]) -> None:
    packed = pack(texts(lengths))

    for i, length in enumerate(lengths):
        mine = packed.segments == i
        assert mine.sum() == length
        assert mine.any(axis=1).sum() == 1  # in one row
        assert set(packed.input_ids[mine]) == {i + 1}
        assert packed.positions[mine].tolist() == list(range(length))
        weights = packed.pool[i].reshape(packed.segments.shape)
        np.testing.assert_allclose(weights[mine], 1 / length, rtol=1e-6)
        assert not weights[~mine].any()
    assert (packed.segments >= 0).sum() == sum(lengths)
    assert not packed.pool[len(lengths) :].any()


def test_rows_are_short_and_well_filled() -> None:
    lengths = [8 + i * 5 % 30 for i in range(64)]

    rows, tokens = pack(texts(sorted(lengths, reverse=True))).input_ids.shape

    assert tokens <= ROW_TOKENS + 8
    assert sum(lengths) / (rows * tokens) > 0.94


@pytest.mark.parametrize(
    ("lengths", "shape"),
    [
        ([7], (1, 8)),
        ([40, 40, 40], (3, 40)),  # full, with the least attention
        ([60, 30, 20, 10], (1, 120)),  # two rows would be of 64, three of 64
        ([250, 70, 60, 50, 40, 36], (2, 256)),  # beside the long one another row as long
    ],
)
def test_rows_are_as_many_as_cost_least(lengths: list[int], shape: tuple[int, int]) -> None:
    assert pack(texts(lengths)).input_ids.shape == shape


def test_answers_are_in_the_order_asked() -> None:
    passes = []

    def forward(packed: Packed) -> np.ndarray:
        passes.append(int((packed.segments >= 0).sum()))
        return packed.pool @ packed.input_ids.reshape(-1, 1).astype(np.float32)  # its own token

    lengths = [5, 90, 3, 200, 40, 12, 60]
    answers = forward_packed(texts(lengths), forward, max_tokens=100)

    np.testing.assert_allclose(answers[:, 0], np.arange(1, 8), rtol=1e-6)
    assert max(passes) == 200  # alone
    assert all(tokens <= 100 for tokens in passes if tokens != 200)
    assert forward_packed([], forward, max_tokens=100).shape == (0, 0)
