# ---
# jupyter:
#   hvae:
#     title: "Evaluation: realism, levels, coherence"
#     minutes: 90
# ---

# %% [markdown]
# # Lesson 08 · Evaluation: realism, levels, coherence
#
# ![Four rows of small drawings of faces. The first are real, the second have the upper half of one face and the lower
# half of another, the third are a little blurred, the fourth were drawn by a model.](../lessons/pictures/08_evaluation.png)
#
# The first row is real. The second is made of halves: each has the eyes of one real face, and the nose and mouth of
# another. The third is a little blurred. The fourth was drawn by a model of lesson 05. A score of the kind that most
# papers report puts the second row about as near to the first as the third, and much nearer than the fourth.
#
# **The question of this lesson: what does a score see, what does it not see, and what may you conclude from a table
# of scores?**

# %% [markdown]
# **You will learn to**
# - write the Inception Score, the Fréchet distance and the kernel distance, and say what each ignores,
# - measure how a score depends on the number of examples, and put an interval beside it,
# - tell a model that draws few things well from one that draws many things badly,
# - destroy the structure of a set and keep its realism, and catch it with rules,
# - score each level of a hierarchy on its own factors, and find what two levels both say,
# - read a table of models critically.
#
# **You need** [lesson 02](02_vae.ipynb) and [lesson 04](04_hierarchical_priors.ipynb). Where models of lessons
# [03](03_beta_vae.ipynb), [05](05_ladder_vae.ipynb), [06](06_hierarchical_lstm.ipynb) and
# [07](07_multi_level_gan.ipynb) come in, a sentence says what they are.
#
# **Time** 90 minutes, {exercise summary}.
#
# Under every stub is a cell that checks your answer. `hint("8.1")` gives a hint, three of them if you ask again.
# `reveal("8.1")` shows a solution once you have passed or tried three times. No later cell uses your answers, so
# you can go on without them. Floating arrays come as NumPy arrays in float32; return arrays.
#
# | symbol | meaning | in code |
# |---|---|---|
# | $x$ | a picture, or a tune | `x` |
# | $y$ | a class that a classifier reads from $x$ | |
# | $p(y \mid x)$, $p(y)$ | what it reads from one picture, and its mean over a set | `probabilities` `[n, classes]` |
# | $\phi(x)$ | features of $x$: d numbers | `features.features(x)` `[n, d]` |
# | $\mu_r, \Sigma_r$ and $\mu_g, \Sigma_g$ | means and covariances of the features of real and of generated examples | |
# | $n$, $m$ | how many real and generated examples | |
# | $v$ | a factor: something known of each example, such as the pose of a face | `factors["pose"]` |
# | $z_1$, $z_2$ | latent variables of a hierarchy, from nearest the data to the top | `z[0]`, `z[1]` |
# | $I(a; b)$, $H(v)$ | mutual information and entropy, in nats | |

# %%
# %matplotlib inline
import json

import numpy as np
from scipy.special import rel_entr
from scipy.stats import entropy, norm, t
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import mutual_info_score

from hvae_keras import latents, layers, metrics, models, music, plots
from hvae_keras.backend import keras
from hvae_keras.course import check, hint, reveal
from hvae_keras.course.places import course_root
from hvae_keras.course.weights import load_weights
from hvae_keras.data import Rule, broken, faces, load, rules

keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
data = load("faces")
print(data)

# %% [markdown]
# ## 1 · Four sets of faces
#
# The data are the `faces` of lesson 04, drawn by a program: pose, head and skin first (level 2), then eyes, nose and
# mouth given the pose (level 1). The program can draw as many as we like, so for once real data cost nothing.
# `reference` holds 2,000 new faces, `held_out` another 2,000. There are 3,840 different faces, some of them far more
# frequent than others, so many come more than once.
#
# Models come from `lessons/weights/train_08.py`, which trained each kind three times, from the seeds 0, 1 and 2. They
# are small; section 9 prints for how long they trained. Their pictures are cut to grey levels from 0 to 1, as a screen
# does. (The β-VAE has β = 4. The *hierarchical prior* has two levels and bottom-up inference, the *ladder* the same
# levels and the top-down inference of lesson 05.)

# %%
N = 2000
drawing = np.random.RandomState(8)


def real_faces(n):
    """New faces and their factors."""
    factors = faces.sample(n, (0, 1, 2, 3), drawing)
    return faces.draw(factors), factors


def make(name):
    """A model by name, without weights."""
    if name in ("VAE", "β-VAE"):
        encoder, decoder = layers.mlp_encoder((32, 32, 1), (64,), 48), layers.mlp_decoder(24, (64,), (32, 32, 1))
        return models.VAE(encoder, decoder, layers.Normal(scale=0.1))
    if name in ("hierarchical prior", "ladder"):
        inference = models.Ladder() if name == "ladder" else models.BottomUp()
        networks = layers.DenseNetworks(((64,), (64,)))
        model = models.HierarchicalVAE((16, 8), networks, inference, layers.Normal(scale=0.1))
        model.build((None, 32, 32, 1))
        return model
    discriminator = layers.image_discriminator((32, 32, 1), (12, 24, 48, 64))
    return models.GAN(layers.image_generator(32, (32, 32, 1), (48, 40, 24, 16)), discriminator)


# %%
FILES = {"VAE": "vae", "β-VAE": "beta_vae", "hierarchical prior": "hierarchical", "ladder": "ladder", "GAN": "gan"}
trained = {name: make(name) for name in FILES}


def from_seed(name, seed):
    """The model with the weights that were trained from this seed."""
    load_weights(trained[name], f"08_{FILES[name]}_{seed}")
    return trained[name]


def drawn(name, seed, n=N, temperature=1.0):
    """Pictures of a model."""
    return np.clip(from_seed(name, seed).generate(n, temperature=temperature), 0, 1)


# %%
reference, reference_factors = real_faces(N)
held_out, held_out_factors = real_faces(N)
sets = {
    "A": held_out,
    "B": np.tile(held_out[100:120], (N // 20, 1, 1, 1)),
    "C": drawn("ladder", 0),
    "D": drawn("GAN", 0),
}
print(f"{len(np.unique(reference.reshape(N, -1), axis=0))} different faces in the reference")
plots.image_grid(
    [x[:12] for x in sets.values()],
    row_labels=list(sets),
    caption="Twelve from each of four sets of 2,000. Put them in order, the best first. What did you look at?",
)

# %% [markdown]
# <details><summary>What they are</summary>
# A: real faces. B: twenty real faces, each of them a hundred times. C: a Ladder VAE. D: a GAN. Twelve pictures
# cannot show what is wrong with B.
# </details>
#
# A score of a set starts from **features**. Pixels are poor ones: a face that moves by one pixel is far from itself.
# So pictures go through a network that was trained to classify, and the numbers before its last layer are taken.
# The custom is Inception, trained on photographs. For drawings of faces we take a small classifier that was trained
# on these faces, to read all six factors. Each of its 16 features has mean 0 and variance 1 over its training set.
# Its name is part of every number below: **a distance on other features is another quantity.** On Inception's
# features, the Fréchet distance of section 3 is called FID. Ours must not be.

# %%
SHAPE = (32, 32, 1)
classes = {name: len(values) for name, values in data.factor_values.items()}
maps = (16, 32, 32, 32)
by_level = {i: {name: k for name, k in classes.items() if data.levels[name] == i} for i in (1, 2)}
features = metrics.FactorFeatures(SHAPE, classes, 16, maps)
of_level = {i: metrics.FactorFeatures(SHAPE, by_level[i], 16, maps) for i in (1, 2)}
load_weights(features, "08_features")
for i in (1, 2):
    load_weights(of_level[i], f"08_features_{i}")
print(
    "right on new faces:",
    {name: round(share, 3) for name, share in features.accuracy(held_out, held_out_factors).items()},
)

# %% [markdown]
# ## 2 · The Inception Score
#
# The first score that was much used for GANs looks at the classes alone (Salimans et al. 2016). A good picture shows something
# definite: $p(y \mid x)$ has low entropy. A good set shows many things: its mean $p(y)$ has high entropy. Both are
# in
#
# $$ \mathrm{IS} = \exp\Big(\frac 1n \sum_x \mathrm{KL}\big(p(y \mid x) \,\|\, p(y)\big)\Big)
#    = \exp\big(H(y) - H(y \mid x)\big), $$
#
# the exponential of the information that a picture has about its class. In code: `marginal =
# probabilities.mean(axis=0)`, then the KL of each row, the mean, the exponential. The highest value is the number of
# classes.

# %% [markdown]
# ### Exercise 8.1 · The Inception Score
#
# Write `inception_score(probabilities)`. `probabilities`, shape `(n, classes)`, holds $p(y \mid x)$ of each picture:
# each row sums to 1, and entries may be exactly 0. It returns one number,
# $\exp\big(\frac 1n \sum_x \mathrm{KL}(p(y \mid x) \,\|\, p(y))\big)$, where $p(y)$ is the mean of the rows.


# %% exercise="8.1"
def inception_score(probabilities):
    """The Inception Score, a number from 1 to the number of classes. Shapes: (n, classes)."""
    ### BEGIN SOLUTION
    marginal = probabilities.mean(axis=0)
    divergence = rel_entr(probabilities, marginal).sum(axis=1)
    return np.exp(divergence.mean())
    ### END SOLUTION


# %% check="8.1"
check("8.1", inception_score)

# %% [markdown]
# As the class we take the pair of pose and eyes, 20 pairs: $p(y \mid x)$ is the product of the two probabilities
# that our classifier gives.
#
# **Predict, then run.** A fifth set, E, has one real face for each of the 20 pairs, each a hundred times. Which of
# the five sets scores highest? Is it A, the real faces?


# %%
def pair_probabilities(x):
    """p(pose, eyes | x), [n, 20]."""
    pose, eyes = (features.probabilities(x, name) for name in ("pose", "eyes"))
    return (pose[:, :, None] * eyes[:, None]).reshape(len(x), -1)


pair = held_out_factors["pose"] * 4 + held_out_factors["eyes"]
one_of_each = held_out[[np.flatnonzero(pair == k)[0] for k in range(20)]]
sets["E"] = np.tile(one_of_each, (N // 20, 1, 1, 1))
for name, x in sets.items():
    print(f"{name}: Inception Score {metrics.inception_score(pair_probabilities(x)):.2f} of 20")

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# E, and by far: it is almost the best that there can be. Real faces are not: round eyes go with one pose and dots
# with another, so the pairs are not equally frequent, and the score takes that for a fault.
# </details>
#
# **The Inception Score never looks at real data.** It asks whether the classes are clear and evenly used, and nothing
# else.

# %% [markdown]
# ## 3 · The Fréchet distance
#
# Compare with real data, then. Take the means and covariances of the features of both sets, and pretend that both
# are normal. The distance of two normals (the squared 2-Wasserstein distance: Dowson and Landau 1982; on Inception's
# features, FID: Heusel et al. 2017) is
#
# $$ \mathrm{FD} = \lVert \mu_r - \mu_g \rVert^2
#    + \mathrm{tr}\big(\Sigma_r + \Sigma_g - 2\, (\Sigma_r \Sigma_g)^{1/2}\big). $$
#
# $(\cdot)^{1/2}$ is the matrix square root. In code, `gap @ gap + np.trace(cov_real) + np.trace(cov_generated) - 2 *
# shared`, and the trap is `shared`. $\Sigma_r \Sigma_g$ is not symmetric. If there are fewer examples than features
# it is singular, too, and a general routine for the square root returns complex numbers, or NaN. Public code drops
# the imaginary part and hopes. There is no need: $\Sigma_r \Sigma_g$ and $\Sigma_r^{1/2} \Sigma_g \Sigma_r^{1/2}$
# have the same eigenvalues, and the second is symmetric. Its eigenvalues are real and not negative, except for
# rounding, and
#
# $$ \mathrm{tr}\,(\Sigma_r \Sigma_g)^{1/2} = \sum_i \sqrt{\lambda_i}, \qquad
#    \lambda_i \text{ the eigenvalues of } \Sigma_r^{1/2} \Sigma_g \Sigma_r^{1/2}. $$

# %% [markdown]
# ### Exercise 8.2 · The Fréchet distance
#
# Write `frechet_distance(real, generated)`. `real` is `(n, d)`, `generated` `(m, d)`; n and m may differ, and may be
# smaller than d, so that a covariance is singular. It returns one number. Covariances have the divisor n − 1.
# (`np.cov(a, rowvar=False)` is one; `np.linalg.eigh` gives eigenvalues and eigenvectors of a symmetric matrix.)


# %% exercise="8.2"
def frechet_distance(real, generated):
    """The Fréchet distance of the normals with the moments of two sets of features. Shapes: (n, d), (m, d)."""
    ### BEGIN SOLUTION
    gap = real.mean(axis=0) - generated.mean(axis=0)
    cov_real, cov_generated = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    values, vectors = np.linalg.eigh(cov_real)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    shared = np.linalg.eigvalsh(root @ cov_generated @ root)
    return gap @ gap + np.trace(cov_real) + np.trace(cov_generated) - 2 * np.sqrt(np.maximum(shared, 0)).sum()
    ### END SOLUTION


# %% check="8.2"
check("8.2", frechet_distance)

# %% [markdown]
# Now the five sets. Real faces against real faces give the **floor**: what a perfect model would get.

# %%
known = features.features(reference)
seen = {name: features.features(x) for name, x in sets.items()}
for name, found in seen.items():
    print(f"{name}: Fréchet distance {metrics.frechet_distance(known, found):.2f}")

# %% [markdown]
# The floor is not 0. Means and covariances of 2,000 faces are estimates, and their errors enter squared, so they do
# not average out. **Predict, then run.** We compare sets of n new faces with the same 1,000, for n from 30 to 1,000.
# By which factor does the floor fall from n = 125 to n = 1,000? And the ladder's distance?

# %%
SIZES = (30, 60, 125, 250, 500, 1000)
pools = {"real": features.features(real_faces(4000)[0]), "ladder": features.features(drawn("ladder", 0, 4000))}


def by_size(score, repeats=10):
    """The score of random parts of each pool against 1,000 real faces: name -> [sizes, repeats]."""
    found = {name: np.empty((len(SIZES), repeats)) for name in pools}
    for name, pool in pools.items():
        for row, n in enumerate(SIZES):
            for column in range(repeats):
                found[name][row, column] = score(known[:1000], rng.choice(pool, n, replace=False))
    return found


frechet_by_size = by_size(metrics.frechet_distance)
plots.convergence(
    SIZES,
    frechet_by_size,
    None,
    xlabel="examples in a set",
    ylabel="Fréchet distance to 1,000 real faces",
    caption="New real faces and a ladder's at every size; means and the middle 80 % of ten sets. Thirty "
    "real faces score about as badly as a thousand of the ladder. Whose fault is that?",
)
for name, values in frechet_by_size.items():
    print(
        f"{name:7s}",
        ", ".join(f"n = {n}: {value:.2f}" for n, value in zip(SIZES, values.mean(axis=1), strict=True)),
    )

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The floor falls by four to five, not by eight: the error of the set falls like 1/n, that of the 1,000 faces that we
# compare with stays. The ladder's distance falls too, not by the same factor, and by somewhat less: the sampling error
# comes on top of what is truly there, and it depends on the model's covariance, so that a floor does not cancel it
# exactly.
# </details>
#
# For normal features one can work out what the sampling error adds, to first order: with the eigenvalues
# $\lambda_i$ of $\Sigma$,
#
# $$ \Big(\frac 1n + \frac 1m\Big) \Big(\sum_i \lambda_i
#    + \frac 12 \sum_{i, j} \frac{\lambda_i \lambda_j\, (1 + [i = j])}{\lambda_i + \lambda_j}\Big). $$

# %%
values = np.linalg.eigvalsh(np.cov(known, rowvar=False))
pairs = np.outer(values, values) / (values[:, None] + values)
added = values.sum() + 0.5 * (pairs.sum() + np.trace(pairs))
for n, measured in zip(SIZES, frechet_by_size["real"].mean(axis=1), strict=True):
    print(f"n = {n:4d}: measured floor {measured:.3f}, by the formula {added * (1 / n + 1 / 1000):.3f}")

# %% [markdown]
# Our features are not normal (most of their factors have three to five values), so the formula is a guide and no law.
# **A Fréchet distance without its n, and without the floor at that n, means nothing.** With features of like
# variance the error grows with the square of their number: Inception has 2,048.

# %% [markdown]
# ## 4 · A distance without bias
#
# The bias came from squaring errors of estimates. One can avoid it. Take a **kernel** $k(a, b)$, which says how alike
# two feature vectors are. The squared *maximum mean discrepancy* (Gretton et al. 2012) is
#
# $$ \mathrm{MMD}^2 = \mathbb E\, k(r, r') + \mathbb E\, k(g, g') - 2\, \mathbb E\, k(r, g), $$
#
# with $r, r'$ two *different* real examples and $g, g'$ two different generated ones. It is 0 where both
# distributions look the same to the kernel. Replace each mean by the mean over the pairs that we have, and leave out
# every pair of an example with itself: each term is then right on average, and so is the sum. With $k(a, b) =
# (a^\top b / d + 1)^3$ on Inception's features it is called KID (Bińkowski et al. 2018). In code, the mean over pairs
# is `(values.sum() - np.trace(values)) / (n * (n - 1))`.

# %% [markdown]
# ### Exercise 8.3 · The kernel distance
#
# Write `kernel_distance(real, generated)`, the unbiased estimate of $\mathrm{MMD}^2$ with the kernel $k(a, b) =
# (a^\top b / d + 1)^3$. `real` is `(n, d)`, `generated` `(m, d)`, n and m at least 2. It returns one number. It may
# be negative.


# %% exercise="8.3"
def kernel_distance(real, generated):
    """The unbiased squared MMD with a cubic kernel, a number. Shapes: (n, d), (m, d)."""
    ### BEGIN SOLUTION

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def mean_of_pairs(a):
        values = kernel(a, a)
        return (values.sum() - np.trace(values)) / (len(a) * (len(a) - 1))

    return mean_of_pairs(real) + mean_of_pairs(generated) - 2 * kernel(real, generated).mean()
    ### END SOLUTION


# %% check="8.3"
check("8.3", kernel_distance)

# %%
kernel_by_size = by_size(metrics.kernel_distance)
plots.convergence(
    SIZES,
    kernel_by_size,
    0.0,
    xlabel="examples in a set",
    ylabel="kernel distance to 1,000 real faces",
    caption="The same experiment with the kernel distance. What does n change now, and what does it not change?",
)
for name, values in kernel_by_size.items():
    print(
        f"{name:7s}",
        ", ".join(f"n = {n}: {value:.3f}" for n, value in zip(SIZES, values.mean(axis=1), strict=True)),
    )

# %% [markdown]
# The mean stays; only the spread falls. Some of the real sets have a **negative** squared distance. That is no
# mistake, it is what "right on average" means where the truth is 0. Cut it off at 0 and the bias is back.

# %% [markdown]
# ## 5 · How sure is a score?
#
# A score of a set is a random number: other examples, another score. To say how much it varies we would need many
# sets. The **bootstrap** (Efron 1979) takes them from the one that there is. Draw n examples *with replacement* from
# the n, score again, and again: the spread of these scores stands for the spread that new sets would have.

# %% [markdown]
# ### Exercise 8.4 · An interval, and how often it is right
#
# `values`, shape `(n,)`, are measured on n examples, and their mean is our score. Each row of `indices`, integers
# `(draws, n)`, is one **resample**: n of the examples, drawn with replacement. Write `bootstrap_interval(values,
# indices, confidence)`. It returns three numbers:
#
# - the ends of the interval: mean of `values` ± $z$ × the standard deviation (divisor: the number of draws) of the
#   means of the resamples, where $P(|\mathcal N(0, 1)| < z)$ = `confidence`;
# - `coverage`: with infinitely many resamples, and values from a normal, the probability that the interval holds
#   the true mean. Derive it. It depends on n and `confidence` alone.
#
# The check draws normal values many thousand times, and counts. (`norm.ppf`, `t.cdf` are SciPy's.)


# %% exercise="8.4"
def bootstrap_interval(values, indices, confidence):
    """Both ends of the interval of the mean, and its coverage for normal values. Shapes: (n,), (draws, n)."""
    ### BEGIN SOLUTION
    n = len(values)
    z = norm.ppf((1 + confidence) / 2)
    reach = z * values[indices].mean(axis=1).std()
    coverage = 2 * t.cdf(z * np.sqrt((n - 1) / n), n - 1) - 1
    return values.mean() - reach, values.mean() + reach, coverage
    ### END SOLUTION


# %% check="8.4"
check("8.4", bootstrap_interval)

# %% [markdown]
# How often is it right? We draw normal values 20,000 times, and take the interval that infinitely many resamples would
# give.

# %%
for n in (5, 20, 200):
    samples = rng.normal(size=(20000, n))
    reach = norm.ppf(0.975) * samples.std(axis=1) / np.sqrt(n)
    print(
        f"n = {n:3d}: the 95 % interval holds the mean in {(abs(samples.mean(axis=1)) < reach).mean():.1%} of the draws"
    )

# %% [markdown]
# For the mean of two hundred numbers the bootstrap is as good as its name. A score of a set is no mean. Here we can see
# how it does, because real faces cost nothing. We take 500 real faces, and compare three things: the scores of *other*
# 500 real faces (the truth); of resamples of the 500, with replacement; and of random halves of the 500, without.
#
# **Predict, then run.** Will the resamples scatter about the score of the 500? What does a copy do to a score that is
# made of nearest neighbours? (Recall, of which more in section 6, is the share of real faces that have a drawn one near,
# as near as drawn ones are among themselves.)

# %%
once = pools["real"][:500]
ways = {
    "other faces": lambda: rng.choice(pools["real"], 500, replace=False),
    "with replacement": lambda: rng.choice(once, 500),
    "halves": lambda: rng.choice(once, 250, replace=False),
}
judged = {
    "Fréchet distance": lambda x: metrics.frechet_distance(known[:1000], x),
    "recall": lambda x: metrics.precision_recall(known[:1000], x).recall,
}
for score, judge in judged.items():
    print(f"{score}: the 500 faces {judge(once):.3f}", end="")
    for way, take in ways.items():
        values = [judge(take()) for _ in range(40)]
        print(f"; {way} {np.mean(values):.3f} ± {np.std(values):.3f}", end="")
    print()

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# Not the distance: a resample has fewer different faces, and so has a half. Nor does recall, with replacement: a copy is
# a neighbour at distance 0, and what counts as near shrinks. Halves have no copies, and their recall is where it should
# be. The <i>spread</i> is near that of other faces in all of them. So take the spread, and lay it about the score of the
# whole set.
# </details>
#
# The library takes random **halves without replacement**, of the drawn and of the real set. How far their scores spread
# about *their own* mean is, to first order, how far the score of the whole set would (Shao and Wu 1989). `Fidelity`
# measures a set so: each score with a 95 % interval, and beside it the same score of as many real examples.

# %%
fidelity = metrics.Fidelity(features, reference[:1000], held_out[:1000])
for name in "ACD":
    for score in list(fidelity.measure(sets[name][:1000], draws=15).values())[:2]:
        print(name, score)

# %% [markdown]
# The interval says how far the score would move with *other pictures of the same trained model, and other real ones*,
# at the same n. Near the floor it is too wide. It says nothing of another training, from another seed. That is often
# more (section 9). And it takes the pictures for independent draws: for B, twenty faces and their copies, it is wrong.

# %% [markdown]
# ## 6 · Precision against recall
#
# One number cannot say *how* a set is wrong. B had no face that is not real, and lacks nearly all faces. The opposite
# exists, too. **Precision** asks how much of what is drawn could be real, **recall** how much of what is real could
# be drawn (Sajjadi et al. 2018; here in the version of Kynkäänniemi et al. 2019). "Could be" means: lies in a ball
# about some example of the other set, which reaches to that example's third neighbour in its own set. **Density** and
# **coverage** (Naeem et al. 2020) use balls about real examples only, to the fifth neighbour: in how many of them a drawn
# example lies, over five; and the share of them that hold one.
#
# One warning. Our real faces repeat, and a face that comes often has a ball of radius 0, which nothing but an exact copy
# enters. So real faces have a density above 1, and no model can reach their coverage. Compare models with one another
# here, not with the real faces.
#
# Lesson 06 turned the temperature down: the form became better, and the durations worse. Here the temperature scales the
# noise of the latents. What becomes better?
#
# **Predict, then run.** The ladder draws with temperatures from 0.4 to 1.6. Which of precision and recall rises, which
# falls, and where is the Fréchet distance lowest?

# %%
TEMPERATURES = (0.4, 0.7, 1.0, 1.3, 1.6)
shares = {"precision": [], "recall": [], "coverage": []}
for temperature in TEMPERATURES:
    found = features.features(drawn("ladder", 0, 1000, temperature))
    precision, recall = metrics.precision_recall(known[:1000], found)
    coverage = metrics.density_coverage(known[:1000], found).coverage
    for name, value in zip(shares, (precision, recall, coverage), strict=True):
        shares[name].append(value)
    print(f"T = {temperature}: precision {precision:.2f}, recall {recall:.2f}, coverage {coverage:.2f}", end="")
    print(f", Fréchet distance {metrics.frechet_distance(known, found):.2f}")
plots.dots(
    TEMPERATURES,
    {name: np.array(values) for name, values in shares.items()},
    xlabel="temperature",
    ylabel="share",
    caption="The ladder at five temperatures, 1,000 faces each. At which one would you show your samples? At which one "
    "would you report them?",
)

# %%
plots.image_grid(
    [drawn("ladder", 0, 12, temperature) for temperature in (0.4, 1.0, 1.3)],
    row_labels=["T = 0.4", "T = 1.0", "T = 1.3"],
    caption="Twelve faces of the ladder at three temperatures. Do you agree with precision, or with recall?",
)
print("        precision  recall  density  coverage")
for name, found in {
    "A": seen["A"][:1000],
    "B": seen["B"][:1000],
    "B, once": seen["B"][:20],
    "D": seen["D"][:1000],
}.items():
    pair = metrics.precision_recall(known[:1000], found), metrics.density_coverage(known[:1000], found)
    print(f"{name:8s}{pair[0].precision:9.2f}{pair[0].recall:8.2f}{pair[1].density:9.2f}{pair[1].coverage:10.2f}")

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# Colder samples are fewer kinds of faces: recall falls. Precision hardly changes around T = 1, and at T = 0.4 it is not
# better, as one might hope, but worse: near the mean of the prior this ladder draws averages. Of these temperatures the
# Fréchet distance prefers 1.3. It asks for the right spread, and not for single faces.
# </details>
#
# In the last table, B has most of its twenty faces inside the real balls, but recalls next to nothing. Or does it?
# "B, once" has each of the twenty faces once, and its recall is as high as that of real faces: twenty far points have
# huge balls. With a hundred copies of each, the balls have radius 0. **Recall looks at the balls of the drawn set, so
# the drawn set can spoil it.** Coverage looks at balls of real faces, and says the same of both: few are reached. D, the
# GAN, is broader than B by coverage. By the Fréchet distance (section 3) B and D are about as far; the kernel distance
# puts B farther. One number hides something, and what it hides depends on the number.

# %% [markdown]
# ## 7 · Break it: structure destroyed, realism kept
#
# A face is more than a pair of eyes and a mouth: in our data, the pose moves all of them, and decides which are
# probable. That is *structure*: how the parts go together. We now destroy it in three kinds of data, and leave the
# parts as real as they were.
#
# - **faces**: each upper half gets the lower half of another face *of the same head and skin*, so that no seam shows but
#   in some large noses; and, to compare, of another face *of the same pose too*;
# - **tunes** (`melodies` of lesson 06): the four phrases of each tune change places at random;
# - **landscapes** (lesson 07): the ground comes above, the sky below.
#
# What keeps watch over the structure is a list of **rules** that every real example obeys (lesson 07 had those of
# landscapes). The library reads a face by the known drawings, a landscape by its colours, a tune by its notes, and
# says which rules each keeps.

# %%
for name in ("faces", "melodies", "landscapes"):
    print(f"{name}\n{rules(name)}\n")

# %% [markdown]
# And beside each broken set stands one that was harmed on the surface only: faces a little blurred, tunes played
# short (every held step becomes a rest), landscapes 3 % darker.
#
# The features: the classifier's for faces. For tunes two histograms of each tune, of its pitch classes and of its
# durations; for landscapes the shares of 64 colours in each picture. Such counts are common in music. For pictures
# they are the extreme of something common: Inception's features end in a mean over all places, too.
#
# **Predict, then run.** For each kind of data: which of the two harms does the Fréchet distance see? Will it see the
# exchanged halves at all? The phrases?

# %%
alike = held_out_factors["head"] * 4 + held_out_factors["skin"]
halved = broken.exchange_halves(held_out, seed=0, by=alike)
same_pose = broken.exchange_halves(held_out, seed=0, by=alike * 5 + held_out_factors["pose"])
box = (held_out + np.roll(held_out, 1, 1) + np.roll(held_out, 1, 2) + np.roll(held_out, (1, 1), (1, 2))) / 4
blurred = 0.7 * held_out + 0.3 * box
tunes, scenes = load("melodies"), load("landscapes")
new_tunes, new_scenes = np.concatenate([tunes.validation.x, tunes.test.x]), scenes.test.x[1000:]
order = rng.permuted(np.tile(np.arange(4), (len(new_tunes), 1)), axis=1)
phrases = music.cut(new_tunes, 16)
scrambled = phrases[np.arange(len(phrases))[:, None], order].reshape(new_tunes.shape)
short = np.where(new_tunes == music.HOLD, music.REST, new_tunes)

# %% tags=["picture"]
plots.image_grid(
    [held_out[:12], halved[:12], blurred[:12], drawn("ladder", 0, 12)],
    row_labels=["real", "halves exchanged", "a little blurred", "a ladder's"],
    caption="The same faces; with the lower halves of others; a little blurred; and faces drawn by a ladder. Which "
    "faces in the second row can you tell from real ones, and by what?",
)


# %%
def colours(x):
    """Share of the pixels that have each of 64 colours, [n, 64]."""
    steps = np.minimum((x * 4).astype(int), 3) @ [16, 4, 1]
    return np.array([np.bincount(one.ravel(), minlength=64) / one.size for one in steps])


def harm(kind, see, reference, sets):
    """A line for each set: Fréchet distance to the reference, share that keeps all rules, by level."""
    known = see(reference)
    for name, x in sets.items():
        distance = metrics.frechet_distance(known, see(x))
        kept = ", ".join(f"level {i}: {held.mean():.2f}" for i, held in rules(kind).kept_by_level(x).items())
        print(f"{kind:11s}{name:18s} Fréchet distance {distance:8.4f}   all rules kept, {kept}")


tune_features = metrics.SurfaceHistograms(tunes.train.x[:1000])
face_sets = {"real": held_out, "halves exchanged": halved, "same pose": same_pose, "blurred": blurred}
harm("faces", features.features, reference, face_sets)
tune_sets = {"real": new_tunes, "phrases shuffled": scrambled, "played short": short}
harm("melodies", tune_features.features, tunes.train.x[:1000], tune_sets)
scene_sets = {
    "real": new_scenes,
    "upside down": broken.swap_top_and_bottom(new_scenes),
    "darker": 0.97 * new_scenes,
}
harm("landscapes", colours, scenes.test.x[:1000], scene_sets)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The tunes and the landscapes score <b>exactly</b> what they scored before their structure was destroyed: counts do
# not know an order. A trained classifier sees the exchanged halves a little, somewhat more than this slight blur (we
# chose its strength so that the two are near), and far less than it holds against the ladder (section 3). By the rules,
# four faces of five are wrong. The tunes played short are far off by both: their rhythms are not among the known ones.
# What is surface is decided by whoever writes the rules.
# </details>
#
# Why does the classifier see anything? Eyes and mouth of one face both depend on the pose, so their features are
# correlated, and in exchanged faces they are not. That is in $\Sigma$. (Not the cut noses: with partners of the same
# pose, noses are cut too, and the distance is at the floor.) Structure that shows in no mean and no
# covariance of the features, it cannot see, by its definition. (The distances of the three kinds of data are on
# different features. Compare within a kind.)
#
# Rules see what they were written for. They are no complete description either: a model could keep them all and draw
# one face for ever. **Realism and structure are two questions.** Ask both.

# %% [markdown]
# ### Exercise 8.5 · A rule of your own
#
# In every landscape, trees stand on something. Write `trees_stand(kinds, tree, carriers, tolerance)`. `kinds`,
# integers `(n, height, width)`, says what was read at each pixel; row 0 is the top. `tree` is the number of the
# kind "tree". `carriers` holds the numbers of what a tree may stand on. A pixel of a tree **hangs** if the pixel
# right below it is neither tree nor one of `carriers`; in the last row nothing hangs. It returns, for each picture,
# whether at most `tolerance` pixels hang: booleans `(n,)`.


# %% exercise="8.5"
def trees_stand(kinds, tree, carriers, tolerance):
    """Whether at most so many tree pixels hang in each picture, bool (n,). Shapes: (n, height, width), (carriers,)."""
    ### BEGIN SOLUTION
    above, below = kinds[:, :-1], kinds[:, 1:]
    hanging = (above == tree) & (below != tree) & ~np.isin(below, carriers)
    return hanging.sum(axis=(1, 2)) <= tolerance
    ### END SOLUTION


# %% check="8.5"
check("8.5", trees_stand)

# %% [markdown]
# In the library, a rule of your own joins the book of its data with `|`. It gets what was read of all pictures at once.

# %%
some_sky = Rule(2, lambda scenes: scenes.kind("sky").mean(axis=(1, 2)) > 0.25, "More than a quarter is clear sky.")
book = rules("landscapes") | {"some sky": some_sky}
for name, x in {"real": new_scenes, "upside down": broken.swap_top_and_bottom(new_scenes)}.items():
    print(f"{name:12s} some sky: {book.kept(x)['some sky'].mean():.2f} of the pictures")

# %% [markdown]
# Not even all real scenes keep it, and turning them upside down does not matter to it. It is a rule about amounts, not
# about structure, and a wrong one. **Try every rule on real data first, and on broken data next.**

# %% [markdown]
# ## 8 · Level by level
#
# All of that judged pictures as a whole. A hierarchical model promises more: that its levels divide the work, as the
# program that drew the data does. Lesson 03 had scores for one code and a list of factors. Put each level of the model
# in the place of the code. The **mutual information gap** of level $i$ for a factor $v$ is
#
# $$ \mathrm{MIG}_i(v) = \frac{I(z_{i,(1)}; v) - I(z_{i,(2)}; v)}{H(v)}, $$
#
# where $z_{i,(1)}$ and $z_{i,(2)}$ are the units *of that level* that know most and second most of the factor. In
# code, `(nats[-1] - nats[-2]) / entropy(counts)`. It is 1 if one unit tells the factor and no other unit of the level
# tells anything of it.

# %% [markdown]
# ### Exercise 8.6 · The mutual information gap of each level
#
# Write `mig_by_level(codes, factors)`. `codes`, integers `(levels, n, units)`, holds the bin of each unit of each
# level; `factors`, integers `(n, k)`, the class of each factor. It returns `(levels, k)`: for each level and factor,
# the largest mutual information of a unit *of that level* with the factor, less the second largest, over the
# factor's entropy. Every level has at least 2 units, and every factor varies. `mutual_info_score(a, b)` gives nats
# from two lists of labels; `entropy` turns counts into probabilities by itself.


# %% exercise="8.6"
def mig_by_level(codes, factors):
    """The mutual information gap of each level for each factor. Shapes: (levels, n, units), (n, k); (levels, k)."""
    ### BEGIN SOLUTION
    gaps = np.empty((len(codes), factors.shape[1]))
    for i, level in enumerate(codes):
        for j, factor in enumerate(factors.T):
            nats = np.sort([mutual_info_score(factor, unit) for unit in level.T])
            gaps[i, j] = (nats[-1] - nats[-2]) / entropy(np.unique(factor, return_counts=True)[1])
    return gaps
    ### END SOLUTION


# %% check="8.6"
check("8.6", mig_by_level)

# %% [markdown]
# **Predict, then run.** The ladder has 16 units in level 1 and 8 in level 2. Pose, head and skin were drawn first, at
# level 2 of the data. At which level of the model do you expect them?

# %%
ladder = from_seed("ladder", 0)
means = latents.infer_latents(ladder, held_out, temperature=0.0)
gaps = {i: metrics.mig(z, held_out_factors).gaps for i, z in enumerate(means, 1)}
print("MIG by level".ljust(14), *(f"{name:>8s}" for name in classes))
for i in (2, 1):
    print(f"level {i}".ljust(14), *(f"{gaps[i][name]:8.3f}" for name in classes))
print("data level".ljust(14), *(f"{data.levels[name]:8d}" for name in classes))

# %% [markdown]
# Every gap is small but that of the pose in level 2, where it is not large either. The table does not say that the
# levels know nothing.
#
# A gap can be small for two reasons: no unit knows the factor, or several do. And levels can know the same. So ask the
# level as a whole, by the mutual information of all its units with the factor, and ask both levels together. What both
# tell is
#
# $$ R(v) = I(z_1; v) + I(z_2; v) - I(z_1, z_2; v), $$
#
# the **co-information** of the three variables (Bell 2003; McGill 1954 has it with the other sign).

# %% [markdown]
# ### Exercise 8.7 · Told twice
#
# Write `shared_information(joint)`. `joint`, shape `(a, b, c)`, is a table of $p(z_1, z_2, v)$ that sums to 1;
# entries may be 0. It returns $I(z_1; v) + I(z_2; v) - I(z_1, z_2; v)$ in nats, a number. Before you write: can it
# be negative?


# %% exercise="8.7"
def shared_information(joint):
    """I(z_1; v) + I(z_2; v) - I(z_1, z_2; v) in nats, a number. Shapes: (a, b, c)."""
    ### BEGIN SOLUTION

    def information(table):
        independent = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)
        return rel_entr(table, independent).sum()

    together = joint.reshape(-1, joint.shape[-1])
    return information(joint.sum(axis=1)) + information(joint.sum(axis=0)) - information(together)
    ### END SOLUTION


# %% check="8.7"
check("8.7", shared_information)

# %%
draws = latents.infer_latents(ladder, held_out, seed=0)
forest = ExtraTreesClassifier(20, min_samples_leaf=3, random_state=0)
print("nats".ljust(14), "level 1 level 2    both   told twice   of H(v)")
for name, v in held_out_factors.items():
    told = metrics.redundancy(draws[0][:1000], draws[1][:1000], v[:1000], forest)
    whole = entropy(np.bincount(v))
    print(f"{name:14s}{told.first:8.2f}{told.second:8.2f}{told.together:8.2f}{told.shared:13.2f}{whole:10.2f}")

# %% [markdown]
# Nearly all that level 2 tells is told by level 1, too. In the generative model it cannot be otherwise: the picture is
# drawn from $z_1$ alone, so $z_1$ must carry whatever $z_2$ decides. For inferred latents it holds as far as the
# encoder is right. **Redundancy between levels is no fault where the levels are a chain.** (A classifier that reads $v$
# from $z$ gives a *lower bound* of each information. Where "both" is below level 1 alone, it missed something, and
# that counts as told twice. A few hundredths of a nat are no result. And could $R$ be negative? If $v$ is the
# exclusive or of two coins, neither coin tells anything, and both tell $\log 2$: then $R = -\log 2$.)
#
# Knowing is not deciding. A level *decides* a factor if the picture changes with it. So change one level of the
# latents of a face, leave the other (level 1 keeps its noise, where level 2 moves its prior), draw, and let the
# classifier say which factors are not what they were. In a hierarchy one hopes that the top changes pose, head and
# skin, and the bottom the rest.
#
# **Predict, then run.** We redraw one level of the ladder from its prior. Which row will be larger, and where?


# %%
def read(x):
    """The factors that the classifier reads."""
    return features.predict_factors(np.clip(x, 0, 1))


def redrawn(name):
    """Shares of faces whose factors change when one level is drawn anew, printed."""
    model = from_seed(name, 0)
    z = latents.infer_latents(model, held_out[:1000])
    changes = metrics.factors_changed(model, z, read, by="redraw")
    print(f"{name:24s}", *(f"{factor:>6s}" for factor in changes.factors))
    rows = {"level 2 redrawn": changes.share[1], "level 1 redrawn": changes.share[0], "both": changes.whole}
    for row, shares in rows.items():
        print(f"   {row:21s}", *(f"{share:6.2f}" for share in shares))
    print(f"   what level 2 says survives a new level 1: {metrics.consistency(changes, data.levels)[0]:.2f}")


redrawn("hierarchical prior")
redrawn("ladder")

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# "Both" is a new face: no row can be above it by more than chance. Level 2 decides nearly everything, the eyes and the
# mouth included. Level 1 of the hierarchical prior changes little; that of the ladder more, up to half as often as a new
# face would, and mostly eyes, nose and mouth. Of what the top level of the data says, nine in ten or more survive.
# </details>
#
# (The classifier was tested on real faces. On blurred ones, some of the changes may be its own.)
#
# A last look, without classes. One level goes from one face to another in seven steps. The other stays: level 2 where
# it is, level 1 where its noise puts it. We measure how far the features move, those that were trained on the factors
# of level 2 alone, and those of level 1. The unit is the distance of two real faces. **Predict** the row of level 1.

# %%
z = latents.infer_latents(ladder, held_out[:200])
start, end = [part[:100] for part in z], [part[100:] for part in z]


def cut_to_grey(n, given):
    return np.clip(ladder.generate(n, given), 0, 1)


for by in ("value", "noise"):
    moved = metrics.interpolation_by_level(ladder, start, end, of_level, held_out[:500], by, generate=cut_to_grey)
    for i in (2, 1):
        far, step = moved.distance[i - 1], moved.largest_step[i - 1]
        print(
            f"level {i} goes to the {by:5s} of the other: features of level 1 move {far[0]:.2f}, of level 2 {far[1]:.2f}",
            end="; ",
        )
        print(f"the largest of seven steps is {step[0]:.1f} and {step[1]:.1f} mean steps")
print(f"both go, the whole face: features of level 1 move {moved.whole[0]:.2f}, of level 2 {moved.whole[1]:.2f}")

# %% [markdown]
# By its **value**, whichever level goes, nearly all of the face goes with it. Why is this not what redrawing found? The
# picture is drawn from $z_1$ alone. The $z_1$ of another face *is* another face. By its **noise**, level 1 goes to a
# $z_1$ that this level 2 allows, and that is a new surface, as before. **A score by level has to say what the other levels do
# meanwhile.** Two papers that do not say it measure different things under one name.
#
# So half of the promise is kept. A new bottom level that the top allows changes the surface far more than what was said
# above it: the levels are *consistent*. But the top has not left the details to the bottom. Nothing in the ELBO asked it to.
# One number "disentanglement of the model" would have shown neither half.

# %% [markdown]
# ## 9 · One table, read critically
#
# Models of lessons 02 to 05 and 07 on faces, three seeds each, 1,000 faces a set, against the same 1,000 real ones. The
# features are those of all six factors. First, what the distances hardly weigh: the share of faces that keep all rules
# of each level, a number for each seed. Models with a likelihood have a bound on it, too; a GAN has none. The distances
# follow as a figure.

# %%
SEEDS = (0, 1, 2)
runs = json.loads((course_root() / "lessons" / "weights" / "08_training.json").read_text())
for name, file in FILES.items():
    each = [runs[f"{file}_{seed}"] for seed in SEEDS]
    seconds = ", ".join(str(run["seconds"]) for run in each)
    print(
        f"{name:19s}{each[0]['parameters']:,} parameters, {each[0]['epochs']} epochs; {seconds} s where they were trained"
    )


def kept_by_level(kind, x):
    """Shares of the set that keep all rules of level 2, and of level 1."""
    held = rules(kind).kept_by_level(x)
    return [held[i].mean() for i in (2, 1)]


def listed(values, form):
    return " ".join(f"{value:{form}}" for value in values)


# %%
table = {}
print(f"{'one number a seed':20s}{'all rules, level 2':20s}{'level 1':18s}ELBO, nats")
for name, some in {"real": held_out[1000:], "halves exchanged": halved[:1000]}.items():
    table[name] = [fidelity.measure(some, draws=15)]
    print(f"{name:20s}" + "".join(f"{share:<20.2f}" for share in kept_by_level("faces", some)))
for name in FILES:
    bounds, shares, table[name] = [], [], []
    for seed in SEEDS:
        some = drawn(name, seed, 1000)
        table[name].append(fidelity.measure(some, draws=15))
        shares.append(kept_by_level("faces", some))
        if name != "GAN":
            bounds.append(metrics.elbo(trained[name], held_out[:500], batch_size=500).mean())
    two, one = np.transpose(shares)
    print(f"{name:20s}{listed(two, '.2f'):20s}{listed(one, '.2f'):18s}{listed(bounds, '.0f') or 'has none'}")

# %%
shown = ("Fréchet distance", "precision", "recall", "coverage")
plots.score_dots(
    {name: {score: [seed[score] for seed in seeds] for score in shown} for name, seeds in table.items()},
    caption="Three trainings of each model, each dot with the interval of its 1,000 faces. Which differences are larger "
    "than the intervals? Which are larger than what another seed changes?",
)

# %% [markdown]
# **Read it.** Cover the figure, and say which row is best; then cover the lines above it.
#
# - By the Fréchet distance, the exchanged halves are nearest to real faces, far before any model. By the rules of
#   level 2 they are far behind the hierarchies, and behind the GAN. Neither number is wrong. (Precision and coverage do
#   see these faces, a little. They do not say what is wrong.)
# - The two hierarchies are before the flat VAE in every column for all seeds; in distance, recall and coverage by more
#   than the intervals. *Between* the two, three seeds do not decide it: they overlap, or differ by as little as shares
#   of 1,000 faces vary by chance.
# - The β-VAE was trained on another objective than the bound, and has about as good a bound as the VAE on new faces, and
#   better samples. Perhaps the VAE overfits; we did not test it. A table shows that something is so, and not why.
# - The GAN has the lowest recall. It was trained for twelve passes, its rivals for eighty that cost far less: in seconds
#   the GAN had the most. By either measure the budgets differ. Another budget, another table.
# - The VAE's distances differ by more than their intervals. The interval of one training is not that of the method.
# - All of it holds for one data set, one size, settings that nobody tuned, features that were trained on the six
#   factors, and rules that forgive a slight blur and count a strong one as a fault.
#
# The shipped models of lessons 06 and 07 stand beside real data of their own kind, with features of their own. Distances
# of tunes cannot be compared with those of landscapes, nor with those above; nor can shares of other rules.

# %%
GAME = {"loss": "non-saturating", "r1": 0.5}


def flat_gan():
    discriminator = layers.image_discriminator((32, 32, 3), (20, 40, 88, 100))
    return models.GAN(layers.image_generator(64, (32, 32, 3), (76, 56, 32, 24)), discriminator, **GAME)


def two_level_gan():
    small, large = (16, 16, 3), (32, 32, 3)
    top = models.GAN(
        layers.image_generator(32, small, (64, 48, 32)), layers.image_discriminator(small, (32, 64, 64)), **GAME
    )
    refiner = layers.image_refiner(32, small, large, (16, 32, 24))
    bottom = models.TranslationGAN(refiner, layers.image_discriminator(large, (16, 32, 64, 64), small), **GAME)
    return models.MultiLevelGAN([bottom, top])


def flat_lstm():
    return models.RecurrentModel(keras.layers.LSTMCell(182), layers.Categorical(music.TOKENS), meter=16)


def hierarchical_lstm():
    cells = [keras.layers.LSTMCell(units) for units in (48, 96, 96)]
    return models.HierarchicalRecurrentModel(*cells, layers.Categorical(music.TOKENS), phrase_length=16)


# %%
scene_features = metrics.FactorFeatures(
    (32, 32, 3), {name: len(v) for name, v in scenes.factor_values.items() if scenes.levels[name] == 2}
)
load_weights(scene_features, "07_features_2")
others = {
    "flat LSTM": ("melodies", "06_flat", flat_lstm),
    "hierarchical LSTM": ("melodies", "06_hierarchical", hierarchical_lstm),
    "flat GAN": ("landscapes", "07_flat", flat_gan),
    "two-level GAN": ("landscapes", "07_two_level", two_level_gan),
}
judges = {
    "melodies": metrics.Fidelity(tune_features, tunes.validation.x, tunes.test.x),
    "landscapes": metrics.Fidelity(scene_features, scenes.test.x[:1000], new_scenes[:640]),
}
for name, (kind, file, make_other) in others.items():
    model, distances, shares = make_other(), [], []
    model.build((None, *(tunes if kind == "melodies" else scenes).train.x.shape[1:]))
    for seed in SEEDS:
        load_weights(model, f"{file}_{seed}")
        some = model.generate(500, seed=seed) if kind == "melodies" else model.generate(640)
        distances.append(judges[kind].measure(some, draws=15)["Fréchet distance"])
        shares.append(kept_by_level(kind, some))
    two, one = np.transpose(shares)
    print(f"{name:18s} on {kind:11s} all rules, level 2: {listed(two, '.2f')}  level 1: {listed(one, '.2f')}")
    print(
        "   Fréchet distance",
        *(f"{d.value:.2f} ({d.low:.2f} to {d.high:.2f})" for d in distances),
        f"floor {distances[0].floor:.2f}",
    )

# %% [markdown]
# By the distance, these sets of 500 do not tell the LSTMs from real tunes: every interval holds the floor, and some
# distances are below it. By the rules of level 2, about nine of ten tunes are wrong (a phrase that returns has to agree
# on three steps of four; lesson 06 was milder), and by those of level 1 four to six of ten. A paper that printed the
# first number alone would call the problem solved. The GANs are far from their floor *and* break the rules. As lesson 07
# found, the seeds do not say which of the two is better in level 2; in level 1, two levels are ahead.

# %% [markdown]
# ## 10 · A bug to find
#
# A colleague compares two models. The first made 100 samples before the cluster went down, the second 3,000. He wrote
# the function below, and reports that the second is clearly better. The two models are the same.


# %%
def broken_comparison(real, held_out, first, second):
    """A colleague's comparison: squared gaps of means and of standard deviations, summed over features, less the floor."""

    def distance(a, b):
        return ((a.mean(axis=0) - b.mean(axis=0)) ** 2 + (a.std(axis=0) - b.std(axis=0)) ** 2).sum()

    floor = distance(real, held_out)
    return distance(real, first) - floor, distance(real, second) - floor


model, found, equal = pools["ladder"], [], []
for _ in range(20):
    first, second = rng.choice(model, 100, replace=False), rng.choice(model, 3000, replace=False)
    found.append(broken_comparison(known, seen["A"], first, second))
    equal.append(broken_comparison(known, seen["A"][:100], first, second[:100]))
print("above the floor, 20 times: first {:.2f}, second {:.2f} on average".format(*np.mean(found, axis=0)))
print("with 100 of each:          first {:.2f}, second {:.2f} on average".format(*np.mean(equal, axis=0)))
print(f"the second is better in {np.mean([one > two for one, two in found]):.0%} of the comparisons")

# %% [markdown]
# ### Exercise 8.8 · Mend the comparison
#
# Write `mended_comparison(real, held_out, first, second)`. All are features with the same number of columns and
# any number of rows. The distance stays as it is, and `real` is used whole. But `first`, `second` and `held_out`
# enter with the same number of rows, the most that all three have, and each gives its first rows. It returns two
# numbers: how much farther than the floor the first set is, and the second.


# %% exercise="8.8"
def mended_comparison(real, held_out, first, second):
    """How much farther than real examples two sets are, at the same n: two numbers. Shapes: four times (rows, d)."""
    ### BEGIN SOLUTION

    def distance(a, b):
        return ((a.mean(axis=0) - b.mean(axis=0)) ** 2 + (a.std(axis=0) - b.std(axis=0)) ** 2).sum()

    n = min(len(held_out), len(first), len(second))
    floor = distance(real, held_out[:n])
    return distance(real, first[:n]) - floor, distance(real, second[:n]) - floor
    ### END SOLUTION


# %% check="8.8"
check("8.8", mended_comparison)

# %% [markdown]
# <details><summary>What went wrong</summary>
# The distance of 100 samples holds the sampling error of 100 samples, that of 3,000 next to none. The floor, taken at
# 2,000, takes away the second, nearly, and little of the first. At equal n the same error is in both, and about as much
# of it in the floor.
# </details>
#
# **A property that a test can hold on to:** give the comparison the same model twice, at any two sizes. On average it
# must find no difference.

# %% [markdown]
# ## 11 · A report card
#
# All of this for a model of your own is one command. It writes a page with pictures and a file with the numbers:
#
# ```
# hvae report model.keras --data faces
# ```
#
# It shows what was asked, with which features, at which n, with intervals and floors, and it says what it leaves out.
# Read it as you read the table above.

# %% [markdown]
# ## 12 · Questions to argue about
#
# **1. A paper reports FID 2.9 for its model, and 3.1 for the best before it, both from 50,000 samples. Is it better?**
# <details><summary>One answer</summary>
# You cannot say. How far apart are two trainings of one model? Were both scored by the same code, with the same
# resizing of images? (Parmar, Zhang and Zhu 2022: the resizing alone can move FID by more.) Was one of the two
# chosen by this very score, as the best of many runs?
# </details>
#
# **2. Our features were trained to read the six factors. Was that cheating?**
# <details><summary>One answer</summary>
# It decides what counts, openly. They see little of what no factor asks about: faint noise in the background, say.
# Inception's features decide as well, less openly: they were trained to tell classes of photographs apart
# (Kynkäänniemi et al. 2023 show that FID can be lowered by matching those classes alone).
# </details>
#
# **3. You optimise a model for the rules of section 7. It keeps them all. What may have happened?**
# <details><summary>One answer</summary>
# It may draw one perfect face. Or it may draw what our reader takes for a face. A measure that becomes a target is no
# longer a measure; keep one that was never looked at while you tuned.
# </details>
#
# **4. The likelihood on test data sees a missing mode, a copied training set and a broken structure. Why not use
# nothing else?**
# <details><summary>One answer</summary>
# GANs have none. Where there is one, it is mostly about details: 1,024 pixels against one pose. A model can gain many
# nats on the grain and nothing on what we care about, and good samples and good likelihoods do not imply each other
# (Theis, van den Oord and Bethge 2016).
# </details>

# %% [markdown]
# ## 13 · What is known and what is not
#
# | claim | standing |
# |---|---|
# | A lower FID means better pictures. | **Not implied.** It compares two moments of certain features. It often agrees with people on photographs, and there are known cases where it does not (Stein et al. 2023). |
# | FID is 0 for a perfect model. | **False** at finite n: its mean is above 0 and falls with n. The bias also depends on the model, so that even the order of two models can change with n (Chong and Forsyth 2020). |
# | The kernel distance is unbiased. | **True** for the estimate of section 4, on features fixed beforehand. Its square root, or its value cut at 0, is not. |
# | The Inception Score measures quality and diversity. | **Not in general.** It measures how clear and how evenly used a classifier's classes are, and never looks at real data (Barratt and Sharma 2018). |
# | Precision and recall separate quality from diversity. | **Under conditions**: enough examples for the number of features, no outliers with huge balls. Two sets from one distribution do not score 1. |
# | Disentanglement scores tell good representations. | **Unsupported in general.** They ask for axes that agree with given factors; seeds and settings mattered more than the kind of model, and no way to choose without labels worked there (Locatello et al. 2019). |
# | A co-information of 0 means that two levels share nothing. | **False.** It is redundancy less synergy, and they can cancel. How to take them apart is debated since Williams and Beer (2010). |
# | Hierarchies put global factors on top. | **Not implied** by the model; see section 8, and lesson 05. |

# %% [markdown]
# ## 14 · Going further
#
# - Break a set so that *no* rule and no score of this lesson sees it, though you do. Then write the rule.
# - Which n does a rule need, compared with a distance? A share of 0.9 at n = 1,000 has a standard error below 0.01.
# - Is there a score of structure that needs no list of rules? Classifiers that try to tell a set from the real one
#   (lesson 07) are a candidate. What would their floor be?
#
# **References.** Efron (1979), *Bootstrap methods: another look at the jackknife*. McGill (1954), *Multivariate
# information transmission*. Bell (2003), *The co-information lattice*. Dowson and Landau (1982), *The Fréchet distance between multivariate normal
# distributions*. Shao and Wu (1989), *A general theory for jackknife variance estimation*. Williams and Beer (2010),
# *Nonnegative decomposition of multivariate information*. Gretton et al. (2012), *A kernel two-sample test*. Salimans
# et al. (2016), *Improved techniques for training GANs*. Theis, van den Oord and Bethge (2016), *A note on the
# evaluation of generative models*. Heusel et al. (2017), *GANs trained by a two time-scale update rule converge to a
# local Nash equilibrium*. Barratt and Sharma (2018), *A note on the Inception Score*. Bińkowski, Sutherland, Arbel and
# Gretton (2018), *Demystifying MMD GANs*. Chen, Li, Grosse and Duvenaud (2018), *Isolating sources of disentanglement
# in variational autoencoders* (the mutual information gap). Sajjadi et al. (2018), *Assessing generative models via
# precision and recall*. Kynkäänniemi et al. (2019), *Improved precision and recall metric for assessing generative
# models*. Locatello et al. (2019), *Challenging common assumptions in the unsupervised learning of disentangled
# representations*. Chong and Forsyth (2020), *Effectively unbiased FID and Inception Score and where to find them*.
# Naeem et al. (2020), *Reliable fidelity and diversity metrics for generative models*. Parmar, Zhang and Zhu (2022),
# *On aliased resizing and surprising subtleties in GAN evaluation*. Kynkäänniemi et al. (2023), *The role of ImageNet
# classes in Fréchet Inception Distance*. Stein et al. (2023), *Exposing flaws of generative model evaluation metrics
# and their unfair treatment of diffusion models*.
