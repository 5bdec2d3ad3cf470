# ---
# jupyter:
#   hvae:
#     title: "Hierarchical priors"
#     minutes: 90
# ---

# %% [markdown]
# # Lesson 04 · Hierarchical priors
#
# ![Six rows of faces. Each row begins with a drawn face; eleven others follow that share its head, mostly its pose
# and roughly its skin, and differ in eyes, nose and mouth.](../lessons/pictures/04_hierarchical_priors.png)
#
# Each row of the picture begins with a face: a combination of head, skin, pose, eyes, nose and mouth that was not
# among the training images. The model of this lesson inferred the top of its family tree, forgot the rest, and
# drew it anew, eleven times. The head stays, the pose mostly, the skin roughly; the details change. Nobody told
# the model what to put at the top.
#
# **The question of this lesson: when a model has several levels of latent variables, what does each of them hold,
# and why do some of them hold nothing?**

# %% [markdown]
# **You will learn to**
# - draw from a family tree of latent variables, from the top down,
# - derive the ELBO of a hierarchy under bottom-up inference, and say why its terms may be negative,
# - measure what a level holds: by holding it and drawing the rest, and in nats against known factors,
# - recognise a collapsed level, and say which of two mends helped and what it cost,
# - take apart a "hierarchical VAE" that has no hierarchy.
#
# **You need** [lesson 02](02_vae.ipynb): the ELBO, the reparameterised draw, importance-weighted bounds.
#
# **Time** 90 minutes, {exercise summary}.
#
# Under every stub is a cell that checks your answer. `hint("4.1")` gives a hint, three of them if you ask again.
# `reveal("4.1")` shows a solution once you have passed or tried three times. No later cell uses your answers, so
# you can go on without them.
#
# | symbol | meaning | in code |
# |---|---|---|
# | $x$ | one image | `x` `[batch, height, width, 1]` |
# | $z_1, \dots, z_L$ | the levels of latent variables, from nearest the data to the top; the **units** of a level are the dimensions of its $z_i$ | `z` `[batch, units]` |
# | $p(z_L)$ | the prior of the top level, $\mathcal N(0, I)$ | `levels[-1].prior` |
# | $p(z_i \mid z_{i+1})$ | the prior of a level below it, a normal computed from the level above | `prior` |
# | $q(z_1 \mid x)$, $q(z_{i+1} \mid z_i)$ | the posterior, from the bottom up | `posterior` |
# | $p(x \mid z_1)$ | the likelihood | `likelihood` |
# | $W$, $b$, $s$ | matrix, bias and scale of a linear step from a parent to its child | `weight`, `bias`, `scale` |
# | $\rho$ | correlation of two neighbours in a chain of scalars of variance 1 | `rho` |
# | $I(a; b)$, $H(a)$ | mutual information, entropy | `information`, `entropy` |
# | $L_{50}$ | the importance-weighted bound of lesson 02 from 50 draws | `importance_weighted_bound` |
# | $\beta_i$ | weight of the term of level $i$ in the loss | `schedule(epoch, level)` |
# | $\lambda$ | floor under the mean KL of a unit, "free bits" | `FreeBits(nats)` |
#
# Everything is in nats per example: sums over dimensions, means over the batch. Levels are counted from 1, Python
# counts from 0: place 0 of a list of levels is $z_1$.

# %%
# %matplotlib inline
import numpy as np

from hvae_keras import plots
from hvae_keras.backend import keras, ops
from hvae_keras.callbacks import BetaSchedule, Progress
from hvae_keras.course import check, hint, reveal
from hvae_keras.data import faces, load
from hvae_keras.latents import infer_latents, traverse
from hvae_keras.layers import DenseNetworks, FreeBits, Normal
from hvae_keras.metrics import (
    active_units,
    importance_weighted_bound,
    information_with_factor,
    kl_by_level,
)
from hvae_keras.models import BottomUp, HierarchicalVAE, LinearGaussianChain
from hvae_keras.schedules import constant, linear, staggered

keras.utils.set_random_seed(4)
data = load("faces")
x_train, x_validation, x_test = data.train.x, data.validation.x, data.test.x
SHAPE = x_train.shape[1:]
print(data)

# %% [markdown]
# ## 1 · A family tree
#
# The faces of this lesson are drawn by a program that works in two steps. First it draws what a face is at large:
# its **pose**, the shape of its **head**, its **skin**. Then, *given the pose*, it draws the details: **eyes**,
# **nose**, **mouth**. A head that looks to the left mostly has round eyes, one that looks to the right mostly
# dots.

# %%
print("p(eyes | pose), a row a pose".ljust(30), *(f"{value:>8s}" for value in data.factor_values["eyes"]))
for pose, row in zip(data.factor_values["pose"], faces.given_pose("eyes"), strict=True):
    print(f"{pose:30s}", *(f"{probability:8.2f}" for probability in row))
rng = np.random.RandomState(4)
drawn = faces.sample(200, (0, 1, 2, 3), rng)
images = faces.draw(drawn)
plots.image_grid(
    [images[drawn["pose"] == pose][:10] for pose in range(5)],
    row_labels=data.factor_values["pose"],
    caption="Ten draws for each pose. What moves with the pose, and what only becomes more probable?",
)

# %% [markdown]
# Drawing parents first, then children given their parents, is **ancestral sampling**. A **hierarchical prior**
# puts such a tree in the place of the one prior of lesson 02. With three levels:
#
# $$ z_3 \sim \mathcal N(0, I), \qquad z_2 \sim p(z_2 \mid z_3), \qquad z_1 \sim p(z_1 \mid z_2), \qquad
#    x \sim p(x \mid z_1). $$
#
# Every conditional is a normal whose mean and variance a network computes from the level above. Each level is
# drawn: given the same parent, two children differ. And each level speaks to its neighbours alone: $x$ is
# independent of $z_2$ given $z_1$. Such a tree without branches is a **Markov chain**, or simply a chain:
#
# $$ p(x, z_1, z_2, z_3) = p(x \mid z_1)\, p(z_1 \mid z_2)\, p(z_2 \mid z_3)\, p(z_3). $$
#
# Why bother? $z_1$ alone could do the drawing. But $\mathcal N(0, I)$ says that all codes come from one round
# cloud, with units that know nothing of each other. Real codes form families: round eyes go with a head that looks
# to the left. The upper levels are there to model that.

# %% [markdown]
# ### Exercise 4.1 · A child and its parent
#
# Take two levels and linear maps: $z_2 \sim \mathcal N(0, I)$ and $z_1 \mid z_2 \sim \mathcal N(W z_2 + b, s^2)$,
# where $s$ has a scale for each unit of $z_1$. Write `sample_family(noise_2, noise_1, weight, bias, scale)`. The
# noise is standard normal, `noise_2` of shape `(batch, units_2)` and `noise_1` of shape `(batch, units_1)`;
# `weight` ($W$) is `(units_1, units_2)`, `bias` ($b$) and `scale` ($s$) are `(units_1,)`. It returns draws of
# $z_1$, shape `(batch, units_1)`.


# %% exercise="4.1"
def sample_family(noise_2, noise_1, weight, bias, scale):
    """Draw z_1 of p(z_2) p(z_1 | z_2). Shapes: (batch, units_2) and (batch, units_1), to (batch, units_1)."""
    ### BEGIN SOLUTION
    z_2 = noise_2
    return z_2 @ weight.T + bias + scale * noise_1
    ### END SOLUTION


# %% check="4.1"
check("4.1", sample_family)

# %% [markdown]
# ## 2 · From the image to the top
#
# To train we need a posterior over all levels at once. The oldest choice goes up as the data come in: infer $z_1$
# from the image, $z_2$ from $z_1$, and so on (Hinton et al. 1995, the wake-sleep algorithm; Burda et al. 2016).
# This is **bottom-up inference**:
#
# $$ q(z_1, z_2, z_3 \mid x) = q(z_1 \mid x)\, q(z_2 \mid z_1)\, q(z_3 \mid z_2). $$
#
# Nothing is lost by not showing $x$ to the upper levels. In a chain, $p(z_2 \mid z_1, x) = p(z_2 \mid z_1)$: the
# true posterior factorises the same way. (Its factors need not be normal, and ours are: there something may be
# lost. Lesson 05 turns the order round. The true posterior factorises that way too.)
#
# The ELBO is what it always was, with $z$ now standing for all levels:
#
# $$ \log p(x) \;\ge\; \mathbb E_q\big[ \log p(x, z_1, \dots, z_L) - \log q(z_1, \dots, z_L \mid x) \big]. $$
#
# To see that it is the same thing, we take a chain of scalars whose every quantity is known. `LinearGaussianChain`
# is the hierarchy's version of lesson 02's exact model. Its weights, biases and scales are listed from $x$ upwards:
# first the step from $z_1$ to $x$, last the one from $z_3$ to $z_2$. `as_hierarchical_vae(BottomUp())` gives it the
# true bottom-up posterior. `encode` does the part of inference that draws nothing; `explain` takes its result,
# draws the levels, and returns them (prior, posterior and draw of each) with the parameters of $p(x \mid z_1)$.
# For one and the same $x$ we draw $z_1, z_2, z_3$ six times.

# %%
exact = LinearGaussianChain(weights=[[[1.2]], [[0.9]], [[-1.1]]], biases=np.zeros((3, 1)), scales=[0.8, 0.6, 0.7])
exact_model = exact.as_hierarchical_vae(BottomUp())
x_exact = exact.sample(1, seed=2)[0]
six_times = np.repeat(x_exact, 6, axis=0).astype("float32")
levels, parameters = exact_model.explain(exact_model.encode(six_times), seed=1)
log_likelihood = exact_model.likelihood.log_prob(parameters, six_times)
terms = [level.posterior.log_prob(level.z) - level.prior.log_prob(level.z) for level in levels]  # [0] is level 1
print("log p(x|z1)  log q(z1) - log p(z1)   the same of z2   and of z3      ELBO of this draw")
for row in np.column_stack([log_likelihood, *terms]):
    print(f"{row[0]:11.4f}{row[1]:23.4f}{row[2]:17.4f}{row[3]:12.4f}{row[0] - row[1:].sum():23.4f}")
print(f"log p(x) in closed form: {exact.log_prob(x_exact)[0]:61.4f}")

# %% [markdown]
# Every draw has different terms, and every draw has the same ELBO: $\log p(x)$. As in lesson 02, an exact posterior
# leaves neither a gap nor noise. (At the top, the library's models take the closed form of the KL. Here we drew
# that too.)
#
# Look at the terms once more. Some of them are negative. If each was a KL divergence, as in lesson 02, there would
# be a mistake in the library. There is none. First derive what they are.

# %% [markdown]
# ### Exercise 4.2 · The ELBO of three levels
#
# Derive the ELBO of three levels under bottom-up inference: write $\log p(x, z)$ and $\log q(z \mid x)$ as sums.
# Then write `elbo_of_three(x, z, w, s, v, t)` for a chain of scalars. It returns the ELBO's estimate from the one
# draw `z` for each example, in nats, shape `(batch,)`. `x` is `(batch,)`, and `z` is `(batch, 3)`, with $z_1, z_2,
# z_3$ as its columns. The others have shape `(3,)`, one number a step, from the image upwards:
#
# | | the model $p$ | the posterior $q$ |
# |---|---|---|
# | first step | $x \mid z_1 \sim \mathcal N(w_1 z_1, s_1^2)$ | $z_1 \mid x \sim \mathcal N(v_1 x, t_1^2)$ |
# | second | $z_1 \mid z_2 \sim \mathcal N(w_2 z_2, s_2^2)$ | $z_2 \mid z_1 \sim \mathcal N(v_2 z_1, t_2^2)$ |
# | third | $z_2 \mid z_3 \sim \mathcal N(w_3 z_3, s_3^2)$ | $z_3 \mid z_2 \sim \mathcal N(v_3 z_2, t_3^2)$ |
#
# and $z_3 \sim \mathcal N(0, 1)$. In code `w[0]` is $w_1$. Use the draw at the top too, and no closed form of a KL.
# One check gives your function the true posterior and any `z` it likes, and expects $\log p(x)$.


# %% exercise="4.2"
def elbo_of_three(x, z, w, s, v, t):
    """The ELBO of a chain of scalars from one draw, in nats. Shapes: (batch,), (batch, 3), four of (3,); (batch,)."""
    ### BEGIN SOLUTION

    def log_normal(value, mean, scale):
        return -0.5 * ((value - mean) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)

    row = np.column_stack([x, z])
    log_p = log_normal(row[:, :3], w * row[:, 1:], s).sum(axis=1) + log_normal(row[:, 3], 0.0, 1.0)
    log_q = log_normal(row[:, 1:], v * row[:, :3], t).sum(axis=1)
    return log_p - log_q
    ### END SOLUTION


# %% check="4.2"
check("4.2", elbo_of_three)

# %% [markdown]
# ## 3 · A term that is no divergence
#
# Sort the seven log-densities by level. The ELBO of $L$ levels is the log-likelihood less one term for each level:
#
# $$ \text{ELBO} = \mathbb E_q[\log p(x \mid z_1)]
#    - \sum_{i=1}^{L-1} \underbrace{\mathbb E_q\big[\log q(z_i \mid z_{i-1}) - \log p(z_i \mid z_{i+1})\big]}_{\text{term of level } i}
#    - \mathbb E_q\big[\mathrm{KL}(q(z_L \mid z_{L-1}) \,\|\, p(z_L))\big], \qquad z_0 = x. $$
#
# At the top, the term is a mean KL. Below it, it looks like one. But in a KL, $z_i$ is drawn from $q$ *after* the
# prior is fixed. Here the prior $p(z_i \mid z_{i+1})$ looks at a $z_{i+1}$ that was drawn *from this very* $z_i$.
# It may know more of $z_i$ than $q(z_i \mid z_{i-1})$ did. Then the term can be negative. Only the sum of all terms
# is a KL: that of $q(z_1, \dots, z_L \mid x)$ to $p(z_1, \dots, z_L)$.
#
# (It would be a mistake to put the closed form of $\mathrm{KL}(q(z_i \mid z_{i-1}) \,\|\, p(z_i \mid z_{i+1}))$ in
# its place: that takes $z_i$ to be independent of the $z_{i+1}$ that was drawn from it. Some public code does.)
#
# **Predict, then run.** Three exact chains of scalars. They differ in how strongly neighbours are correlated. In
# which of them does level 1 have a negative term, on average over draws of $x$ from the model?


# %%
def unit_chain(*correlations):
    """A chain of scalars of variance 1 with these correlations, of x and z_1, z_1 and z_2, z_2 and z_3."""
    weights = [np.array([[rho]]) for rho in correlations]
    return LinearGaussianChain(weights, np.zeros((3, 1)), [np.sqrt(1 - rho**2) for rho in correlations])


chains = {rho: unit_chain(*rho) for rho in [(0.95, 0.7, 0.4), (0.7, 0.7, 0.7), (0.4, 0.95, 0.7)]}
measured = {}
for rho, chain in chains.items():
    x = chain.sample(5000, seed=0)[0]
    measured[rho] = kl_by_level(chain.as_hierarchical_vae(BottomUp()), x).mean(axis=0)
    print(f"correlations {rho}: exact", chain.mean_bottom_up_terms().round(3), " drawn", measured[rho].round(3))
plots.dots(
    ["z1", "z2", "z3"],
    {f"correlations {rho}": terms for rho, terms in measured.items()},
    xlabel="level",
    ylabel="mean term, nats",
    line=0.0,
    caption="Mean terms of three levels from 5,000 draws. Which correlation has to be larger than which, for a negative one?",
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# In the last one. There, x says little of z_1, and z_1 says nearly all of z_2. So z_2 knows z_1 well, and better
# than x does. In the middle one, both know as much of z_1, and the terms of z_1 and z_2 are zero on average.
# </details>

# %% [markdown]
# ### Exercise 4.3 · The mean of a term
#
# Take the exact bottom-up posterior. Average the term of level $i$ over $x$ drawn from the model too. Derive that
# the mean is a difference of two **mutual informations**, where $I(a; b) = \mathbb E[\log p(a \mid b) - \log p(a)]$
# says how many nats $b$ tells about $a$. (Add and subtract $\log p(z_i)$. And what is $q(z_i \mid z_{i-1})$, if it
# is exact?)
#
# Then write `mean_terms(correlation)` for a chain of jointly normal scalars. `correlation`, of shape `(3,)`, holds
# the correlation $\rho$ of $x$ and $z_1$, of $z_1$ and $z_2$, of $z_2$ and $z_3$. It returns the mean terms of
# $z_1, z_2, z_3$ in nats, shape `(3,)`. For two jointly normal scalars $I = -\tfrac12 \log(1 - \rho^2)$.


# %% exercise="4.3"
def mean_terms(correlation):
    """Mean of each level's term under the exact bottom-up posterior, in nats. Shapes: (3,) to (3,)."""
    ### BEGIN SOLUTION
    information = -0.5 * np.log(1 - correlation**2)
    return information - np.append(information[1:], 0.0)
    ### END SOLUTION


# %% check="4.3"
check("4.3", mean_terms)

# %% [markdown]
# The informations cancel in pairs, and the sum of the terms is $I(x; z_1)$. Here upper levels add nothing to it.
# They only share it out. **This is the mean for an exact posterior, over the model's own $x$. A learned model pays
# the mismatch of its prior on top, and that is what an upper level can reduce** (section 6). And keep this in mind
# when a level's term is called "its KL", here and elsewhere: **under bottom-up inference, a small term below the
# top is no proof that a level is idle.**

# %% [markdown]
# ## 4 · Two levels on faces
#
# `HierarchicalVAE` takes the units of each level from the bottom, the networks between them, and the order of
# inference. `DenseNetworks` has one hidden layer between the image and $z_1$ (in both directions), and one between
# $z_1$ and $z_2$. The images are grey, so the likelihood of each pixel is a normal around the decoder's mean, of
# scale 0.1: an error of 0.1 in the grey of one pixel costs half a nat. For a continuous $x$ a log-density may be
# positive, and so may the ELBO. The second cell prints what a perfect picture scores: no ELBO can be higher.

# %%
BATCH = 64
SHORT, LONG = (round(steps * BATCH / len(x_train)) for steps in (1000, 2250))


def make_model(latents, penalty=None, epochs=SHORT):
    """A hierarchy with these units, from z_1 up; bottom-up inference; a learning rate that falls to 0."""
    hidden = ((128,), *[(64,)] * (len(latents) - 1))
    model = HierarchicalVAE(latents, DenseNetworks(hidden), BottomUp(), Normal(scale=0.1), penalty=penalty)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(x_train) // BATCH))
    model.compile(keras.optimizers.Adam(rate))
    model.build((None, *SHAPE))
    return model


def train(model, seed=0, schedule=None, epochs=SHORT, lines=0):
    """Train from new weights; the traced step is used again. Returns the history, with validation if it prints."""
    model.reinitialise(seed=seed)
    callbacks = [BetaSchedule(schedule or constant(1.0))] + ([Progress(lines)] if lines else [])
    options = {"validation_data": x_validation} if lines else {}
    return model.fit(x_train, epochs=epochs, batch_size=BATCH, verbose=0, callbacks=callbacks, **options).history


def evaluated(model):
    """ELBO and terms of z_1 to z_L on the test images, from one draw of z for each; new draws with every call."""
    logs = model.evaluate(x_test, batch_size=400, verbose=0, return_dict=True)
    return logs["elbo"], [logs[name] for name in sorted(logs) if name.startswith("kl_")] or [logs["kl"]]


# %%
pixels = np.prod(SHAPE)
print(f"log p(x|z) of a perfect picture: {pixels} pixels, {-pixels * np.log(0.1 * np.sqrt(2 * np.pi)):.0f} nats")
two = make_model((16, 8), epochs=LONG)
print(f"{two.count_params():,} parameters, {LONG} epochs of {len(x_train):,} images; {two.compilation}")
history = train(two, epochs=LONG, lines=4)

# %%
plots.level_kl(
    history,
    ylabel="term, nats per image",
    caption="The terms of the two levels during training. Which level is in use first, and why could it not be the other?",
)

# %% [markdown]
# The likelihood sees $z_1$ only. So $z_2$ can help in one way: by a better prior for $z_1$. Before $z_1$ holds
# anything, there is nothing to predict of it, and no gradient that would say what.
#
# To draw a face, draw a parent from $\mathcal N(0, I)$, then children. `generate(n, latents={2: z})` holds level 2
# and draws the rest from its prior. In the next figure each row holds one draw of $z_2$.
#
# **Predict, then run.** What will the children of one parent have in common: the pose, the head, the skin, the
# eyes, the nose, the mouth?

# %%
parents = np.random.default_rng(11).normal(size=(6, two.latents[1]))
children = two.generate(6 * 12, latents={2: np.repeat(parents, 12, axis=0)})
plots.image_grid(
    children.reshape(6, 12, *SHAPE),
    row_labels=[f"parent {i}" for i in range(1, 7)],
    caption="Twelve children each of six parents: a row shares its z2. What do siblings share?",
)

# %% [markdown]
# Look at the six factors in turn. Siblings mostly share the head, and roughly the skin. The pose shows in where the
# eyes of a row stand, as far as there are eyes. Eyes, nose and mouth themselves are hard to name: nearly all the
# children are blurred, far more than a reconstruction (section 5). There are four heads and five poses and nothing
# in between, but $\mathcal N(0, I)$ has no gaps. A parent drawn from it may lie between families, where no training
# image put its $z_2$. Most of these six seem to.

# %% [markdown]
# ## 5 · What does a level hold?
#
# Three ways to ask. The first: infer a level, forget those below it, and draw them anew. `reconstruct(x,
# from_level=2)` keeps what $z_2$ knows of the image and draws $z_1$ from its prior. Here it does so eleven times
# for each of six images.

# %% tags=["picture"]
chosen = x_test[[8, 2, 28, 9, 12, 6]]  # all heads, skins and poses occur
redrawn = [two.reconstruct(chosen, from_level=2) for _ in range(11)]
plots.image_grid(
    np.stack([chosen, *redrawn], axis=1),
    row_labels=[f"image {i}" for i in range(1, 7)],
    column_labels=["x", *range(1, 12)],
    caption="A test image, and eleven draws of all but its z2. What does z2 keep of each?",
)

# %%
some = x_test[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]]  # number 10 is number 1 once more
plots.reconstructions_by_level(
    some,
    {level: two.reconstruct(some, from_level=level) for level in (1, 2)},
    caption="Test images, their reconstructions, and a draw that keeps only z2. What went, what stayed?",
)

# %% [markdown]
# <details><summary>What went, what stayed?</summary>
# From both levels, nearly everything stayed: head, skin, pose, and mostly eyes, nose and mouth. From z2 alone, the
# head and the place of the features stayed, and the skin roughly. Eyes, nose and mouth are another draw: some are
# of the right kind, since z2 or the pose makes them probable, many are not, and some are a blur of two.
# </details>
#
# The second: walk. A **traversal** moves one unit of a level through its prior and holds the others. Walking in
# $z_2$, $z_1$ follows at the mean of its prior. In $z_1$ the steps are in standard deviations of $p(z_1 \mid z_2)$
# from its mean, so both walks go through equally likely places. We walk along every unit and show the four walks
# of each level that change the image most. (Ranking the units of $z_1$ by their terms would not do: section 3.)

# %%
steps = np.linspace(-2, 2, 9)
walks = {}
for level in (2, 1):
    units = range(two.latents[level - 1])  # place 0 is level 1
    every = np.stack([traverse(two, x_test[1], level, unit, steps, relative=True) for unit in units])
    change = np.square(every[:, -1] - every[:, 0]).sum(axis=(1, 2, 3))
    order = np.argsort(-change)
    walks[f"level {level}"] = every[order[:4]]
    print(
        f"level {level}: squared change from end to end, unit by unit:",
        *(f"{value:.1f}" for value in change[order]),
    )
plots.traversals(
    walks,
    steps=steps,
    caption="From one test image: the four walks of each level that change it most. Which of them turn the head?",
)

# %% [markdown]
# <details><summary>Which walks turn the head?</summary>
# Look at where eyes and nose stand. In level 2 they move in some of the walks, and in the same walks the outline of
# the head or the skin changes too. No unit is the pose, and no unit is the skin: nothing in the ELBO asks for one
# factor a unit.
#
# In level 1 nearly every walk changes the image much less, as the printed numbers say. A step there is a standard
# deviation of p(z1 | z2). It is small, for z2 says most of what z1 will be. And what is left to say is shared out
# among 16 units, of which a walk moves one.
# </details>
#
# Pictures persuade, numbers compare. The third: train a classifier to read a factor off draws of $z_i$, and ask
# how many nats it has learnt. With $c(\text{factor} \mid z)$ its probabilities on held-out draws,
#
# $$ I(z_i; \text{factor}) \;\ge\; H(\text{factor}) - \mathbb E\big[-\log c(\text{factor} \mid z_i)\big], $$
#
# where $H$ is the entropy, what there was to know. It is a **lower** bound: a level may hold what this classifier
# cannot read (Barber and Agakov 2003).

# %% [markdown]
# ### Exercise 4.4 · What is known of a factor
#
# Write `known_of_factor(probability, label)`: `probability`, of shape `(n, k)`, is what a classifier gave to each
# of `k` classes for `n` held-out examples; `label`, of shape `(n,)`, holds the true classes, integers from 0. Every
# class occurs in `label`. It returns the bound above in nats, a number: it may be negative. For $H$ take the shares
# of the labels that you are given.


# %% exercise="4.4"
def known_of_factor(probability, label):
    """What a classifier shows to be known of a factor, in nats. Shapes: (n, k) and (n,), to a scalar."""
    ### BEGIN SOLUTION
    share = np.bincount(label) / len(label)
    share = share[share > 0]
    entropy = -np.sum(share * np.log(share))
    return entropy + np.mean(np.log(probability[np.arange(len(label)), label]))
    ### END SOLUTION


# %% check="4.4"
check("4.4", known_of_factor)

# %% [markdown]
# The library's `information_with_factor` does this with cross-validated random trees. We have something to hold it
# against. The tables of section 1 say exactly what the *pose itself* tells about every factor. If $z_2$ held the
# pose and nothing else, its row could not exceed that of the pose.

# %%
FACTORS = list(data.levels)
held_out = np.concatenate([x_validation, x_test])
labels = {name: np.concatenate([data.validation.factors[name], data.test.factors[name]]) for name in FACTORS}


def information(model, factors=FACTORS, levels=slice(None)):
    """Nats that draws of the levels, from z_1 up, tell about each factor: [levels, factors]."""
    draws = infer_latents(model, held_out)[levels]
    return np.array([[information_with_factor(z, labels[name], folds=3) for name in factors] for z in draws])


shares = [np.bincount(labels[name]) / len(held_out) for name in FACTORS]
entropy = [-np.sum(share * np.log(share)) for share in shares]
known = information(two)
plots.information_by_level(
    np.vstack([known, [faces.information_with_pose(name) for name in FACTORS], entropy]),
    levels=["z1", "z2", "the pose itself", "all there is"],
    factors=[f"{name} ({data.levels[name]})" for name in FACTORS],
    caption="Nats about each factor (its level in the data in brackets). Does z2 hold the pose? Does it hold more?",
)

# %% [markdown]
# Compare the rows. What $z_2$ knows, it knows through $z_1$: bottom-up, a row can never exceed the row of the
# level below it, but for the error of the estimate. (This is the **data processing inequality**.) And the levels
# of the data are not those of the model by right. Nothing in the ELBO says that $z_2$ should be the pose.
#
# <details><summary>What we make of it</summary>
# z2 tells nearly all of the head, and most of the pose and the skin: the three factors at the top of the data's
# tree. So the level of the model did find the level of the data. Mind why: these three move many pixels each, so a
# prior for z1 gains most by knowing them. It might well have found them at the bottom of the tree too. And z2 holds
# more than those three: of eyes and mouth it tells more than the pose could. What is left to z1 alone is details
# of eyes, nose and mouth. Section 6 looks at another seed.
# </details>

# %% [markdown]
# ## 6 · How deep?
#
# If one level above helps, do two, or three? We train 1 to 4 levels for equally many steps, fewer than above, from two
# seeds each. We compare the ELBO and the tighter bound $L_{50}$ of lesson 02 on test images. (The next cell trains
# eight models and takes more than a minute. A line comes with each of them.)
#
# **Predict, then run.** Which depth will have the best bound? How many nats will the fourth level carry?

# %%
depths = {1: (16,), 2: (16, 8), 3: (16, 8, 4), 4: (16, 8, 4, 4)}
deep = {}
print("levels  parameters  seed  test ELBO     L_50    terms of z1, z2, ...")
for depth, latents in depths.items():
    deep[depth] = make_model(latents)
    for seed in (1, 2):
        train(deep[depth], seed)
        elbo, terms = evaluated(deep[depth])
        tight = importance_weighted_bound(deep[depth], x_test, samples=50).mean()
        print(f"{depth:6d}{deep[depth].count_params():12,d}{seed:6d}{elbo:11.1f}{tight:9.1f}   ", end="")
        print(*(f"{term:6.2f}" for term in terms), flush=True)
row = information(deep[2], levels=slice(1, 2))[0]
print(
    "\nTwo levels, seed 2. z2 tells",
    ", ".join(f"{nats:.2f} of {name}" for name, nats in zip(FACTORS, row, strict=True)),
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The step from one level to two is the one that pays. Look at the terms: with one level, z1 pays its whole price
# against N(0, I). With two, the sum of the terms is much smaller, and the ELBO is higher. That is no contradiction
# to section 3. There the posterior was exact, and upper levels only shared out I(x; z1). A learned model also pays
# the mismatch of its prior, and that is what an upper level reduces. (It adds weights too, but few.)
#
# The fourth level hardly speaks: its term is near zero in both seeds. Three and four levels do not gain on two. Whether they
# lose by it, two seeds cannot say: section 8 trains five levels from two seeds, and in the run behind this page
# those two lie further apart than two levels and four do here.
#
# As for what z2 holds, see the last line, from another seed and fewer steps than the table of section 5: the head,
# and much of skin and pose. That is the same order as there. Training that ends sooner tells less of the details.
# </details>

# %% [markdown]
# ## 7 · Break it: levels that die
#
# We go one level deeper, to units 16, 8, 4, 4 and 4, and look at the top.

# %%
DEEP = (16, 8, 4, 4, 4)
five = make_model(DEEP)
plain_history = train(five, lines=2)
plots.level_kl(
    plain_history, ylabel="term, nats per image", caption="The terms of five levels. Which ones never leave zero?"
)
elbo, terms = evaluated(five)
active = active_units(five, x_test)
print(f"test ELBO {elbo:.1f}")
for level, (pose, head) in enumerate(information(five, ("pose", "head")), 1):
    i = level - 1  # place 0 is level 1
    print(f"z{level}: term {terms[i]:6.2f} nats, {active[i]:2d} of {DEEP[i]:2d} units active,", end=" ")
    print(f"tells {pose:.2f} nats of the pose, {head:.2f} of the head")

# %% [markdown]
# The usual rule counts a unit as **active** if its mean term is above 0.01 nats (Sønderby et al. 2016). In the top
# two levels hardly one does. Their draws tell nothing of the face. This is **posterior collapse** again, this time
# of some levels only. The model is not wrong: hold its ELBO against the table of section 6. It is only not as deep
# as it says.
#
# You have two reasons not to trust the terms. Below the top, a term is no divergence, and counting units by it is a
# habit, not a test. (Lesson 05 does not count there.) And the sum of the two may be near zero with $z_4$ and $z_5$
# busy talking to each other about nothing. That is why we ask what the draws *tell*: about pose and head, next to
# nothing. Should you see an active unit in a level that tells 0.00 nats, here or in section 8, the rule has been
# fooled: 0.01 nats are easily spent, and not on the face.
#
# Why does it happen? $z_4$ can only help by predicting $z_3$ better than one fixed normal does. While $z_3$ is
# young and looks like $\mathcal N(0, I)$, there is nothing to gain, and every nat that $q(z_4 \mid z_3)$ spends is
# lost. So $q$ stops spending. Then the network of $p(z_3 \mid z_4)$ sees noise, and learns to ignore it. Then
# there is even less to gain.

# %% [markdown]
# ## 8 · Mend it
#
# **Warm-up** makes the KL cheap at first: $\beta$ grows from 0 to 1. Each level may have a $\beta$ of its own, and
# a time of its own. The loss is
#
# $$ -\log p(x \mid z_1) + \sum_i \beta_i(\text{epoch})\, (\text{term of level } i). $$
#
# While $\beta_i$ is small, level $i$ may be informative for free, so the level above finds something to predict.
# Only with every $\beta_i = 1$ is the loss the negative ELBO. We always report the ELBO itself.

# %% [markdown]
# ### Exercise 4.5 · A warm-up for each level
#
# Write `schedule_beta(epoch, level, warm_up, delay)`. Epochs count from 0, levels from 1. The $\beta$ of level 1
# grows in a straight line, from 0 at epoch 0 to 1 at epoch `warm_up`, and stays there. Each further level starts
# `delay` epochs after the one below it, and waits at 0 until then. All arguments are plain numbers, and so is the
# result.


# %% exercise="4.5"
def schedule_beta(epoch, level, warm_up, delay):
    """The weight of a level's term: 0 until its start, then a line up to 1. Four numbers, to a number."""
    ### BEGIN SOLUTION
    since = epoch - delay * (level - 1)
    return min(1.0, max(0.0, since / warm_up))
    ### END SOLUTION


# %% check="4.5"
check("4.5", schedule_beta)

# %% [markdown]
# **Free bits** (Kingma et al. 2016) change the price instead. Each unit pays at least $\lambda$ nats on average over
# the batch, used or not. So there is no use in spending less. One image may still cost a unit less than $\lambda$,
# and another more.

# %% [markdown]
# ### Exercise 4.6 · Free bits
#
# Write `free_bits(kl, nats)`: `kl` of shape `(batch, units)` is the KL of every example and unit of one level,
# `nats` the floor $\lambda$. It returns what the level pays, in nats per example, a scalar. The gradient in `kl`
# is exactly zero for a unit below the floor, and that of the batch mean above it. Compute with `ops`. First decide:
# which mean comes before the floor, and which sum after it?


# %% exercise="4.6"
def free_bits(kl, nats):
    """What a level pays: its units' mean KL, each at least `nats`. Shapes: (batch, units) and a number; a scalar."""
    ### BEGIN SOLUTION
    return ops.sum(ops.maximum(ops.mean(kl, axis=0), nats))
    ### END SOLUTION


# %% check="4.6"
check("4.6", free_bits)

# %% [markdown]
# As a formula, with examples $b$ and units $j$:
#
# $$ \text{a level pays} \sum_j \max\Big(\lambda,\ \tfrac1{\text{batch}} \sum_b \mathrm{kl}_{bj}\Big). $$
#
# Now the five levels again, from two seeds each: as they were; with a warm-up of all levels at once; with a
# warm-up from the bottom to the top; and with 0.1 free nats for every unit. The steps are the same for all. The
# warm-ups differ in more than their order: all at once, every ramp takes half of the epochs; bottom first, each
# takes a fifth, each level starts a tenth after the one below, and the top arrives after six tenths. (Below the
# top, the free nats stand under a term that is no divergence. We try it all the same.) The next cell trains seven
# models and takes more than a minute. A line comes with each of them.
#
# **Predict, then run.** Which of the three will bring the top to life? Will the ELBO gain from it?

# %%
floored = make_model(DEEP, penalty=FreeBits(0.1, per="unit"))
WAYS = {
    "as it was": (five, constant(1.0)),
    "all at once": (five, linear(SHORT / 2)),
    "bottom first": (five, staggered(SHORT / 5, delay=SHORT / 10)),
    "free bits": (floored, constant(1.0)),
}
results = {way: {"elbo": [], "redraws": [], "terms": [], "units": [], "head": []} for way in WAYS}
for way, (model, schedule) in WAYS.items():
    for seed in (0, 1):
        if (way, seed) != ("as it was", 0):  # that is how section 7 left it
            train(model, seed, schedule)
        again = [evaluated(model) for _ in range(5)]
        elbo = [elbo for elbo, _ in again]
        results[way]["elbo"].append(np.mean(elbo))
        results[way]["redraws"].append(np.std(elbo, ddof=1) / np.sqrt(len(elbo)))
        results[way]["terms"].append(np.mean([terms for _, terms in again], axis=0))
        results[way]["units"].append(active_units(model, x_test)[3:].sum())
        results[way]["head"].append(information(model, ["head"], slice(4, 5))[0, 0])  # place 4 is level 5
        print(f"{way}, seed {seed}: test ELBO {np.mean(elbo):.1f}", flush=True)

# %%
print("two seeds each  gains in ELBO   redraws     mean terms of z1 to z5               active in z4 and z5, of 8")
for way, found in results.items():
    gain = np.subtract(found["elbo"], results["as it was"]["elbo"])
    terms = np.mean(found["terms"], axis=0)
    print(f"{way:14s}", *(f"{value:+6.1f}" for value in gain), f"{max(found['redraws']):10.2f}    ", end=" ")
    print(*(f"{term:6.2f}" for term in terms), "        ", *found["units"])
print("redraws: standard error of a test ELBO, a mean over five draws of z; the larger one of the two seeds")
plots.dots(
    list(WAYS),
    {"z5": np.transpose([found["head"] for found in results.values()])},
    xlabel="way of training",
    ylabel="z5 tells of the head, nats",
    caption="What the top level tells about the head, two seeds each (there are 1.38 nats to know). What revived it?",
)

# %% [markdown]
# <details><summary>What we make of it</summary>
# Warm-up from the bottom revives the top: z5 tells much of the head, in both seeds. A level opens when the one
# below it has something to predict. With all levels at once the top stays dead. Free bits leave every unit of z4
# and z5 active. They need not have: below the floor nats are free, not asked for. And free nats need not be about
# the image: z5 tells less.
#
# And the ELBO? From the bottom it is lower in both seeds, by very different amounts. Free bits may cost some too.
# With all levels at once it moves up or down with the seed, and there the top is dead. Before you read anything
# into a gain, hold it against the column of redraws, which says how much new draws of z change an ELBO. And two
# seeds are few: look how far apart the two of one way lie. The gains will be others in another run.
#
# So at this budget the live levels cost nats and bring none. Whether longer training at β = 1 would pay for them,
# these runs cannot say: bottom first spends six tenths of its epochs with some β below 1, while the learning rate
# falls.
# </details>

# %% [markdown]
# ## 9 · A hierarchy that is none
#
# This model circulates in tutorials under the name of a hierarchical VAE: one encoder, one draw, then a chain of
# dense layers called "latent layers", and a decoder. Here is what it does with a batch, and its loss, as they are
# passed on. The pixels are flat, as its dense layers want them.

# %%
encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(64, "relu"), keras.layers.Dense(2 * 16)])
latent_layers = [
    keras.layers.Dense(units, "relu", name=f"latent_layer_{i}") for i, units in enumerate((16, 8, 4), 1)
]
decoder = keras.Sequential([keras.layers.Dense(64, "relu"), keras.layers.Dense(1024, "sigmoid")])


def tutorial_forward(x):
    """A draw of the code, what the "latent layers" make of it, and the image."""
    mean, log_var = ops.split(encoder(x), 2, axis=-1)
    z = [mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean))]
    for layer in latent_layers:
        z.append(layer(z[-1]))
    return mean, log_var, z, decoder(z[-1])


def tutorial_loss(x, probability, mean, log_var):
    """Its loss. Shapes: x and probability (batch, pixels), mean and log_var (batch, units)."""
    cross_entropy = keras.losses.binary_crossentropy(x, probability)
    reconstruction = ops.mean(ops.sum(cross_entropy, axis=[1, 2]))
    kl = -0.5 * ops.mean(ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), axis=1))
    return reconstruction + kl


# %%
flat = x_test.reshape(len(x_test), -1)
mean, log_var, z, probability = tutorial_forward(x_test)
try:
    tutorial_loss(flat, probability, mean, log_var)
except Exception as error:
    print("As it is:", type(error).__name__, "-", str(error).split("}} ")[-1].split("(")[0])
averaged = keras.losses.binary_crossentropy(flat, probability)
print(f"\nbinary_crossentropy gives shape {tuple(averaged.shape)}: already a mean, over {flat.shape[1]} pixels")
print(f"so without the axis it says {float(ops.mean(averaged)):.3f} 'nats' an image; summed it is", end=" ")
print(f"{float(ops.mean(averaged)) * flat.shape[1]:.1f}")
again = [ops.convert_to_numpy(latent_layers[0](z[0])) for _ in range(100)]
print(f"\nscale of 100 'draws' of the second level, given the first: {np.std(again, axis=0).max():.3f}")
siblings = [two.ancestral(1, {2: parents[:1]})[0][0].z for _ in range(100)]  # [0]: the draws, [0]: of level 1
siblings = np.stack([ops.convert_to_numpy(z_1)[0] for z_1 in siblings])
print(f"scale of 100 draws of z1 given z2 in our model: {siblings.std(axis=0).mean():.3f}")

# %% [markdown]
# The first fault at least makes itself heard: `binary_crossentropy` has already averaged over the last axis, so
# that `axis=[1, 2]` is not there any more. (It comes from images of shape `(batch, height, width, 1)`, where the
# mean was over one channel.) The usual repair is to drop the axis. Then it runs, and the other faults are silent.
# (The networks are untrained and say about one half for every pixel. So the mean cross-entropy is near log 2.)
#
# **Write down all the faults you can find, before you open this.**
#
# <details><summary>Five of them</summary>
#
# 1. The mean over pixels stays in: a β of 1,024 that nobody wrote down (lesson 02, section 9, where the code
#    collapsed).
# 2. The "latent layers" are deterministic. Given the first draw nothing is drawn, so there is one latent variable,
#    and its prior is N(0, I). The rest is the decoder. The model is a flat VAE with a narrow decoder: four units
#    wide at its narrowest, behind a ReLU.
# 3. So one KL is right for that model, and wrong for the one its title promises. A second level would need a
#    posterior and a prior of its own, a draw, and a term in the loss.
# 4. The order is upside down. In a hierarchy x hangs on z1, the level nearest the data, and the top is drawn
#    first. Here the draw is at the wide end and the image hangs on the narrow one.
# 5. Grey levels go into a Bernoulli likelihood. The cross-entropy of a grey pixel is no log-probability of it
#    (lesson 02).
#
# A picture of its samples would tell you none of this. The two numbers at the end of the cell above would.
# </details>

# %% [markdown]
# ### Exercise 4.7 · The loss it should have had
#
# Write `mended_loss(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)`, the negative ELBO of a real bottom-up
# hierarchy of black and white images, in nats per example: a scalar. `x` (0 or 1) and `logits` are `(batch,
# height, width, 1)`. The other five are `(batch, levels, units)`, with $z_1$ at place 0 of the second axis: the
# draw of each level, the mean and log-variance of $q(z_i \mid z_{i-1})$ it came from, and those of its prior
# $p(z_i \mid z_{i+1})$, zeros at the top. Use the draw in every level, also at the top: there it estimates the KL.


# %% exercise="4.7"
def mended_loss(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    """The negative ELBO of a bottom-up hierarchy, averaged over the batch, in nats; a scalar."""
    ### BEGIN SOLUTION

    def log_normal(mean, log_var):
        return -0.5 * (np.log(2 * np.pi) + log_var + ops.square(z - mean) * ops.exp(-log_var))

    log_likelihood = ops.sum(x * logits - ops.softplus(logits), axis=(1, 2, 3))
    terms = ops.sum(log_normal(q_mean, q_log_var) - log_normal(p_mean, p_log_var), axis=(1, 2))
    return ops.mean(terms - log_likelihood)
    ### END SOLUTION


# %% check="4.7"
check("4.7", mended_loss)

# %% [markdown]
# ## 10 · Questions to argue about
#
# **1. A level's mean term is −0.3 nats. What do you check before you look for a bug?**
# <details><summary>One answer</summary>
# Whether inference is bottom-up and the level below the top. Then −0.3 may be right: the level above knows more of
# it than the level below. If it is the top, or if inference is top-down, a mean term is a divergence, and there is
# a bug, or too few draws.
# </details>
#
# **2. Two levels have collapsed and the ELBO is as good as with all of them alive. Should you care?**
# <details><summary>One answer</summary>
# As a density, no: you may cut the levels off. If you wanted a high level that holds what a face is at large, yes.
# But then the ELBO is not what you want to raise, and reviving a level does not by itself put into it what you
# hoped for.
# </details>
#
# **3. Under bottom-up inference, could the top level hold something of x that z_1 does not?**
# <details><summary>One answer</summary>
# No. It sees x through z_1 only, so it knows at most what z_1 knows, about x and about every factor. With skip
# connections from x it could, and then a larger number at the top would be no surprise.
# </details>
#
# **4. Why not use the closed form of the KL at every level, as it has less noise?**
# <details><summary>One answer</summary>
# Bottom-up, the prior of z_i looks at a z_{i+1} that came from z_i. Given z_{i+1}, z_i is not distributed as q(z_i
# | z_{i-1}) any more, and the closed form averages over the wrong distribution. With an exact posterior it is too
# large on average, and the "ELBO" made of it too small. With another q it may err either way, and then the "ELBO"
# need not be a bound. Top-down, z_{i+1} is drawn first, and the closed form is right.
# </details>
#
# **5. With the five levels of section 7, would you rather have more units in z_1, or one more level?**
# <details><summary>One answer</summary>
# Section 6 says what a level brought here. One more unit in z_1 takes anything the likelihood rewards. One more
# level only takes what makes z_1 more predictable. Look at which of the two is short: the likelihood or the prior.
# </details>

# %% [markdown]
# ## 11 · What is known and what is not
#
# | claim | standing |
# |---|---|
# | In a chain, what z_i tells about x cannot rise with i. | **True** under the model, and under bottom-up inference: data processing. **Not implied** by top-down inference, nor with skip connections. |
# | A level's term in the ELBO says how much it matters. | **False in general.** Bottom-up terms below the top may be negative. Lesson 05 says what they are top-down. And few nats at the top may fix what is large in the image. |
# | More levels give a better model. | **True under conditions.** With plain bottom-up training two levels were worse than one in a public reproduction; batch normalisation and warm-up changed more than depth (Sønderby et al. 2016). |
# | Hierarchical VAEs collapse less than flat ones. | **False in general.** Plain deep ones collapse more: most units of the upper levels are idle (Sønderby et al. 2016). |
# | Collapse of an upper level is a fault of the optimisation. | **True in part.** Warm-up and free bits revive levels, as here. But a level that the prior does not need is rightly idle, and surplus units of linear models collapse at the optimum (Lucas et al. 2019; Wang, Blei and Cunningham 2021). |
# | The upper levels learn the large, the lower ones the small. | **Not implied.** At the optimum a Gibbs chain on the bottom level alone reproduces the data (Zhao, Song and Ermon 2017), so the ELBO need not put features higher up. Measure it. |
# | A hierarchy needs O(log d) fewer examples. | **Unsupported.** No such theorem is known for VAEs; lesson 05 looks at the claim. |

# %% [markdown]
# ## 12 · Going further
#
# - Free bits by unit, level or example are four objectives (`layers.FreeBits(per=...)`). Which of them keeps the
#   fifth level most informative at the least cost in the ELBO? Under bottom-up inference, what does it mean to put
#   a floor under a term that is no divergence?
# - Can you design $p(z_1 \mid z_2)$ such that $z_2$ *must* hold the pose, without labels? Start from what the pose
#   does to the pixels.
# - Bottom-up, $q(z_3 \mid z_2)$ has seen nothing but a noisy $z_2$. Turn the order round, and share the way down
#   with the model: [lesson 05](05_ladder_vae.ipynb).
#
# **References.** Barber and Agakov (2003), *The IM algorithm*. Burda, Grosse and Salakhutdinov (2016), *Importance
# weighted autoencoders*. Hinton, Dayan, Frey and Neal (1995), *The wake-sleep algorithm for unsupervised neural
# networks*. Kingma et al. (2016), *Improved variational inference with inverse autoregressive flow*.
# Lucas et al. (2019), *Don't blame the ELBO!* Sønderby et al. (2016), *Ladder variational autoencoders*.
# Wang, Blei and Cunningham (2021), *Posterior collapse and latent variable non-identifiability*. Zhao, Song and
# Ermon (2017), *Learning hierarchical features from deep generative models*.
