"""`landscapes`: pictures are what their factors say, sketches show level 2, rules know real scenes from broken."""

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from hvae_keras.data import Split, landscape_rules, landscapes, load

PARTS = ("train", "validation", "test")
TOP = [name for name, level in landscapes.LEVELS.items() if level == 2]
BOTTOM = [name for name, level in landscapes.LEVELS.items() if level == 1]


@pytest.fixture(scope="module")
def data():
    return load("landscapes")


@pytest.fixture(scope="module")
def top_grid():
    """Every combination of the factors of level 2, and its scene, as whole numbers to 255."""
    sizes = [len(landscapes.FACTORS[name]) for name in TOP]
    factors = dict(zip(TOP, np.indices(sizes).reshape(len(sizes), -1), strict=True))
    return factors, np.rint(landscapes.paint(factors, landscapes.rgb()) * 255).astype("u1")


def scenes(n, seed=0, **fixed):
    """Factors of n scenes from the process, but with these values (not indices) fixed."""
    factors = landscapes.sample(n, np.random.RandomState(seed))
    for name, value in fixed.items():
        name = name.replace("_", " ")
        factors[name] = np.full(n, landscapes.FACTORS[name].index(value))
    return factors


def draw(factors, seed=0):
    return landscapes.draw(factors, np.random.RandomState(seed))


def horizons(factors):
    """First row of the ground, `[n, 1, 1]`."""
    return np.array(landscapes.HORIZONS)[factors["horizon"]][:, None, None]


def light_colour(factors):
    return landscapes.rgb()[factors["time"], list(landscapes.COLOURS).index("light")]


def kept(name, x):
    return landscape_rules.rules_kept(x)[name]


# ---- The arrays and the process


def test_arrays_are_what_the_contract_says(data):
    for part, size in zip(PARTS, (8000, 2000, 2000), strict=True):
        split = getattr(data, part)
        assert split.x.dtype == split.sketch.dtype == np.float32
        assert split.x.shape == (size, 32, 32, 3) and split.sketch.shape == (size, 16, 16, 3)
        assert split.x.min() >= 0 and split.x.max() <= 1
        assert list(split.factors) == list(data.factor_values) == list(data.levels)
        for name, index in split.factors.items():
            assert index.dtype == np.int64 and index.shape == (size,)
            assert np.array_equal(np.unique(index), np.arange(len(data.factor_values[name])))


def test_every_factor_has_its_level(data):
    assert TOP == ["time", "horizon", "mountains", "mountain place", "clouds", "cloud place"]
    assert data.levels == landscapes.LEVELS and set(landscapes.LEVELS.values()) == {1, 2}
    assert "  mountain place level 2, 8 values: 0, 1, ..., 7" in repr(data)
    assert "x float32 (2000, 32, 32, 3), sketch float32 (2000, 16, 16, 3)" in repr(data.test)


def test_where_keeps_the_sketch_and_a_wrong_length_is_refused(data):
    few = data.test.where(np.arange(5))
    assert np.array_equal(few.sketch, data.test.sketch[:5])
    assert load("faces").test.sketch is None and load("faces").test.where(np.arange(5)).sketch is None
    with pytest.raises(ValueError, match="sketch has 3 examples, expected 4, as x has"):
        Split(np.zeros((4, 8, 8, 1), "float32"), sketch=np.zeros((3, 4, 4, 1), "float32"))


def test_factors_reproduce_pictures_and_sketches(data):
    """Grain is noise of its own; everything else follows from the factors."""
    for part in PARTS:
        plain = getattr(data, part).where(np.flatnonzero(getattr(data, part).factors["grain"] == 0)[:500])
        assert np.array_equal(draw(plain.factors, seed=7), plain.x)
        assert np.array_equal(landscapes.sketch(plain.factors), plain.sketch)


@pytest.mark.parametrize("part", PARTS)
def test_frequencies_match_the_stated_tables(data, part):
    """Chi-square tests of p(factor | mountains); fixed data, so this never fails by chance."""
    split = getattr(data, part)
    assert chisquare(np.bincount(split.factors["mountains"])).pvalue > 0.01
    for name in set(landscapes.FACTORS) - {"mountains"}:
        table = landscapes.given_mountains(name)
        for mountains in range(4):
            index = split.factors[name][split.factors["mountains"] == mountains]
            count = np.bincount(index, minlength=table.shape[1])
            assert chisquare(count, table[mountains] * count.sum()).pvalue > 1e-4, (name, mountains, count)


def test_all_else_is_independent(data):
    for part, (one, two) in itertools.product(PARTS, itertools.combinations(landscapes.FACTORS, 2)):
        split = getattr(data, part)
        depend = ("mountains", *landscapes.TWENTIETHS)
        if one in depend and two in depend:  # given the mountains they are independent
            split = split.where(split.factors["mountains"] == 2)
        if one == "mountains" and two in depend:
            continue
        table = np.zeros((len(landscapes.FACTORS[one]), len(landscapes.FACTORS[two])))
        np.add.at(table, (split.factors[one], split.factors[two]), 1)
        assert chi2_contingency(table).pvalue > 1e-4, (part, one, two)


@pytest.mark.parametrize("name", landscapes.TWENTIETHS)
def test_information_with_mountains_is_that_of_the_joint_table(name):
    """The definition, I = H(mountains) + H(factor) - H(mountains, factor), from the joint table."""
    joint = landscapes.given_mountains(name) / 4

    def entropy(p):
        return -(p * np.log(p)).sum()

    expected = entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1)) - entropy(joint)
    assert landscapes.information_with_mountains(name) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(landscapes.given_mountains(name).sum(axis=1), 1)


def test_information_with_mountains_of_all_else():
    assert landscapes.information_with_mountains("trees") == 0
    assert landscapes.information_with_mountains("time") == 0
    assert landscapes.information_with_mountains("mountains") == pytest.approx(np.log(4))


@pytest.mark.parametrize("name", ["mountains", "hat"])
def test_given_mountains_refuses_what_it_has_no_table_for(name):
    with pytest.raises(ValueError, match=f"factor is one of time, horizon, mountain place.*; got '{name}'"):
        landscapes.given_mountains(name)


# ---- The splits


def test_scenes_that_look_the_same_belong_to_the_same_split(top_grid):
    """Of the 24,576 combinations 15,000 look different, and the remainder follows from what is seen."""
    factors, x = top_grid
    remainder = (factors["time"] + landscapes.offset(factors)) % 4
    seen = {}
    for picture, rest in zip(x, remainder, strict=True):
        assert seen.setdefault(picture.tobytes(), rest) == rest
    assert len(seen) == 15_000


def test_every_split_keeps_the_probabilities_of_level_2(top_grid):
    """Exactly: every pair of factors is independent and uniform, in each split."""
    factors, _ = top_grid
    remainder = (factors["time"] + landscapes.offset(factors)) % 4
    for rests in landscapes.PARTS.values():
        here = np.isin(remainder, rests)
        for one, two in itertools.combinations(TOP, 2):
            table = np.zeros((len(landscapes.FACTORS[one]), len(landscapes.FACTORS[two])))
            np.add.at(table, (factors[one][here], factors[two][here]), 1)
            assert (table == table[0, 0]).all(), (one, two)


def test_no_two_splits_share_a_scene_or_a_picture(data):
    assert sorted(r for part in PARTS for r in landscapes.PARTS[part]) == [0, 1, 2, 3]
    for part in PARTS:
        factors = getattr(data, part).factors
        assert set((factors["time"] + landscapes.offset(factors)) % 4) == set(landscapes.PARTS[part])
    for arrays in ("x", "sketch"):
        held = [{x.tobytes() for x in getattr(getattr(data, part), arrays)} for part in PARTS]
        for one, two in itertools.combinations(held, 2):
            assert not one & two


def test_data_and_split_are_the_same_on_every_machine(data):
    """A digest of what this code made when written; colours are multiples of 1/255, of sketches 1/1020."""
    content = hashlib.md5(usedforsecurity=False)
    for part in PARTS:
        split = getattr(data, part)
        for x, steps, kind in ((split.x, 255, "u1"), (split.sketch, 1020, "<u2")):
            levels = np.rint(x.astype("float64") * steps)
            np.testing.assert_allclose(levels / steps, x, atol=1e-7)
            content.update(levels.astype(kind).tobytes())
    assert content.hexdigest() == "105b53f575198749857a620e06735ddf"


def test_loading_needs_numpy_only():
    code = "import sys; from hvae_keras.data import load; load('landscapes'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"tensorflow", "keras", "matplotlib", "sklearn", "scipy"} & set(modules.split())


# ---- The pictures


def test_the_sketch_reads_level_2_only():
    factors = scenes(200)
    other = scenes(200, seed=1) | {name: factors[name] for name in TOP}
    assert np.array_equal(landscapes.sketch(factors), landscapes.sketch({name: factors[name] for name in TOP}))
    assert np.array_equal(landscapes.sketch(factors), landscapes.sketch(other))


def test_the_sketch_is_the_mean_of_2_by_2_of_the_bare_scene():
    factors = scenes(300, trees=0, rocks=0, water="none", grain="none")
    blocks = draw(factors).astype("float64").reshape(300, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(landscapes.sketch(factors), blocks, atol=1e-6)


def test_level_1_changes_nothing_above_the_horizon():
    factors = scenes(500)
    other = scenes(500, seed=1) | {name: factors[name] for name in TOP}
    above = np.broadcast_to(np.arange(32)[:, None] < horizons(factors), (500, 32, 32))
    assert np.array_equal(draw(factors)[above], draw(other, seed=1)[above])


def test_things_lie_wholly_below_the_horizon_and_inside_the_picture():
    for h, horizon in enumerate(landscapes.HORIZONS):
        assert not landscapes.trees()[:, :, :, h, :horizon].any()
        assert not landscapes.rocks()[:, h, :horizon].any()
        assert not landscapes.waters()[:, :, h, : horizon + 2].any()
        assert not landscapes.waters()[:, :, h, -1].any()
    for drawn in (landscapes.trees(), landscapes.rocks()):
        assert drawn[..., 1:-1].any() and not (drawn[..., [0, -1]] == 1).any()


def test_nearer_things_are_larger():
    for size, spots in (
        (landscapes.trees().sum(axis=(0, -1, -2))[:, 0, 0], landscapes.TREE_SPOTS),
        (landscapes.rocks().sum(axis=(-1, -2))[:, 0], landscapes.ROCK_SPOTS),
    ):
        depth = np.array(spots)[:, 1]
        assert (np.diff(size[np.argsort(depth, kind="stable")]) > -2).all()  # points of a shape are counted


def test_nothing_stands_in_water():
    """Where a foot is, there is no water; and still every scene has the trees and rocks that it should."""
    factors = scenes(3000)
    for thing in ("tree", "rock"):
        stands = landscapes.standing(thing, factors)
        number = np.array(landscapes.FACTORS[thing + "s"])[factors[thing + "s"]]
        assert np.array_equal(stands.sum(axis=1), number)
        for spot, (column, depth) in enumerate(landscapes.SPOTS[thing]):
            which = np.flatnonzero(stands[:, spot])
            horizon = horizons(factors)[which].ravel()
            row = np.floor(horizon + depth * (32 - horizon)).astype(int)
            index = factors["water"][which], factors["water place"][which], factors["horizon"][which]
            assert (landscapes.waters()[(*index, row, int(column))] < 0.5).all(), (thing, spot)


def test_different_places_of_one_thing_are_different_pictures():
    for name, fixed in (
        ("tree place", {"trees": 1}),
        ("rock place", {"rocks": 1}),
        ("water place", {"water": "pond"}),
    ):
        things = {"trees": 0, "rocks": 0, "water": "none", "grain": "none"} | fixed
        factors = scenes(8, time="day", horizon=15, mountains="none", clouds=0, tree_kind="fir", **things)
        factors[name] = np.arange(8)
        assert len(np.unique(draw(factors).reshape(8, -1), axis=0)) == 8


def test_the_light_is_where_its_time_has_it_and_whole():
    lights = landscapes.lights()
    assert (lights.sum(axis=(2, 3)) == lights[0, 0].sum()).all()
    column = (lights.sum(axis=2) * (np.arange(32) + 0.5)).sum(axis=-1) / lights.sum(axis=(2, 3))
    np.testing.assert_allclose(column[:, 0], [6.5, 15.5, 25.5, 21.5], atol=0.01)
    row = (lights.sum(axis=3) * (np.arange(32) + 0.5)).sum(axis=-1) / lights.sum(axis=(2, 3))
    assert (row[[1, 3]] < row[[0, 2]] - 3).all()  # day and night: high


def test_reflections_are_light_in_water():
    lit, water = landscapes.reflections(), landscapes.waters()
    assert (lit <= (water == 1)).all() and not lit[:, 0].any()
    assert (lit.any(axis=(-1, -2)).mean(axis=(2, 3))[:, 2] >= 0.5).all()  # at any time half of the lakes do


def test_grain_is_on_the_ground_only_and_small():
    plain, fine, coarse = (
        draw(scenes(50, grain=value, trees=0, rocks=0, water="none")) for value in landscapes.GRAINS
    )
    ground = np.broadcast_to(np.arange(32)[:, None] >= horizons(scenes(50)), (50, 32, 32))
    for x in (fine, coarse):
        assert np.array_equal(x[~ground], plain[~ground])
        assert 0.02 < np.abs(x - plain)[ground].max() <= landscapes.GRAIN + 1.5 / 255
    blocks = landscapes.grain(np.full(4, 2), np.random.RandomState(0)).reshape(4, 16, 2, 16, 2)
    assert (blocks == blocks[:, :, :1, :, :1]).all()


# ---- The parser and the rules, on real scenes


def labels(factors):
    """The kind that has most of each pixel, from the painter itself: it paints with ones and zeros."""
    one = [[row[0] == kind for kind in landscapes.KINDS] for row in landscapes.COLOURS.values()]
    return landscapes.paint(factors, np.array([one] * 4, "float32")).argmax(axis=-1)


@pytest.fixture(scope="module")
def real():
    factors = scenes(1000, seed=11)
    return factors, draw(factors)


def test_the_parser_reads_real_pictures(real):
    factors, x = real
    time, kinds = landscape_rules.parse(x)
    assert time.dtype == kinds.dtype == np.int64
    assert np.array_equal(time, factors["time"])
    right = kinds == labels(factors)
    assert right.mean() > 0.98
    for name in range(4):
        assert right[factors["time"] == name].mean() > 0.97


def test_real_pictures_keep_every_rule(real):
    for name, holds in landscape_rules.rules_kept(real[1]).items():
        assert holds.mean() >= 0.995, name


def test_noise_and_blur_break_few(real):
    x = real[1]
    noisy = x + np.random.RandomState(0).normal(0, 0.02, x.shape)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "edge")
    around = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] + padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2]
    for changed in (noisy, 0.8 * x + 0.05 * around):
        for name, holds in landscape_rules.rules_kept(changed).items():
            assert holds.mean() >= 0.95, name


def test_every_rule_says_what_it_says(real):
    assert [rule.level for rule in landscape_rules.RULES.values()] == [2, 2, 2, 2, 1, 1, 1]
    together = landscape_rules.rules_kept(real[1][:50])
    assert list(together) == list(landscape_rules.RULES)
    for name, holds in together.items():
        assert holds.dtype == bool and holds.shape == (50,)
        alone = [landscape_rules.rules_kept(x[None])[name][0] for x in real[1][:5]]
        assert np.array_equal(alone, holds[:5])


@pytest.mark.parametrize("shape", [(32, 32, 3), (2, 32, 32, 1), (2, 16, 16, 3)])
def test_another_shape_is_refused(shape):
    for function in (landscape_rules.parse, landscape_rules.rules_kept):
        with pytest.raises(ValueError, match=r"x has shape \(.*\), expected \(n, 32, 32, 3\)"):
            function(np.zeros(shape, "float32"))


# ---- The rules on broken scenes, put together from drawn parts


def upside_down():
    return draw(scenes(200))[:, ::-1]


def stepped():
    """The right half lies three rows lower."""
    x = draw(scenes(200, mountains="none"))
    lower = np.concatenate([x[:, :1]] * 3 + [x[:, :-3]], axis=1)
    return np.where(np.arange(32)[:, None] < 16, x, lower)


def halves_of_two_times():
    factors = scenes(200)
    other = factors | {"time": (factors["time"] + 1 + np.arange(200) % 3) % 4}
    return np.where(np.arange(32)[:, None] < 16, draw(factors), draw(other))


def ground_of_another_time():
    factors = scenes(200)
    other = factors | {"time": (factors["time"] + 1 + np.arange(200) % 3) % 4}
    below = np.arange(32)[:, None] >= horizons(factors)
    return np.where(below[..., None], draw(factors), draw(other))


def two_lights():
    factors = scenes(200, mountains="none", clouds=0)
    x = draw(factors)
    second = np.roll(landscapes.lights()[factors["time"], factors["horizon"]], 9, axis=2)[..., None]
    return x + second * (light_colour(factors)[:, None, None] - x)


def no_light():
    """Sky and ground from the last column, where the light never is."""
    x = draw(scenes(200, mountains="none", clouds=0))
    return np.broadcast_to(x[:, :, -1:], x.shape)


def light_of_another_time():
    factors = scenes(200, mountains="none", clouds=0)
    x, place = draw(factors), {"time": (factors["time"] + 1 + np.arange(200) % 3) % 4}
    above = np.arange(32)[:, None] < horizons(factors)
    x = np.where(above[..., None], x[:, :, -1:], x)
    light = landscapes.lights()[place["time"], factors["horizon"]][..., None]
    return x + light * (light_colour(factors)[:, None, None] - x)


def moved_up(rows, **fixed):
    """What `fixed` adds to a scene, so many rows higher than it should be: `rows` is a function of the horizon."""
    bare = scenes(200, trees=0, rocks=0, water="none")
    given = bare | {name: index for name, index in scenes(200, **fixed).items() if name in BOTTOM}
    given["grain"] = bare["grain"]
    x, thing = draw(bare), draw(given)
    added = (x != thing).any(axis=-1)
    for i, up in enumerate(rows(horizons(bare).ravel())):
        where = np.roll(added[i], -up, axis=0)
        x[i][where] = np.roll(thing[i], -up, axis=0)[where]
    return x


def tree_in_the_sky():
    """Its foot is three rows above the horizon."""
    return moved_up(
        lambda h: np.ceil(0.64 * (32 - h)).astype(int) + 3, trees=1, tree_place=3, rocks=0, water="none"
    )


def rock_in_the_sky():
    return moved_up(
        lambda h: np.ceil(0.72 * (32 - h)).astype(int) + 2, trees=0, rocks=1, rock_place=4, water="none"
    )


def water_at_the_horizon():
    return moved_up(lambda h: np.floor(0.36 * (32 - h)).astype(int), trees=0, rocks=0, water="pond", water_place=1)


def reflection_on_grass():
    factors = scenes(200, trees=0, rocks=0, water="none")
    x = draw(factors)
    column = np.array([column for column, _ in landscapes.LIGHTS.values()])[factors["time"]].astype(int)
    for i, (left, colour) in enumerate(zip(column - 1, light_colour(factors), strict=True)):
        x[i, 24:28, left : left + 3] = colour
    return x


def reflection_beside_the_light():
    """In a lake, but eight columns from where it should be."""
    factors = scenes(700, trees=0, rocks=0, water="lake", mountains="range")
    x = draw(factors)
    index = factors["time"], factors["water"], factors["water place"], factors["horizon"]
    lit = landscapes.reflections()[index] > 0
    full = landscapes.waters()[index[1:]] == 1
    moved = np.roll(lit, 8, axis=2) & full
    x[lit & ~moved] = landscapes.rgb()[factors["time"], list(landscapes.COLOURS).index("water")][
        np.nonzero(lit & ~moved)[0]
    ]
    x[moved] = light_colour(factors)[np.nonzero(moved)[0]]
    return x[moved.sum(axis=(1, 2)) >= 5]


BROKEN = {
    upside_down: "sky above ground",
    stepped: "one horizon",
    halves_of_two_times: "one time of day",
    ground_of_another_time: "one time of day",
    two_lights: "one light",
    no_light: "one light",
    light_of_another_time: "one light",
    tree_in_the_sky: "trees below the horizon",
    rock_in_the_sky: "trees below the horizon",
    water_at_the_horizon: "water lies on the ground",
    reflection_on_grass: "reflections in water only",
    reflection_beside_the_light: "reflections in water only",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda function: function.__name__)
def test_a_broken_scene_breaks_its_rule(broken):
    x = broken()
    assert len(x) >= 100 and kept(BROKEN[broken], x).mean() <= 0.02


def test_grey_and_noise_are_no_scenes():
    grey = np.broadcast_to(np.linspace(0, 1, 101)[:, None, None, None], (101, 32, 32, 3))
    noise = np.random.RandomState(0).random_sample((100, 32, 32, 3))
    for x in (grey, noise):
        for name in ("sky above ground", "one horizon"):
            assert not kept(name, x).any(), name
    assert not kept("reflections in water only", noise).any()
