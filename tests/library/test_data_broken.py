"""Broken sets: their parts are exactly those of real data, and each new example has parts of different ones."""

from collections import Counter

import numpy as np
import pytest

from hvae_keras.data import broken, faces, landscapes, load, rules

PARTS = 4


def pictures(n=50, height=6):
    """Pictures without two equal rows: what is where can be told."""
    return np.arange(n * height * 3, dtype="float32").reshape(n, height, 3, 1)


def tunes(n=60):
    """Tunes of four phrases of 5 steps: each token tells its tune, phrase and step."""
    return np.arange(n * PARTS * 5).reshape(n, PARTS * 5)


def pieces(x):
    """How often each of the first axis occurs."""
    return Counter(piece.tobytes() for piece in np.ascontiguousarray(x))


@pytest.mark.parametrize("height", [6, 7])
def test_halves_are_kept_and_no_picture_keeps_its_own(height):
    x = pictures(height=height)
    y = broken.exchange_halves(x, 0)
    assert y.dtype == x.dtype and y.shape == x.shape
    assert np.array_equal(y[:, :3], x[:, :3])
    assert pieces(y[:, 3:]) == pieces(x[:, 3:])
    assert not (y[:, 3:] == x[:, 3:]).any()


@pytest.mark.parametrize("seed", range(5))
def test_phrases_are_kept_in_their_places_and_no_two_stay_together(seed):
    x = tunes()
    y = broken.shuffle_phrases(x, 5, seed)
    assert y.dtype == x.dtype and y.shape == x.shape
    old, new = (each.reshape(-1, PARTS, 5) for each in (x, y))
    for phrase in range(PARTS):
        assert pieces(new[:, phrase]) == pieces(old[:, phrase])
    tune = new[..., 0] // (PARTS * 5)
    assert all(len(set(row)) == PARTS for row in tune)


@pytest.mark.parametrize("several", [False, True])
def test_only_those_of_one_group_exchange(several):
    n = 60
    by = np.stack([np.arange(n) % 2, np.arange(n) % 3], axis=1)
    by = by if several else by[:, 1]
    for parts in (2, PARTS):
        chosen = broken.sources(n, parts, 3, by)
        assert chosen.shape == (parts, n) and np.array_equal(chosen[0], np.arange(n))
        assert np.array_equal(np.sort(chosen, axis=1), np.tile(np.arange(n), (parts, 1)))
        assert all(np.array_equal(by[row], by) for row in chosen)
        assert all(len(set(column)) == parts for column in chosen.T)
    upper, lower = broken.sources(n, 2, 3, by)
    x = pictures(n)
    expected = np.concatenate([x[upper, :3], x[lower, 3:]], axis=1)
    assert np.array_equal(broken.exchange_halves(x, 3, by), expected)


def test_the_seed_decides():
    x = pictures()
    once, again, other = (broken.exchange_halves(x, seed) for seed in (1, 1, 2))
    assert np.array_equal(once, again) and not np.array_equal(once, other)
    y = tunes()
    once, again, other = (broken.shuffle_phrases(y, 5, seed) for seed in (1, 1, 2))
    assert np.array_equal(once, again) and not np.array_equal(once, other)


def test_partners_are_drawn_evenly():
    """Of four pictures each has each of the other three as often: chi-square below its 0.1 %."""
    partner = np.array([broken.sources(4, 2, seed)[1] for seed in range(900)])
    for picture in range(4):
        counts = np.delete(np.bincount(partner[:, picture], minlength=4), picture)
        assert ((counts - 300) ** 2 / 300).sum() < 13.8


def test_too_few_to_exchange_are_refused():
    with pytest.raises(ValueError, match=r"at least 2 examples exchange; got 1 where by is 0"):
        broken.exchange_halves(pictures(1), 0)
    with pytest.raises(ValueError, match=r"at least 4 examples exchange; got 3 where by is 0"):
        broken.shuffle_phrases(tunes(3), 5, 0)
    by = np.array([[0, 1]] * 4 + [[2, 1]])
    with pytest.raises(ValueError, match=r"at least 2 examples exchange; got 1 where by is \[2, 1\]"):
        broken.exchange_halves(pictures(5), 0, by)
    with pytest.raises(ValueError, match=r"by has shape \(4,\), expected \(5,\) or \(5, k\)"):
        broken.exchange_halves(pictures(5), 0, np.zeros(4))
    with pytest.raises(ValueError, match="x is cut into whole phrases of 6 steps"):
        broken.shuffle_phrases(tunes(), 6, 0)


def test_top_and_bottom_change_places():
    x = pictures(height=6)
    y = broken.swap_top_and_bottom(x)
    assert np.array_equal(y[:, :3], x[:, 3:]) and np.array_equal(y[:, 3:], x[:, :3])
    assert np.array_equal(broken.swap_top_and_bottom(y), x)


# ---- What they break


def test_exchanged_faces_break_the_pose_and_nothing_else():
    """Whether both halves have one pose is known from the factors."""
    factors = faces.sample(800, (0, 1, 2, 3), np.random.RandomState(0))
    by = np.stack([factors["head"], factors["skin"]], axis=1)
    upper, lower = broken.sources(800, 2, 0, by)
    same = factors["pose"][upper] == factors["pose"][lower]
    kept = rules("faces").kept(broken.exchange_halves(faces.draw(factors), 0, by))
    assert 0.1 < same.mean() < 0.5
    assert np.array_equal(kept.pop("features follow the pose"), same)
    assert all(holds.all() for holds in kept.values())


def test_shuffled_tunes_lose_their_form_and_nothing_else():
    data = load("melodies").test
    by = np.stack([data.factors["tonic"], data.factors["mode"]], axis=1)
    kept = rules("melodies").kept(broken.shuffle_phrases(data.x, 16, 0, by))
    assert kept.pop("known form").mean() < 0.05
    assert all(holds.all() for holds in kept.values())


def test_tunes_shuffled_over_all_keys_lose_form_and_key():
    kept = rules("melodies").kept(broken.shuffle_phrases(load("melodies").test.x, 16, 0))
    assert kept["known form"].mean() < 0.05 and kept["one key"].mean() < 0.05
    assert all(kept[name].all() for name in ("chords", "rhythms", "contours"))


def test_swapped_scenes_have_their_sky_below():
    rng = np.random.RandomState(0)
    x = landscapes.draw(landscapes.sample(100, rng), rng)
    kept = rules("landscapes").kept(broken.swap_top_and_bottom(x))
    assert not kept["sky above ground"].any() and not kept["one light"].any()
