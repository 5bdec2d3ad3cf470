# ---
# jupyter:
#   hvae:
#     title: "Multi-level GAN: from sketch to picture"
#     minutes: 90
# ---

# %% [markdown]
# # Lesson 07 · Multi-level GAN: from sketch to picture
#
# ![Two rows of small landscapes. Above are coarse sketches with sky, mountains and ground; below each, the picture
# made from it, with trees, rocks and water.](../lessons/pictures/07_multi_level_gan.png)
#
# A generator drew the upper row from noise, a second one each picture below from the sketch above it and more
# noise. Neither was ever told how far it is from a real picture. Each had an opponent who tried to tell its work
# from real work, and learned from being found out.
#
# **The question of this lesson: is it easier to draw a picture in two steps than in one, and how would you know?**

# %% [markdown]
# **You will learn to**
# - write the losses of both players, and derive the best discriminator there can be,
# - measure what a generator hears from a discriminator that is sure, and keep a discriminator smooth,
# - show, count and mend mode collapse,
# - tell a generator what to draw: a label, or a sketch,
# - train a generator and a discriminator at each of two levels, hold one level, and redraw the other,
# - compare generators by distances and by rules, against a floor and a ceiling.
#
# **You need** gradients and [lesson 01](01_autoencoder.ipynb).
#
# **Time** 90 minutes, {exercise summary}.
#
# Under every stub is a cell that checks your answer. `hint("7.1")` gives a hint, three of them if you ask again.
# `reveal("7.1")` shows a solution once you have passed or tried three times. No later cell uses your answers, so
# you can go on without them. Floating arrays come as NumPy arrays in float32; return arrays.
#
# | symbol | meaning | in code |
# |---|---|---|
# | $p(x)$ | density of real examples | `density` |
# | $q(x)$ | density of what the generator makes | |
# | $z$ | noise from $\mathcal N(0, I)$, what a generator starts from | `z` `[n, latent]` |
# | $G(z)$ | the generator: an example made of noise | `gan.generate(n, {1: z})` |
# | $s(x)$ | the discriminator's score, a real number: high for what it takes to be real | `gan.score(x)` |
# | $\sigma(s)$ | the sigmoid; $p(\text{real} \mid x)$ as the discriminator has it | `sigmoid(s)` |
# | $x_2$, $x_1$ | a sketch, 16×16 pixels in colour, and its picture, 32×32 | `sketch`, `x` |
# | $z_2$, $z_1$ | noise of the sketch, and of the detail | `{2: z}`, `{1: z}` |

# %%
# %matplotlib inline
import json

import numpy as np
from scipy.special import expit as sigmoid
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from hvae_keras import metrics, plots
from hvae_keras.adversarial import generator_loss
from hvae_keras.backend import gradient, keras, ops
from hvae_keras.course import check, hint, reveal
from hvae_keras.course.places import course_root
from hvae_keras.course.weights import load_weights
from hvae_keras.data import landscape_rules, landscapes, load
from hvae_keras.layers import SpectralNormalization, image_discriminator, image_generator, image_refiner
from hvae_keras.models import GAN, ConditionalGAN, MultiLevelGAN, TranslationGAN

keras.utils.set_random_seed(7)
rng = np.random.default_rng(7)
data = load("landscapes")
print(data)

# %% [markdown]
# ## 1 · Two players on a line
#
# Every generative model so far had a likelihood, or a bound of one. A **generative adversarial network**
# (Goodfellow et al. 2014) has neither. Its *generator* turns noise into examples, $x = G(z)$, and we never ask how
# probable an example is. In place of a likelihood there is a second network, the *discriminator*. It gives each
# example a score $s(x)$, and is trained as any classifier is, by the cross-entropy of "real or generated".
#
# $$ L_D = \mathbb E_{x \sim p}\,[-\log \sigma(s(x))] + \mathbb E_{x \sim q}\,[-\log (1 - \sigma(s(x)))]. $$
#
# The generator wants its examples to be taken for real:
#
# $$ L_G = \mathbb E_z\,[-\log \sigma(s(G(z)))]. $$
#
# In code, with $-\log \sigma(s) = \log(1 + e^{-s}) = \text{softplus}(-s)$: `softplus(-real).mean() +
# softplus(fake).mean()` and `softplus(-fake).mean()`. A step of training is one move of each player. Two other
# pairs of losses are common. The **hinge** (Lim and Ye 2017) asks no more of the discriminator than a margin:
# $\max(0, 1 - s)$ for real and $\max(0, 1 + s)$ for generated examples. The **Wasserstein** loss (Arjovsky,
# Chintala and Bottou 2017) is the difference of the mean scores, generated minus real. In both, the generator's
# loss is minus the mean score of its examples.

# %% [markdown]
# ### Exercise 7.1 · The losses of both players
#
# Write `losses(kind, real, fake)`. `kind` is `"non-saturating"` (the pair above), `"hinge"` or `"wasserstein"`.
# `real` and `fake` are scores, of shape `(n,)` and `(m,)`; n and m may differ. It returns the discriminator's loss
# and the generator's: two numbers, made of means. Scores of ±100 must not give infinity: `np.logaddexp(0, a)` is a
# softplus that bears them.


# %% exercise="7.1"
def losses(kind, real, fake):
    """The discriminator's loss and the generator's, two numbers. Shapes: (n,), (m,)."""
    ### BEGIN SOLUTION
    if kind == "non-saturating":
        return np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean(), np.logaddexp(0, -fake).mean()
    if kind == "hinge":
        return np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), -fake.mean()
    return fake.mean() - real.mean(), -fake.mean()
    ### END SOLUTION


# %% check="7.1"
check("7.1", losses)

# %% [markdown]
# Now a game that can be seen whole. The data are points on a line, from a mixture of two normals. The generator
# gets four numbers $z$ and gives one. We stop a few times and look at both players. (The losses printed are means
# since the last stop.)
#
# **Predict, then run.** At the start the generator's points lie in one heap near 0. Where will the discriminator's
# $p(\text{real} \mid x)$ be highest? And at the end, if the generator has won?


# %%
BATCH = 128


def network(inputs, outputs, hidden, smooth=False):
    """Dense layers with leaky ReLUs; where `smooth`, every layer is spectrally normalised (section 3)."""

    def layer(units):
        dense = keras.layers.Dense(units)
        return SpectralNormalization(dense) if smooth else dense

    x = h = keras.Input((inputs,))
    for units in hidden:
        h = keras.layers.LeakyReLU(negative_slope=0.2)(layer(units)(h))
    return keras.Model(x, layer(outputs)(h))


def adam(rate, steps=None, momentum=0.0):
    """Adam; with `steps`, its rate falls to 0 by then, as a cosine does."""
    rate = keras.optimizers.schedules.CosineDecay(rate, steps) if steps else rate
    return keras.optimizers.Adam(rate, beta_1=momentum, beta_2=0.99)


def density(x):
    return 0.6 * norm.pdf(x, -1.5, 0.4) + 0.4 * norm.pdf(x, 1.5, 0.6)


def draw(n):
    """Points of the mixture, [n, 1]."""
    first = rng.random((n, 1)) < 0.6
    return np.where(first, rng.normal(-1.5, 0.4, (n, 1)), rng.normal(1.5, 0.6, (n, 1))).astype("float32")


# %%
# By default a model draws with a running mean of its generator's weights; here with the weights as they are.
gan = GAN(network(4, 1, (64, 64)), network(1, 1, (64, 64)), averaging=0.0)
gan.compile(adam(1e-3, 2000), adam(2e-3, 2000))
edges = np.linspace(-4, 4, 41)
places, snapshots = (edges[1:] + edges[:-1]) / 2, {}
for steps, total in ((20, 20), (80, 100), (300, 400), (1600, 2000)):
    curve = gan.fit(draw(steps * BATCH), batch_size=BATCH, verbose=0).history
    made = gan.generate(20000)
    found = np.histogram(made, edges, density=True)[0]
    judged = sigmoid(ops.convert_to_numpy(gan.score(places[:, None])))[:, 0]
    snapshots[f"step {total}"] = (found, judged)
    print(f"step {total:4d}: discriminator {curve['discriminator_loss'][0]:.3f} nats", end=", ")
    print(
        f"generator {curve['generator_loss'][0]:.3f}, share of points below 0: {(made < 0).mean():.2f} (real: 0.60)"
    )
plots.game(
    snapshots,
    places,
    density(places),
    caption="Above: real and generated points. Below: p(real|x), as the discriminator has it and at its best. Where "
    "does the discriminator point the generator to, at each of the moments?",
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# After a few steps: highest on both sides of the heap, where real points are and generated ones are not. That is
# where the generator is pointed to, and it goes. At the end there is nothing left to tell: one half, or nearly,
# wherever there are points.
# </details>
#
# The dashed line is the best discriminator that there can be for the two densities above it. How do we know it? At
# each $x$ the discriminator may choose its answer by itself. Real examples come there in proportion to $p(x)$,
# generated ones in proportion to $q(x)$. So the best answer is Bayes' rule,
#
# $$ \sigma(s^*(x)) = \frac{p(x)}{p(x) + q(x)}, \qquad s^*(x) = \log p(x) - \log q(x). $$
#
# In code it is `best = np.log(p) - np.log(q)`. The discriminator learns a **ratio of densities** from examples
# alone.

# %% [markdown]
# ### Exercise 7.2 · The best discriminator
#
# Derive it with one thing more: let a share $\pi$ of the examples that the discriminator sees be real. Its loss is
# then $-\sum_x \pi\, p(x) \log d(x) + (1 - \pi)\, q(x) \log (1 - d(x))$, where $d(x) = p(\text{real} \mid x)$.
#
# Write `best_discriminator(p, q, share)`. `p` and `q`, shape `(n,)`, are the probabilities of n values, all above
# 0, each summing to 1; `share` is $\pi$, strictly between 0 and 1. (With $\pi = \frac 12$ the loss is half of
# $L_D$.) It returns $d$ at its best, shape `(n,)`, and the loss that it has, a number in nats. The check searches
# for a better $d$.


# %% exercise="7.2"
def best_discriminator(p, q, share):
    """The best p(real|x), (n,), and its loss, a number. Shapes: (n,), (n,), a number."""
    ### BEGIN SOLUTION
    d = share * p / (share * p + (1 - share) * q)
    return d, -np.sum(share * p * np.log(d) + (1 - share) * q * np.log(1 - d))
    ### END SOLUTION


# %% check="7.2"
check("7.2", best_discriminator)

# %% [markdown]
# Is a trained discriminator near it? In the figure both densities are known, but $q$ only by counting. An exact
# case: a generator that is $\mathcal N(0, 1)$, because it passes $z$ on as it came, and stays it, because its
# learning rate is zero. Only the discriminator learns.
#
# With the best discriminator, $L_D = 2 \log 2 - 2\, \mathrm{JS}(p, q)$, where JS is the Jensen-Shannon divergence,
# the mean KL of both to their mixture. It is $2 \log 2 \approx 1.386$ where the generator is perfect. The
# discriminator's loss does **not** fall when the game goes well: it rises to $2 \log 2$. (Untrained, it may start
# above.)


# %%
def held_still(discriminator, r1=0.0):
    """A game whose generator is N(0, 1) and stays it."""
    z = keras.Input((1,))
    same = keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)
    game = GAN(keras.Model(z, same(z)), discriminator, r1=r1, averaging=0.0)
    game.compile(keras.optimizers.SGD(0.0), adam(2e-3, momentum=0.9))
    return game


still = held_still(network(1, 1, (32, 32)))
x = np.linspace(-4, 4, 801)
p, q = density(x) * 0.01, norm.pdf(x) * 0.01
exact = np.log(p) - np.log(q)
js = 0.5 * np.sum(p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q)))
for steps in (100, 400, 1500):
    still.fit(draw(steps * BATCH), batch_size=BATCH, verbose=0)
    score = ops.convert_to_numpy(still.score(x[:, None]))[:, 0]
    loss = np.sum(p * np.logaddexp(0, -score) + q * np.logaddexp(0, score))
    gap = np.sum((p + q) / 2 * np.abs(sigmoid(score) - sigmoid(exact)))
    print(f"after {steps:4d} more steps: mean gap to the best p(real|x) {gap:.3f}, loss {loss:.4f} nats")
print(f"best possible loss, 2 log 2 - 2 JS: {2 * np.log(2) - 2 * js:.4f} nats")

# %% [markdown]
# The trained one comes near, from above. In a game, though, $q$ moves at every step: the discriminator is always
# behind, and no divergence is ever computed.

# %% [markdown]
# ## 2 · What the generator hears
#
# The generator learns from $\partial s / \partial x$ at its own examples, times how much its loss cares about the
# score. In the **minimax** game it wants exactly what the discriminator does not:
#
# $$ L_G^{\text{minimax}} = \mathbb E_z \log (1 - \sigma(s)), \qquad
#    \left| \frac{\partial L_G}{\partial s} \right| = \sigma(s); \qquad
#    \text{non-saturating: } \left| \frac{\partial L_G}{\partial s} \right| = 1 - \sigma(s). $$
#
# In code: `sigmoid(s)` and `1 - sigmoid(s)`. Both push in the same direction. But at the start of a game the
# discriminator is soon sure, and $\sigma(s)$ is nearly 0 for everything generated.
#
# **Predict, then run.** A discriminator gives the generator's examples one chance in a thousand. By what factor do
# the two gradients differ?

# %%
p_real = np.logspace(np.log10(0.5), -4, 60)
score = np.log(p_real) - np.log1p(-p_real)
plots.gradient_by_score(
    p_real,
    {
        "minimax": sigmoid(score),
        "non-saturating": 1 - sigmoid(score),
        "hinge, Wasserstein": np.ones_like(score),
    },
    caption="How much the generator's loss cares about the score. Which generator still learns when it is found out?",
    ylabel="|dL/ds| of the generator's loss",
)

# %% [markdown]
# That is arithmetic. Now a real pair: the generator is held at $\mathcal N(0, 1)$, the data are at $\mathcal N(6,
# 0.5^2)$, and the discriminator trains. Every few steps we measure the gradient that arrives at the generated
# points, $\partial L_G / \partial x$, under both losses.


# %%
def far(n):
    return rng.normal(6, 0.5, size=(n, 1)).astype("float32")


def pull(game, loss, z):
    """Mean size of the gradient of the generator's loss at generated points."""
    slopes = gradient(lambda at: ops.sum(generator_loss(loss, game.score(at))), z)
    return np.abs(ops.convert_to_numpy(slopes)).mean()


z = rng.normal(size=(1000, 1)).astype("float32")
still = held_still(network(1, 1, (32, 32)))
print("steps  mean p(real|x) of generated points   pull: minimax  non-saturating")
for steps, total in ((1, 1), (49, 50), (150, 200), (800, 1000)):
    still.fit(far(steps * BATCH), batch_size=BATCH, verbose=0)
    trust = sigmoid(ops.convert_to_numpy(still.score(z))).mean()
    sizes = [pull(still, loss, z) for loss in ("minimax", "non-saturating")]
    print(f"{total:5d}{trust:20.5f}{sizes[0]:29.5f}{sizes[1]:16.3f}")

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# By the odds, 999. In the minimax game the better discriminator is the worse teacher: what it says fades once it
# is sure. The non-saturating loss was proposed for this reason (Goodfellow et al. 2014, section 3). But its pull
# does not fade; it <i>grows</i>, as the discriminator gets steeper. Nothing says where that ends.
# </details>

# %% [markdown]
# ## 3 · A discriminator that stays smooth
#
# Where real and generated examples do not overlap, the best discriminator is sure, and a network can always be
# surer: its weights grow. There are two common ways to stop that. One bounds the **slope** of the score, the other
# puts a price on it at real examples.
#
# **Spectral normalisation** (Miyato et al. 2018) divides each layer's matrix by its largest singular value,
#
# $$ W \leftarrow W / \lVert W \rVert, \qquad \lVert W \rVert = \max_{\lVert u \rVert = 1} \lVert W u \rVert. $$
#
# No layer then stretches any vector, nor does a leaky ReLU. So $|s(x) - s(y)| \le \lVert x - y \rVert$. A singular
# value decomposition at each step would be slow. **Power iteration** is not: keep a vector $u$, and
#
# $$ v \leftarrow \frac{W u}{\lVert W u \rVert}, \qquad u \leftarrow \frac{W^\top v}{\lVert W^\top v \rVert}, \qquad
#    \lVert W \rVert \approx v^\top W u. $$
#
# In code: `v = W @ u`, `u = W.T @ v`, each then over its length, and `sigma = v @ W @ u`. One step of it each
# training step is enough, since $W$ moves little.

# %% [markdown]
# ### Exercise 7.3 · The spectral norm
#
# Write `spectral_norm(kernel, u, steps)`. `kernel` is that of a Keras layer: `(inputs, outputs)` for a dense one,
# `(height, width, inputs, outputs)` for a convolution, to be read as a matrix with `outputs` columns. `u`, shape
# `(outputs,)`, is where the iteration starts, of any length but 0; `steps` is at least 1. It returns `sigma`, the
# estimate of $\lVert W \rVert$ after the last step, and the kernel over `sigma`, in the shape that it came in.


# %% exercise="7.3"
def spectral_norm(kernel, u, steps):
    """sigma after so many steps of power iteration, a number, and kernel / sigma, of the kernel's shape."""
    ### BEGIN SOLUTION
    matrix = kernel.reshape(-1, kernel.shape[-1])
    for _ in range(steps):
        v = matrix @ u
        v = v / np.linalg.norm(v)
        u = matrix.T @ v
        u = u / np.linalg.norm(u)
    sigma = v @ matrix @ u
    return sigma, kernel / sigma
    ### END SOLUTION


# %% check="7.3"
check("7.3", spectral_norm)

# %% [markdown]
# The other way, **R1** (Mescheder, Geiger and Nowozin 2018), adds a cost for slopes at real examples:
#
# $$ R_1 = \frac{\gamma}{2}\, \mathbb E_{x \sim p} \lVert \nabla_x s(x) \rVert^2. $$
#
# Where the generator is right, nothing is to be told, and a score with a slope there can only do harm. Without
# such a cost, the players can circle about the solution for ever; with it, they come to rest there if they start
# near it.

# %% [markdown]
# ### Exercise 7.4 · The penalty R1
#
# A small discriminator: $s(x) = \tanh(x W + b)\, v$. Write `r1_penalty(x, kernel, bias, v)`. `x` has shape
# `(batch, inputs)`, `kernel` is $W$, `(inputs, units)`, `bias` and `v` are `(units,)`. It returns $\frac 12 \lVert
# \nabla_x s(x) \rVert^2$ of each example, shape `(batch,)`. The check moves each number of $x$ a little.


# %% exercise="7.4"
def r1_penalty(x, kernel, bias, v):
    """Half the squared gradient of the score in x, (batch,). Shapes: (batch, inputs), (inputs, units), (units,) twice."""
    ### BEGIN SOLUTION
    h = np.tanh(x @ kernel + bias)
    slopes = ((1 - h**2) * v) @ kernel.T
    return 0.5 * (slopes**2).sum(axis=-1)
    ### END SOLUTION


# %% check="7.4"
check("7.4", r1_penalty)

# %% [markdown]
# Now the pair of section 2 again, with data that lie apart, and three discriminators: as it comes, with R1, and
# with spectral normalisation. Each trains for 1,000 steps.

# %%
kinds = {
    "as it comes": held_still(network(1, 1, (32, 32))),
    "R1, weight 1": held_still(network(1, 1, (32, 32)), r1=1.0),
    "spectral norm": held_still(network(1, 1, (32, 32), smooth=True)),
}
x, judged = np.linspace(-3, 9, 121), {}
print(f"{'':16s}steepest slope   pull, non-saturating   pull, minimax")
for name, game in kinds.items():
    game.fit(far(1000 * BATCH), batch_size=BATCH, verbose=0)
    score = ops.convert_to_numpy(game.score(x[:, None]))[:, 0]
    judged[name] = (norm.pdf(x), sigmoid(score))
    steepest = np.abs(np.diff(score)).max() / (x[1] - x[0])
    sizes = [pull(game, loss, z) for loss in ("non-saturating", "minimax")]
    print(f"{name:16s}{steepest:14.2f}{sizes[0]:22.3f}{sizes[1]:16.3f}")
plots.game(
    judged,
    x,
    norm.pdf(x, 6, 0.5),
    caption="The same real points and the same held generator; three discriminators after 1,000 steps. From which "
    "of them would a generator with the minimax loss hear something, far to the left?",
)

# %% [markdown]
# A smooth discriminator is farther from the ideal one, on purpose. What it loses in sureness, the generator gains:
# a bounded pull, or nearly, and a minimax pull that is not zero.

# %% [markdown]
# ## 4 · Break it: eight heaps
#
# Eight normals on a ring are a standard test for a generator that forgets (Metz et al. 2017; ours are wide, with a
# standard deviation of 0.1 on a radius of 2). We train a game in which the generator is ten times as fast as the
# discriminator. The cell also prints the discriminator's accuracy (one half is guessing) and `diversity`, of which
# more below. We count a **mode** as found if at least 1 % of the samples lie within three standard deviations of
# it.
#
# **Predict, then run.** Three seeds. Will the generator find all eight, sit on one, or something else?

# %%
angles = 2 * np.pi * np.arange(8) / 8
centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
ring = (centres[rng.integers(8, size=12800)] + 0.1 * rng.normal(size=(12800, 2))).astype("float32")


def counted(points):
    """Modes with at least 1 % of the points within three standard deviations, and the share within any."""
    distances = np.linalg.norm(points[:, None] - centres, axis=-1)
    near = distances.min(axis=1) < 0.3
    return int((np.bincount(distances.argmin(axis=1)[near], minlength=8) >= len(points) / 100).sum()), near.mean()


def three_seeds(game, steps):
    """Train from new weights under three seeds; 4,000 points of each, and both counts printed."""
    panels = {}
    for seed in range(3):
        game.reinitialise(seed)
        curve = game.fit(ring, batch_size=BATCH, epochs=steps * BATCH // len(ring), verbose=0).history
        points = game.generate(4000)
        found, share = counted(points)
        panels[f"seed {seed}: {found} modes"] = points
        print(f"seed {seed}: {found} of 8 modes, {share:.1%} of the points near one; ", end="")
        print(f"accuracy {curve['accuracy'][-1]:.2f}, diversity {curve['diversity'][-1]:.2f}")
    return panels


# %%
fast = GAN(network(8, 2, (64, 64)), network(2, 1, (64, 64)), averaging=0.0)
fast.compile(adam(1e-3), adam(1e-4), steps_per_execution=10)
plots.modes(
    three_seeds(fast, steps=1000),
    centres,
    0.3,
    caption="A generator ten times as fast as its discriminator, after 1,000 steps; circles are three standard "
    "deviations. Is this what you meant by collapse?",
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The word "collapse" promises a heap on one mode. In our runs each seed has one heap or streak, which need not be
# at a mode: the picture is one moment of a chase. Train on, and it has moved. "No mode" and "one mode" are the
# same failure.
# </details>
#
# Our explanation: the generator moves so far that its discriminator does not keep up. Its best answer is to run
# after the highest score, with all its points, and to run on when that place is found out. Its loss does not ask
# it to be *everywhere* at once. That pressure comes only through the discriminator. We can test that: one number
# changes, the discriminator's rate. It is twice the generator's now, instead of a tenth (**two time scales**;
# Heusel et al. 2017).

# %%
fast.compile(adam(1e-3), adam(2e-3), steps_per_execution=10)
plots.modes(
    three_seeds(fast, steps=1000),
    centres,
    0.3,
    caption="The same networks and steps; the discriminator is twice as fast as the generator. What is still wrong?",
)

# %% [markdown]
# All modes come; about half of the points, or more, lie between them. The rest takes more: R1, falling rates,
# momentum, averaged weights, deeper networks, less noise and more steps. We did not take these apart.

# %%
mended = GAN(network(2, 2, (64,) * 4), network(2, 1, (64,) * 3), r1=0.05)
STEPS = 4000
mended.compile(adam(2e-3, STEPS, 0.5), adam(4e-3, STEPS, 0.5), steps_per_execution=10, jit_compile=True)
plots.modes(
    three_seeds(mended, STEPS),
    centres,
    0.3,
    caption="With all that. Eight heaps. What are the points that are left between them?",
)

# %% [markdown]
# The points between the modes are no accident. The generator is continuous and its noise is one heap, so what it
# makes is connected: it can pull the bridges thin, but never cut them.
#
# The library (its callback `StopOnCollapse`) watches `diversity`: the distance of generated points to their
# nearest neighbours in the batch, as a share of that of real ones. Near 0, the generator repeats itself. In the
# collapse above it was *not* near 0. No single number sees all failures.

# %% [markdown]
# ## 5 · Say what to draw
#
# A **conditional GAN** (Mirza and Osindero 2014) tells both players a label $y$: $x = G(z, y)$, and the score is
# $s(x, y)$. The discriminator compares the *pair*. A perfect 3 under the label 5 is a fake, so the generator has
# to listen.

# %% [markdown]
# ### Exercise 7.5 · Telling a label
#
# Write `conditioned(z, x, labels, classes)`. `z` has shape `(batch, latent)`, `x` is a batch of pictures, `(batch,
# height, width, channels)`. `labels`, integers `(batch,)`, are 0 to `classes` − 1, or −1 where there is none. A
# label is told as a vector with a 1 at its place, all zeros if there is none. It returns the generator's input,
# `(batch, latent + classes)`, with the vector after z; and the discriminator's, `(batch, height, width, channels +
# classes)`, with the vector after the channels of every pixel.


# %% exercise="7.5"
def conditioned(z, x, labels, classes):
    """z and pictures, each with the label beside it: (batch, latent + classes), (batch, ..., channels + classes)."""
    ### BEGIN SOLUTION
    vectors = np.eye(classes, dtype=z.dtype)[labels] * (labels >= 0)[:, None]
    maps = np.broadcast_to(vectors[:, None, None], (*x.shape[:3], classes))
    return np.concatenate([z, vectors], axis=-1), np.concatenate([x, maps], axis=-1)
    ### END SOLUTION


# %% check="7.5"
check("7.5", conditioned)

# %% [markdown]
# The data are `digits`: 8×8 pixels, 1,259 of them to train on. Both networks are dense; the discriminator is
# spectrally normalised.


# %%
digits = load("digits")
x_digits, labels = digits.train.x, digits.train.factors["digit"]


def make_digits():
    """Both players see ten numbers more, the label."""
    z, label, x = keras.Input((16,)), keras.Input((10,)), keras.Input((8, 8, 1))
    h = network(26, 64, (128, 128))(keras.layers.Concatenate()([z, label]))
    drawn = keras.layers.Reshape((8, 8, 1))(keras.layers.Activation("sigmoid")(h))
    pair = keras.layers.Concatenate()([keras.layers.Flatten()(x), label])
    score = network(74, 1, (128, 128), smooth=True)(pair)
    return ConditionalGAN(keras.Model([z, label], drawn), keras.Model([x, label], score), loss="hinge")


told = make_digits()
told.compile(adam(1e-3, 3000, 0.5), adam(2e-3, 3000, 0.5), steps_per_execution=10)
told.fit(x_digits, labels, batch_size=64, epochs=150, verbose=0)
print(f"{told.generator.count_params():,} and {told.discriminator.count_params():,} parameters, 3,000 steps of 64")
z = rng.normal(size=(5, 16)).astype("float32")
plots.image_grid(
    [told.generate(10, np.arange(10), {1: np.repeat(one[None], 10, axis=0)}) for one in z],
    column_labels=range(10),
    caption="Each row has one z, each column one label. What do the digits of a row have in common?",
)

# %% [markdown]
# Does it draw what it is told? A classifier that was trained on real digits can say.

# %%
judge = LogisticRegression(C=0.1, max_iter=2000).fit(x_digits.reshape(-1, 64), labels)
asked = np.repeat(np.arange(10), 100)
drawn = told.generate(1000, asked)
right = judge.predict(drawn.reshape(-1, 64)) == asked
on_real = judge.score(digits.test.x.reshape(-1, 64), digits.test.factors["digit"])
print(f"classifier right on real test digits {on_real:.3f}, on generated ones {right.mean():.3f}")
print("by label:", ", ".join(f"{k}: {right[asked == k].mean():.2f}" for k in range(10)))
turn = np.linspace(0, np.pi / 2, 10)[:, None]
between = (np.cos(turn) * z[0] + np.sin(turn) * z[1]).astype("float32")
labels_between = np.eye(10, dtype="float32")[3] * (1 - turn / turn.max()) + np.eye(10)[8] * turn / turn.max()
rows = [told.generate(10, label, {1: between}) for label in (3, 8)]
rows += [told.drawn(np.repeat(z[:1], 10, axis=0), labels_between.astype("float32"))]
plots.image_grid(
    rows,
    row_labels=["3, from z to z'", "8, from z to z'", "z, from 3 to 8"],
    caption="Two ways to go from one drawing to another: along the noise, under one label, and along the label, with "
    "one noise. On which way do you meet something that is no digit?",
)

# %% [markdown]
# The classifier is right on generated digits about as often as on real ones. Does that make them as good? A
# generator of one perfect 3, again and again, would be right every time.
#
# The way from $z$ to $z'$ is an arc, $\cos t\, z + \sin t\, z'$, and every point of it is again a draw of
# $\mathcal N(0, I)$. That nearby $z$ give nearby pictures proves nothing: the generator is continuous. Is each
# stop on the way a good 3? That would say something.
#
# Now spoil it. The generator's rate is 2e-2, the discriminator's 1e-4. This time all generated digits become
# alike, whatever their $z$. That the library sees by itself, and stops.

# %%
hasty = make_digits()
hasty.compile(adam(2e-2, momentum=0.5), adam(1e-4, momentum=0.5), steps_per_execution=10)
try:
    hasty.fit(x_digits, labels, batch_size=64, epochs=60, verbose=0)
except RuntimeError as error:
    print(error)

# %% [markdown]
# ## 6 · Two levels: the sketch, then the picture
#
# A label says little. What about a whole sketch? The data are `landscapes`, scenes of 32×32 pixels from a program
# that works from the top: first time of day, horizon, mountains and clouds (level 2), then trees, rocks, water and
# grain (level 1). With each scene comes its **sketch**: level 2 alone, at 16×16 pixels.
#
# $$ p(x_1, x_2) = p(x_2)\, p(x_1 \mid x_2): \qquad x_2 = G_2(z_2), \qquad x_1 = G_1(z_1, x_2). $$
#
# In code: `sketch = top(z_2)`, then `picture = refine(z_1, sketch)`. A GAN draws sketches. A second GAN is told a
# sketch as section 5 told a label, and draws the picture. **Each level has a discriminator of its own.** The upper
# one sees sketches. The lower one sees the *pair* of picture and sketch, so a fine picture of another sketch is a
# fake. A generator learns from its own discriminator only. This is the idea of LAPGAN (Denton et al. 2015).

# %%
some = data.test.where(np.arange(8))
plots.image_grid(
    [some.sketch.repeat(2, axis=1).repeat(2, axis=2), some.x],
    row_labels=["sketch", "picture"],
    caption="Real sketches (enlarged) and their pictures. What does a sketch leave open?",
    size=0.85,
)

# %% [markdown]
# ### Exercise 7.6 · The two-level sampler
#
# Two tiny generators: $x_2 = \sigma(z_2 W_2)$ and $x_1 = \sigma(z_1 W_1 + x_2 W_s)$. Write `generate(z_2, z_1,
# noise_2, noise_1, temperature, weights)`. `z_2` is `(n, a)`, or `None`; `z_1` is `(n, b)`, or `None`. A level
# that is given is **held**. One that is `None` is drawn: temperature times its noise; `noise_2` and `noise_1` are
# draws of $\mathcal N(0, I)$ of the same shapes. `weights` is a dictionary: `"top"` is $W_2$, `(a, sketch)`,
# `"detail"` is $W_1$, `(b, picture)`, `"sketch"` is $W_s$, `(sketch, picture)`. It returns the sketches, `(n,
# sketch)`, and the pictures, `(n, picture)`. `sigmoid` is there.


# %% exercise="7.6"
def generate(z_2, z_1, noise_2, noise_1, temperature, weights):
    """Sketches and pictures, with each level held or drawn: (n, sketch) and (n, picture)."""
    ### BEGIN SOLUTION
    z_2 = temperature * noise_2 if z_2 is None else z_2
    z_1 = temperature * noise_1 if z_1 is None else z_1
    sketch = sigmoid(z_2 @ weights["top"])
    return sketch, sigmoid(z_1 @ weights["detail"] + sketch @ weights["sketch"])
    ### END SOLUTION


# %% check="7.6"
check("7.6", generate)

# %% [markdown]
# What should the lower level be shown in training: real sketches, or those of the upper level? With real ones
# only, it never meets the upper level's faults, and must live with them when it draws. Here half of each batch is
# real and half comes from above (`generated_share=0.5`; LAPGAN used real ones). It has a price: only fakes come
# with generated sketches, and the discriminator may judge by that.
#
# In each step all four players move, those of the top first. All discriminators have spectral normalisation and
# R1. We see how training begins. Then we load generators that were trained for longer on all 8,000 scenes
# (sketches alone first, then both), by `lessons/weights/train_07.py`.


# %%
PICTURE, SKETCH = (32, 32, 3), (16, 16, 3)
GAME = {"loss": "non-saturating", "r1": 0.5, "averaging": 0.995}


def make_two_level():
    """Sketches from 32 numbers, and pictures from sketches and 32 more."""
    sketches = GAN(image_generator(32, SKETCH, (64, 48, 32)), image_discriminator(SKETCH, (32, 64, 64)), **GAME)
    pictures = TranslationGAN(
        image_refiner(32, SKETCH, PICTURE, (16, 32, 24)),
        image_discriminator(PICTURE, (16, 32, 64, 64), SKETCH),
        **GAME,
    )
    return MultiLevelGAN([pictures, sketches])


def make_flat():
    """Pictures from 64 numbers, at once."""
    return GAN(
        image_generator(64, PICTURE, (76, 56, 32, 24)), image_discriminator(PICTURE, (20, 40, 88, 100)), **GAME
    )


# %%
two = make_two_level()
two.compile([(adam(2e-3), adam(2e-3)) for _ in range(2)], steps_per_execution=10)
history = two.fit(
    [data.train.x[:640], data.train.sketch[:640]],
    batch_size=32,
    epochs=6,
    verbose=0,
    validation_data=([data.validation.x[:160], data.validation.sketch[:160]], None),
).history
plots.players(
    history,
    caption="The first 120 steps of four players, on 640 scenes. Dashed: other scenes, and generators with a running "
    "mean of their weights, which `generate` uses. Does a loss that falls mean that someone gets better?",
    levels={2: "level 2, sketches", 1: "level 1, pictures"},
)

# %%
SEEDS = (0, 1, 2)
runs = json.loads((course_root() / "lessons" / "weights" / "07_training.json").read_text())
flat = make_flat()
for name in ("two_level", "flat"):
    run = runs[f"{name}_0"]
    seconds = ", ".join(str(runs[f"{name}_{seed}"]["seconds"]) for seed in SEEDS)
    cost = run["million multiply-adds of an example in all epochs"]
    print(
        f"{name:9s} {run['parameters']:,} parameters, {' + '.join(map(str, run['epochs'].values()))} epochs, "
        f"{cost:,} million multiply-adds an example; {seconds} s where they were trained"
    )

# %% tags=["picture"]
load_weights(two, "07_two_level_0")
z = {2: rng.normal(size=(8, 32)).astype("float32"), 1: rng.normal(size=(8, 32)).astype("float32")}


def enlarged(sketches):
    """Sketches at the size of pictures, each pixel as a square."""
    return sketches.repeat(2, axis=1).repeat(2, axis=2)


plots.image_grid(
    [enlarged(two.generate(8, z, level=2)), two.generate(8, z)],
    row_labels=["sketch", "picture"],
    caption="The first eight draws of the two-level model of seed 0. Which of them would you take for real, and by "
    "what do you know the others?",
    size=0.85,
)

# %% [markdown]
# Now **hold** one level and **redraw** the other, with `generate(n, {2: z})` and `generate(n, {1: z})`. A
# classifier (section 7 says more about it) reads the factors of a picture, and we count how often a factor stays
# what it was. Not every share can reach 1: where there is no tree, the place of the tree is a guess. So we print
# ceilings, from the program itself with one level held.
#
# **Predict, then run.** Four shares: factors of level 2 and of level 1, with the sketch held and with the detail
# held. One of them has to be near its ceiling, if the lower level keeps to its sketch. Which? Does anything force
# a second one?


# %%
def repeated(z, n=6):
    return np.repeat(z, n, axis=0)


plots.image_grid(
    [
        *np.split(two.generate(12, {2: repeated(z[2][:2])}), 2),
        *np.split(two.generate(12, {1: repeated(z[1][:2])}), 2),
    ],
    row_labels=["sketch 1 held", "sketch 2 held", "detail 1 held", "detail 2 held"],
    caption="In each row one level is held, and the other one drawn anew. What moves in the upper rows, and what stays "
    "in the lower ones?",
    size=0.95,
)


# %%
def features_of(level):
    """A classifier of one level's factors, trained on real pictures."""
    classes = {name: len(v) for name, v in data.factor_values.items() if data.levels[name] == level}
    model = metrics.FactorFeatures(PICTURE, classes)
    load_weights(model, f"07_features_{level}")
    return model


features = {level: features_of(level) for level in (2, 1)}
N = 500


def stays(level, before, after):
    """Share of one level's factors that the classifier reads the same in two sets of pictures."""
    was, now = (features[level].predict_factors(x) for x in (before, after))
    return np.mean([(was[factor] == now[factor]).mean() for factor in was])


# %%
held = {i: rng.normal(size=(N, 32)).astype("float32") for i in (2, 1)}
first = two.generate(N, held)
print(f"{'share of factors that stay':28s}{'level 2':>10s}{'level 1':>10s}")
for name, latents in {"sketch held": {2: held[2]}, "detail held": {1: held[1]}, "nothing held": {}}.items():
    again = two.generate(N, latents)
    print(f"{name:28s}{stays(2, first, again):10.2f}{stays(1, first, again):10.2f}")
scenes = {name: index[:N] for name, index in data.test.factors.items()}
order = scenes["mountains"].argsort(kind="stable")
partner = np.empty(N, int)
partner[order] = np.roll(order, 1)  # another scene with the same mountains, on which rocks and water depend
ceilings = []
for level in (2, 1):
    mixed = {name: index if data.levels[name] == level else index[partner] for name, index in scenes.items()}
    ceilings.append(stays(level, data.test.x[:N], landscapes.draw(mixed, np.random.RandomState(7))))
print(f"{'ceiling: this level held':28s}{ceilings[0]:10.2f}{ceilings[1]:10.2f}")

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# With the sketch held, nine in ten factors of level 2 stay; level 1 is the same no more often than with nothing
# held. With the detail held, level 2 is at chance, and about six in ten factors of level 1 stay, twice as many as
# by chance. Nothing forces that: a generator could use the same noise in another way under each sketch, and be
# perfect.
# </details>
#
# So $z_1$ says much the same under every sketch; look at the figure's last row. (The generator of Isola et al.
# 2017 learned to *ignore* its noise. It also had a loss that pulled it to the one true picture; ours has none.)

# %% [markdown]
# ### Exercise 7.7 · Does the picture keep to its sketch?
#
# A picture should look like its sketch from far away. Write `inconsistency(pictures, sketches)`, of shapes `(n,
# height, width, channels)`; the sides of the pictures are k times those of the sketches, k a whole number. Reduce
# each picture to the sketch's size by the mean of each block of k×k pixels. It returns the root of the mean square
# difference to the sketch, one number for each picture, `(n,)`.


# %% exercise="7.7"
def inconsistency(pictures, sketches):
    """RMS difference of each reduced picture from its sketch, (n,). Shapes: (n, k h, k w, c), (n, h, w, c)."""
    ### BEGIN SOLUTION
    n, height, width, channels = sketches.shape
    k = pictures.shape[1] // height
    blocks = pictures.reshape(n, height, k, width, k, channels)
    return np.sqrt(((blocks.mean(axis=(2, 4)) - sketches) ** 2).mean(axis=(1, 2, 3)))
    ### END SOLUTION


# %% check="7.7"
check("7.7", inconsistency)

# %% [markdown]
# For real scenes it is not 0: trees, rocks, water and grain are in the picture and not in the sketch. That is the
# target: below it, detail is missing. A picture beside another one's sketch is the other end.


# %%
def off(pictures, sketches):
    """Median inconsistency, here by Keras's pooling."""
    coarse = ops.convert_to_numpy(ops.average_pool(pictures, pictures.shape[1] // sketches.shape[1]))
    away = np.linalg.norm((coarse - sketches).reshape(len(sketches), -1), axis=1)
    return np.median(away) / np.sqrt(sketches[0].size)


pictures = two.generate(N, held)
of_them = two.generate(N, held, level=2)
real, real_sketches = data.test.x[:N], data.test.sketch[:N]
print(f"real pictures and their sketches             {off(real, real_sketches):.3f}")
print(f"generated pictures and their sketches        {off(pictures, of_them):.3f}")
print(
    f"pictures drawn from real sketches            {off(two.level(1).translate(real_sketches), real_sketches):.3f}"
)
untrained = make_two_level().level(1).translate(real_sketches)
print(f"the same, before any training                {off(untrained, real_sketches):.3f}")
print(f"real pictures and the sketch of another one  {off(real, np.roll(real_sketches, 1, axis=0)):.3f}")

# %% [markdown]
# The network was built to begin with a copy of its sketch, so before training the number is small. Training moved
# it *up*, to about that of real pictures, where a discriminator that sees the pair has nothing to object. Would it
# stay there with a discriminator that sees pictures only? The cell does not say.
#
# ## 7 · Against one flat GAN
#
# The comparison is one GAN that draws pictures at once, with about as many parameters and multiply-adds in
# training. Without a likelihood, we ask two questions.
#
# **How far are the generated pictures from real ones?** The **Fréchet distance** takes features of both sets, and
# compares their means and covariances:
#
# $$ F = \lVert \mu_p - \mu_q \rVert^2 + \operatorname{tr}\left(\Sigma_p + \Sigma_q
#        - 2\, (\Sigma_p \Sigma_q)^{1/2}\right). $$
#
# In code: `metrics.frechet_distance(real, generated)`. With the features of the Inception network it is known as
# FID (Heusel et al. 2017). Ours are 64 features of a small classifier that reads the factors of level 2 from
# pictures, and 64 of another one for level 1, standardised on real pictures: a distance for **each level**. It
# errs high for few examples; the floor is real pictures against other real pictures.
#
# **Do they obey the rules of the world?** Seven functions read a picture's colours and check what every real scene
# obeys. In other pictures, a mixed or shifted colour may be read as a thing: enlarged sketches, which have no tree
# and no water, show how often.

# %%
for name, rule in landscape_rules.RULES.items():
    print(f"level {rule.level}, {name}: {rule.sentence}")

# %% [markdown]
# For the two levels we report three distances: the sketches alone (on a scale of their own), pictures drawn from
# **real** sketches, and both levels together. Three seeds, 1,000 pictures each.
#
# **Predict, then run.** Which of the two models is nearer in level 2, and which in level 1? And what is lost, in
# each column, by drawing the sketch as well? (Two columns cannot be compared.)

# %%
n = 1000
reference, other = data.test.where(slice(0, n)), data.test.where(slice(n, 2 * n))
known = {i: model.features(reference.x) for i, model in features.items()}


def distances(x):
    """Fréchet distance of pictures on the features of level 2, and of level 1."""
    return [metrics.frechet_distance(known[i], features[i].features(x)) for i in (2, 1)]


def rules(x):
    """Share of pictures that keep each rule; and all rules of level 2, all of level 1."""
    kept = landscape_rules.rules_kept(x)
    by_level = {i: [kept[name] for name, rule in landscape_rules.RULES.items() if rule.level == i] for i in (2, 1)}
    return {name: k.mean() for name, k in kept.items()}, [np.all(k, axis=0).mean() for k in by_level.values()]


# %%
samples = {
    "real pictures": [other.x],
    "enlarged sketches": [enlarged(other.sketch)],
    "two levels": [],
    "real sketches, level 1": [],
    "one flat GAN": [],
}
sketched = {"real": [other.sketch], "two levels": []}
for seed in SEEDS:
    load_weights(two, f"07_two_level_{seed}")
    load_weights(flat, f"07_flat_{seed}")
    samples["two levels"].append(two.generate(n))
    samples["real sketches, level 1"].append(two.level(1).translate(other.sketch))
    samples["one flat GAN"].append(flat.generate(n))
    sketched["two levels"].append(two.generate(n, level=2))


# %%
def spread(values, form):
    return " ".join(f"{value:{form}}" for value in values)


print("three seeds                    distance in level 2   in level 1       all rules of level 2  of level 1")
kept = {}
for name, sets in samples.items():
    found, shares = np.array([distances(x) for x in sets]), [rules(x) for x in sets]
    kept[name] = {rule: [each[rule] for each, _ in shares] for rule in landscape_rules.RULES}
    both = np.array([levels for _, levels in shares])
    print(f"{name:26s}{spread(found[:, 0], '.1f'):>18s}{spread(found[:, 1], '.1f'):>18s}", end="")
    print(f"{spread(both[:, 0], '.2f'):>20s}{spread(both[:, 1], '.2f'):>18s}")
seen = features[2].features(enlarged(reference.sketch))
for name, sets in sketched.items():
    gaps = [metrics.frechet_distance(seen, features[2].features(enlarged(x))) for x in sets]
    print(f"sketches alone, {name:10s} {spread(gaps, '.1f'):>17s}")

# %%
plots.rule_bars(
    {name: kept[name] for name in ("two levels", "one flat GAN")},
    caption="Share of pictures that keep each rule, three seeds of each model, and real pictures. Which rules need the "
    "whole picture at once?",
    ceiling=("real pictures", {rule: kept["real pictures"][rule][0] for rule in landscape_rules.RULES}),
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# In level 1 two levels are nearer than one, for every seed, and keep the rules more often. In level 2 the seeds
# are mixed. Both models break rules far too often; enlarged sketches keep more. One rule, sky above ground, two
# levels keep less often on average. Drawing the sketch as well costs much distance in level 2, and next to none in
# level 1.
# </details>
#
# The three distances say where each fault is. From **real** sketches, the lower level makes pictures that are at
# the floor in level 2. So nearly all that is missing there was missing in the drawn sketches. In level 1, pictures
# from real sketches are as far from real ones as those from drawn sketches. So that distance is the lower level's
# own.
#
# This answers the question of the lesson, for this world and this budget. Two steps did **not** make the large
# things easier: a sketch must have one horizon and one light, just as a picture must, and its GAN had only part of
# the compute. The details became better. And each fault now has an address: you know which of the two networks to
# mend. The distance of a flat model has none.
#
# ## 8 · Draw a sketch yourself
#
# The second level is a model in itself: paired translation, known as pix2pix (Isola et al. 2017). Give it a sketch
# of your own: an array of 16×16 pixels, here in colours of the data set's palette. Change it, and look.

# %%
colour = dict(zip(landscapes.COLOURS, landscapes.rgb()[landscapes.TIMES.index("dusk")], strict=True))
mine = np.zeros((16, 16, 3), "float32")
down = np.linspace(0, 1, 8)[:, None, None]
mine[:8] = (1 - down) * colour["sky, top"] + down * colour["sky, low"]
mine[8:] = (1 - down) * colour["ground, far"] + down * colour["ground, near"]
for row in range(3, 8):
    mine[row, 6 - row // 2 : 2 + row // 2 + 3] = colour["mountain"]
mine[3, 5] = colour["snow"]
mine[4:6, 12:14] = colour["light"]
strange = mine.copy()
strange[4:6, 9:11] = colour["light"]  # a second sun, where no scene has one
flipped = mine[::-1].copy()

# %%
load_weights(two, "07_two_level_0")
plots.image_grid(
    [
        np.concatenate([enlarged(s[None]), two.level(1).translate(repeated(s[None], 7))])
        for s in (mine, strange, flipped)
    ],
    row_labels=["mine", "two suns", "upside down"],
    column_labels=["sketch", *range(1, 8)],
    caption="Sketches drawn as arrays (left) and seven pictures of each. What does the model do with a sketch that it "
    "cannot have seen?",
    size=0.85,
)
for name, sketch in {"mine": mine, "two suns": strange, "upside down": flipped}.items():
    kept_by = landscape_rules.rules_kept(two.level(1).translate(repeated(sketch[None], 200)))
    shares = {rule: kept_by[rule].mean() for rule in ("one light", "sky above ground", "trees below the horizon")}
    print(f"{name:12s}", ", ".join(f"{rule} {share:.2f}" for rule, share in shares.items()))

# %% [markdown]
# A second sun stays a second sun, though no scene has one: the lower level has learned $p(x_1 \mid x_2)$, and not
# whether there could be such an $x_2$.
#
# Paired translation needs pairs. With sketches and pictures that do not belong together, **CycleGAN** (Zhu et al.
# 2017) trains a translation each way, and asks that both together lead back. **BiGAN** (Donahue, Krähenbühl and
# Darrell 2017) and ALI (Dumoulin et al. 2017) add an encoder and let the discriminator see pairs of $x$ and $z$:
# then a GAN can infer, too. Both have a lesson of their own, later.

# %% [markdown]
# ## 9 · A bug to find
#
# A colleague wants to save a backward pass. He adds both losses, takes one gradient of the sum, and moves all
# weights by it. Training is calm: generated scores go to 0 and stay there, so $p(\text{real} \mid x)$ is one half
# for them, "as theory says of the end of the game". And the examples never come near the data. Here is his step in
# a game that is small enough to differentiate by hand: examples $x = z g$, scores $s = x \cdot d$, both losses as
# in section 1.


# %%
def broken_step(g, d, real, z, rate):
    """A colleague's step of both players. Shapes: g (latent, dims), d (dims,), real (n, dims), z (n, latent)."""
    fake = z @ g
    by_real = -sigmoid(-(real @ d)) / len(real)  # slopes of the sum of both losses in the scores
    by_fake = (sigmoid(fake @ d) - sigmoid(-(fake @ d))) / len(fake)
    step_g = z.T @ np.outer(by_fake, d)
    step_d = by_real @ real + by_fake @ fake
    return g - rate * step_g, d - rate * step_d


real = rng.normal((2.0, 1.0), 0.5, size=(256, 2))
z = np.concatenate([rng.normal(size=(256, 1)), np.ones((256, 1))], axis=1)  # the second number is for the mean
g, d = 0.3 * rng.normal(size=(2, 2)), np.array([0.1, 0.1])
for step in range(401):
    if step % 100 == 0:
        away = np.linalg.norm((z @ g).mean(axis=0) - real.mean(axis=0))
        print(
            f"step {step:3d}: mean score of real {(real @ d).mean():5.2f}, of generated {(z @ g @ d).mean():5.2f}; ",
            end="",
        )
        print(f"distance of the means {away:.2f}")
    g, d = broken_step(g, d, real, z, 0.1)

# %% [markdown]
# ### Exercise 7.8 · Mend the step
#
# Write `mended_step(g, d, real, z, rate)` with the arguments of `broken_step`; `real` and `z` have n rows each.
# First the discriminator goes down $L_D$, with the generator as it is. Then the generator goes down $L_G$
# (non-saturating), against the discriminator **as it is now**. It returns the new `g` and `d`. Put it into the
# loop above: the means should meet. Before you write: what does the sum of both losses want the score of a
# generated example to be?


# %% exercise="7.8"
def mended_step(g, d, real, z, rate):
    """One move of the discriminator, then one of the generator; the new g and d."""
    ### BEGIN SOLUTION
    fake = z @ g
    d = d + rate * (sigmoid(-(real @ d)) @ real / len(real) - sigmoid(fake @ d) @ fake / len(fake))
    pulled = sigmoid(-(fake @ d)) / len(fake)
    return g + rate * z.T @ np.outer(pulled, d), d
    ### END SOLUTION


# %% check="7.8"
check("7.8", mended_step)

# %% [markdown]
# <details><summary>What went wrong</summary>
# For a generated score s the sum is softplus(s) + softplus(−s), which is least at s = 0, for both players. So
# nobody wants generated examples to look real, and nobody wants to find them out. In a framework the same fault is
# one argument: the gradient of a loss in <i>all</i> variables, or a discriminator that was not frozen.
# </details>
#
# **A property that a test can hold on to:** in a move of one player, no trainable weight of the other one changes.
# The course's own models are tested so, at every level.

# %% [markdown]
# ## 10 · Levels elsewhere
#
# | | first | then | a model |
# |---|---|---|---|
# | pyramid | 8×8 pixels | the difference to the next size | LAPGAN: a GAN for each band, each trained alone (Denton et al. 2015) |
# | text to picture | 64×64, from a sentence | 256×256, from both | StackGAN (Zhang et al. 2017) |
# | no GAN | small picture by diffusion | larger ones by diffusion | Cascaded diffusion (Ho et al. 2022) |
#
# Each row answers three questions. **What is a sketch? What is the lower level shown in training?** (Cascaded
# diffusion puts noise on real ones, for the reason of section 6.) **Is there a judge at each level**, or one at
# the end?

# %% [markdown]
# ## 11 · Questions to argue about
#
# **1. Both losses are constant for hours. Has training ended, or failed?**
# <details><summary>One answer</summary>
# You cannot tell from the losses. At the solution the discriminator's is 2 log 2 and nothing moves. But it is also
# 2 log 2 for a discriminator too weak to tell anything. In section 9 both stand still, too, at log 2: generated
# scores are 0, real ones high. Measure something that neither player optimises.
# </details>
#
# **2. A generator copies training pictures exactly, a few thousand of them. Which of our numbers would show it?**
# <details><summary>One answer</summary>
# None. It would keep all the rules, and its distances would be at the floor. Look for the nearest training picture
# of each sample. A likelihood on test data would have shown it; here there is none.
# </details>
#
# **3. The features of section 7 come from a classifier that was told the true factors. Is that fair?**
# <details><summary>One answer</summary>
# Fair between the two models, since neither saw it. But it decides what counts. What no factor asks about, such as
# a false texture, the features may not see. Inception features have the same defect.
# </details>

# %% [markdown]
# ## 12 · What is known and what is not
#
# | claim | standing |
# |---|---|
# | A GAN minimises the Jensen-Shannon divergence. | **True under conditions**: the minimax loss, and a discriminator at its best at every step, and a generator that can reach $p$ (Goodfellow et al. 2014). They do not hold in practice. GANs also learn where that divergence gives no gradient (Fedus et al. 2018). |
# | The game converges. | **Not in general.** Plain gradient steps can circle for ever, in one dimension already; with R1 they converge if they start near a solution (Mescheder, Geiger and Nowozin 2018). |
# | One loss is the best. | **Unsupported.** With equal budgets for tuning and several seeds, no loss was better on all data (Lucic et al. 2018). |
# | Collapse comes from the divergence, which prefers few modes. | **Unsupported.** GANs with another divergence collapse as well (Goodfellow 2016). |
# | A wise discriminator makes all modes appear. | **Not implied.** A discriminator of bounded size can be content with a generator of few points (Arora et al. 2017). |
# | Spectral normalisation bounds the slope by 1. | **True for dense layers**, once $u$ has followed $W$. For a convolution the reshaped kernel is not its matrix, and the bound is another (Sedghi, Gupta and Long 2019). |
# | Two levels are better than one. | **Not in general.** Here at equal compute: in the details, for three seeds of three; not in level 2 (section 7). Denton et al. (2015) found people more often fooled by theirs. |

# %% [markdown]
# ## 13 · Going further
#
# - What makes the upper level strong? Try a class-conditional top (time of day), or a third level of 8×8. Measure
#   the three distances each time.
# - Does the lower level need to have met the faults of the upper one? Try `generated_share=0`.
# - Is there a number that stops training at the right time, without features that somebody chose? That is open.
#
# **References.** Goodfellow et al. (2014), *Generative adversarial nets*. Goodfellow (2016), *NIPS 2016 tutorial:
# generative adversarial networks*. Mirza and Osindero (2014), *Conditional generative adversarial nets*. Denton,
# Chintala, Szlam and Fergus (2015), *Deep generative image models using a Laplacian pyramid of adversarial
# networks*. Arjovsky, Chintala and Bottou (2017), *Wasserstein generative adversarial networks*. Lim and Ye
# (2017), *Geometric GAN*. Heusel et al. (2017), *GANs trained by a two time-scale update rule converge to a local
# Nash equilibrium*. Metz, Poole, Pfau and Sohl-Dickstein (2017), *Unrolled generative adversarial networks*. Arora
# et al. (2017), *Generalization and equilibrium in generative adversarial nets (GANs)*. Isola, Zhu, Zhou and Efros
# (2017), *Image-to-image translation with conditional adversarial networks*. Zhu, Park, Isola and Efros (2017),
# *Unpaired image-to-image translation using cycle-consistent adversarial networks*. Zhang et al. (2017),
# *StackGAN: text to photo-realistic image synthesis with stacked generative adversarial networks*. Donahue,
# Krähenbühl and Darrell (2017), *Adversarial feature learning*. Dumoulin et al. (2017), *Adversarially learned
# inference*. Miyato et al. (2018), *Spectral normalization for generative adversarial networks*. Mescheder, Geiger
# and Nowozin (2018), *Which training methods for GANs do actually converge?* Fedus et al. (2018), *Many paths to
# equilibrium: GANs do not need to decrease a divergence at every step*. Lucic et al. (2018), *Are GANs created
# equal? A large-scale study*. Sedghi, Gupta and Long (2019), *The singular values of convolutional layers*.  Ho et
# al. (2022), *Cascaded diffusion models for high fidelity image generation*.
