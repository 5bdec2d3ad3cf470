"""Checks of lesson 01, and the wrong answers they must refuse."""

import numpy as np

from hvae_keras.course import Exercise, assert_close
from hvae_keras.course.failures import StudentError
from hvae_keras.course.values import show

# 1.1 Reconstruction loss

squared_error = Exercise(
    "1.1",
    "squared_error",
    stars=1,
    points=2,
    minutes=5,
    hints=(
        "Each image gets a number of its own, so the axis that counts images stays and all others go.",
        "L(x) = Σ over h, w, c of (x[h, w, c] - x̂[h, w, c])². A sum, not a mean.",
        "Square the difference of the two arrays, then one ops.sum with axis=(...): three axes, not axis 0.",
    ),
)


@squared_error.check(points=1)
def test_adds_up_the_squares_of_each_image(squared_error, rng):
    """Against the squared Euclidean norm of the difference, image by image."""
    x, reconstruction = rng.uniform(-2, 2, (2, 3, 4, 5, 2))
    expected = [np.linalg.norm((one - other).ravel()) ** 2 for one, other in zip(x, reconstruction, strict=True)]
    assert_close(squared_error(x, reconstruction), expected)


@squared_error.check(points=1)
def test_a_picture_twice_as_large_has_twice_the_error(squared_error):
    """Two copies side by side hold two times the error. A mean would not change."""
    x = np.array([0.0, 3.0, 1.0, 0.5]).reshape(1, 2, 2, 1)
    reconstruction = np.array([2.0, 0.0, 1.0, 2.5]).reshape(1, 2, 2, 1)
    once = squared_error(x, reconstruction)
    assert_close(once, [17.0])
    twice = squared_error(np.tile(x, (1, 1, 2, 1)), np.tile(reconstruction, (1, 1, 2, 1)))
    assert_close(twice, [34.0])


@squared_error.misconception(
    "You averaged over the pixels. Then a large image counts no more than a small one: add."
)
def mean_over_pixels(x, reconstruction):
    return np.mean((x - reconstruction) ** 2, axis=(1, 2, 3))


@squared_error.misconception(
    "You added up the images too. Every image keeps an error of its own: leave axis 0 alone."
)
def sum_over_everything(x, reconstruction):
    return np.sum((x - reconstruction) ** 2)


@squared_error.misconception(
    "axis=0 adds up the images and keeps the pixels. It has to be the other way round: axes 1, 2 and 3."
)
def sum_over_images(x, reconstruction):
    return np.sum((x - reconstruction) ** 2, axis=0)


@squared_error.misconception("Those are the squares, one a pixel. Add them up within each image.")
def nothing_summed(x, reconstruction):
    return (x - reconstruction) ** 2


@squared_error.misconception(
    "The factor ½ belongs to the log-likelihood. The error of this lesson is the plain sum."
)
def half_of_it(x, reconstruction):
    return 0.5 * np.sum((x - reconstruction) ** 2, axis=(1, 2, 3))


@squared_error.misconception(
    "The numbers are right, but the summed axes are still there. Leave keepdims out: (batch,)."
)
def axes_kept(x, reconstruction):
    return np.sum((x - reconstruction) ** 2, axis=(1, 2, 3), keepdims=True)


@squared_error.misconception("Only height and width are summed. Channels are dimensions of the image as well.")
def channels_forgotten(x, reconstruction):
    return np.sum((x - reconstruction) ** 2, axis=(1, 2))


@squared_error.misconception("Those are absolute differences. The error of this lesson squares them.")
def absolute_error(x, reconstruction):
    return np.sum(np.abs(x - reconstruction), axis=(1, 2, 3))


@squared_error.misconception("You took the root. The squared error is the square of that distance.")
def distance(x, reconstruction):
    return np.sqrt(np.sum((x - reconstruction) ** 2, axis=(1, 2, 3)))


# 1.2 Encoder and decoder

make_pair = Exercise(
    "1.2",
    "make_pair",
    stars=1,
    points=3,
    minutes=8,
    hints=(
        "The decoder is the encoder read backwards: numbers to hidden units, hidden units to pixels.",
        "Encoder: height·width → hidden → latent. Decoder: the same, backwards. Only hidden layers have a relu.",
        "Two keras.Sequential models that begin with keras.Input. One needs a Flatten at the start, the other a "
        "Reshape at the end; both have two Dense layers, the second without activation.",
    ),
)


def _two(make_pair, *sizes):
    """What make_pair returns, once it is sure that it is two of something."""
    pair = make_pair(*sizes)
    assert isinstance(pair, (tuple, list)) and len(pair) == 2, "two models should come back: encoder, decoder"
    return pair


def _output(name, model, shape, inputs=None):
    """What a model makes of `inputs`, or of zeros: an untrained model hides its weights from zeros."""
    try:
        return np.asarray(model(np.zeros(shape) if inputs is None else inputs))
    except StudentError as error:
        what = "6 images of shape (5, 3, 1)" if name == "encoder" else "6 codes of shape (4,)"
        raise AssertionError(f"the {name} cannot take {what}: {error.message}") from None


@make_pair.check(points=1)
def test_shapes_go_from_image_to_code_and_back(make_pair):
    """An image that is not square, so that swapped sides are seen."""
    encoder, decoder = _two(make_pair, 5, 3, 7, 4)
    code = _output("encoder", encoder, (6, 5, 3, 1))
    assert code.shape == (6, 4), f"6 images of shape (5, 3, 1) should give codes of shape (6, 4), got {code.shape}"
    announced = getattr(encoder, "input_shape", None)  # not every kind of model has one
    assert announced is None or tuple(announced[1:]) == (5, 3, 1), (
        f"the encoder's Input should have the shape (5, 3, 1), got {announced[1:]}"
    )
    image = _output("decoder", decoder, (6, 4))
    assert image.shape == (6, 5, 3, 1), f"6 codes should give images of shape (6, 5, 3, 1), got {image.shape}"


@make_pair.check(points=1)
def test_has_the_layers_that_were_asked_for(make_pair):
    """Weights and biases counted by hand: 15 → 7 → 4 and 4 → 7 → 15. Called once first: that builds a model."""
    encoder, decoder = _two(make_pair, 5, 3, 7, 4)
    _output("encoder", encoder, (6, 5, 3, 1)), _output("decoder", decoder, (6, 4))
    counts = encoder.count_params(), decoder.count_params()
    for name, got, sides in (("encoder", counts[0], (15, 7, 4)), ("decoder", counts[1], (4, 7, 15))):
        expected = sides[0] * sides[1] + sides[1] + sides[1] * sides[2] + sides[2]
        layers = " → ".join(map(str, sides))
        assert got == expected, f"{name}: {layers} makes {expected} weights and biases, got {got}"


@make_pair.check(points=1)
def test_bends_in_the_hidden_layer_and_nowhere_else(make_pair, rng):
    """A straight map has f(a) + f(b) = f(a + b) + f(0). A last layer without activation gives both signs.

    With biases of 0, as they begin, a relu has f(2a) + f(0) = 2 f(a), which a sigmoid and a tanh have not.
    """
    encoder, decoder = _two(make_pair, 5, 3, 16, 4)
    for name, model, shape in (("encoder", encoder, (200, 5, 3, 1)), ("decoder", decoder, (200, 4))):
        a, b = rng.normal(size=(2, *shape)) * 3
        inputs = (a, b, a + b, 0 * a, 2 * a)
        values, others, both, none, twice = (_output(name, model, shape, x) for x in inputs)
        bend = np.abs(values + others - both - none).max()
        assert bend > 1e-2, f"the {name} is a straight map: its hidden layer lacks the relu"
        assert values.min() < -0.05 and values.max() > 1.05, (
            f"the {name} gives values from {values.min():.2f} to {values.max():.2f} for inputs of both signs: "
            "its last layer should have no activation"
        )
        bow = np.abs(twice + none - 2 * values).max() / np.abs(twice).max()
        assert bow < 1e-3, f"the {name} bends, and not as a relu does, which has straight parts that meet in 0"


def _pair(height, width, hidden, latent, code=None, image=None, bends=("relu",), sides=None):
    """A pair with one hidden layer for each entry of `bends`."""
    from hvae_keras.backend import keras

    layers = keras.layers
    encoder, decoder = [keras.Input((height, width, 1)), layers.Flatten()], [keras.Input((latent,))]
    for stack in (encoder, decoder):
        stack.extend(layers.Dense(hidden, bend) for bend in bends)
    encoder.append(layers.Dense(latent, code))
    decoder += [layers.Dense(height * width, image), layers.Reshape(sides or (height, width, 1))]
    return keras.Sequential(encoder), keras.Sequential(decoder)


@make_pair.misconception("The two models come back in the wrong order: return encoder, decoder.")
def decoder_first(height, width, hidden, latent):
    return _pair(height, width, hidden, latent)[::-1]


@make_pair.misconception(
    "The code passes through a relu, so it can never be negative. Its layer has to be linear."
)
def relu_on_the_code(height, width, hidden, latent):
    return _pair(height, width, hidden, latent, code="relu")


@make_pair.misconception(
    "The decoder ends in a sigmoid. Here it is linear: the loss decides what its numbers mean."
)
def sigmoid_on_the_image(height, width, hidden, latent):
    return _pair(height, width, hidden, latent, image="sigmoid")


@make_pair.misconception(
    "No layer has an activation, so two layers do no more than one. Give the hidden ones a relu."
)
def nothing_bends(height, width, hidden, latent):
    return _pair(height, width, hidden, latent, bends=(None,))


@make_pair.misconception("Height and width are swapped in the decoder's images.")
def sides_swapped(height, width, hidden, latent):
    return _pair(height, width, hidden, latent, sides=(width, height, 1))


@make_pair.misconception("The decoder's images lack the axis of channels: reshape to (height, width, 1).")
def channels_lost(height, width, hidden, latent):
    return _pair(height, width, hidden, latent, sides=(height, width))


@make_pair.misconception("The decoder goes straight from the code to the pixels: its hidden layer is missing.")
def decoder_without_hidden_layer(height, width, hidden, latent):
    from hvae_keras.backend import keras

    encoder, _ = _pair(height, width, hidden, latent)
    layers = [keras.layers.Dense(height * width), keras.layers.Reshape((height, width, 1))]
    return encoder, keras.Sequential([keras.Input((latent,)), *layers])


@make_pair.misconception("Neither model has a hidden layer. Each needs one between its input and its last layer.")
def no_hidden_layer(height, width, hidden, latent):
    return _pair(height, width, hidden, latent, bends=())


@make_pair.misconception("There are two hidden layers. One was asked for; the linear layer comes right after it.")
def two_hidden_layers(height, width, hidden, latent):
    return _pair(height, width, hidden, latent, bends=("relu", "relu"))


@make_pair.misconception(
    "Flatten comes too late. A dense layer acts on the last axis alone, so it saw one pixel at a time."
)
def dense_before_flatten(height, width, hidden, latent):
    from hvae_keras.backend import keras

    layers = keras.layers
    stack = [layers.Dense(hidden, "relu"), layers.Flatten(), layers.Dense(latent)]
    return keras.Sequential([keras.Input((height, width, 1)), *stack]), _pair(height, width, hidden, latent)[1]


# 1.3 Interpolation

interpolate = Exercise(
    "1.3",
    "interpolate",
    stars=1,
    points=2,
    minutes=5,
    hints=(
        "Every code on the way is a mixture of the two ends, and the shares add up to one.",
        "z(t) = (1 - t)·start + t·end, with t going from 0 to 1 in equal steps, both included.",
        "Make the column of t with linspace(...)[:, None], so that it broadcasts against the codes.",
    ),
)


@interpolate.check(points=1)
def test_begins_and_ends_where_asked(interpolate, rng):
    """First row the start, last row the end, `steps` rows in all."""
    start, end = rng.normal(size=(2, 3)) + [[5.0], [-5.0]]
    path = np.asarray(interpolate(start, end, 6))
    assert path.shape == (6, 3), f"6 steps between codes of size 3 should have shape (6, 3), got {path.shape}"
    assert_close(path[0], start, what="first row")
    assert_close(path[-1], end, what="last row")


@interpolate.check(points=1)
def test_walks_in_equal_steps(interpolate):
    """By hand: five codes from (0, 8) to (4, 0)."""
    path = interpolate([0.0, 8.0], [4.0, 0.0], 5)
    assert_close(path, [[0, 8], [1, 6], [2, 4], [3, 2], [4, 0]])


@interpolate.misconception("The walk stops one step before the end: t has to reach 1.")
def end_left_out(start, end, steps):
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    return (1 - t) * start + t * end


@interpolate.misconception("The walk goes backwards: at t = 0 the whole share belongs to the start.")
def backwards(start, end, steps):
    t = np.linspace(0, 1, steps)[:, None]
    return t * start + (1 - t) * end


@interpolate.misconception("That is one row too many. `steps` counts the codes, both ends included.")
def one_too_many(start, end, steps):
    t = np.linspace(0, 1, steps + 1)[:, None]
    return (1 - t) * start + t * end


@interpolate.misconception("Both ends are left out. They count among the steps.")
def inside_only(start, end, steps):
    t = np.linspace(0, 1, steps + 2)[1:-1, None]
    return (1 - t) * start + t * end


@interpolate.misconception("Rows and columns are swapped: one row is one code.")
def transposed(start, end, steps):
    t = np.linspace(0, 1, steps)
    return (1 - t) * start[:, None] + t * end[:, None]


@interpolate.misconception(
    "You add the whole end to the start. The start's share has to shrink as the end's grows."
)
def start_does_not_fade(start, end, steps):
    return start + np.linspace(0, 1, steps)[:, None] * end


# 1.4 AUROC

auroc = Exercise(
    "1.4",
    "auroc",
    stars=2,
    points=3,
    minutes=8,
    hints=(
        "Take one outlier and one inlier at random. How often does the outlier have the higher score?",
        "AUROC = (number of pairs with outlier > inlier + ½ · number of pairs with equal scores) / (n · m).",
        "Broadcasting makes all pairs at once: one array as a column [:, None], the other as a row [None, :].",
    ),
)


@auroc.check(points=1)
def test_counts_pairs(auroc):
    """By hand: of 5 × 7 pairs the outliers win 4 + 7 + 6 + 7 + 2."""
    assert_close(auroc([0.35, 0.9, 0.55, 0.8, 0.2], [0.4, 0.5, 0.6, 0.25, 0.3, 0.05, 0.1]), 26 / 35)


@auroc.check(points=1)
def test_a_tie_counts_half(auroc):
    """Of twelve pairs seven are wins and three are ties. When all scores are equal, nothing is known: one half."""
    assert_close(auroc([2.0, 1.0, 1.0], [2.0, 1.0, 0.0, 0.0]), (7 + 3 / 2) / 12)
    assert_close(auroc([7.0, 7.0], [7.0, 7.0, 7.0]), 0.5)


@auroc.check(points=1)
def test_agrees_with_scikit_learn_on_many_ties(auroc, rng):
    """Rounded scores of two groups of unequal size, so that there are many ties."""
    from sklearn.metrics import roc_auc_score

    outliers, inliers = np.round(rng.normal(1, 2, 40)), np.round(rng.normal(0, 1, 90))
    expected = roc_auc_score(np.r_[np.ones(40), np.zeros(90)], np.r_[outliers, inliers])
    assert_close(auroc(outliers, inliers), expected)


@auroc.misconception("You counted the pairs that the inlier wins. A high score should mean an outlier.")
def upside_down(outlier_scores, inlier_scores):
    wins = inlier_scores[None, :] > outlier_scores[:, None]
    ties = inlier_scores[None, :] == outlier_scores[:, None]
    return np.mean(wins + 0.5 * ties)


@auroc.misconception("Ties count nothing here. A tie is a coin toss: it counts one half.")
def ties_lost(outlier_scores, inlier_scores):
    return np.mean(outlier_scores[:, None] > inlier_scores[None, :])


@auroc.misconception("Ties count as wins here. A tie is a coin toss: it counts one half.")
def ties_won(outlier_scores, inlier_scores):
    return np.mean(outlier_scores[:, None] >= inlier_scores[None, :])


@auroc.misconception("That is the accuracy of one threshold, the median. AUROC looks at all thresholds.")
def accuracy_at_the_median(outlier_scores, inlier_scores):
    middle = np.median(np.concatenate([outlier_scores, inlier_scores]))
    return np.mean(np.concatenate([outlier_scores > middle, inlier_scores <= middle]))


@auroc.misconception("You compared every outlier with the mean inlier. Compare it with each inlier.")
def against_the_mean(outlier_scores, inlier_scores):
    return np.mean(outlier_scores > np.mean(inlier_scores))


@auroc.misconception("zip pairs first with first, second with second. Every outlier meets every inlier.")
def first_with_first(outlier_scores, inlier_scores):
    return np.mean([(a > b) + 0.5 * (a == b) for a, b in zip(outlier_scores, inlier_scores, strict=False)])


@auroc.misconception("That is the number of pairs. Divide by how many pairs there are.")
def number_of_pairs(outlier_scores, inlier_scores):
    outlier, inlier = outlier_scores[:, None], inlier_scores[None, :]
    return np.sum((outlier > inlier) + 0.5 * (outlier == inlier))


@auroc.misconception("You took wins minus losses, which is 2·AUROC - 1. A lost pair counts nothing, not -1.")
def wins_minus_losses(outlier_scores, inlier_scores):
    return np.mean(np.sign(outlier_scores[:, None] - inlier_scores[None, :]))


# 1.5 PCA

pca_reconstruction = Exercise(
    "1.5",
    "pca_reconstruction",
    stars=2,
    points=3,
    minutes=8,
    hints=(
        "Move the cloud to the origin, drop all but the directions in which it is longest, move it back.",
        "x̂ = m + (x - m) V Vᵀ. Columns of V: the eigenvectors of the covariance with the largest eigenvalues.",
        "np.linalg.eigh returns eigenvalues from small to large and eigenvectors as columns: which `size` columns "
        "do you need? (np.linalg.svd of the centred data works as well. There they are rows, the largest first: "
        "transpose them to get V.)",
    ),
)


def _cloud(rng, images, scales):
    """A cloud with these standard deviations along random directions, away from the origin."""
    directions = np.linalg.qr(rng.normal(size=(len(scales), len(scales))))[0]
    return rng.normal(size=(images, len(scales))) * scales @ directions + rng.normal(0, 3, len(scales))


@pca_reconstruction.check(points=1)
def test_keeps_the_longest_edge_of_a_box(pca_reconstruction):
    """By hand: the 32 corners of a box off the origin, whose longest edge is neither the first nor the last."""
    signs = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 5, indexing="ij")).reshape(5, 32).T
    centre, half_edges = np.array([5.0, -3.0, 2.0, 7.0, 1.0]), np.array([2.0, 1.0, 4.0, 5.0, 3.0])
    corners = centre + signs * half_edges
    expected = centre + signs * half_edges * [0, 0, 0, 1, 0]
    assert_close(pca_reconstruction(corners, 1), expected, atol=1e-3)


@pca_reconstruction.check(points=1)
def test_with_every_number_all_comes_back_and_without_any_the_mean(pca_reconstruction, rng):
    """size = d gives x itself, size = 0 the mean image for every image."""
    x = _cloud(rng, 20, np.array([2.0, 1.0, 0.5, 0.2]))
    assert_close(pca_reconstruction(x, 4), x, atol=1e-4, what="size 4 of 4")
    assert_close(pca_reconstruction(x, 0), np.tile(x.mean(axis=0), (20, 1)), atol=1e-4, what="size 0")


@pca_reconstruction.check(points=1)
def test_agrees_with_scikit_learn_at_every_size(pca_reconstruction, rng):
    """Every size, on a cloud whose directions are well apart."""
    from sklearn.decomposition import PCA

    x = _cloud(rng, 25, np.array([4.0, 2.0, 1.0, 0.5]))
    for size in (1, 2, 3, 4):
        pca = PCA(size).fit(x)
        expected = pca.inverse_transform(pca.transform(x))
        assert_close(pca_reconstruction(x, size), expected, atol=1e-3, what=f"size {size}")


def _projected(centred, columns):
    return centred @ columns @ columns.T


@pca_reconstruction.misconception("The data were not centred. The first direction then points at the mean image.")
def not_centred(x, size):
    return _projected(x, np.linalg.eigh(x.T @ x)[1][:, ::-1][:, :size])


@pca_reconstruction.misconception("You took the mean away and did not put it back.")
def mean_not_added(x, size):
    centred = x - x.mean(axis=0)
    return _projected(centred, np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :size])


@pca_reconstruction.misconception(
    "eigh sorts from small to large: you kept the directions in which least happens."
)
def smallest_directions(x, size):
    mean = x.mean(axis=0)
    return mean + _projected(x - mean, np.linalg.eigh(np.cov(x.T))[1][:, :size])


@pca_reconstruction.misconception(
    "np.linalg.eig does not sort its eigenvalues. Sort them, or use eigh, which goes from small to large."
)
def eig_unsorted(x, size):
    mean = x.mean(axis=0)
    return mean + _projected(x - mean, np.linalg.eig(np.cov(x.T))[1][:, :size])


@pca_reconstruction.misconception(
    "With size 0, [:, -0:] is not empty: it is every column. Reverse the columns first, then take [:, :size]."
)
def all_for_none(x, size):
    mean = x.mean(axis=0)
    return mean + _projected(x - mean, np.linalg.eigh(np.cov(x.T))[1][:, -size:])


@pca_reconstruction.misconception(
    "The directions are those of the cloud, but you projected x itself. Subtract the mean first, add it after."
)
def projected_uncentred(x, size):
    return _projected(x, np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :size])


@pca_reconstruction.misconception("eigh returns eigenvectors as columns; you took rows.")
def rows_for_columns(x, size):
    mean = x.mean(axis=0)
    return mean + _projected(x - mean, np.linalg.eigh(np.cov(x.T))[1][::-1][:size].T)


@pca_reconstruction.misconception(
    "svd returns the directions as rows, already sorted; you took columns. Its third result is Vᵀ."
)
def columns_for_rows(x, size):
    mean = x.mean(axis=0)
    return mean + _projected(x - mean, np.linalg.svd(x - mean)[2][:, :size])


@pca_reconstruction.misconception(
    "You subtracted each image's own mean (axis=1). The mean image is over images: axis=0."
)
def each_images_own_mean(x, size):
    mean = x.mean(axis=1, keepdims=True)
    return mean + _projected(x - mean, np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :size])


@pca_reconstruction.misconception(
    "Those are the codes. Go back to pixels: multiply by the directions, add the mean."
)
def codes_only(x, size):
    return (x - x.mean(axis=0)) @ np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :size]


# 1.6 The bug

outlier_score = Exercise(
    "1.6",
    "outlier_score",
    stars=2,
    points=3,
    minutes=8,
    hints=(
        "An image's score may depend on the image and on the training images. What else does it depend on here?",
        "score(x) = ‖(x - m) - (x - m) Vᵀ V‖², rows of V: the directions. Which images decide m, and which V?",
        "Compute the mean once, from `train`, give it a name, and use it wherever something is centred.",
    ),
)


@outlier_score.check(points=1)
def test_a_score_does_not_depend_on_the_company(outlier_score, rng):
    """Each image alone, then all together."""
    train, x = _cloud(rng, 40, np.array([3.0, 2.0, 1.0, 0.5, 0.3])), rng.normal(0, 3, (4, 5))
    together = outlier_score(x, train, 2)
    assert np.shape(together) == (4,), f"4 images should get scores of shape (4,), got {show(together)}"
    alone = np.concatenate([np.atleast_1d(outlier_score(one[None], train, 2)) for one in x])
    assert np.allclose(alone, together, rtol=1e-3, atol=1e-3), (
        f"scored together       {show(together)}\nscored one at a time  {show(alone)}"
    )


@outlier_score.check(points=1)
def test_agrees_with_scikit_learn_on_new_images(outlier_score, rng):
    """PCA fitted on the training images, applied to others."""
    from sklearn.decomposition import PCA

    train, x = _cloud(rng, 40, np.array([3.0, 2.0, 1.0, 0.5, 0.3])), rng.normal(0, 3, (7, 5))
    pca = PCA(3).fit(train)
    expected = np.sum((x - pca.inverse_transform(pca.transform(x))) ** 2, axis=1)
    assert_close(outlier_score(x, train, 3), expected, rtol=1e-3)


@outlier_score.check(points=1)
def test_a_crowd_of_outliers_is_still_far_away(outlier_score):
    """Training images on the first axis; a tight crowd 10 away along the second scores 100 and a little."""
    train = np.array([[-2.0, 0, 0], [2, 0, 0], [-1, 0, 0], [1, 0, 0]])
    crowd = np.array([[0.5, 10, 0.5], [-0.5, 10, -0.5], [0, 10, 0]])
    assert_close(outlier_score(crowd, train, 1), [100.25, 100.25, 100.0])


def _directions(train, mean, size):
    return np.linalg.svd(train - mean, full_matrices=False)[2][:size]


def _score(centred, directions):
    return np.sum((centred - centred @ directions.T @ directions) ** 2, axis=1)


@outlier_score.misconception(
    "The images are still centred with their own mean, so each score depends on the others."
)
def centred_by_the_company(x, train, size):
    return _score(x - x.mean(axis=0), _directions(train, train.mean(axis=0), size))


@outlier_score.misconception(
    "One number is subtracted from all pixels. The mean image has one value a pixel: axis=0."
)
def one_mean_for_all_pixels(x, train, size):
    return _score(x - train.mean(), _directions(train, train.mean(axis=0), size))


@outlier_score.misconception(
    "The mean and the directions come from the images that you judge. Take them from train."
)
def fitted_on_the_judged(x, train, size):
    return _score(x - x.mean(axis=0), _directions(x, x.mean(axis=0), size))


@outlier_score.misconception("The images you judge take part in the mean. Only training images may.")
def mean_of_both(x, train, size):
    return _score(x - np.concatenate([x, train]).mean(axis=0), _directions(train, train.mean(axis=0), size))


@outlier_score.misconception(
    "The directions are those of train, but x was not centred at all. Subtract train's mean."
)
def not_centred_at_all(x, train, size):
    return _score(x, _directions(train, train.mean(axis=0), size))


@outlier_score.misconception(
    "You fitted on train and x together. What you judge may not take part, neither in m nor in V."
)
def fitted_on_both(x, train, size):
    both = np.concatenate([train, x])
    return _score(x - both.mean(axis=0), _directions(both, both.mean(axis=0), size))


@outlier_score.misconception("You took the root. The score is the squared distance.")
def root_of_the_score(x, train, size):
    return np.sqrt(_score(x - train.mean(axis=0), _directions(train, train.mean(axis=0), size)))


@outlier_score.misconception("You added up the images too: one score for all. Each image has its own: axis=1.")
def one_score_for_all(x, train, size):
    return np.sum(_score(x - train.mean(axis=0), _directions(train, train.mean(axis=0), size)))


@outlier_score.misconception("The company is gone, but you average over the pixels now. The error is a sum.")
def averaged_over_pixels(x, train, size):
    return _score(x - train.mean(axis=0), _directions(train, train.mean(axis=0), size)) / x.shape[1]


# 1.7 Theory

noisy_code_error = Exercise(
    "1.7",
    "noisy_code_error",
    stars=2,
    points=4,
    minutes=10,
    hints=(
        "Turn the axes so that they are the principal directions. The error is then a sum, one term a direction.",
        "A dropped direction i costs its variance λᵢ. A kept one comes back shifted by its noise: what does that "
        "cost on average?",
        "Sort the eigenvalues, the largest first. A sum over those from `size` on, and a term for those kept.",
    ),
)


@noisy_code_error.check(points=1)
def test_without_noise_it_is_the_error_of_pca(noisy_code_error, rng):
    """Measured: scikit-learn's PCA on data whose covariance has these eigenvalues."""
    from sklearn.decomposition import PCA

    x = _cloud(rng, 50, np.array([3.0, 2.0, 1.0, 0.7, 0.4]))
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    for size in (1, 3, 4):
        pca = PCA(size).fit(x)
        measured = np.sum((x - pca.inverse_transform(pca.transform(x))) ** 2, axis=1).mean()
        assert_close(noisy_code_error(eigenvalues, size, 0.0), measured, rtol=1e-3, what=f"size {size}")


@noisy_code_error.check(points=1)
def test_takes_the_eigenvalues_in_any_order(noisy_code_error):
    """By hand: variances 5, 3, 1 and ½; the two largest are kept."""
    assert_close(noisy_code_error([1.0, 5.0, 0.5, 3.0], 2, 0.0), 1.5)


@noisy_code_error.check(points=1)
def test_noise_costs_what_a_simulation_says(noisy_code_error, rng):
    """20,000 noisy codes of known data; bound five standard errors, below one alarm in a million.

    The noise is nearly as large as the smallest variance kept: there a decoder that shrinks would do better.
    """
    scales, size, noise = np.array([3.0, 2.0, 1.0, 0.5]), 3, 0.8
    directions = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    x = rng.normal(size=(20_000, 4)) * scales @ directions
    kept = directions[:size]
    code = x @ kept.T + rng.normal(0, np.sqrt(noise), (len(x), size))
    errors = np.sum((x - code @ kept) ** 2, axis=1)
    got = float(np.asarray(noisy_code_error(scales**2, size, noise)))
    bound = 5 * errors.std() / np.sqrt(len(errors))
    assert abs(got - errors.mean()) < bound, (
        f"a simulation with noise of variance {noise} on each of {size} numbers measured "
        f"{errors.mean():.3f} ± {bound:.3f}, got {got:.3f}"
    )


@noisy_code_error.check(points=1)
def test_the_ends_are_right(noisy_code_error):
    """No number kept: all variance is lost, and noise has nothing to spoil. All kept: only noise is left."""
    assert_close(noisy_code_error([4.0, 2.0, 0.5], 0, 0.3), 6.5)
    assert_close(noisy_code_error([4.0, 2.0, 0.5], 3, 0.3), 0.9)


@noisy_code_error.misconception(
    "With size 0, [:-0] is not everything: it is empty. Sort from large to small and take [size:]."
)
def nothing_for_everything(eigenvalues, size, noise):
    return np.sum(np.sort(eigenvalues)[:-size]) + size * noise


@noisy_code_error.misconception("You added up the variance that is kept. The error is what is dropped.")
def kept_for_dropped(eigenvalues, size, noise):
    return np.sum(np.sort(eigenvalues)[::-1][:size]) + size * noise


@noisy_code_error.misconception("The eigenvalues came unsorted. The best reconstruction keeps the largest.")
def not_sorted(eigenvalues, size, noise):
    return np.sum(eigenvalues[size:]) + size * noise


@noisy_code_error.misconception(
    "np.sort goes from small to large, so [size:] leaves out the smallest. Turn it round first."
)
def ascending(eigenvalues, size, noise):
    return np.sum(np.sort(eigenvalues)[size:]) + size * noise


@noisy_code_error.misconception("The noise is counted once. It is added to each of the `size` numbers.")
def noise_once(eigenvalues, size, noise):
    return np.sum(np.sort(eigenvalues)[::-1][size:]) + noise


@noisy_code_error.misconception("`noise` is a variance, and so is its share of the squared error. No root.")
def root_of_the_noise(eigenvalues, size, noise):
    return np.sum(np.sort(eigenvalues)[::-1][size:]) + size * np.sqrt(noise)


@noisy_code_error.misconception(
    "λσ²/(λ+σ²) is what a decoder would pay that shrinks the noisy code. PCA's own decoder takes it as it is."
)
def shrinking_decoder(eigenvalues, size, noise):
    descending = np.sort(eigenvalues)[::-1]
    kept = descending[:size]
    return np.sum(descending[size:]) + np.sum(kept * noise / (kept + noise))


@noisy_code_error.misconception(
    "Where is the noise? Each number that is kept comes back with an error of its own."
)
def noise_forgotten(eigenvalues, size, noise):
    return np.sum(np.sort(eigenvalues)[::-1][size:])


@noisy_code_error.misconception("Noise is added to the `size` numbers that are kept, not to every direction.")
def noise_everywhere(eigenvalues, size, noise):
    return np.sum(np.sort(eigenvalues)[::-1][size:]) + len(eigenvalues) * noise


@noisy_code_error.misconception("`noise` is a variance already. Do not square it.")
def variance_squared(eigenvalues, size, noise):
    return np.sum(np.sort(eigenvalues)[::-1][size:]) + size * noise**2


@noisy_code_error.misconception("That is the mean over directions. The squared error of an image is a sum.")
def averaged_over_directions(eigenvalues, size, noise):
    return (np.sum(np.sort(eigenvalues)[::-1][size:]) + size * noise) / len(eigenvalues)
