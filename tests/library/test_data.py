"""The data sets that need no files: digits and sprites, and what every data set promises."""

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest

from hvae_keras.data import Dataset, Split, load, names

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def sprites():
    return load("sprites")


@pytest.fixture(params=["digits", "sprites"])
def dataset(request):
    return request.getfixturevalue(request.param)


def parts(dataset):
    return [getattr(dataset, part) for part in PARTS]


def everything(dataset, factor=None):
    return np.concatenate([split.factors[factor] if factor else split.x for split in parts(dataset)])


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match="'mnits'.*chorales, digits, faces, jsb_chorales, landscapes, melodies, mnist, sprites"
    ):
        load("mnits")
    assert names() == ["chorales", "digits", "faces", "jsb_chorales", "landscapes", "melodies", "mnist", "sprites"]


def test_loading_digits_does_not_import_tensorflow():
    code = "import sys; from hvae_keras.data import load; load('digits'); load('sprites'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "hvae_keras.data.digits" in modules.split()
    assert not {"tensorflow", "keras", "matplotlib"} & set(modules.split())


def test_arrays_are_what_the_contract_says(dataset):
    for split in parts(dataset):
        assert split.x.dtype == np.float32 and split.x.ndim == 4 and split.x.shape[3] == 1
        assert split.x.min() == 0 and split.x.max() == 1
        assert len(split) == len(split.x)
        assert split.factors.keys() == dataset.factor_values.keys()
        for name, index in split.factors.items():
            assert index.dtype == np.int64 and index.shape == (len(split),)
            # Every value of every factor is in every split, so any split can test any factor.
            assert np.array_equal(np.unique(index), np.arange(len(dataset.factor_values[name])))


def test_splits_do_not_overlap(dataset):
    x = everything(dataset)
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)


# Digests of what this code made when written: they notice a change of data, split or order on any machine.
@pytest.mark.parametrize(
    "name, digest",
    [("digits", "345555675bdd8289a4f0d331a39c78ce"), ("sprites", "de30ea919df52bd1fcd2ef03fac154ee")],
)
def test_data_and_split_are_the_same_on_every_machine(name, digest, request):
    dataset = request.getfixturevalue(name)
    levels = {"digits": 16, "sprites": 64}[name]  # grey levels are exact multiples: no rounding decides
    content = hashlib.md5(usedforsecurity=False)
    for split in parts(dataset):
        content.update((split.x * levels).astype("uint8").tobytes())
        for index in split.factors.values():
            content.update(index.astype("<i8").tobytes())
    assert content.hexdigest() == digest


def test_digits_are_all_of_scikit_learns_with_their_labels(digits):
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    ours = np.c_[everything(digits).reshape(-1, 64) * 16, everything(digits, "digit")]
    theirs = np.c_[images, labels]
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_digits_are_split_within_every_class(digits):
    count = np.array([np.bincount(split.factors["digit"]) for split in parts(digits)])
    share = count / count.sum(axis=0)
    assert np.abs(share - [[0.70], [0.15], [0.15]]).max() < 0.5 / count.sum(axis=0).min() * 2


def test_sprites_are_the_full_grid(sprites):
    sizes = [len(values) for values in sprites.factor_values.values()]
    rows = np.stack([everything(sprites, name) for name in sprites.factor_values], axis=1)
    assert len(np.unique(rows, axis=0)) == len(rows) == np.prod(sizes) == 6144


def test_pairs_of_sprite_factors_are_exactly_independent_in_every_split(sprites):
    for split, (one, two) in itertools.product(parts(sprites), itertools.combinations(sprites.factor_values, 2)):
        table = np.zeros((len(sprites.factor_values[one]), len(sprites.factor_values[two])), int)
        np.add.at(table, (split.factors[one], split.factors[two]), 1)
        assert (table == table[0, 0]).all(), (one, two)


def test_sprites_lie_where_the_factors_say(sprites):
    """Centre of mass of squares and ellipses: x from the left, y from the top."""
    symmetric = sprites.test.where(sprites.test.factors["shape"] < 2)
    mass = symmetric.x[..., 0]
    middle = np.arange(32) + 0.5
    x = (mass.sum(axis=1) @ middle) / mass.sum(axis=(1, 2))
    y = (mass.sum(axis=2) @ middle) / mass.sum(axis=(1, 2))
    np.testing.assert_allclose(x, sprites.factor_values["x"][symmetric.factors["x"]], atol=1e-3)
    np.testing.assert_allclose(y, sprites.factor_values["y"][symmetric.factors["y"]], atol=1e-3)


def test_sprites_have_the_area_of_their_scale(sprites):
    """Area goes with scale²; the ellipse has semi-axes 8 and 4.8 pixels at scale 1."""
    area = sprites.train.x.sum(axis=(1, 2, 3))
    scale = sprites.factor_values["scale"][sprites.train.factors["scale"]]
    for shape in range(3):
        of_shape = sprites.train.factors["shape"] == shape
        at_scale_one = area[of_shape] / scale[of_shape] ** 2
        assert at_scale_one.std() < 0.01 * at_scale_one.mean()
        if sprites.factor_values["shape"][shape] == "ellipse":
            np.testing.assert_allclose(at_scale_one, np.pi * 8 * 4.8, rtol=0.02)


def test_ellipses_point_where_their_rotation_says(sprites):
    """Main axis of the second moments, anticlockwise from horizontal."""
    ellipses = sprites.test.where(sprites.factor_values["shape"][sprites.test.factors["shape"]] == "ellipse")
    rotation = sprites.factor_values["rotation"][ellipses.factors["rotation"]]
    rows, columns = np.indices((32, 32))
    for image, angle in zip(ellipses.x[..., 0], rotation, strict=True):
        moments = np.cov(columns.ravel(), -rows.ravel(), aweights=image.ravel())
        right, up = np.linalg.eigh(moments)[1][:, -1]
        difference = np.rad2deg(np.arctan2(up, right)) - angle
        assert abs((difference + 90) % 180 - 90) < 2


def test_sprites_are_not_cut_off_at_the_border(sprites):
    x = everything(sprites)[..., 0]
    assert not x[:, [0, -1]].any() and not x[:, :, [0, -1]].any()


def test_binarized_draws_from_the_grey_levels():
    """20,000 draws of each of four grey levels: the share of ones is within 5 standard errors."""
    grey = np.tile(np.float32([0, 0.25, 0.8, 1]).reshape(2, 2, 1), (20_000, 1, 1, 1))
    split = Split(grey, {"kind": np.zeros(len(grey), int)})
    binary = Dataset("made", split, split, split, {"kind": np.zeros(1)}).binarized()
    for drawn in parts(binary):
        assert drawn.x.dtype == np.float32
        assert np.array_equal(np.unique(drawn.x), [0, 1])
        error = np.abs(drawn.x.mean(axis=0) - grey[0])
        assert (error <= 5 * np.sqrt(grey[0] * (1 - grey[0]) / len(grey))).all()
    assert not np.array_equal(binary.train.x, binary.test.x), "the splits share their noise"


def test_binarized_is_fixed_by_its_seed_and_keeps_the_rest(digits):
    once, again, other = digits.binarized(seed=3), digits.binarized(seed=3), digits.binarized(seed=4)
    assert np.array_equal(once.test.x, again.test.x)
    assert not np.array_equal(once.test.x, other.test.x)
    assert once.test.factors is digits.test.factors and once.name == "digits"
    assert digits.test.x.max() == 1 and len(np.unique(digits.test.x)) == 17, "the original was changed"


def test_where_selects_images_with_their_factors(digits):
    sevens = digits.test.where(digits.test.factors["digit"] == 7)
    assert len(sevens) == (digits.test.factors["digit"] == 7).sum() > 0
    assert set(sevens.factors["digit"]) == {7}


def test_split_refuses_factors_of_another_length():
    with pytest.raises(ValueError, match=r"factors\['digit'\] has shape \(3,\), expected \(4,\)"):
        Split(np.zeros((4, 8, 8, 1), "float32"), {"digit": np.zeros(3, int)})


def test_repr_says_what_is_there(sprites):
    assert repr(sprites).splitlines()[:2] == ["Dataset 'sprites'", "  train      x (4608, 32, 32, 1)"]
    assert "  shape      3 values: square, ellipse, heart" in repr(sprites)
    expected = "Split(x float32 (768, 32, 32, 1), factors: shape, scale, rotation, x, y)"
    assert repr(sprites.test) == expected
