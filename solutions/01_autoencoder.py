# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   hvae:
#     title: The autoencoder
#     minutes: 90
# ---

# %% [markdown]
# # Lesson 01 · The autoencoder
#
# ![Three rows of ten pictures: digits, the same digits unpacked from eight numbers each, and random numbers
# unpacked, eight for each picture, which are no digits](../lessons/pictures/01_autoencoder.png)
#
# First row: digits that people wrote. Second row: the same digits, squeezed by a network into eight numbers and
# unpacked again. Third row: for each picture eight random numbers, unpacked by the same network.
#
# **The question of this lesson.** The network turns eight numbers into a digit. Why do eight random numbers not
# give a digit?
#
# **You will learn** to
# - say what a generative model is for: to give densities, and to give samples;
# - build an encoder, a bottleneck and a decoder, and train them on squared error;
# - measure how the error falls as the bottleneck grows, and compare with the best linear answer, PCA;
# - find outliers by what does not come back, and say when that fails;
# - explain why an autoencoder is not yet a generative model.
#
# **You need** networks of dense layers, mean, variance, eigenvectors, and NumPy. No earlier lesson.
#
# **Time** 90 minutes, {exercise summary}.
#
# Under every stub is a cell that checks your answer. `hint("1.1")` gives a hint, three of them if you ask again.
# `reveal("1.1")` shows a solution once you have passed or tried three times. No later cell uses your answers, so
# you can go on without them.

# %%
# %matplotlib inline
import time

import numpy as np
from scipy.linalg import subspace_angles
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from hvae_keras import plots
from hvae_keras.backend import keras, ops
from hvae_keras.callbacks import Progress
from hvae_keras.course import check, hint, reveal
from hvae_keras.data import load
from hvae_keras.layers import mlp_decoder, mlp_encoder
from hvae_keras.models import Autoencoder

keras.utils.set_random_seed(1)
digits = load("digits")
print(digits)

# %% [markdown]
# | symbol | meaning | in code |
# |---|---|---|
# | $x$ | one example, here an image of 8×8 grey levels in [0, 1] | `x` `[batch, 8, 8, 1]` |
# | $z$ | its code, a few numbers (a *latent variable*: nobody observes it) | `z` `[batch, latent]` |
# | $\hat x$ | what is made of the code, the *reconstruction* | `reconstruction`, as `x` |
# | $p(x)$ | a model's density of $x$ | |
#
# Logarithms are natural, and their unit is the **nat**: 1 nat more is a factor of $e$, and 1 nat is 1.44 bits. An error
# or a log-density is one number an image, not divided by its dimensions. What is printed is a mean over images.

# %%
x_train, x_validation = digits.train.x, digits.validation.x
digit_train, digit_validation = digits.train.factors["digit"], digits.validation.factors["digit"]
one_each = [int(np.flatnonzero(digit_validation == digit)[0]) for digit in range(10)]
plots.image_grid(
    [x_validation[one_each], x_validation[20:30]],
    caption="Validation images: one of each digit, and ten as they come.",
    row_labels=["one of each", "as they come"],
)

# %% [markdown]
# ## 1 · Two things to ask of a model
#
# The images came from some process: people, pens, a scanner. Call the density of what it produces $p^*(x)$. Nobody
# knows it. A **generative model** is a distribution, fitted so that it is close to $p^*$. You may want one or both
# of two things from it.
#
# - **Density estimation.** Here is an image. What is $\log p(x)$? You use this to compare models, to compress, and
#   to notice what does not belong.
# - **Sampling.** Give me a new $x$ drawn from $p(x)$.
#
# The simplest model that does both is a normal distribution of the 64 pixels:
#
# $$ \log p(x) = -\tfrac12 \left[ (x-m)^\top C^{-1} (x-m) + \log\det C + 64 \log 2\pi \right] $$
#
# Fitting it means taking mean and covariance of the training images. Fit it twice: once with every pixel on its
# own ($C$ diagonal) and once with the full covariance. Three pixels are zero in every image. Along them the density
# would be infinite, so $C$ gets $(1/16)^2$ on its diagonal, as if noise of one grey level were added.


# %%
def flat(x):
    """Images as rows of pixels: [n, 64]."""
    return np.asarray(x).reshape(len(x), -1)


mean = flat(x_train).mean(axis=0)
covariance = np.cov(flat(x_train).T) + np.eye(64) / 16**2
independent = multivariate_normal(mean, np.diag(np.diag(covariance)), seed=0)
correlated = multivariate_normal(mean, covariance, seed=0)
for name, model in {"pixels on their own": independent, "pixels together": correlated}.items():
    train, validation = (model.logpdf(flat(x)).mean() for x in (x_train, x_validation))
    print(f"{name:20} mean log p(x): train {train:6.2f}, validation {validation:6.2f} nats per image")

# %%
plots.image_grid(
    [x_validation[:10], *(model.rvs(10).reshape(-1, 8, 8, 1) for model in (independent, correlated))],
    caption="Ten real images, and ten samples of each normal distribution.",
    row_labels=["real", "pixels on their own", "pixels together"],
)

# %% [markdown]
# The second model gives the real images a higher density, and its samples hold together better. Neither model
# writes digits. Take a 0 and a 1 to which a normal distribution gives the same density. Can it give less to the
# image halfway between them?
#
# <details><summary>Answer</summary>
#
# No. Inside the brackets above is a sum of squares, and a sum of squares is never larger halfway than at both ends.
# One cloud cannot leave out its own middle.
# </details>
#
# A density is not a probability. It may be larger than one, and then its logarithm is positive. Only differences
# mean something: between models on the same data, or between images under one model.
#
# **Predict, then run.** Order these by $\log p(x)$ under the second model, from high to low, before you run the
# cell: a typical validation image, the best of all validation images, the mean image, a typical sample of the model
# itself, validation images mirrored top to bottom, uniform noise.

# %%
on_validation = correlated.logpdf(flat(x_validation))
guesses = {
    "typical validation image": np.median(on_validation),
    "best validation image": on_validation.max(),
    "the mean image": correlated.logpdf(mean),
    "own samples (median)": np.median(correlated.logpdf(correlated.rvs(1000))),
    "top to bottom (median)": np.median(correlated.logpdf(flat(x_validation[:, ::-1]))),
    "uniform noise (median)": np.median(correlated.logpdf(np.random.default_rng(0).random((100, 64)))),
}
for name, value in sorted(guesses.items(), key=lambda item: -item[1]):
    print(f"{name:26}{value:9.1f} nats")

# %% [markdown]
# The top of that list is a grey blot that nobody ever wrote. It sits where the density peaks. Yet the model almost
# never draws it: in 64 dimensions nearly all the probability lies far from the peak, because there is so much more
# room there. *Likely* in the sense of density and *typical* in the sense of sampling are two things. You will need
# this again when you use a density to find outliers.
#
# The model's own samples lie below the real images: they carry the noise of one grey level that we added to $C$, and
# the images do not.

# %% [markdown]
# ## 2 · Latent variables, and a network for each direction
#
# An image has 64 pixels. It does not have 64 causes. Which digit, how slanted, how thick the pen: a handful of
# numbers say most of it. Call them $z$. A **latent variable model** writes the density through them,
#
# $$ p(x) = \int p(x \mid z)\, p(z)\, dz , $$
#
# "first draw the causes from $p(z)$, then the image given the causes". Sampling is easy. The density is hard: the
# integral runs over every $z$ that there is. Lesson 02 deals with the integral. This lesson takes a shortcut and
# leaves the integral, and $p(z)$, out.
#
# An **autoencoder** is two functions. The *encoder* $f$ gives each image one code. The *decoder* $g$ makes an image
# of a code. Between them is the **bottleneck**: the code has fewer numbers than the image has pixels.
#
# $$ x \;\xrightarrow{\;f\;}\; z \;\xrightarrow{\;g\;}\; \hat x $$
#
# Both are trained at once to give $x$ back, in squared error:
#
# $$ L(x) = \sum_{d} \left(x_d - \hat x_d\right)^2 , \qquad \text{averaged over the images of a batch.} $$
#
# Why squares? If the decoder's output is read as the mean of a normal distribution with variance one, then
# $-\log p(x \mid z) = \tfrac12 L(x) + 32 \log 2\pi$: squared error is a log-likelihood in disguise. For that to
# be true the sum over dimensions has to be a sum.

# %% [markdown]
# ### Exercise 1.1 · Reconstruction loss
# Write `squared_error(x, reconstruction)`. Both have shape `(batch, height, width, channels)`. It returns the
# error of **each** image, shape `(batch,)`: a sum over its dimensions.


# %% exercise="1.1"
def squared_error(x, reconstruction):
    """Squared error of each image, summed over height, width and channels: (batch,)."""
    ### BEGIN SOLUTION
    return ops.sum(ops.square(x - reconstruction), axis=(1, 2, 3))
    ### END SOLUTION


# %% check="1.1"
check("1.1", squared_error)

# %% [markdown]
# ### Exercise 1.2 · Encoder and decoder
# Write `make_pair(height, width, hidden, latent)`. It returns two Keras models, `encoder` and `decoder`.
# - The encoder takes images `(batch, height, width, 1)` and gives codes `(batch, latent)`.
# - The decoder takes codes and gives images back.
# - Each has one dense hidden layer of `hidden` units with `relu`. The last dense layer of each is linear.
#
# An image need not be square.


# %% exercise="1.2"
def make_pair(height, width, hidden, latent):
    """Return (encoder, decoder), each with one hidden relu layer and a linear last layer."""
    ### BEGIN SOLUTION
    encoder = keras.Sequential(
        [
            keras.Input((height, width, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(latent),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input((latent,)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(height * width),
            keras.layers.Reshape((height, width, 1)),
        ]
    )
    return encoder, decoder
    ### END SOLUTION


# %% check="1.2"
check("1.2", make_pair)

# %% [markdown]
# ## 3 · Train one and look at it
#
# From here on the lesson uses the library. `mlp_encoder` and `mlp_decoder` are what you just wrote, for any number
# of hidden layers. `Autoencoder` joins them and trains on the loss of Exercise 1.1.
#
# The next cell trains 64 → 128 → 8 → 128 → 64 for 25 epochs of 40 steps with Adam.


# %%
def make_autoencoder(latent, hidden=(128,), learning_rate=5e-3):
    """An untrained autoencoder of 8×8 images with `latent` numbers in the bottleneck."""
    encoder = mlp_encoder((8, 8, 1), hidden, outputs=latent)
    decoder = mlp_decoder(latent, hidden[::-1], output_shape=(8, 8, 1))
    model = Autoencoder(encoder, decoder)
    # Ten steps a call: less waiting for Python between steps, same result.
    model.compile(keras.optimizers.Adam(learning_rate), steps_per_execution=10)
    return model


TRAINING = {"epochs": 25, "batch_size": 32, "verbose": 0}

keras.utils.set_random_seed(1)
autoencoder = make_autoencoder(latent=8)
history = autoencoder.fit(x_train, validation_data=x_validation, callbacks=[Progress(lines=8)], **TRAINING)
print(f"{autoencoder.count_params():,} weights, {len(x_train):,} training images")

# %%
plots.training_curves(
    {"8 numbers": history.history},
    caption="Squared error per image while training. The dashed line is measured on images not trained on.",
    ylabel="squared error per image",
    log=True,
)

# %% [markdown]
# In the first epochs the dashed line lies *below* the solid one. Images not trained on are not easier on average. What
# else differs in how the two numbers are taken? Section 9 has the answer.

# %%
reconstruction = np.asarray(autoencoder(x_validation))
plots.image_grid(
    [x_validation[one_each], reconstruction[one_each], 0.5 + (x_validation - reconstruction)[one_each]],
    caption="Eight numbers bring most of a digit back. The last row is the difference: grey where it is zero.",
    row_labels=["validation image", "reconstruction", "difference"],
)

# %% [markdown]
# Which parts of a digit come back, and which do not? Do the differences have a shape?
#
# <details><summary>Answer</summary>
#
# Class, slant and place of the strokes come back. The differences have little shape of their own. Where you see some, a
# light patch stands beside a dark one along a stroke: the stroke came back a little displaced, or too thick. What was
# lost is the detail that one writer does not share with the next.
# </details>
#
# **Predict, then run.** Take the codes of two different digits and go from one to the other in a straight line.
# What does the decoder show halfway: a faint picture of both on top of each other, some third digit, a digit that
# is partly the one and partly the other, or noise? Write it down. Then write the walk yourself.

# %% [markdown]
# ### Exercise 1.3 · A walk between two codes
# Write `interpolate(start, end, steps)`. `start` and `end` have shape `(latent,)`. It returns `(steps, latent)`:
# `steps` codes, at least 2, on the straight line from `start` (first row) to `end` (last row), equally far apart.


# %% exercise="1.3"
def interpolate(start, end, steps):
    """Codes on the straight line from start to end, both included: (steps, latent)."""
    ### BEGIN SOLUTION
    t = np.linspace(0.0, 1.0, steps)[:, None]
    return (1.0 - t) * start + t * end
    ### END SOLUTION


# %% check="1.3"
check("1.3", interpolate)

# %%
z = np.asarray(autoencoder.encode(x_validation))
rows, labels = [], []
for start, end in ((one_each[0], one_each[7]), (one_each[3], one_each[6])):
    rows.append(autoencoder.decode(np.linspace(z[start], z[end], 9)))
    rows.append(np.linspace(x_validation[start], x_validation[end], 9))
    labels += ["through codes", "through pixels"]
plots.image_grid(
    rows,
    caption="From 0 to 7, and from 3 to 6. Mixing codes is not the same as mixing pixels.",
    row_labels=labels,
)

# %% [markdown]
# <details><summary>What did you predict for the middle?</summary>
#
# Through pixels: both pictures on top of each other, by construction. Through codes: partly the one and partly the
# other. In these two walks strokes move where pixels fade, the left side of the 0 goes before its top does, and a loop
# closes on the way from 3 to 6. But the middle is greyer than a digit, and not clearly any digit.
# </details>
#
# A picture of two walks proves little. Here is a number: how far is an image from the nearest training image? Compare
# 100 midpoints through codes with the same midpoints through pixels. The standard is set twice: by real validation
# images, and by their reconstructions.

# %%
neighbours = NearestNeighbors(n_neighbors=1).fit(flat(x_train))


def to_nearest(x):
    """Squared distance of each image to the nearest training image: [n]."""
    return neighbours.kneighbors(flat(np.clip(x, 0, 1)))[0][:, 0] ** 2


def midpoints(model, pairs):
    """Halfway between the codes of each pair of validation images, decoded."""
    z = np.asarray(model.encode(x_validation))
    return model.decode((z[pairs[0]] + z[pairs[1]]) / 2)


pairs = np.random.default_rng(0).permutation(len(x_validation))[:200].reshape(2, 100)
through_pixels = to_nearest((x_validation[pairs[0]] + x_validation[pairs[1]]) / 2)
print("median squared distance to a training image")
print(f"real validation images     {np.median(to_nearest(x_validation)):.2f}")
print(f"their reconstructions      {np.median(to_nearest(reconstruction)):.2f}")
print(f"midpoints through codes    {np.median(to_nearest(midpoints(autoencoder, pairs))):.2f}")
print(f"midpoints through pixels   {np.median(through_pixels):.2f}")

# %% [markdown]
# Reconstructions lie closer to training images than real images do. They are not more real than real: they are
# smoother. A decoder leaves out the detail in which one image differs from its neighbours. So whatever a decoder makes
# has to be compared with reconstructions, not with real images. By that standard midpoints through codes are far off,
# though closer than mixtures of pixels. The decoder was never trained on a midpoint.

# %% [markdown]
# ## 4 · How many numbers does a digit need?
#
# The bottleneck is the only thing that stops the network from copying. Measure the trade: six sizes, three seeds
# each, everything else as before.
#
# **Predict, then run.** The last size is 64, one number a pixel. Nothing has to be left out any more. Will the
# error be zero?


# %%
def errors(model, x):
    """Squared error of each image: [n]."""
    return np.sum((x - np.asarray(model(x))) ** 2, axis=(1, 2, 3))


SIZES, SEEDS = (2, 4, 8, 16, 32, 64), (1, 2, 3)
train_error, validation_error = np.zeros((2, len(SEEDS), len(SIZES)))
models = {}  # size -> the network of the last seed
start = time.perf_counter()
for column, size in enumerate(SIZES):
    models[size] = make_autoencoder(size)
    for row, seed in enumerate(SEEDS):
        models[size].reinitialise(seed)
        models[size].fit(x_train, **TRAINING)
        train_error[row, column] = errors(models[size], x_train).mean()
        validation_error[row, column] = errors(models[size], x_validation).mean()
    train, validation = train_error[:, column], validation_error[:, column]
    print(
        f"{size:2} numbers: train {train.mean():.3f} ± {train.std():.3f}, "
        f"validation {validation.mean():.3f} ± {validation.std():.3f}, {time.perf_counter() - start:3.0f} s"
    )

# %%
plots.error_by_size(
    SIZES,
    {"autoencoder, train": train_error, "autoencoder, validation": validation_error},
    caption="Error against the size of the bottleneck. Lines are means of three seeds, small points are the seeds.",
)

# %% [markdown]
# Does doubling the bottleneck ever stop paying? Is that what you expected? Which of the two curves is higher at every
# size, and how would more training images move the gap?
#
# <details><summary>Answer</summary>
#
# It never stops. On logarithmic axes the curve even falls faster towards the right: each doubling saves a larger share
# of what is left. If ten causes made the whole image, you would see a corner at ten. There is none, because the detail
# and the noise of 64 pixels are not made by a few causes. Validation is higher at every size. With more training images
# the gap closes: detail of single training images gives the network less to hold on to.
# </details>
#
# The copying network with 64 numbers does not reach zero. Nothing forbids it. It was only trained for a while, with
# steps of a certain size. What a model *can* do and what training *finds* are two questions.
#
# One more thing that a bottleneck decides. Walk halfway between two codes again, for narrow and wide bottlenecks. (Of
# each size the last of the three networks is used, here and in section 8.)

# %%
print(
    f"midpoints through pixels       {np.median(through_pixels):.2f}   (median squared distance to a training image)"
)
for size in SIZES:
    print(f"midpoints through {size:2} numbers   {np.median(to_nearest(midpoints(models[size], pairs))):.2f}")

# %% [markdown]
# With a wide bottleneck the straight line between codes is as good as a straight line between pixels, and no
# better. Why would a network with room for everything bother to bend the space?
#
# <details><summary>Answer</summary>
#
# It would not. A straight map copies already, and a straight map takes midpoints to midpoints. Nothing in the loss
# rewards a bend that copying does not need.
# </details>

# %% [markdown]
# ## 5 · What does not come back does not belong
#
# The network learns to squeeze digits through eight numbers by using what digits have in common. Something else
# should not fit through. So take the error as a score: high error, suspicious image.
#
# To test it you need strange images that are known to be strange. Leave one digit out of training, then ask for
# its images. Those are the **outliers**; new images of the digits that were trained on are the **inliers**. Flag all
# images above a threshold: some outliers are caught, and some inliers are false alarms. Move the threshold from high to
# low and plot the share caught against the share of false alarms: the **ROC curve** (receiver operating
# characteristic). The quality of a score is the area under it (AUROC), and that area is the probability that a random
# outlier scores higher than a random inlier. It is 1 for a perfect score and ½ for guessing.

# %% [markdown]
# ### Exercise 1.4 · AUROC from pairs
# Write `auroc(outlier_scores, inlier_scores)`, of shapes `(n,)` and `(m,)`. It returns the share of the $n \cdot m$
# pairs in which the outlier has the higher score. A tie counts one half.


# %% exercise="1.4"
def auroc(outlier_scores, inlier_scores):
    """Probability that an outlier scores higher than an inlier, a tie counting one half."""
    ### BEGIN SOLUTION
    outlier, inlier = np.asarray(outlier_scores)[:, None], np.asarray(inlier_scores)[None, :]
    return np.mean((outlier > inlier) + 0.5 * (outlier == inlier))
    ### END SOLUTION


# %% check="1.4"
check("1.4", auroc)

# %% [markdown]
# Now leave out each digit in turn, so that the result does not hang on a lucky choice: ten trainings. Outliers are
# all images of the digit that was left out (none was trained on); inliers are the validation images of the others.


# %%
def without(digit):
    """Training images without a digit, inliers to compare with, and all images of the digit as outliers."""
    inliers = x_validation[digit_validation != digit]
    outliers = np.concatenate([x_train[digit_train == digit], x_validation[digit_validation == digit]])
    return x_train[digit_train != digit], inliers, outliers


def area(outlier_scores, inlier_scores):
    """AUROC by scikit-learn."""
    outlying = np.r_[np.ones(len(outlier_scores)), np.zeros(len(inlier_scores))]
    return roc_auc_score(outlying, np.r_[outlier_scores, inlier_scores])


detector, scores, blank = make_autoencoder(latent=8), {}, {}
for digit in range(10):
    known, inliers, outliers = without(digit)
    detector.reinitialise(seed=1)
    detector.fit(known, **TRAINING)
    scores[digit] = errors(detector, outliers), errors(detector, inliers)
    blank[digit] = errors(detector, np.zeros((1, 8, 8, 1), "float32"))[0]
    print(f"without {digit}: {len(outliers)} outliers, {len(inliers)} inliers, AUROC {area(*scores[digit]):.3f}")

# %%
plots.roc(
    {f"{digit} left out": scores[digit] for digit in (0, 1, 8)},
    caption="Each point of a curve is a threshold: how many outliers it catches, and at how many false alarms.",
)

# %%
plots.score_histogram(
    {"known digits (validation)": scores[1][1], "1, left out": scores[1][0]},
    xlabel="squared error",
    caption="The scores behind one of those curves. Where would you put the threshold, and what would it cost?",
)

# %% [markdown]
# <details><summary>Where would you put the threshold?</summary>
#
# The scores do not say. Wherever the two groups overlap, a lower threshold catches more outliers and raises more
# alarms. What a miss and an alarm cost decides, and how rare outliers are. AUROC leaves that open: it averages over all
# thresholds.
# </details>
#
# **Predict, then run.** An empty image was in no training set. No digit looks like it. Is its error higher or lower
# than that of a typical known digit?

# %%
print("left out   error of an empty image   median error of known digits")
for digit in range(10):
    print(f"{digit:5} {blank[digit]:20.2f} {np.median(scores[digit][1]):27.2f}")
lower = sum(blank[digit] < np.median(scores[digit][1]) for digit in range(10))
print(f"The empty image has the lower error in {lower} of 10 models.")

# %% [markdown]
# Is it because the empty image is simple? Here are other simple images, through the network of section 3.

# %%
strange = np.zeros((6, 8, 8, 1), "float32")
strange[1, 0, 0], strange[2], strange[3, 3], strange[4, :, :4], strange[5] = 1, 0.25, 1, 1, 1
names = ("empty", "one white corner pixel", "grey 0.25", "one white line", "left half white", "all white")
for name, error in zip(names, errors(autoencoder, strange), strict=True):
    print(f"{name:24}{error:6.2f}")
print(f"{'known digits (median)':24}{np.median(errors(autoencoder, x_validation)):6.2f}")

# %% [markdown]
# Reconstruction error asks "can you bring it back?", not "have you seen it?". A dark image leaves little to get wrong,
# seen or not. An equally simple white one is far from everything that the decoder makes. So a high error is evidence
# that something is strange. A low error is not proof that it is familiar. A density is the first candidate for the
# second question; section 1 showed its trap.

# %% [markdown]
# ## 6 · Take the bends away, and PCA appears
#
# What do the hidden layers buy? Take them away. Then encoder and decoder are matrices, and with centred data
#
# $$ \hat x = m + (x - m)\, W_{\text{enc}} W_{\text{dec}}, \qquad W_{\text{enc}}: 64 \times k, \quad
# W_{\text{dec}}: k \times 64, $$
#
# where $k$ is how many numbers the code has, and the product is a matrix of rank at most $k$. Of all such products one
# has the least squared error: the projection onto the $k$ directions in which the
# data vary most, the **principal components** (Eckart and Young, 1936). They are the eigenvectors of the covariance
# with the largest eigenvalues. There is nothing to train. (If the eigenvalues $k$ and $k+1$ are equal, several projections
# share the least error.)

# %% [markdown]
# ### Exercise 1.5 · PCA reconstruction
# Write `pca_reconstruction(x, size)`. `x` has shape `(n, d)`. It returns the best linear reconstruction of `x` from
# `size` numbers per row, shape `(n, d)`. `size` may be anything from 0 to `d`. Use NumPy, not scikit-learn.


# %% exercise="1.5"
def pca_reconstruction(x, size):
    """Project x (n, d) onto its first `size` principal components, and return it in the original space."""
    ### BEGIN SOLUTION
    mean = x.mean(axis=0)
    centred = x - mean
    _, eigenvectors = np.linalg.eigh(centred.T @ centred)
    kept = eigenvectors[:, ::-1][:, :size]
    return mean + centred @ kept @ kept.T
    ### END SOLUTION


# %% check="1.5"
check("1.5", pca_reconstruction)

# %% [markdown]
# Does gradient descent find it? Train a linear autoencoder with four numbers on centred images, three seeds, and
# compare two subspaces of the 64-dimensional space: the one that the decoder's four rows span, and the one that
# the first four principal components span. The **principal angles** between them are all zero exactly if the two
# are the same.


# %%
class AngleToPCA(keras.callbacks.Callback):
    """Largest principal angle, in degrees, between the decoder's rows and the components, after each epoch."""

    def __init__(self, components):
        super().__init__()
        self.components, self.degrees = components, []

    def on_epoch_end(self, epoch, logs=None):
        rows = keras.ops.convert_to_numpy(self.model.decoder.layers[1].kernel)
        self.degrees.append(np.rad2deg(subspace_angles(rows.T, self.components.T)).max())


centre = x_train.mean(axis=0)
pca = PCA(4).fit(flat(x_train))
slower = keras.optimizers.schedules.CosineDecay(2e-2, decay_steps=60 * 20)
linear = make_autoencoder(latent=4, hidden=(), learning_rate=slower)
angles, decoder_rows = {}, {}
for seed in SEEDS:
    linear.reinitialise(seed)
    watch = AngleToPCA(pca.components_)
    linear.fit(x_train - centre, epochs=60, batch_size=64, verbose=0, callbacks=[watch])
    angles[f"seed {seed}"] = np.array(watch.degrees)
    decoder_rows[seed] = np.array(ops.convert_to_numpy(linear.decoder.layers[1].kernel))
    error = errors(linear, x_train - centre).mean()
    print(f"seed {seed}: largest angle {watch.degrees[-1]:.2f}°, training error {error:.4f}")
exact = np.sum((flat(x_train) - pca.inverse_transform(pca.transform(flat(x_train)))) ** 2, axis=1).mean()
print(f"PCA, without training:        training error {exact:.4f}")

# %%
plots.principal_angles(
    np.arange(1, 61),
    angles,
    caption="The subspace turns to within one degree of PCA's, whatever the seed.",
)

# %% [markdown]
# **Predict, then run.** The subspaces agree. Does row 1 of the decoder agree with component 1, row 2 with component
# 2, perhaps in another order or with another sign? The next cell shows the cosines between all pairs, without
# their signs: 1 where two directions are the same.

# %%
cosines = {}
for seed, rows in decoder_rows.items():
    cosines[seed] = np.abs(rows @ pca.components_.T) / np.linalg.norm(rows, axis=1, keepdims=True)
    print(f"seed {seed}: largest in each row", *(f"{value:.2f}" for value in cosines[seed].max(axis=1)))
plots.heatmap(
    np.concatenate([cosines[1], cosines[2]]),
    xlabel="principal component",
    ylabel="rows 1 to 4: seed 1; 5 to 8: seed 2",
    colorbar="|cosine|",
    caption="Single rows of the decoder against single principal components, for two seeds.",
)

# %% [markdown]
# Some numbers are large, but a cosine of 0.9 is still an angle of 26°, where the subspaces agree to within one degree.
# And another seed gives another table. The decoder's rows are some basis of the right subspace. Multiply the codes by any invertible matrix $A$ and give
# the decoder $A^{-1}$: the reconstruction is the same, so the loss cannot tell. It finds *what* to keep, not how to
# name it. Remember this when somebody interprets a single latent of a network.

# %% [markdown]
# ### The bug
# A colleague scores images with PCA: fit on the training images, centre, project, take what is left. It runs, on the
# whole validation set its numbers are close to the right ones, and it is wrong.


# %%
def centred(x):
    """Subtract the mean image."""
    return x - x.mean(axis=0)


def suspicious_score(x, train, size):
    """Squared error of each row of x after projection onto the principal components of train."""
    directions = PCA(size).fit(centred(train)).components_
    projected = centred(x) @ directions.T @ directions
    return np.sum((centred(x) - projected) ** 2, axis=1)


train_rows, validation_rows = flat(x_train), flat(x_validation)
print("score of the same image, scored together with")
for others in (268, 20, 4, 1, 0):
    print(f"{others:4} other images {suspicious_score(validation_rows[: others + 1], train_rows, 8)[0]:7.3f}")
known, inliers, outliers = (flat(x) for x in without(0))
together = suspicious_score(np.concatenate([outliers, inliers]), known, 8)
print(
    f"AUROC for 0 left out, scored in one batch     {area(together[: len(outliers)], together[len(outliers) :]):.3f}"
)
apart = [suspicious_score(x, known, 8) for x in (outliers, inliers)]
print(f"AUROC for 0 left out, scored in two batches   {area(*apart):.3f}")

# %% [markdown]
# The image did not change. Its score did. An image on its own scores lowest of all, zero, whatever it shows.

# %% [markdown]
# ### Exercise 1.6 · Find the bug
# Write `outlier_score(x, train, size)` as it was meant. `x` has shape `(n, d)`, `train` `(m, d)`. It returns `(n,)`.


# %% exercise="1.6"
def outlier_score(x, train, size):
    """Squared error of each row of x after projection onto the principal components of train: (n,)."""
    ### BEGIN SOLUTION
    mean = train.mean(axis=0)
    directions = PCA(size).fit(train).components_
    projected = (x - mean) @ directions.T @ directions
    return np.sum(((x - mean) - projected) ** 2, axis=1)
    ### END SOLUTION


# %% check="1.6"
check("1.6", outlier_score)

# %% [markdown]
# The same bug in other clothes: batch normalisation left in training mode when you evaluate, or a scaler fitted anew
# on each batch. The test that finds all of them is the one in the check: **one example alone must give what it
# gives in company.**
#
# Here are the right numbers beside the wrong ones, from scikit-learn.


# %%
def pca_errors(pca, x):
    """Squared error of each image after a round trip through a fitted PCA: [n]."""
    return np.sum((flat(x) - pca.inverse_transform(pca.transform(flat(x)))) ** 2, axis=1)


by_network = [area(*scores[digit]) for digit in range(10)]
by_pca = []
for digit in range(10):
    known, inliers, outliers = without(digit)
    pca = PCA(8).fit(flat(known))
    by_pca.append(area(pca_errors(pca, outliers), pca_errors(pca, inliers)))
wrong = suspicious_score(validation_rows, train_rows, 8)[0]
right = pca_errors(PCA(8).fit(train_rows), x_validation[:1])[0]
print(f"score of the first image      right {right:.3f}; wrong, with all others {wrong:.3f}")
print(f"AUROC for 0 left out          right {by_pca[0]:.3f}")

# %% [markdown]
# On the whole validation set the wrong score was off by little, because the mean of many new images is nearly the mean
# of the training images. That is how such a bug gets through. The AUROC was not off by little.
#
# With the scores as they were meant, compare PCA with the network of section 5, digit by digit.

# %%
plots.dots(
    range(10),
    {"autoencoder": np.array(by_network), "PCA": np.array(by_pca)},
    xlabel="digit left out",
    ylabel="AUROC",
    line=0.5,
    caption="Eight numbers each. The line is guessing. Which digits does PCA bring back without having seen them?",
)
print("largest lead of the network: digit", np.argmax(np.subtract(by_network, by_pca)), "left out")

# %% [markdown]
# Both use eight numbers. The network spends them on the curved region where the known digits lie; PCA spends them on
# a flat space that has to contain all of them, and much else. So PCA brings back more of what it has not seen: its
# AUROC is lowest where the unseen digit lies in the flat space of the others.

# %% [markdown]
# ## 7 · The exact error, and what noise does to it
#
# PCA's training error needs no reconstruction at all. Turn the axes so that they are the principal components.
# Along component $i$ the data have variance $\lambda_i$, the eigenvalue. Kept components come back exactly. Dropped
# ones come back as their mean. What does each cost? That is half of the next exercise.
#
# The other half: somebody adds noise to the code on its way to the decoder, independent, with mean zero and the
# same variance on each number. Lesson 02 will do this on purpose.

# %% [markdown]
# ### Exercise 1.7 · The error of a noisy code, exactly
# Derive it on paper. Then write `noisy_code_error(eigenvalues, size, noise)`: the mean squared error per image (a
# sum over dimensions, a mean over images) of PCA with `size` numbers, when noise of variance `noise` is added to each
# of them and the decoder is PCA's own. `eigenvalues` `(d,)` are those of the covariance (divided by $n$, not $n - 1$, so
# that they are means over the images), in any order. `size` may be anything from 0 to `d`. The check compares your
# formula with a simulation.


# %% exercise="1.7"
def noisy_code_error(eigenvalues, size, noise):
    """Mean squared error per image of PCA with `size` noisy numbers (a scalar)."""
    ### BEGIN SOLUTION
    descending = np.sort(eigenvalues)[::-1]
    return descending[size:].sum() + size * noise
    ### END SOLUTION


# %% check="1.7"
check("1.7", noisy_code_error)

# %% [markdown]
# Without noise, the formula draws the best curve that any linear autoencoder can reach on the training images. Put it
# beside the networks of section 4.

# %%
eigenvalues = np.linalg.eigvalsh(np.cov(flat(x_train).T, bias=True))[::-1]
best_linear_train = np.array([eigenvalues[size:].sum() for size in SIZES[:-1]])
best_linear_validation = [pca_errors(PCA(size).fit(train_rows), x_validation).mean() for size in SIZES[:-1]]
plots.error_by_size(
    SIZES[:-1],
    {
        "PCA (exact), train": best_linear_train,
        "PCA, validation": np.array(best_linear_validation),
        "autoencoder, train": train_error[:, :-1],
        "autoencoder, validation": validation_error[:, :-1],
    },
    caption="Bends help while the bottleneck is narrow.",
)

# %% [markdown]
# At which size does the network stop being better than PCA on validation images?
#
# <details><summary>Answer, and why that is possible</summary>
#
# Look at the two dashed lines: they cross between 16 and 32. A network whose hidden layers are wide enough can represent
# every linear map on these images, so its *best* training error is never higher than PCA's. Its *trained* error is
# another matter, since PCA is solved exactly. And on validation images nothing is promised at all.
# </details>
#
# **Predict, then run.** Now with noise. More numbers bring more detail back, and each brings noise along. How
# many numbers are best if the noise has variance 0.1? Which eigenvalues would you keep?

# %%
counts = np.arange(1, 65)
with_noise = {
    f"noise of variance {noise}": np.array([eigenvalues[count:].sum() + count * noise for count in counts])
    for noise in (0.02, 0.1, 0.3)
}
for (name, error), noise in zip(with_noise.items(), (0.02, 0.1, 0.3), strict=True):
    print(
        f"{name}: best with {counts[error.argmin()]:2} numbers; "
        f"{(eigenvalues > noise).sum():2} eigenvalues are larger than the noise"
    )
plots.error_by_size(
    counts,
    with_noise,
    caption="With noise on the code and PCA's decoder, more numbers are not always better.",
)

# %% [markdown]
# With PCA's decoder, a number is worth sending only if it says more than the noise on it hides: keep the eigenvalues
# above the noise. A decoder that knows about the noise does better. It shrinks what it receives by $\lambda/(\lambda +
# \sigma^2)$, where $\sigma^2$ is the noise, pays $\lambda\sigma^2/(\lambda+\sigma^2) < \lambda$, and every number helps a
# little. In the next lessons a network learns such a decoder. There sending a number has a price, and for some the
# network decides to send nothing.

# %% [markdown]
# ## 8 · Break it: unpack random numbers
#
# The decoder makes images of codes. So make codes: for each, eight independent standard normal numbers. If the
# autoencoder is a generative model, digits come out.

# %% tags=["picture"]
random_codes = np.random.default_rng(0).normal(size=(500, 8))
plots.image_grid(
    [x_validation[one_each], reconstruction[one_each], autoencoder.decode(random_codes[:10])],
    caption="Images, the same through eight numbers, and for each picture of the third row: eight random numbers.",
    row_labels=["images", "through eight numbers", "random numbers"],
)

# %% [markdown]
# Not digits. How far off? Use the distance to the nearest training image again. And look at where the codes of
# images are: their means and scales in the eight coordinates. The draws have mean 0 and scale 1. Is that the
# difference?

# %%
z_train = np.asarray(autoencoder.encode(x_train))
print("codes of training images   mean ", *(f"{value:6.2f}" for value in z_train.mean(axis=0)))
print("                           scale", *(f"{value:6.2f}" for value in z_train.std(axis=0)))
distances = {
    "validation images": to_nearest(x_validation),
    "reconstructions": to_nearest(reconstruction),
    "standard normal codes": to_nearest(autoencoder.decode(random_codes)),
}
for name, distance in distances.items():
    print(f"{name:26} {np.median(distance):5.2f}   (median squared distance to a training image)")

# %% [markdown]
# Means and scales are not far off. What they do not show is how the coordinates go together. The eigenvalues of the
# codes' covariance show it. And the squared *Mahalanobis* distance, $(z-m)^\top C^{-1}(z-m)$ with mean and
# covariance of the codes, measures how far out a code is by the standard of the codes. (You met it in the density of
# section 1.)


# %%
def how_far_out(z):
    """Squared Mahalanobis distance of codes from the codes of training images: [n]."""
    centred = z - z_train.mean(axis=0)
    return np.sum(centred @ np.linalg.inv(np.cov(z_train.T)) * centred, axis=1)


print("eigenvalues of the codes' covariance", *(f"{v:.2f}" for v in np.linalg.eigvalsh(np.cov(z_train.T))))
print(f"median squared Mahalanobis distance: codes {np.median(how_far_out(z_train)):.1f}, ", end="")
print(f"standard normal draws {np.median(how_far_out(random_codes)):.1f}")

# %% [markdown]
# The coordinates are correlated. In some directions the codes hardly vary, and there a standard normal draw lands far
# outside, where no image ever was. Nothing in the loss asked for anything else: the codes are wherever training left
# them.
#
# **A first repair.** Measure mean and covariance of the codes and draw from a normal distribution that has them.
# **A second repair.** Fit a *mixture* of twenty normal distributions to the codes: twenty clouds, each with a weight, a
# mean and a covariance. Draw from that: first choose a cloud, then a code in it.
#
# **Predict, then run.** Which of the two is enough?

# %%
rng = np.random.default_rng(0)
normal_codes = rng.multivariate_normal(z_train.mean(axis=0), np.cov(z_train.T), size=500)
mixture = GaussianMixture(20, reg_covar=1e-3, random_state=0).fit(z_train.astype("float64"))
mixture_codes = rng.permutation(mixture.sample(500)[0])
drawn = {"normal with their covariance": normal_codes, "mixture of 20": mixture_codes}
for name, codes in drawn.items():
    distances[name] = to_nearest(autoencoder.decode(codes))
    print(f"{name:30}{np.median(distances[name]):5.2f}   (median squared distance to a training image)")
plots.image_grid(
    [autoencoder.decode(codes[:10]) for codes in (random_codes, normal_codes, mixture_codes)],
    caption="Ten draws each, decoded. Not selected.",
    row_labels=["standard normal", *drawn],
)

# %%
plots.score_histogram(
    {name: distances[name] for name in ("reconstructions", *drawn)},
    xlabel="squared distance to the nearest training image",
    caption="The right mean and covariance are not enough: the codes of digits do not fill one cloud.",
)

# %% [markdown]
# To see why, use two numbers, so that all codes fit on a page. This is the two-number network of section 4, with
# twenty standard normal draws, and what its decoder makes of every place.

# %%
z_plane = np.asarray(models[2].encode(x_train))
draws = np.random.default_rng(1).normal(size=(20, 2))
left, bottom = np.concatenate([z_plane, draws]).min(axis=0)
right, top = np.concatenate([z_plane, draws]).max(axis=0)
places = np.stack(np.meshgrid(np.linspace(left, right, 11), np.linspace(top, bottom, 11)), axis=-1)
decoded = np.asarray(models[2].decode(places.reshape(-1, 2))).reshape(11, 11, 8, 8, 1)
plots.latent_plane(
    z_plane,
    digit_train,
    decoded,
    extent=(left, right, bottom, top),
    draws=draws,
    caption="Classes leave gaps between them, some places are empty, and the draws know nothing about it.",
)

# %% [markdown]
# Follow three crosses to the same place in the right panel. What does the decoder make of them?
#
# <details><summary>Answer</summary>
#
# Among the codes a cross becomes something like the digits around it, often blurred between two classes. The cross at the
# lower right falls among shapes that are no digits. The one at the lower left has no code near either, and still becomes
# something like a 6. An empty place may decode well or badly: the loss never looked.
# </details>
#
# Three things go wrong at once.
# 1. **Place, scale and shape.** The codes lie where training left them. Multiply all of them by an invertible matrix and
#    the decoder's first weights by its inverse: same loss. The loss does not say where codes should be.
# 2. **Gaps.** Between the codes of images the decoder was never asked for anything. What it shows there is whatever
#    its weights happen to do.
# 3. **No density.** Even with the mixture, you have samples and no $\log p(x)$. Nobody computed the integral.
#
# The mixture repairs the first two after the fact. It looks good here because eight numbers and a thousand images are
# few. It describes a space that was not made to be described, and it has to be fitted again after every change.
#
# Lesson 02 turns the order around. It fixes $p(z)$ first, trains encoder and decoder so that codes fill it, and gets
# a bound on $\log p(x)$ for it.

# %% [markdown]
# ## 9 · Questions to discuss
#
# <details><summary><b>Why does the validation error lie below the training error in the first epochs?</b></summary>
#
# The training error of an epoch is an average over the epoch, taken while the weights improve. Validation comes at its
# end, with the latest weights. Measure both after the epoch, and from the second epoch on validation is the higher one,
# as it is at the end of every training in section 4.
# </details>
#
# <details><summary><b>The images from the mixture are about as close to training images as real new images are, or
# closer. Is that good news?</b></summary>
#
# Not by itself. A model that returns training images has distance zero and is useless. Distance to the nearest
# neighbour punishes nonsense and rewards copying. You would also have to measure variety, and whether the samples
# cover all digits as often as they occur. A density on held-out images does the last two at once, which is why this
# course reports it. It does not do the first: replace 99 % of the samples by noise, and $\log p(x)$ falls by at most
# $\log 100$, less than five nats (Theis and others, 2016). No single number does all three.
# </details>
#
# <details><summary><b>Your bottleneck has two numbers, stored with 32 bits each. Could a network squeeze every
# training image into them, without loss?</b></summary>
#
# In principle yes: 64 bits are more than enough to name each training image, and a wild enough decoder can look it up.
# (They are not enough to name every image that there could be: 17 grey levels at 64 pixels make $17^{64}$.) What stops it
# is that networks are smooth and trained by small steps. So the size of the code in numbers is not its size in
# information. Noise on the code, with the code's scale limited, makes information countable: see the rate in lesson 02.
# The limit is needed, since a code ten times as large would hardly notice the noise.
# </details>
#
# <details><summary><b>With eight numbers the linear autoencoder needs much longer to reach a small angle than with
# four, though its error is right long before. Why?</b></summary>
#
# Print `eigenvalues[:10]`. The fourth and the fifth differ a lot, the eighth and the ninth hardly. Turning the
# subspace from the ninth component to the eighth gains almost nothing, so the gradient in that direction is almost
# zero. A small error pins the subspace down only as well as the gap between eigenvalues allows.
# </details>
#
# <details><summary><b>You train on images with noise added and ask for the clean image back. Does the code still need
# to be small?</b></summary>
#
# No. Copying no longer gives the lowest error, so the network has to learn what digits look like even with a wide
# code. That is a denoising autoencoder (Vincent and others, 2008). The bottleneck is one way to forbid copying,
# noise is another.
# </details>

# %% [markdown]
# ## 10 · What is known and what is not
#
# | claim | standing |
# |---|---|
# | A linear autoencoder with squared error finds the PCA subspace. | True at the minimum, if eigenvalues $k$ and $k+1$ differ. If the covariance is invertible and its eigenvalues are distinct, every other critical point (a place where the gradient is zero) is a saddle (Baldi and Hornik, 1989). That says where training can stop, not where it stops. |
# | It finds the principal components. | False: any basis of the subspace will do, as you measured. With weight decay (a penalty on the squared weights) they can be read off as the singular vectors of the decoder's weights (Kunin and others, 2019). |
# | A nonlinear autoencoder is at least as good as PCA on the training images. | True for the best weights, if the hidden layers are wide enough to contain the linear maps. Not guaranteed for trained weights, nor for new images: see section 7. |
# | Without a bottleneck an autoencoder learns to copy. | Nothing prevents it; how near it comes depends on training. Wide networks can also memorise: iterated, they fall back onto training images (Radhakrishnan, Belkin, Uhler, 2020). |
# | An outlier has a high reconstruction error. | Unsupported in general. It depends on the outliers: the empty image passes (section 5). Densities of deep models have a similar weakness (Nalisnick and others, 2019). |
# | Straight lines between codes stay among realistic images. | Unsupported. Nothing in the loss asks for it. It can be trained for (Berthelot and others, 2019). |
# | An autoencoder is a generative model. | False as it stands: it has neither $p(z)$ nor $p(x)$. With a density fitted to the codes afterwards it can be sampled (Ghosh and others, 2020). A denoising autoencoder defines a sampler too (Bengio and others, 2013). |
#
# **References.**
# C. Eckart, G. Young (1936), *The approximation of one matrix by another of lower rank*.
# P. Baldi, K. Hornik (1989), *Neural networks and principal component analysis: learning from examples without local minima*.
# D. Kunin, J. Bloom, A. Goeva, C. Seed (2019), *Loss landscapes of regularized linear autoencoders*.
# A. Radhakrishnan, M. Belkin, C. Uhler (2020), *Overparameterized neural networks implement associative memory*.
# L. Theis, A. van den Oord, M. Bethge (2016), *A note on the evaluation of generative models*.
# E. Nalisnick and others (2019), *Do deep generative models know what they don't know?*
# D. Berthelot, C. Raffel, A. Roy, I. Goodfellow (2019), *Understanding and improving interpolation in autoencoders via an adversarial regularizer*.
# P. Ghosh and others (2020), *From variational to deterministic autoencoders*.
# Y. Bengio, L. Yao, G. Alain, P. Vincent (2013), *Generalized denoising auto-encoders as generative models*.

# %% [markdown]
# ## 11 · Going further
#
# - **How many numbers does a data set need?** The error curve has no corner to read it off. Estimating an intrinsic
#   dimension from noisy images is open; try several estimators on `sprites`, whose number of factors is known.
# - **A score for "have you seen it?"** Find one that flags the empty image and still finds the held-out digits. Start
#   from the density of the code and the error together.
# - **What makes a latent space good?** Continuity, straight lines and filled gaps can each be measured. Which of them
#   helps which use is not settled.
#
# Papers: G. Hinton, R. Salakhutdinov (2006), *Reducing the dimensionality of data with neural networks*, which made
# deep autoencoders train. P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol (2008), *Extracting and composing
# robust features with denoising autoencoders*. And the one that lesson 02 teaches: D. Kingma, M. Welling (2014),
# *Auto-encoding variational Bayes*.
