"""`faces`: images are what their factors say, factors follow the stated tables, splits share nothing."""

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from hvae_keras.data import Dataset, Split, faces, load

PARTS = ("train", "validation", "test")
BOTTOM = ("eyes", "nose", "mouth")


@pytest.fixture(scope="module")
def data():
    return load("faces")


@pytest.fixture(scope="module")
def grid():
    """Every combination of factors, and its image."""
    sizes = [len(values) for values in faces.FACTORS.values()]
    factors = dict(zip(faces.FACTORS, np.indices(sizes).reshape(len(sizes), -1), strict=True))
    return factors, faces.draw(factors)


def rows(split):
    return np.stack([split.factors[name] for name in faces.FACTORS], axis=1)


def test_arrays_are_what_the_contract_says(data):
    for part, size in zip(PARTS, (4800, 800, 800), strict=True):
        split = getattr(data, part)
        assert split.x.dtype == np.float32 and split.x.shape == (size, 32, 32, 1)
        assert split.x.min() == 0 and split.x.max() == 1
        assert list(split.factors) == list(data.factor_values) == list(data.levels)
        for name, index in split.factors.items():
            assert index.dtype == np.int64 and index.shape == (size,)
            assert np.array_equal(np.unique(index), np.arange(len(data.factor_values[name])))


def test_every_factor_has_its_level(data):
    assert data.levels == {"pose": 2, "head": 2, "skin": 2, "eyes": 1, "nose": 1, "mouth": 1}
    assert load("sprites").levels == {}
    assert "  pose       level 2, 5 values: left, half left, ..., right" in repr(data)


def test_levels_of_other_factors_are_refused():
    split = Split(np.zeros((4, 8, 8, 1), "float32"))
    with pytest.raises(ValueError, match=r"levels is given for \['hat'\], expected one for each of \['pose'\]"):
        Dataset("made", split, split, split, {"pose": np.arange(5)}, levels={"hat": 1})


def test_factors_reproduce_the_images(data):
    for part in PARTS:
        split = getattr(data, part)
        assert np.array_equal(faces.draw(split.factors), split.x)


def test_different_combinations_are_different_images(grid):
    """Any two of the 3,840 differ, and visibly: changing one factor moves the image by a stated distance."""
    factors, x = grid
    x = x.reshape(len(x), -1).astype("float64")
    assert len(x) == 3840 == len(np.unique(x, axis=0))
    sizes = [len(values) for values in faces.FACTORS.values()]
    images = x.reshape(*sizes, -1)
    for axis, name in enumerate(faces.FACTORS):
        for one, two in itertools.combinations(range(sizes[axis]), 2):
            distance = np.linalg.norm(images.take(one, axis) - images.take(two, axis), axis=-1)
            assert distance.min() > 0.4, (name, one, two)


def test_features_never_overlap():
    """`draw` adds what each feature changes: that is right only where no pixel is covered more than once."""
    covered, light = faces.features()
    for head, pose in np.ndindex(4, 5):
        inside = faces.shares(faces.inside_head(faces.HEADS[head]))
        most = sum(covered[name][head, pose].max(axis=0) for name in BOTTOM)
        assert (most <= inside + 1e-9).all(), (head, pose, (most - inside).max())
    for name in BOTTOM:
        assert (light[name] <= covered[name]).all() and (covered[name] >= 0).all()


def test_a_face_turned_left_is_the_mirror_of_one_turned_right(grid):
    factors, x = grid
    for left, right in ((0, 4), (1, 3), (2, 2)):
        there, back = x[factors["pose"] == left], x[factors["pose"] == right]
        np.testing.assert_allclose(there, back[:, :, ::-1], atol=1e-6)


def test_features_move_with_the_pose(grid):
    """The darkest part of the face, the mouth, lies further right with every pose, on every head."""
    factors, x = grid
    middles = []
    for pose in range(5):
        keep = (factors["pose"] == pose) & (factors["mouth"] == 3) & (factors["head"] == 0)
        missing = np.array(faces.SKINS)[factors["skin"][keep]][:, None] - x[keep, 22:27, 6:26, 0].mean(axis=1)
        middles.append(
            (np.clip(missing, 0, None) @ np.arange(6, 26)).mean() / np.clip(missing, 0, None).sum(1).mean()
        )
    assert (np.diff(middles) > 1).all(), middles


@pytest.mark.parametrize("part", PARTS)
def test_frequencies_match_the_stated_tables(data, part):
    """Chi-square tests of p(factor | pose) and of the uniform top; fixed data, so this never fails by chance."""
    split = getattr(data, part)
    for name in ("pose", "head", "skin"):
        assert chisquare(np.bincount(split.factors[name])).pvalue > 0.01, name
    for name in BOTTOM:
        table = faces.given_pose(name)
        for pose in range(5):
            count = np.bincount(split.factors[name][split.factors["pose"] == pose], minlength=table.shape[1])
            assert chisquare(count, table[pose] * count.sum()).pvalue > 0.001, (name, pose, count)


def test_all_else_is_independent(data):
    """Head and skin of each other and of all else; eyes, nose and mouth of each other given the pose."""
    free = [("head", name) for name in faces.FACTORS if name != "head"]
    free += [("skin", name) for name in faces.FACTORS if name not in ("head", "skin")]
    for part, (one, two) in itertools.product(PARTS, free):
        split = getattr(data, part)
        table = np.zeros((len(faces.FACTORS[one]), len(faces.FACTORS[two])))
        np.add.at(table, (split.factors[one], split.factors[two]), 1)
        assert chi2_contingency(table).pvalue > 0.001, (part, one, two)
    for pose, (one, two) in itertools.product(range(5), itertools.combinations(BOTTOM, 2)):
        split = data.train.where(data.train.factors["pose"] == pose)
        table = np.zeros((len(faces.FACTORS[one]), len(faces.FACTORS[two])))
        np.add.at(table, (split.factors[one], split.factors[two]), 1)
        expected = np.outer(faces.given_pose(one)[pose], faces.given_pose(two)[pose]) * len(split)
        assert chisquare(table.ravel(), expected.ravel()).pvalue > 0.001, (pose, one, two)


@pytest.mark.parametrize("name", BOTTOM)
def test_information_with_pose_is_that_of_the_joint_table(name):
    """The definition, I = H(pose) + H(factor) - H(pose, factor), from the joint table."""
    joint = faces.given_pose(name) / 5

    def entropy(p):
        return -(p * np.log(p)).sum()

    expected = entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1)) - entropy(joint)
    assert faces.information_with_pose(name) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(faces.given_pose(name).sum(axis=1), 1)


def test_information_with_pose_of_the_top_level():
    assert faces.information_with_pose("head") == faces.information_with_pose("skin") == 0
    assert faces.information_with_pose("pose") == pytest.approx(np.log(5))


@pytest.mark.parametrize("name", ["pose", "hat"])
def test_given_pose_refuses_what_it_has_no_table_for(name):
    with pytest.raises(ValueError, match=f"factor is one of head, skin, eyes, nose, mouth; got '{name}'"):
        faces.given_pose(name)


def test_no_combination_is_in_two_splits(data):
    """Images repeat within a split, as in any draw from finitely many; between splits they never do."""
    seen = [set(map(tuple, rows(getattr(data, part)))) for part in PARTS]
    for one, two in itertools.combinations(seen, 2):
        assert not one & two
    images = [{x.tobytes() for x in getattr(data, part).x} for part in PARTS]
    for one, two in itertools.combinations(images, 2):
        assert not one & two


def test_splits_cover_every_combination(grid):
    """Each of the 3,840 combinations belongs to exactly one split: half to train, a quarter to each other."""
    factors, _ = grid
    offset = faces.offsets()[tuple(factors[name] for name in ("pose", *BOTTOM))]
    remainder = (factors["head"] + factors["skin"] + offset) % 4
    held = sorted(r for part in PARTS for r in faces.PARTS[part])
    assert held == [0, 1, 2, 3]
    assert np.array_equal(np.bincount(remainder), [960] * 4)


def test_every_split_keeps_the_stated_probabilities():
    """Exactly: with the probability of each combination, every offset has probability 1/4."""
    probability = np.einsum("pe,pn,pm->penm", *(faces.given_pose(name) for name in BOTTOM)) / 5
    share = np.bincount(faces.offsets().ravel(), probability.ravel(), minlength=4)
    np.testing.assert_allclose(share, 0.25, atol=1e-12)


def test_data_and_split_are_the_same_on_every_machine(data):
    """A digest of what this code made when written; grey levels are multiples of 1/8192, nothing is rounded."""
    content = hashlib.md5(usedforsecurity=False)
    for part in PARTS:
        split = getattr(data, part)
        levels = split.x * 8192
        assert np.array_equal(levels, np.rint(levels))
        content.update(levels.astype("<u2").tobytes() + rows(split).astype("u1").tobytes())
    assert content.hexdigest() == "f502b5a16e3655faf79745f90b37beed"


def test_loading_needs_numpy_only():
    code = "import sys; from hvae_keras.data import load; load('faces'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"tensorflow", "keras", "matplotlib", "sklearn"} & set(modules.split())


def test_binarized_keeps_factors_and_levels(data):
    binary = data.binarized(seed=1)
    assert binary.levels == data.levels and binary.test.factors is data.test.factors
    assert np.array_equal(np.unique(binary.test.x), [0, 1])
