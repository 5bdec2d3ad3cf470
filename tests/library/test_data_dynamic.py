"""Dynamic binarization: pixels drawn anew, every image once an epoch."""

import numpy as np
import pytest
from small_models import make_vae

from hvae_keras.data.dynamic import DynamicallyBinarized


def grey(n=12):
    """Image i is bright in column i and grey elsewhere, so that it can be told after the draw."""
    x = np.full((n, 4, n, 1), 0.3, "float32")
    x[np.arange(n), :, np.arange(n)] = 1.0
    return x


def image_numbers(batches):
    """Which images an epoch holds: the column that is all ones."""
    pixels = np.concatenate([batches[i] for i in range(len(batches))])
    return pixels[..., 0].min(axis=1).argmax(axis=-1)


def test_an_epoch_holds_every_image_once_in_a_new_order():
    x = np.zeros((12, 4, 12, 1), "float32")
    x[np.arange(12), :, np.arange(12)] = 1.0
    batches = DynamicallyBinarized(x, 4)
    first = image_numbers(batches)
    batches.on_epoch_end()
    second = image_numbers(batches)
    assert sorted(first) == sorted(second) == list(range(12)) and (first != second).any()


def test_pixels_are_drawn_anew_with_the_probability_of_their_grey_level():
    batches = DynamicallyBinarized(grey(), 12)
    draws = np.stack([batches[0] for _ in range(400)])
    assert draws.dtype == "float32" and set(np.unique(draws)) == {0.0, 1.0}
    rates = draws.mean(axis=(0, 1))  # over images: a pixel is bright in 1 of 12 of them
    expected = (11 * 0.3 + 1) / 12
    assert abs(rates - expected).max() < 5 * np.sqrt(0.25 / 4800)
    assert not np.array_equal(draws[0], draws[1])


def test_the_seed_fixes_order_and_pixels():
    first, same, other = (DynamicallyBinarized(grey(), 4, seed) for seed in (1, 1, 2))
    for i in range(3):
        one, two = first[i], same[i]
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, [other[i] for i in range(3)][-1])


def test_every_batch_is_full():
    batches = DynamicallyBinarized(grey(11), 4)
    assert len(batches) == 2 and all(batches[i].shape == (4, 4, 11, 1) for i in range(2))


def test_fit_takes_it():
    vae, x = make_vae(), np.random.default_rng(0).random((32, 4, 4, 1), dtype="float32")
    history = vae.fit(DynamicallyBinarized(x, 8), epochs=2, verbose=0).history
    assert len(history["elbo"]) == 2


@pytest.mark.parametrize(
    ("x", "batch_size", "message"),
    [
        (grey(), 13, "batch_size is 1 to 12"),
        (grey(), 0, "batch_size is 1 to 12"),
        (grey() * 255, 4, "grey levels between 0 and 1; got 76.5 to 255"),
        (np.full((4, 2, 2, 1), np.nan), 2, "grey levels between 0 and 1; got nan"),
    ],
)
def test_bad_arguments(x, batch_size, message):
    with pytest.raises(ValueError, match=message):
        DynamicallyBinarized(x, batch_size)
