"""Rules of faces: every drawing keeps them, also with noise, and each kind of broken face breaks its own.

Broken faces are painted here, point by point, each part by itself.
"""

import itertools
from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from hvae_keras.data import face_rules, faces

RULES = face_rules.RULES
EYES = ("left eye", "right eye")
SIZES = [len(values) for values in faces.FACTORS.values()]


@cache
def every_face():
    """Every combination of factors, and its picture."""
    factors = dict(zip(faces.FACTORS, np.indices(SIZES).reshape(len(SIZES), -1), strict=True))
    return factors, faces.draw(factors)


@pytest.fixture
def grid():
    return every_face()


def draw(factors):
    """The same as `faces.draw`, from those already drawn."""
    return every_face()[1][np.ravel_multi_index([factors[name] for name in faces.FACTORS], SIZES)]


def people(n=40, seed=0):
    """Factors of n faces from the process."""
    return faces.sample(n, (0, 1, 2, 3), np.random.RandomState(seed))


def paint(factors, lower=None, head=True, **other):
    """Paint faces `[n, 32, 32, 1]`, each part so many rows `lower`, with or without the head itself.

    `other` holds factors for a part (left_eye, ...) in place of the face's own, or None for a part left out.
    """
    x = np.zeros((len(factors["pose"]), faces.SIZE, faces.SIZE))
    places = dict(zip((*EYES, "nose", "mouth"), (p for each in faces.PLACES.values() for p in each), strict=True))
    shapes = {"left eye": faces.eye, "right eye": faces.eye, "nose": faces.nose, "mouth": faces.mouth}
    for i in range(len(x)):
        name, skin = faces.HEADS[factors["head"][i]], faces.SKINS[factors["skin"][i]]
        inside = faces.inside_head(name)
        points = skin * inside * head
        for part, (angle, reach, down) in places.items():
            own = other.get(part.replace(" ", "_"), factors)
            if own is None:
                continue
            factor = "eyes" if part in EYES else part
            angle = np.deg2rad(angle + faces.TURNS[own["pose"][i]])
            u = (faces.RIGHT - reach * faces.half_width(name, down) * np.sin(angle)) / np.cos(angle)
            v = faces.DOWN - down - (lower or {}).get(part, 0)
            covered, light = shapes[part](faces.FACTORS[factor][own[factor][i]], u, v)
            points = np.where(covered & inside, 0, points)
            points = np.where(light & inside, faces.NOSE_SHADOW * skin if part == "nose" else 1, points)
        x[i] = points.reshape(faces.SIZE, faces.SUBPIXELS, faces.SIZE, faces.SUBPIXELS).mean(axis=(1, 3))
    return x[..., None]


def changed(factors, name, by):
    """The same factors, but one of them so many values on."""
    return factors | {name: (factors[name] + by) % len(faces.FACTORS[name])}


def below(upper, lower):
    """The upper halves of some pictures above the lower halves of others."""
    return np.concatenate([upper[:, :16], lower[:, 16:]], axis=1)


# ---- What is read of drawings


def test_the_painter_of_these_tests_paints_faces():
    np.testing.assert_allclose(paint(people()), draw(people()), atol=1e-6)


def test_every_drawing_is_read_as_what_it_is(grid):
    factors, x = grid
    read = face_rules.read(x)
    assert np.array_equal(read.head, factors["head"])
    np.testing.assert_allclose(read.skin, np.array(faces.SKINS)[factors["skin"]], atol=1e-6)
    for name, (factor, _) in face_rules.PARTS.items():
        part = read.parts[name]
        assert np.array_equal(part.pose, factors["pose"]) and np.array_equal(part.kind, factors[factor])
        assert not part.row.any() and np.all(np.abs(part.contrast - 1) < 0.02)
    bare = read.skin[:, None, None] * face_rules.heads()[read.head]
    np.testing.assert_allclose(read.bare, bare, atol=0.01)


def test_gain_is_what_a_drawing_takes_off_the_squared_error(grid):
    """Against pictures: the head alone, and with the mouth of each pose and kind at its best contrast."""
    factors, x = grid
    x = x[::960]
    read = face_rules.read(x + np.random.default_rng(0).normal(0, 0.1, x.shape))
    assert len(x) == 4
    for i in range(4):
        head = read.skin[i] * face_rules.heads()[read.head[i]]
        eyes = sum(drawn(read, i, name, read.parts[name].pose[i], read.parts[name].kind[i]) for name in EYES)
        left = read.x[i] - head - eyes
        for pose, kind in itertools.product(range(5), range(4)):
            mouth = drawn(read, i, "mouth", pose, kind, contrast=1)
            best = minimize_scalar(squared_error, args=(left, mouth), bounds=(0, 1), method="bounded")
            gain = read.parts["mouth"].gain[i, pose, kind, 8]
            assert gain == pytest.approx((left**2).sum() - best.fun, abs=2e-3)


def squared_error(contrast, left, mouth):
    return ((left - contrast * mouth) ** 2).sum()


def drawn(read, i, name, pose, kind, contrast=None):
    """How a part that is where it should be changes the head of the i-th picture."""
    part, (_, rows) = read.parts[name], face_rules.PARTS[name]
    light, covered = (layer[read.head[i], pose, kind, rows.index(0)] for layer in face_rules.drawings()[name])
    return (part.contrast[i] if contrast is None else contrast) * (light - read.skin[i] * covered)


def test_parts_are_found_at_other_heights():
    lower = {"left eye": 2, "right eye": 2, "nose": 1, "mouth": -1}
    parts = face_rules.read(paint(people(), lower)).parts
    for name, row in lower.items():
        assert (parts[name].row == row).mean() > 0.98, name
        assert np.array_equal(parts[name].pose, people()["pose"]), name


# ---- What agreeing means


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ([4, 0, 0], [6, 0, 0], True),
        ([4, 0, 0], [0, 6, 0], False),
        ([4, 3.61, 0], [0, 6, 0], True),  # one loses less than a tenth of 4 by the second
        ([4, 3.59, 0], [0, 6, 0], False),
        ([4, 3.7, 0], [6, 5.41, 0], True),
        ([4, 3.7, 0], [5.39, 6, 0], True),
        ([4, 3.5, 0], [5.39, 6, 0], False),  # each would lose too much by the other's
        ([4, 0, 3.7], [0, 6, 5.5], True),  # the third is the best for neither, and good enough for both
        ([4, 4, 4], [0, 6, 0], True),  # one has no say
        ([4, 4, 4], [6, 6, 6], False),  # nothing to agree on
    ],
)
def test_parts_agree_where_one_choice_is_nearly_the_best_for_each(one, two, same):
    gain = np.array([[one, two], [two, one]], float)
    assert face_rules.agree(gain).tolist() == [same, same]
    assert face_rules.agree((gain + [[[5], [-7]]]) * 1e-2).tolist() == [same, same]  # only differences count


# ---- Real faces keep the rules


def test_levels_and_names():
    assert {name: rule.level for name, rule in RULES.items()} == {
        "one head": 2, "one skin": 2, "features follow the pose": 2,
        "eyes level": 1, "eyes alike": 1, "features in order": 1,
    }  # fmt: skip


def test_every_drawing_keeps_every_rule(grid):
    assert all(kept.all() for kept in RULES.kept(grid[1]).values())


@pytest.mark.parametrize("seed", range(2))
def test_noise_breaks_none(grid, seed):
    x = grid[1][seed::4] + np.random.default_rng(seed).normal(0, 0.02, grid[1][seed::4].shape)
    for name, kept in RULES.kept(x).items():
        assert kept.mean() >= 0.999, name


def test_a_little_blur_breaks_next_to_nothing(grid):
    """Each pixel gives a tenth to each of its four neighbours."""
    x = grid[1][::4]
    around = sum(np.roll(x, step, axis) for step in (-1, 1) for axis in (1, 2))
    for name, kept in RULES.kept(0.6 * x + 0.1 * around).items():
        assert kept.mean() >= 0.98, name


def test_any_grey_between_the_skins_is_a_skin():
    factors = people()
    bare, skin = draw(factors), np.array(faces.SKINS)[factors["skin"]][:, None, None, None]
    for grey in (0.34, 0.44, 0.6, 0.9):
        dark = np.where(bare <= skin, bare * grey / skin, bare)  # whites stay
        for name, kept in RULES.kept(dark).items():
            assert kept.mean() >= 0.95, (name, grey)


# ---- Broken faces


def eyes_at_two_heights():
    return paint(people(), {"left eye": -2})


def one_eye_high():
    return paint(people(), {"right eye": -3})


def two_kinds_of_eyes():
    return paint(people(), left_eye=changed(people(), "eyes", 1 + np.arange(40) % 3))


def mouth_above_nose():
    return paint(people(), {"mouth": -6, "nose": 6})


def no_mouth():
    return paint(people(), mouth=None)


def no_nose():
    return paint(people(), nose=None)


def no_right_eye():
    return paint(people(), right_eye=None)


def mouth_of_another_pose():
    return paint(people(), mouth=changed(people(), "pose", 1 + np.arange(40) % 4))


def nose_of_another_pose():
    return paint(people(), nose=changed(people(), "pose", 1 + np.arange(40) % 4))


def halves_of_two_poses():
    other = people(seed=1) | {name: people()[name] for name in ("head", "skin")}
    other["pose"] = (people()["pose"] + 1 + np.arange(40) % 4) % 5
    return below(draw(people()), draw(other))


def halves_of_two_skins():
    return below(draw(people()), draw(changed(people(), "skin", 1 + np.arange(40) % 3)))


def halves_of_two_heads():
    return below(draw(people()), draw(changed(people(), "head", 1 + np.arange(40) % 3)))


def no_head():
    return paint(people(), head=False)


def a_quarter_missing():
    x = draw(people())
    x[:, 16:, :16] = 0
    return x


def head_beside_the_middle():
    return np.roll(draw(people()), 3, axis=2)


def upside_down():
    """Of heads that are not the same upside down."""
    factors = people(200)
    return draw(factors)[factors["head"] == faces.HEADS.index("pointed"), ::-1]


# The rule that each must break; whether it must keep all others.
BROKEN = {
    eyes_at_two_heights: ("eyes level", True),
    one_eye_high: ("eyes level", True),
    two_kinds_of_eyes: ("eyes alike", True),
    mouth_above_nose: ("features in order", True),
    no_nose: ("features in order", True),
    no_mouth: ("features in order", False),
    no_right_eye: ("eyes level", False),
    mouth_of_another_pose: ("features follow the pose", True),
    nose_of_another_pose: ("features follow the pose", True),
    halves_of_two_poses: ("features follow the pose", True),
    halves_of_two_skins: ("one skin", False),
    halves_of_two_heads: ("one head", False),
    no_head: ("one head", False),
    a_quarter_missing: ("one head", False),
    head_beside_the_middle: ("one head", False),
    upside_down: ("one head", False),
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda function: function.__name__)
def test_a_broken_face_breaks_its_rule(broken):
    x = broken()
    name, only = BROKEN[broken]
    kept = RULES.kept(x)
    assert len(x) >= 20 and kept.pop(name).mean() <= 0.04
    if only:
        assert all(holds.mean() >= 0.95 for holds in kept.values()), {k: v.mean() for k, v in kept.items()}


def test_half_faces_are_real():
    """The halves of exchanged faces are those of faces that keep every rule."""
    factors = people()
    other = people(seed=1) | {name: factors[name] for name in ("head", "skin", "pose")}
    assert all(kept.mean() >= 0.99 for kept in RULES.kept(below(draw(factors), draw(other))).values())


def test_noise_is_no_face():
    x = np.random.default_rng(0).random((500, 32, 32, 1))
    kept = RULES.kept(x)
    assert not kept["one head"].any() and not kept["one skin"].any()
    assert all(holds.mean() < 0.6 for holds in kept.values())
    assert RULES.kept_by_level(x)[1].mean() < 0.05


@pytest.mark.parametrize("grey", [0.0, 0.1, 0.5, 0.75, 1.0, -1.0, 3.0])
def test_one_grey_has_one_skin_at_most(grey):
    kept = {name: holds.any() for name, holds in RULES.kept(np.full((2, 32, 32, 1), grey)).items()}
    assert kept.pop("one skin") == (0.5 <= grey <= 0.75) and not any(kept.values())


def test_a_bare_head_is_a_head_of_one_skin_and_nothing_more():
    x = paint(people(), left_eye=None, right_eye=None, nose=None, mouth=None)
    kept = RULES.kept(x)
    assert kept.pop("one head").all() and kept.pop("one skin").all()
    assert not any(holds.any() for holds in kept.values())


@pytest.mark.parametrize("shape", [(32, 32, 1), (2, 32, 32, 3), (2, 32, 32), (2, 16, 16, 1)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"x has shape \(.*\), expected \(n, 32, 32, 1\)"):
        RULES.kept(np.zeros(shape, "float32"))
