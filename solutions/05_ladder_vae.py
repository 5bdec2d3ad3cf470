# ---
# jupyter:
#   hvae:
#     title: "The Ladder VAE"
#     minutes: 90
# ---

# %% [markdown]
# # Lesson 05 · The Ladder VAE
#
# ![Four rows of digits. The first holds test images, the second their reconstructions from all three levels of a
# ladder VAE, the third from the upper two, the fourth from the top level alone: from row to row detail is lost, and
# in the last row some digits have become others.](../lessons/pictures/05_ladder_vae.png)
#
# (What is not inferred here is drawn from its prior, at half its scale.)
#
# A hierarchy of latent variables has room at every level. A plain one, trained as in
# [lesson 04](04_hierarchical_priors.ipynb), leaves most of the upper room empty. In the picture above, made by the
# model of this lesson, all three levels say something about the image.
#
# **The question of this lesson: why do the upper levels stay empty, and is it the ladder that fills them?**

# %% [markdown]
# **You will learn to**
# - derive how what x says and what the level above says are merged, and check the merge where the answer is known,
# - write one step of a ladder, its ELBO, and the merge so that it never overflows,
# - train one generator under two inference orders and compare them without fooling yourself,
# - take a model apart: ladder, batch normalisation, warm-up, and which of them does the work,
# - say what information each level holds, and which of the usual claims about hierarchies are true.
#
# **You need** [lesson 02](02_vae.ipynb). [Lesson 04](04_hierarchical_priors.ipynb) helps, but what this lesson needs
# of it is said again.
#
# **Time** 90 minutes, {exercise summary}.
#
# Under every stub is a cell that checks your answer. `hint("5.1")` gives a hint, three of them if you ask again.
# `reveal("5.1")` shows a solution once you have passed or tried three times. No later cell uses your answers, so
# you can go on without them. All arguments are NumPy arrays in float32; return arrays or tensors, as you like.
#
# | symbol | meaning | in code |
# |---|---|---|
# | $x$ | one example, an image of black and white pixels | `x` `[batch, height, width, 1]` |
# | $z_1, \dots, z_L$ | latent variables, from nearest the data to the top | `levels[0].z` to `levels[L - 1].z` |
# | $p(z_i \mid z_{i+1})$ | the prior of a level, given by the one above; $p(z_L) = \mathcal N(0, I)$ | `levels[i - 1].prior` |
# | $q(z_i \mid \cdot)$ | the posterior of a level | `levels[i - 1].posterior` |
# | $d_i$ | features of $x$ on the way up, no noise in them | `encode(x)` |
# | $\hat\mu_i, \hat\sigma_i^2$ | what $x$ says of $z_i$: the estimate | `estimate_mean`, `estimate_log_var` |
# | $\tau = 1/\sigma^2$ | a precision; $\hat\tau$ of the estimate, $\tau_p$ of the prior | |
# | $z_{>i}$ | the levels above $i$ | |
# | $\beta$ | what the KL is multiplied by in training; 1 is the ELBO | `model.beta` |
# | $L_k$ | the importance-weighted bound on $\log p(x)$ from $k$ draws | `library_bound` |
# | the nats that level $k$ adds | $\log p(x \mid z)$ with $k$ inferred, less with $k$ drawn from its prior (section 1) | `worth` |
#
# Everything is in nats per example: sums over dimensions, means over the batch.

# %%
# %matplotlib inline
import numpy as np

from hvae_keras import distributions, plots, schedules
from hvae_keras.backend import keras, ops
from hvae_keras.callbacks import BetaSchedule, Progress
from hvae_keras.course import check, hint, reveal
from hvae_keras.data import load
from hvae_keras.latents import infer_latents, interpolate
from hvae_keras.layers import DenseNetworks, precision_weighted_merge
from hvae_keras.metrics import elbo as library_elbo
from hvae_keras.metrics import importance_weighted_bound as library_bound
from hvae_keras.metrics import information as informations
from hvae_keras.metrics import levels as by_level
from hvae_keras.models import BottomUp, HierarchicalVAE, Ladder, LinearGaussianChain, TopDown

DATA = "digits"  # change to "mnist" and run everything again
keras.utils.set_random_seed(5)


def black_and_white(split):
    """The images with every pixel 0 or 1: [n, height, width, 1]."""
    return (split.x >= 0.5).astype("float32")


data = load(DATA)
x_train, x_validation, x_test = map(black_and_white, (data.train, data.validation, data.test))
SHAPE = x_train.shape[1:]
x_look = x_test[:500]  # for measurements that take many draws of each image
print(data)

# %% [markdown]
# ## 1 · One generator, read upwards
#
# The generator is a chain. Each level gives the mean and the variance of the next one down:
#
# $$ p(x, z_1, z_2, z_3) = p(z_3)\, p(z_2 \mid z_3)\, p(z_1 \mid z_2)\, p(x \mid z_1). $$
#
# To train it we need a posterior over all three levels. The oldest choice goes up as the data come in (Hinton, Dayan,
# Frey and Neal 1995; for VAEs Burda, Grosse and Salakhutdinov 2016): draw $z_1$ from what $x$ says, then $z_2$ from
# what the *drawn* $z_1$ says, and so on. This is
# **bottom-up** inference:
#
# $$ q(z_1, z_2, z_3 \mid x) = q(z_1 \mid x)\, q(z_2 \mid z_1)\, q(z_3 \mid z_2). $$
#
# The ELBO is, as always, $\mathbb E_q[\log p(x, z_1, z_2, z_3) - \log q(z_1, z_2, z_3 \mid x)]$. `HierarchicalVAE`
# has the generator; the inference order is a part that can be swapped. We train 16, 8 and 4 latent dimensions, with
# one hidden layer between the levels, and nothing else.

# %%
STEPS, BATCH = 400, 128
EPOCHS = max(2, round(STEPS * BATCH / len(x_train)))
LATENTS, HIDDEN = (16, 8, 4), ((64,), (64,), (32,))


def make_model(order, normalise, latents=LATENTS, hidden=HIDDEN, skip=False):
    """A hierarchy with this inference order, with or without batch normalisation."""
    networks = DenseNetworks(hidden, batch_normalization=normalise)
    model = HierarchicalVAE(latents, networks, inference=order, skip=skip)
    model.compile(keras.optimizers.Adam(4e-3), steps_per_execution=10)
    model.build((None, *SHAPE))
    return model


def train(model, seed, warm_up, lines=0, validation=None):
    """Train from new weights; the traced step is used again. With warm_up, beta grows to 1 until half time."""
    model.reinitialise(seed=seed)
    callbacks = [BetaSchedule(schedules.linear(EPOCHS / 2 if warm_up else 0))]
    callbacks += [Progress(lines)] if lines else []
    options = {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0, "callbacks": callbacks}
    return model.fit(x_train, validation_data=validation, **options).history


plain = make_model(BottomUp(), normalise=False)
print(f"{plain.count_params():,} parameters, {EPOCHS} epochs of {len(x_train):,} images")
plain_history = train(plain, seed=1, warm_up=False, lines=2)

# %% [markdown]
# What does each level know? Infer all levels from $x$. Keep those from level $k$ up, draw the ones below from their
# priors, and decode. If level $k$ holds something, the picture shows it. The library calls this
# `reconstruct(x, from_level=k)`. As a number: the expected $\log p(x \mid z)$ with level $k$ inferred, less that
# with level $k$ drawn from its prior. The levels above $k$ are inferred both times, those below $k$ drawn from their
# priors both times.
#
# **Predict, then run.** Level 1 has 16 of the 28 latent dimensions. Of the nats that all levels together add, which
# share comes from level 1?


# %%
def worth(model, x=x_look):
    """What inferring a level adds to the log-likelihood when those above are inferred: [L], nats."""
    known = by_level.reconstruction_by_level(model, x, samples=4).mean(axis=0)
    return known[:-1] - known[1:]


plots.reconstructions_by_level(
    x_test[:12],
    {k: plain.reconstruct(x_test[:12], from_level=k, temperature=0.5) for k in (1, 2, 3)},
    caption="The plain hierarchy. What is left of an image when only the upper levels are inferred? "
    "(Draws at half the scale, to see more of the means.)",
)
worth_plain = worth(plain)
for level, nats in enumerate(worth_plain, 1):
    print(f"inferring level {level} adds {nats:6.2f} nats, {nats / worth_plain.sum():4.0%} of the whole")

# %% [markdown]
# The upper two levels say little. The third row hardly knows which digit it was asked for, and the last one draws
# whatever it likes.
#
# Why? The usual account looks at the way up. $q(z_2 \mid z_1)$ never sees $x$, only one noisy draw of $z_1$. Early
# in training that draw says next to nothing. Anything that level 2 claims then costs KL and earns nothing, so its
# posterior retreats to its prior, and the generator learns to do without it. Level 3 sees a noisy draw of *that*.
# The optimiser has no reason to come back.
#
# So two things could help. Let $x$ reach every level without passing through the noise of the levels below. And let
# each level know, when it is inferred, what the level above has said already, as the generator does. Whether the usual
# account is right, you can say after section 6.

# %% [markdown]
# ## 2 · Two witnesses
#
# What should the posterior of a level be? In the chain, $x$ depends on $z_2$ only through $z_1$. Bayes' rule, with
# $z_2$ given, then says
#
# $$ p(z_1 \mid z_2, x) \;\propto\; p(z_1 \mid z_2)\; p(x \mid z_1). $$
#
# Two witnesses speak about $z_1$: the level above, and the data. As functions of $z_1$, let both be shaped like a
# normal, with means $m_1, m_2$ and **precisions** $\tau_1, \tau_2$: a precision is one over a variance. A product of
# exponentials adds the exponents:
#
# $$ -\tfrac12 \tau_1 (z - m_1)^2 - \tfrac12 \tau_2 (z - m_2)^2
#    = -\tfrac12 (\tau_1 + \tau_2) \left( z - \frac{\tau_1 m_1 + \tau_2 m_2}{\tau_1 + \tau_2} \right)^2 +
#   \text{constant}. $$
#
# Multiply out to check it: compare what stands at $z^2$, then at $z$. The product is a normal again. **The precisions
# add, and the mean is the average weighted by precision.**

# %% [markdown]
# ### Exercise 5.1 · Two witnesses
#
# Write `two_witnesses(mean, variance, other_mean, other_variance)`: all of shape `(n,)`, variances positive. It
# returns two arrays of shape `(n,)`: mean and variance of the normal that is proportional to the product of the two.


# %% exercise="5.1"
def two_witnesses(mean, variance, other_mean, other_variance):
    """Mean and variance of the normal proportional to a product of two. Shapes: all (n,), to two of (n,)."""
    ### BEGIN SOLUTION
    precision, other_precision = 1 / variance, 1 / other_variance
    total = precision + other_precision
    return (precision * mean + other_precision * other_mean) / total, 1 / total
    ### END SOLUTION


# %% check="5.1"
check("5.1", two_witnesses)

# %% [markdown]
# Is it true of whole levels? We test it where the posterior is known: a **linear-Gaussian chain**, in which every level
# is a matrix times the level above, plus noise. There $p(x \mid z_1) = \mathcal N(A z_1 + c, S)$ is, as a function
# of $z_1$, shaped like a normal of precision $A^\top S^{-1} A$, a full matrix. The next cell merges the two
# witnesses, and compares with the exact $p(z_1 \mid z_2, x)$, which `conditional` computes from the joint covariance
# without any of this.

# %%
rng = np.random.default_rng(0)
sizes, scales = (10, 4, 3, 2), (0.5, 0.6, 0.7)  # x, z_1, z_2, z_3, and the noise of x, z_1, z_2
weights = [0.7 * rng.normal(size=shape) for shape in zip(sizes[:-1], sizes[1:], strict=True)]
dense = LinearGaussianChain(weights, [rng.normal(size=n) for n in sizes[:-1]], scales)


def merged(chain, level, z_above, x):
    """The two witnesses of a level merged with full precisions: means [n, units] and covariance."""
    units = chain.units[level]
    c, S = chain.conditional(0, {level: np.zeros((1, units))})  # p(x|z) at z = 0: its mean is c
    A = (chain.conditional(0, {level: np.eye(units)})[0] - c).T  # at the unit vectors: the columns of A
    from_x = A.T @ np.linalg.inv(S) @ A  # the precision of what x says
    prior_mean, prior = chain.conditional(level, {level + 1: z_above})
    from_above = np.linalg.inv(prior)
    covariance = np.linalg.inv(from_x + from_above)
    weighted = (x - c) @ np.linalg.inv(S) @ A + prior_mean @ from_above  # sum of precision times mean
    return weighted @ covariance, covariance


x_chain, *z_chain = dense.sample(500, seed=1)
for level in (1, 2):
    mean, covariance = merged(dense, level, z_chain[level], x_chain)
    exact_mean, exact_covariance = dense.conditional(level, {level + 1: z_chain[level], 0: x_chain})
    errors = abs(mean - exact_mean).max(), abs(covariance - exact_covariance).max()
    print(f"level {level}: largest error of a mean {errors[0]:.0e}, of a covariance {errors[1]:.0e}")

# %% [markdown]
# Right, up to rounding. With full matrices the merge *is* Bayes' rule. A ladder VAE does less: it keeps a mean and a
# variance for each unit, so it knows the diagonal of the precision and drops the rest.
#
# **Predict, then run.** Three chains, each with its exact generator, and three ways to infer it with independent units:
# - **bottom-up** and **top-down**, $q(z_3 \mid x)\, q(z_2 \mid z_3, x)\, q(z_1 \mid z_2, x)$, with the exact
#   conditional means and the best variances. Best means the smallest $\mathrm{KL}(q \,\|\, p)$ to the exact
#   conditional: one over the diagonal of its precision,
# - the **ladder**, which merges the diagonal of what $x$ says with the prior, and keeps for each unit the product of
#   precision and mean that $x$ gives it.
#
# In the *tree* every unit hangs on one unit above and the columns of the last matrix are orthogonal. The *dense*
# chain is the one above. How far does each of the three orders fall short of $\log p(x)$ in these two? Where is the
# gap zero? (The third chain is for later: section 9 needs a case in which bottom-up inference is exact.)

# %%
tree = LinearGaussianChain.tree(10, (4, 2, 1), scales)
# One z_2 over two units of z_1: it correlates them, and x takes that away,
# so p(z_1|x) is diagonal and p(z_1|z_2, x) is not.
siblings = np.linalg.inv(np.ones((2, 2)) + 0.5**2 * np.eye(2))
hidden_pair = np.linalg.cholesky(3 * np.eye(2) - siblings + np.diag(np.diag(siblings))).T
pair = LinearGaussianChain([hidden_pair, np.ones((2, 1))], [np.zeros(2), np.zeros(2)], [1.0, 0.5])
chains = {"tree": tree, "dense": dense, "third": pair}


def gap(chain, order):
    """log p(x) less the ELBO of the chain under this inference order, mean over 300 examples, nats."""
    x = chain.sample(300, seed=1)[0].astype("float32")
    return float(np.mean(chain.log_prob(x) - library_elbo(chain.as_hierarchical_vae(order), x, samples=20)))


gaps = {(name, order): gap(chains[name], order()) for name in chains for order in (BottomUp, TopDown, Ladder)}
print("gap in nats    bottom-up    top-down      ladder")
for name in chains:
    print(f"{name:10s}" + "".join(f"{abs(gaps[name, order]):12.4f}" for order in (BottomUp, TopDown, Ladder)))

# %% [markdown]
# In the tree the precision of what $x$ says is diagonal. Nothing is dropped, and the ladder is exact. Bottom-up
# inference is not, not even here: $q(z_2 \mid z_1)$ is right, but two units of $z_1$ under the same unit of $z_2$
# are correlated given $x$, and $q(z_1 \mid x)$ has independent units.
#
# In the dense chain the ladder drops all that is not on the diagonal, and the gap is far beyond the others'. So
# large a gap is a few bad directions in which it is far too sure of a wrong mean. (The noise of the draws
# is small beside that.) But this ladder was made by dropping, not trained. A trained
# one shifts its estimates to make up for what it cannot express. The next cell trains all three, with the generator
# held fixed.


# %%
def trained_gap(chain, order, epochs=15):
    """The gap of a chain after training the inference alone, nats."""
    model = chain.as_hierarchical_vae(order)
    for part in (*model.heads, model.output_layer):
        part.trainable = False
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.03, 20 * epochs)), steps_per_execution=20
    )
    model.fit(chain.sample(2000, seed=2)[0].astype("float32"), epochs=epochs, batch_size=100, verbose=0)
    x = chain.sample(300, seed=1)[0].astype("float32")
    return float(np.mean(chain.log_prob(x) - library_elbo(model, x, samples=20)))


for name in ("dense", "third"):
    for order in (BottomUp, TopDown, Ladder):
        made, trained = abs(gaps[name, order]), abs(trained_gap(chains[name], order()))
        print(f"{name} chain, {order.__name__:9s} made {made:6.3f}, trained {trained:6.3f} nats short of log p(x)")

# %% [markdown]
# Training finds better estimates than dropping, and on the dense chain the ladder still falls furthest short. Top-down
# inference with a learned merge is nearest there: its means may use full matrices of $z_{i+1}$ and $x$. In the third
# chain bottom-up is nearest, and the other two fall short by about as much as each other. (Where the trained gap is
# a little above the made one, nothing was left to find: what was made is the best of its kind or near it, and the
# rest is the noise of training.) Keep that in mind when someone says that a ladder is simply better. Networks that
# are not linear get to choose generators that suit their posterior, so what counts in the end is an experiment. It
# comes in section 5.

# %% [markdown]
# ## 3 · The merge that a computer can hold
#
# Networks give log-variances, which may be anything. Early in training, or for a unit that knows nothing, they go far
# out. Typed in as above, the merge does not survive that.

# %%
for log_var, prior_log_var in ((1.0, 0.0), (-60.0, 0.0), (-100.0, 0.0), (100.0, 120.0)):
    pair_of = [np.float32(log_var), np.float32(prior_log_var)]
    tau, prior_tau = (ops.exp(-ops.convert_to_tensor(part)) for part in pair_of)
    typed_in = float((2.0 * tau - 1.0 * prior_tau) / (tau + prior_tau))
    mean, merged_log_var = precision_weighted_merge(2.0, pair_of[0], -1.0, pair_of[1])
    print(
        f"log-variances {log_var:6.0f} and {prior_log_var:4.0f}:   mean {typed_in:6.3f}, from logarithms {float(mean):6.3f}"
        f"   log-variance {float(-ops.log(tau + prior_tau)):8.2f}, from logarithms {float(merged_log_var):8.2f}"
    )

# %% [markdown]
# One precision is infinite, or both are zero, and what is computed from them is not a number. But the answer is an
# ordinary number. Write the estimate's share as
#
# $$ \frac{\hat\tau}{\hat\tau + \tau_p} = \frac{1}{1 + \tau_p / \hat\tau} = \mathrm{sigmoid}(\log\hat\tau -
# \log\tau_p), $$
#
# and never leave the logarithms.

# %% [markdown]
# ### Exercise 5.2 · The merge in log space
#
# Write `merge(mean, log_var, prior_mean, prior_log_var)`, all of one shape. It returns two arrays of that shape:
# mean and log-variance of the merged normal. It is right for log-variances of ±200 as well, in float32. Build it
# from `ops`: `ops.sigmoid`, and `ops.logaddexp(a, b)`, which is $\log(e^a + e^b)$ without overflow.


# %% exercise="5.2"
def merge(mean, log_var, prior_mean, prior_log_var):
    """Mean and log-variance of the precision-weighted merge. Shapes: all the same, to two of that shape."""
    ### BEGIN SOLUTION
    share = ops.sigmoid(prior_log_var - log_var)
    return prior_mean + share * (mean - prior_mean), -ops.logaddexp(-log_var, -prior_log_var)
    ### END SOLUTION


# %% check="5.2"
check("5.2", merge)

# %% [markdown]
# ## 4 · The ladder
#
# The **Ladder VAE** (Sønderby et al. 2016) has two paths.
#
# **Up**, without any noise: $d_1$ from $x$, $d_2$ from $d_1$, $d_3$ from $d_2$. Each $d_i$ gives an estimate
# $\hat\mu_i, \hat\sigma_i^2$ of its level. So $x$ reaches the top through one network, not through a chain of draws.
#
# **Down**, with draws, along the generator itself:
#
# $$ q(z_3 \mid x) = \mathcal N(\hat\mu_3, \hat\sigma_3^2), \qquad
#    q(z_i \mid z_{i+1}, x) = \text{merge of } \mathcal N(\hat\mu_i, \hat\sigma_i^2) \text{ and } p(z_i \mid
#   z_{i+1}). $$
#
# The prior in the merge is the generator's own, with its weights. From $d_i$ to $z_i$ run the **skip connections**
# of the ladder: level 1 hears of $x$ directly, whatever the levels above have made of it. If the estimate is very
# unsure, the posterior is the prior and the level costs nothing.
#
# A second kind of skip connection is in the generator (`skip=True`): each level sees all the levels above it,
# $p(z_i \mid z_{>i})$, and so does the image. Then $x$ tells something about $z_2$ that $z_1$ does not, so in
# general a $q(z_2 \mid z_1)$ is not exact any more. The top-down form $q(z_i \mid z_{>i}, x)$ can be. This lesson
# trains none.
#
# Mind the price of the merge. The merged precision is a sum, so $\sigma_q \le \sigma_p$ in every unit below the top:
# there a ladder cannot answer "less sure than the prior". Later models (Kingma et al. 2016; Maaløe et al. 2019)
# replace the formula by a network of $d_i$ and the state from above, `TopDown()` here.

# %% [markdown]
# ### Exercise 5.3 · One step down
#
# Write `top_down_step(z_above, weight, bias, prior_log_var, estimate_mean, estimate_log_var, noise)`. The prior of
# this level is linear: its mean is `z_above @ weight + bias`, its log-variance `prior_log_var`. Shapes: `z_above`
# `(batch, units_above)`, `weight` `(units_above, units)`, `bias` and `prior_log_var` `(units,)`, the other three
# `(batch, units)`. It returns
# - `z` `(batch, units)`: a draw from $q(z_i \mid z_{i+1}, x)$, made with the standard normal `noise`,
# - `kl` `(batch,)`: $\mathrm{KL}(q(z_i \mid z_{i+1}, x) \,\|\, p(z_i \mid z_{i+1}))$ in nats.
#
# `precision_weighted_merge(mean, log_var, prior_mean, prior_log_var)` is the library's merge. For two normals in one
# dimension,
#
# $$ \mathrm{KL}\big(\mathcal N(m_1, v_1) \,\|\, \mathcal N(m_2, v_2)\big)
#    = \tfrac12 \left[ \log \frac{v_2}{v_1} + \frac{v_1 + (m_1 - m_2)^2}{v_2} - 1 \right]. $$


# %% exercise="5.3"
def top_down_step(z_above, weight, bias, prior_log_var, estimate_mean, estimate_log_var, noise):
    """One level of a ladder: its draw (batch, units) and its KL (batch,) in nats."""
    ### BEGIN SOLUTION
    prior_mean = ops.matmul(z_above, weight) + bias
    mean, log_var = precision_weighted_merge(estimate_mean, estimate_log_var, prior_mean, prior_log_var)
    z = mean + ops.exp(0.5 * log_var) * noise
    ratio = (ops.exp(log_var) + ops.square(mean - prior_mean)) / ops.exp(prior_log_var)
    return z, 0.5 * ops.sum(prior_log_var - log_var + ratio - 1, axis=-1)
    ### END SOLUTION


# %% check="5.3"
check("5.3", top_down_step)

# %% [markdown]
# With any posterior that goes from the top down, the ELBO has one KL a level, each given the level above:
#
# $$ \text{ELBO} = \mathbb E_q[\log p(x \mid z_1)] - \mathrm{KL}\big(q(z_L \mid x) \,\|\, p(z_L)\big)
#    - \sum_{i < L} \mathbb E_{q(z_{i+1} \mid x)}\, \mathrm{KL}\big(q(z_i \mid z_{i+1}, x) \,\|\, p(z_i \mid
#   z_{i+1})\big). $$
#
# One draw of $z_{i+1}$ serves the expectation. Bottom-up there is no such form: $z_i$ was drawn *before* the
# $z_{i+1}$ that its prior depends on, so $\log q(z_i \mid z_{i-1}) - \log p(z_i \mid z_{i+1})$ is no divergence, and
# may be negative. Only the sum over levels is one. When you compare levels under both orders, use a measure that
# means the same in both. The one of section 1 does.

# %% [markdown]
# ### Exercise 5.4 · The ELBO of a ladder
#
# Write `ladder_elbo(x, logits, q_1, p_1, q_2)` for two levels. `x` and `logits` have shape `(batch, height, width, 1)`.
# `q_1` and `p_1`, both `(batch, 2 * units_1)`, hold means and log-variances side by side, of $q(z_1 \mid z_2, x)$ and
# $p(z_1 \mid z_2)$; `q_2`, `(batch, 2 * units_2)`, those of $q(z_2 \mid x)$. It returns the ELBO, `(batch,)`, and
# the KL of each level, `(batch, 2)`, level 1 first, in nats.
#
# Use the library: `distributions.diagonal_normal(parameters)`, `distributions.standard_normal([units])`,
# `distributions.kl(q, p)`, and `distributions.bernoulli(logits).log_prob(x)`, which is summed over the pixels.


# %% exercise="5.4"
def ladder_elbo(x, logits, q_1, p_1, q_2):
    """ELBO (batch,) and KL of each level (batch, 2) of a ladder with two levels, in nats."""
    ### BEGIN SOLUTION
    posterior_1, prior_1, posterior_2 = (distributions.diagonal_normal(part) for part in (q_1, p_1, q_2))
    prior_2 = distributions.standard_normal([np.shape(q_2)[-1] // 2])
    kl = [distributions.kl(posterior_1, prior_1), distributions.kl(posterior_2, prior_2)]
    kl = ops.stack(kl, axis=-1)
    return distributions.bernoulli(logits).log_prob(x) - ops.sum(kl, axis=-1), kl
    ### END SOLUTION


# %% check="5.4"
check("5.4", ladder_elbo)

# %% [markdown]
# ## 5 · Side by side
#
# Now the experiment. The same generator, once under bottom-up inference, once as a ladder. Two helpers of the paper
# are in both:
# - **batch normalisation** (Ioffe and Szegedy 2015) in every hidden layer,
# - **warm-up**: $\beta$ grows from 0 to 1 in the first half of training, so a level may find a use before it has to
#   pay.
#
# `reinitialise(seed)` makes the generator's weights before the inference's. So with one seed both start from the *same*
# generator. We check that.

# %%
bottom_up, ladder = make_model(BottomUp(), normalise=True), make_model(Ladder(), normalise=True)


def generator_weights(model):
    """All weights of p(x, z_1, ..., z_L), one after another."""
    parts = (*model.downs, *model.heads, model.output_layer)
    return np.concatenate([np.ravel(weight) for part in parts for weight in part.get_weights()])


for model in (bottom_up, ladder):
    model.reinitialise(seed=1)
difference = abs(generator_weights(bottom_up) - generator_weights(ladder)).max()
print(f"the generator: {len(generator_weights(ladder)):,} numbers, largest difference at the start {difference}")
histories, trained_before = {}, {("bottom-up", "no BN", "no warm-up"): plain.get_weights()}
for model, order, warm_up in (
    (ladder, "ladder", "no warm-up"),
    (bottom_up, "bottom-up", "warm-up"),
    (ladder, "ladder", "warm-up"),
):
    name = f"{order}, {warm_up}"
    histories[name] = train(model, seed=1, warm_up=warm_up == "warm-up", validation=x_validation)
    trained_before[order, "BN", warm_up] = model.get_weights()  # section 6 need not train them again
    training, validation = (histories[name][key][-1] for key in ("elbo", "val_elbo"))
    print(f"{name:20s} after {EPOCHS} epochs: ELBO {training:.2f}, validation {validation:.2f}")

# %%
plots.training_curves(
    histories,
    metric="elbo",
    ylabel="ELBO, nats per image",
    caption="The ELBO at β = 1 under both orders, from the same first generator. What happens in the first half, and why?",
)

# %% [markdown]
# All curves show the ELBO at $\beta = 1$, also while $\beta$ is below 1. During warm-up the KL is cheap, so it is
# large, and the ELBO lags: compare the two ladders in the first epochs, and at the end.
# Early on validation leads. The figure of training is an average over an epoch in which the model improves, and batch
# normalisation uses the statistics of one batch there; validation comes at the end of the epoch, with running ones.
# Now the levels.

# %%
plots.level_kl(
    histories["ladder, warm-up"],
    caption="KL of each level of the ladder with warm-up. β reaches 1 at half time. Which level gives back what it took?",
)

# %% [markdown]
# <details><summary>Compare</summary>
# Level 1 takes far more than it keeps: while KL is cheap it is first to find a use, and as β grows it falls to a
# fraction of its peak. Levels 2 and 3 grow after the first epochs, and keep what they have. Part of what level 1
# holds comes to be known from above: its prior learns to foresee it.
# </details>
#
# **Predict, then run.** Here is the measure of section 1 again, for all three models. Which will have the smallest
# share in level 1?

# %%
print("inferring a level adds, in nats:      level 1   level 2   level 3   share of level 1")
for name, model in {"plain bottom-up": plain, "bottom-up": bottom_up, "ladder": ladder}.items():
    each = worth(model)
    print(f"{name:34s}" + "".join(f"{nats:10.2f}" for nats in each) + f"{each[0] / each.sum():16.0%}")

# %%
plots.reconstructions_by_level(
    x_test[:12],
    {k: bottom_up.reconstruct(x_test[:12], from_level=k, temperature=0.5) for k in (1, 2, 3)},
    caption="Bottom-up inference with both helpers. Which row has changed most since section 1?",
)

# %% tags=["picture"]
plots.reconstructions_by_level(
    x_test[:12],
    {k: ladder.reconstruct(x_test[:12], from_level=k, temperature=0.5) for k in (1, 2, 3)},
    caption="The ladder with both helpers. Which details come from which level?",
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The printed shares tell. Both helped models put far more into the upper levels than the plain one. If you expected the
# ladder alone to be responsible, note that the bottom-up model got two helpers as well. The next section takes them
# apart.
# </details>
#
# One seed is an anecdote. And three things changed at once since section 1.

# %% [markdown]
# ## 6 · Break it: which part does the work?
#
# We take the parts away again, in every combination: ladder or bottom-up, with batch normalisation or without, with
# warm-up or without. Eight models, three seeds each, all with the same budget. With one seed, both orders
# start from the same generator. (Where a run of an earlier section had the same seed and settings, it is used
# again.) The next cells take one to three minutes in all, and print one line a setting.
#
# Measured on test images: what the levels above the first add to the log-likelihood, the ELBO, and for the ladder the
# **active units**, those whose mean KL is above 0.01 nats (more of them in section 7).


# %%
SEEDS = (1, 2, 3)


def measured(model, draws=8):
    """Nats that levels 2 to L add, ELBO, active units, collapsed levels; means over test images and draws."""
    x = np.tile(x_look, (draws, 1, 1, 1))
    log_likelihood, kl = model.bound(x)
    levels = model.infer(x)
    above = {i: level.z for i, level in enumerate(levels, 1) if i > 1}
    with_them, without = (
        ops.mean(model.likelihood.log_prob(model.ancestral(len(x), held)[1], x)) for held in (above, {})
    )
    active = sum(np.sum(ops.convert_to_numpy(level.kl_units).mean(axis=0) > 0.01) for level in levels)
    if isinstance(model.inference, BottomUp):
        active = np.nan  # the terms below the top are no divergences
    bound = float(ops.mean(log_likelihood - ops.sum(kl, axis=-1)))
    return float(with_them - without), bound, active, len(by_level.collapsed_levels(model, x_look))


models = {
    ("bottom-up", "no BN"): plain,
    ("bottom-up", "BN"): bottom_up,
    ("ladder", "no BN"): make_model(Ladder(), normalise=False),
    ("ladder", "BN"): ladder,
}


# %%
SEEDS = (1, 2, 3)
results, many_draws = {}, {}


def ablate(order):
    """Train one order with and without both helpers, three seeds each: adds to `results` and `many_draws`."""
    for normalised in ("no BN", "BN"):
        model = models[order, normalised]
        for warm_up in ("no warm-up", "warm-up"):
            key, runs = (order, normalised, warm_up), []
            for seed in SEEDS[::-1]:  # so that each model is left with seed 1 and warm-up
                if seed == 1 and key in trained_before:
                    model.set_weights(trained_before[key])
                else:
                    train(model, seed, warm_up == "warm-up")
                runs.append(measured(model))
                if normalised == "BN" and warm_up == "warm-up":
                    many_draws[order, seed] = library_bound(model, x_look, samples=100).mean()
            results[key] = np.array(runs[::-1])
            print(f"{', '.join(key):34s} ELBO" + "".join(f"{bound:8.2f}" for bound in results[key][:, 1]))


# %%
ablate("bottom-up")

# %%
ablate("ladder")

# %%
columns = [("no BN", "no warm-up"), ("BN", "no warm-up"), ("no BN", "warm-up"), ("BN", "warm-up")]
names = ["neither", "BN", "warm-up", "BN and warm-up"]


def per_seed(number, columns):
    """One measurement of both orders: order -> [seeds, columns]."""
    stacked = {order: [results[order, *key][:, number] for key in columns] for order in ("bottom-up", "ladder")}
    return {order: np.stack(runs, axis=1) for order, runs in stacked.items()}


plots.dots(
    names,
    per_seed(0, columns),
    xlabel="helpers",
    ylabel="nats of log p(x|z)",
    caption="What the levels above the first add, three seeds. Which differences are larger than the spread of the seeds?",
)
bare = {order: " ".join(f"{bound:.1f}" for bound in runs[:, 0]) for order, runs in per_seed(1, columns).items()}
plots.dots(
    names[1:],
    per_seed(1, columns[1:]),
    xlabel="helpers",
    ylabel="ELBO, nats per image",
    caption="ELBO with at least one helper, three seeds. Which order would you choose with each? (Too far down to be "
    f"shown here: with neither helper the ladder is at {bare['ladder']}, bottom-up at {bare['bottom-up']}.)",
)

# %% [markdown]
# Now what each part changes, with everything else the same, seed included: the mean of three differences, and the
# smallest and the largest. Where the mean is larger than their range, a line ends with a star. With three seeds that
# is no test, only a way to read: chance alone would star about one line in twelve, so mind the size as well.
#
# **Predict, then run.** Is there a part that always raises the ELBO? One that always fills the upper levels?

# %%
OFF = {"ladder": "bottom-up", "BN": "no BN", "warm-up": "no warm-up"}


def effects(position, part, number):
    """What one part changes in each setting of the other two: setting -> differences [seeds]."""
    found = {}
    for key, runs in results.items():
        if key[position] == part:
            before, after = key[:position], key[position + 1 :]
            found[", ".join(before + after)] = (runs - results[*before, OFF[part], *after])[:, number]
    return found


for number, title in enumerate(["nats that the levels above the first add", "ELBO, nats"]):
    print(title)
    for position, part in enumerate(OFF):
        for setting, found in effects(position, part, number).items():
            star = " *" if abs(found.mean()) > np.ptp(found) else ""
            seeds = f"seeds {found.min():5.2f} to {found.max():5.2f}{star}"
            print(f"  {part:8s}added to {setting:22s}{found.mean():6.2f}   {seeds}")
for helpers in columns:
    units = results["ladder", *helpers][:, 2]
    print(f"active units of the ladder, {', '.join(helpers):18s}" + "".join(f"{count:5.0f}" for count in units))

# %% [markdown]
# Read the stars. On `digits`, with this budget:
# - **The ladder alone is the worst of all models.** Almost every unit is switched off. With warm-up alone it
#   draws level with bottom-up in the ELBO, and leaves more of the upper levels empty.
# - **Warm-up raises the ELBO in every setting.** It fills the upper levels too, except in a ladder without batch
#   normalisation.
# - **Batch normalisation fills the upper levels in every setting**, under either order. What it does for the ELBO of
#   the bottom-up model is within the spread of the seeds. Without it the ladder has no lead.
# - **With batch normalisation the ladder has the better ELBO.** Its upper levels add more nats as well, in the mean
#   of the seeds: without warm-up by a good deal, with both helpers by no more than the seeds differ. What both
#   helpers together add to a bottom-up model is far more.
#
# Why is the bare ladder so bad? At the start its estimates are near N(0, 1), and so are the priors. Precisions add,
# so below the top the merged variance is one half, and each unit pays $\tfrac12 (\log 2 + \tfrac12 - 1)$ nats,
# about 0.10, for nothing. The first thing that it learns is to make its estimates unsure: to switch its units off.
# Warm-up lets them find a use before that price is due.
#
# And the usual account of section 1, that the noise on the way up starves the upper levels? With both helpers the
# bottom-up model, where level 2 still sees nothing but a draw of $z_1$, keeps most of its nats in levels 2 and 3.
# So **the noise on the way up was not the obstacle, or not alone.** The helpers that mend it leave that noise as it is.
#
# Is the ladder's lead that of a better generator, or of a posterior nearer to the true one? The importance-weighted
# bound $L_k$ of lesson 02 helps to tell: the more draws, the less the posterior matters.

# %%
print("BN and warm-up       ELBO     L_100   apart")
for order in ("bottom-up", "ladder"):
    for seed, bound in zip(SEEDS, results[order, "BN", "warm-up"][:, 1], strict=True):
        hundred = many_draws[order, seed]
        print(f"{order:9s} seed {seed}{bound:10.2f}{hundred:10.2f}{hundred - bound:8.2f}")
lead = effects(0, "ladder", 1)["BN, warm-up"].mean()
left = np.mean([many_draws["ladder", seed] - many_draws["bottom-up", seed] for seed in SEEDS])
print(f"lead of the ladder, mean of the seeds: {lead:.2f} nats of ELBO, {left:.2f} of L_100")

# %% [markdown]
# Of the ladder's lead in the ELBO, the smaller part is left in $L_{100}$. Here it is more the posterior that is
# better than the generator. (One hundred draws do not remove all of a posterior's fault, so the generator's part may
# be smaller still.)
#
# So the first answer to the question of this lesson: the helpers fill the upper levels, under either order. With
# them the ladder has the better ELBO, and fills the upper levels a little more on average; without them it makes
# things worse. A mean effect "of the ladder" over all settings would have hidden this: the parts do not add up, they
# need one another. (Whoever compares a ladder *with* helpers to a plain model
# *without* them measures the helpers.)
#
# Mind the budget: 400 steps. A part may change how fast a model learns, and not where it ends. The course's
# `benchmarks` folder has longer runs, on MNIST.

# %% [markdown]
# ## 7 · What flows where
#
# Now the ladder with both helpers, seed 1, as the section above left it. First the units. The usual count calls a
# unit **active** if its KL, averaged over the data, is above 0.01 nats. For flat models there is another one: the
# posterior's mean moves with $x$, $\mathrm{Var}_x(\mathbb E_q[z]) > 0.01$ (Burda, Grosse and Salakhutdinov 2016).
#
# **Predict, then run.** With top-down inference one of the two counts can be wrong below the top. Which, and does it
# count too many or too few?

# %%
kl_of_units = by_level.kl_by_unit(ladder, x_look, samples=4)
plots.unit_kl(
    {f"level {level}": kl for level, kl in enumerate(kl_of_units, 1)},
    caption="KL of every unit of the ladder, averaged over test images. How many would you miss if they were not there?",
)
counts = {
    "by KL": by_level.active_units(ladder, x_look, samples=4),
    "by the variance of the mean": by_level.active_units_by_variance(ladder, x_look),
}
for name, count in counts.items():
    print(f"active units of levels 1, 2, 3 {name:28s}" + "".join(f"{n:5d}" for n in count))

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The count by variance is the larger one below the top. Where $q(z_1 \mid z_2, x) = p(z_1 \mid z_2)$, level 1 adds
# nothing to what $z_2$ says. Its mean still follows $z_2$, and $z_2$ follows $x$.
# </details>

# %% [markdown]
# ### Exercise 5.5 · Count the active units
#
# Write `active_units(q_mean, q_log_var, p_mean, p_log_var, threshold)`. The four arrays have shape `(batch, units)`:
# posterior and prior of one level for every example. It returns the KL of each unit in nats, averaged over the
# batch, shape `(units,)`, and how many of them are above `threshold`, a whole number.


# %% exercise="5.5"
def active_units(q_mean, q_log_var, p_mean, p_log_var, threshold):
    """Mean KL of each unit (units,) in nats, and how many are above the threshold. Shapes: four of (batch, units)."""
    ### BEGIN SOLUTION
    ratio = (np.exp(q_log_var) + (q_mean - p_mean) ** 2) / np.exp(p_log_var)
    kl = 0.5 * (p_log_var - q_log_var + ratio - 1)
    mean_kl = kl.mean(axis=0)
    return mean_kl, int(np.sum(mean_kl > threshold))
    ### END SOLUTION


# %% check="5.5"
check("5.5", active_units)

# %% [markdown]
# Second, the information. The KL of a level is not the information that the level has about $x$. Averaged over the
# data it is
#
# $$ \mathbb E\, \mathrm{KL}\big(q(z_i \mid z_{>i}, x) \,\|\, p(z_i \mid z_{>i})\big)
#    = \underbrace{I_q(x; z_i \mid z_{>i})}_{\text{what is new in level } i}
#    + \underbrace{\mathbb E\, \mathrm{KL}\big(q(z_i \mid z_{>i}) \,\|\, p(z_i \mid z_{>i})\big)}_{\text{mismatch of
#   the prior}}. $$
#
# ($z_{>i}$ are the levels above $i$; $q(z_i \mid z_{>i})$ is the average of $q(z_i \mid z_{>i}, x)$ over the $x$
# that may have given $z_{>i}$.) The first part is a *conditional* information: what level $i$ says of $x$ that the
# levels above have not said. `elbo_surgery` cuts the KL of a list of images in these two. For these images it is
# exact up to the noise of the draws, and no information about which of 200 images it was can exceed $\log 200$,
# about 5.3 nats.

# %%
surgery = informations.elbo_surgery(ladder, x_test[:200])
print("the ladder      KL   new information   mismatch    (nats, 200 test images)")
for level, (kl, new, mismatch) in enumerate(zip(*surgery, strict=True), 1):
    print(f"level {level}   {kl:9.2f}{new:18.2f}{mismatch:11.2f}")
print(f"together  {surgery.kl.sum():9.2f}{surgery.information.sum():18.2f}{surgery.mismatch.sum():11.2f}")

# %% [markdown]
# Read it with care. All new information together cannot pass the cap of $\log 200$, and what would be information
# among more images is booked as mismatch among these: with a larger list, some of the mismatch, most of which is in
# level 1, would turn into information.
#
# What is new in a level is not all that it knows. Level 1 of the ladder is drawn from a merge with a prior that
# level 2 made, so it can repeat what level 2 said. A question that each level can be asked by itself: which digit is
# it? `information_with_factor` trains a classifier on draws of one level, and turns its surprise on held-out images
# into a lower bound on $I(z_i; \text{digit})$. The digit itself has an entropy of $\log 10$, about 2.3 nats.
#
# **Predict, then run.** For the bottom-up model, must the numbers fall from level 1 to level 3? And for the ladder?

# %%
digit = data.train.factors["digit"][:1000]
about_digit = np.zeros((3, 2))
for column, model in enumerate((bottom_up, ladder)):
    for row, draws in enumerate(infer_latents(model, x_train[:1000])):
        about_digit[row, column] = informations.information_with_factor(draws, digit)
plots.information_by_level(
    about_digit,
    levels=["z1", "z2", "z3"],
    factors=["bottom-up", "ladder"],
    caption="What draws of each level tell about the digit, in nats, at least. Which level would you use to classify?",
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# Bottom-up, the true informations cannot rise: the digit reaches $z_2$ only through the drawn $z_1$. (The bounds in
# the table may break the rule a little, since one classifier may be worse than another.) In the ladder nothing
# forces them to fall. $x$ reaches the top without passing through $z_1$. They fall here all the same. But the
# ladder's $z_3$ knows more of the digit than that of the bottom-up model.
# </details>

# %% [markdown]
# ## 8 · Draws and walks, level by level
#
# Draw once from the whole model. Then keep the top level of one draw, and draw the rest again and again. Then keep two
# levels.

# %%
STARTS, REPEATS = 60, 12
draws, _ = ladder.ancestral(STARTS, seed=8)
kept = {level: np.repeat(ops.convert_to_numpy(draw.z), REPEATS, axis=0) for level, draw in enumerate(draws, 1)}
whole = {level: ops.convert_to_numpy(draw.z)[:1] for level, draw in enumerate(draws, 1)}
first_draw, drawn = ladder.generate(1, whole), {}
for name, lowest in {"nothing kept": 4, "z3 kept": 3, "z2 and z3 kept": 2}.items():
    above = {i: z for i, z in kept.items() if i >= lowest}
    drawn[name] = ladder.generate(STARTS * REPEATS, above).reshape(STARTS, REPEATS, *SHAPE)
plots.image_grid(
    [np.concatenate([first_draw, images[0]]) for images in drawn.values()],
    row_labels=list(drawn),
    caption="Draws of the ladder. First in each row: the draw whose levels are kept. What do the others share with it?",
)
for name, images in drawn.items():
    spread = images.var(axis=1, ddof=1).sum(axis=(1, 2, 3)).mean()
    print(f"{name:15s} variance among such pictures, summed over pixels, mean of {STARTS} starts: {spread:5.2f}")

# %% [markdown]
# <details><summary>Compare</summary>
# With $z_3$ kept, the pictures vary less than free draws, by the numbers above, and share rough features. With $z_2$
# kept as well most of the shape stays. In a chain $z_3$ speaks only through $z_2$, so in the last row it is $z_2$
# that decides, and what still varies is what level 1 and the prior's noise add.
# </details>
#
# A walk between two test images can be made at one level as well: that level moves along a straight line, the levels
# above stay, and the levels below keep their distance from their moving priors, counted in scales. The cell starts
# at the first test image and ends at one of the next ten: that to which the walks of $z_1$ and $z_2$ differ most.

# %%
walks = {"z1": 1, "z2": 2, "z3": 3, "z2 and z3": (2, 3), "all": "all"}


def walk(last, levels):
    """The first test image to this one, moving the levels named: [10, height, width, 1]."""
    return interpolate(ladder, x_test[0], x_test[last], steps=10, levels=levels)


apart = [abs(walk(last, 1) - walk(last, 2)).mean() for last in range(1, 11)]
last = 1 + int(np.argmax(apart))  # of ten images, the one to which the walks of z1 and z2 differ most
pictures = {name: walk(last, levels) for name, levels in walks.items()}
plots.image_grid(
    list(pictures.values()),
    row_labels=list(walks),
    caption="From one test image to another, moving only the levels named. How far does each get you?",
)
print("largest difference of a pixel between the rows")
print(" " * 10 + "".join(f"{name:>10s}" for name in walks))
for name, images in pictures.items():
    print(f"{name:10s}" + "".join(f"{abs(images - other).max():10.4f}" for other in pictures.values()))

# %% [markdown]
# Two pairs of rows are the same, up to rounding. Which, and why?
#
# <details><summary>One answer</summary>
# "z1" and "all": in a chain the image depends on z1 alone. The levels above speak only through it, so a walk of z1
# is a walk of the whole model. And "z2" and "z2 and z3": z3 speaks only through the prior of z2, and there z2 is
# moved by hand. The walk of z3 alone shows what the top level decides by itself. With <code>skip=True</code> every
# level would have a say of its own in the picture, and no two rows would be the same.
# </details>

# %% [markdown]
# ## 9 · Five claims, tried out
#
# Hierarchies come with claims. Here are five that lecture notes repeat, each with an experiment. Claims 4 and 5 are
# optional reading.
#
# ### Claim 1: the information about $x$ decreases from level to level
#
# On a chain it must: $x$ reaches $z_2$ only through $z_1$, and no step can add information. This is the **data
# processing inequality**. For normals information is half a logarithm of precisions:
# $I(x; z) = \tfrac12 \log \frac{\text{precision given } x}{\text{precision without}}$ for one dimension. You can
# compute the precisions.

# %% [markdown]
# ### Exercise 5.6 · Precisions of a chain
#
# Take $z_2 \sim \mathcal N(0, 1)$, $\; z_1 \mid z_2 \sim \mathcal N(a z_2, t^2)$,
# $\; x \mid z_1 \sim \mathcal N(w z_1, s^2)$, all in one dimension. Derive on paper the precisions of
# 1. $p(z_1 \mid z_2, x)$, the two witnesses,
# 2. $p(z_1 \mid x)$, where $z_2$ is not known: what is $p(z_1)$?
# 3. $p(z_2 \mid x)$, where $z_1$ is not known: what is $p(x \mid z_2)$?
#
# Write `posterior_precisions(w, s, a, t)`, all of shape `(n,)`, with $s$ and $t$ scales. It returns `(n, 3)`, in the
# order above. The check inverts the joint covariance.


# %% exercise="5.6"
def posterior_precisions(w, s, a, t):
    """Precisions of p(z_1|z_2, x), p(z_1|x) and p(z_2|x). Shapes: all (n,), to (n, 3)."""
    ### BEGIN SOLUTION
    from_x = w**2 / s**2
    both = 1 / t**2 + from_x
    below = 1 / (a**2 + t**2) + from_x
    above = 1 + (w * a) ** 2 / (w**2 * t**2 + s**2)
    return np.stack([both, below, above], axis=-1)
    ### END SOLUTION


# %% check="5.6"
check("5.6", posterior_precisions)

# %% [markdown]
# Put your second and third column to use: divide each by the precision without $x$, $1/(a^2 + t^2)$ and 1, and take
# half the logarithm. The next cell does so for one chain, with precisions from the library: $z_1$ knows at least as
# much of $x$ as $z_2$, as the claim says.
#
# Next the exact informations of the chains of section 2, and of one more: $x = z_1 + 3 z_2 + $ noise, in which $x$
# is connected to $z_2$ directly. (`informations_of` reads them off a covariance.)
#
# **Predict, then run.** Does the inequality survive the skip connection?


# %%
def informations_of(joint, x):
    """I(x; z_i) in nats of single normal variables, from the covariance of all of them; x is the place of x."""
    correlation = joint[x] / np.sqrt(joint[x, x] * np.diag(joint))
    return [-0.5 * np.log(1 - correlation[i] ** 2) for i in range(len(joint)) if i != x]


w, s, a, t = 1.5, 0.5, 0.8, 0.6  # the chain of exercise 5.6, its precisions from the library
small = LinearGaussianChain([np.array([[w]]), np.array([[a]])], [np.zeros(1), np.zeros(1)], [s, t])
for i, before in ((1, 1 / (a**2 + t**2)), (2, 1.0)):
    after = 1 / small.conditional(i, {0: np.zeros((1, 1))})[1].item()
    nats = 0.5 * np.log(after / before)
    print(f"exercise 5.6: precision of z{i} {before:.2f}, given x {after:.2f}: I(x; z{i}) = {nats:.2f}")
for name in ("tree", "dense"):
    levels = range(1, chains[name].levels + 1)
    print(f"{name:20s}", "  ".join(f"I(x; z{i}) = {chains[name].mutual_information(0, i):.2f}" for i in levels))
from_noise = np.array([[0.5, 1.0, 0.0], [0.0, 1.0, 0.0], [0.5, 4.0, 1.0]])  # rows z_1 = z_2 + 0.5 e, z_2, x
with_skip = informations_of(from_noise @ from_noise.T, x=2)
print(f"{'skip connection':20s}", "  ".join(f"I(x; z{i}) = {nats:.2f}" for i, nats in enumerate(with_skip, 1)))

# %% [markdown]
# It does not. Most deep hierarchies have such connections: in the generator, or in the posterior, where
# $q(z_2 \mid \cdot)$ sees $x$ past $z_1$. So for them the claim is not a theorem. It may hold all the same: in
# section 7 the ladder's column falls too, though that is information about the digit, not about $x$.
#
# ### Claim 2: the ladder posterior is strictly better
#
# Look again at the trained gaps of section 2. In the third chain bottom-up inference can be exact, and comes within
# a hundredth of a nat. Neither the ladder nor top-down does. There is a simpler reason, too. Below the top the
# posterior of a ladder is never wider than the prior. Take such a level, and let its prior, given the level above,
# be N(0, 1). Let the data say "$z$ is not near 0": $p(x \mid z) = 1 - 0.8\, e^{-z^2/2}$. We look for the best normal
# $q$, on a grid.

# %%
z = np.linspace(-12, 12, 20_001)
step, prior_density = z[1] - z[0], np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
joint_density = prior_density * (1 - 0.8 * np.exp(-0.5 * z**2))
log_evidence = np.log(joint_density.sum() * step)


def elbo_of(mean, variance):
    """The ELBO of N(mean, variance), by a sum over the grid."""
    log_q = -0.5 * ((z - mean) ** 2 / variance + np.log(2 * np.pi * variance))
    return float(np.sum(np.exp(log_q) * (np.log(joint_density) - log_q)) * step)


candidates = [(mean, variance) for mean in np.linspace(0, 2, 21) for variance in np.linspace(0.1, 3, 59)]
bounds = {candidate: elbo_of(*candidate) for candidate in candidates}
best = {"any normal": max(bounds, key=bounds.get)}
best["no wider than the prior"] = max((c for c in candidates if c[1] <= 1), key=bounds.get)
for name, (mean, variance) in best.items():
    short = log_evidence - bounds[mean, variance]
    print(f"{name:25s} mean {mean:.1f}, variance {variance:.2f}: {short:.3f} nats short of log p(x)")

# %% [markdown]
# So "strictly better" is false as a statement about families. What is left is an empirical question, and section 6
# has an answer for one generator, one data set and one budget.
#
# ### Claim 3: hierarchies collapse less than flat models
#
# We train a flat model with as many latent dimensions, 28 in one level, twice: bare, to compare with the bare
# hierarchies, and with both helpers. Active units are not defined for bottom-up inference below the top.
# `collapsed_levels` is: it lists levels whose posterior ignores what it is given, and the table shows how many there
# are in each run.

# %%
compared = {}
for helpers, normalise in (("neither", False), ("BN and warm-up", True)):
    key = columns[names.index(helpers)]
    for order in ("bottom-up", "ladder"):
        compared[f"{order}, {helpers}"] = results[order, *key]
    flat = make_model(Ladder(), normalise, latents=(sum(LATENTS),), hidden=((64, 64),))
    runs = []
    for seed in SEEDS:
        train(flat, seed, warm_up=normalise)
        runs.append(measured(flat))
    compared[f"flat, {helpers}"] = np.array(runs)
print(f"three seeds                 ELBO, nats per image     active of {sum(LATENTS)}   collapsed levels")
for name, runs in compared.items():
    bounds_of, active, collapsed = runs[:, 1], runs[:, 2], runs[:, 3]
    counted = "".join(f"{count:5.0f}" for count in active) if np.isfinite(active).all() else "    not defined"
    print(
        f"{name:26s}" + "".join(f"{bound:8.2f}" for bound in bounds_of) + f"{counted:>16s}     "
        f"{collapsed.astype(int).tolist()} of {3 - 2 * name.startswith('flat')}"
    )

# %% [markdown]
# With helpers the ladder is a little before the flat model in the ELBO, by not much more than the seeds differ, and
# has on average no fewer active units; bottom-up is behind. Bare, it is the other way round: the ladder has almost
# no active unit and most of its levels have collapsed, while the flat model has more active units than with helpers.
# (No level of the bare bottom-up model has collapsed: its level 3 follows level 2. Its generator makes next to
# nothing of it, as section 1 shows. That is another way to be useless.)
#
# So there is no such rule. Whether a hierarchy collapses depends on how it is inferred and trained. And with the
# same number of latent dimensions a flat model does nearly as well on such small images.
#
# ### Claim 4 (optional): hierarchical models need few examples, $O(\log d)$ for $d$ dimensions
#
# There is no such theorem for VAEs. The nearest result is an estimate with experiments, for classification, on a
# toy: the **random hierarchy model** (Cagnetta et al. 2024). Its number is a power of $d$. A label stands for a pair
# of symbols, each of them for a pair, and so on down to $d$ symbols. Each symbol has $m$ pairs that may stand for it.
# A learner that knows the tree but not the rules groups, level by level, the pairs that go with the same labels.

# %%
from scipy.cluster.hierarchy import fcluster, linkage

SYMBOLS, PAIRS = 6, 3


def grammar(levels, rng):
    """For each level a table [SYMBOLS, PAIRS]: the pairs (as one number) that stand for each symbol."""
    return [rng.permutation(SYMBOLS**2)[: SYMBOLS * PAIRS].reshape(SYMBOLS, PAIRS) for _ in range(levels)]


def sentences(n, tables, rng):
    """Draws of the label [n] and the symbols below it [n, 2 ** levels]."""
    label = rng.integers(SYMBOLS, size=n)
    symbols = label[:, None]
    for table in tables:
        pairs = table[symbols, rng.integers(PAIRS, size=symbols.shape)]
        symbols = np.stack([pairs // SYMBOLS, pairs % SYMBOLS], axis=-1).reshape(n, -1)
    return symbols, label


# %%
def groups_of(pairs, label):
    """A group, 0 to SYMBOLS - 1, for each pair, by clustering the shares of the labels it goes with."""
    counts = np.zeros((SYMBOLS**2, SYMBOLS))
    np.add.at(counts, (pairs, label), 1)
    seen, group = np.flatnonzero(counts.any(axis=1)), np.zeros(SYMBOLS**2, int)
    if len(seen) > 1:
        shares = counts[seen] / counts[seen].sum(axis=1, keepdims=True)
        group[seen] = fcluster(linkage(shares, "ward"), SYMBOLS, "maxclust") - 1
    return group


def by_groups(symbols, label, new):
    """Predict labels of `new`: put pairs that go with the same labels into one group, level by level."""
    while symbols.shape[1] > 1:
        pairs, new_pairs = (part[:, ::2] * SYMBOLS + part[:, 1::2] for part in (symbols, new))
        groups = [groups_of(column, label) for column in pairs.T]
        symbols, new = (
            np.stack([g[c] for g, c in zip(groups, part.T, strict=True)], axis=1) for part in (pairs, new_pairs)
        )
    votes = np.zeros((SYMBOLS, SYMBOLS))
    np.add.at(votes, (symbols[:, 0], label), 1)
    return votes.argmax(axis=1)[new[:, 0]]


# %%
sizes_tried = [30, 100, 300, 1000, 3000]
print("percent right, three grammars    n =" + "".join(f"{n:13d}" for n in sizes_tried))
for levels in (1, 2, 3):
    shown = []
    for n in sizes_tried:
        right = []
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            tables = grammar(levels, rng)
            (symbols, label), (new, answer) = sentences(n, tables, rng), sentences(1000, tables, rng)
            right.append(np.mean(by_groups(symbols, label, new) == answer))
        shown.append(" ".join(f"{100 * share:3.0f}" for share in right))
    sentences_in_all = SYMBOLS * PAIRS ** (2**levels - 1)
    print(
        f"d = {2**levels}, {sentences_in_all:6,d} different sentences   "
        + "".join(f"{text:>13s}" for text in shown)
    )

# %% [markdown]
# At $d = 2$ and $d = 4$ nearly all answers are right from about 100 and 300 on. At $d = 8$ the learner needs
# thousands and does not always get there: in some grammars two symbols go with the same labels about equally often.
# Three rows show growth far faster than $\log d$, which is the number of *levels*. That it is a power of $d$ is the
# estimate of Cagnetta et al., about $c\, m^{\log_2 d} = c\, d^{\log_2 m}$ for $c$ labels, here a factor of 3 for
# each doubling. The rows agree with a power of $d$ and are too few to show it. And our learner was given the tree,
# and labels. How many examples a hierarchical VAE needs, which has neither, is an **open** question.
#
# ### Claim 5 (optional): the posterior contracts as the data set grows
#
# The posterior of what? Take $x_n = \mu + z_n + \varepsilon_n$ with one unknown parameter
# $\mu \sim \mathcal N(0, 1)$, a latent variable $z_n \sim \mathcal N(0, 1)$ for each datum, and
# $\varepsilon_n \sim \mathcal N(0, 1)$. Everything is normal, so the posterior scales are exact.


# %%
def posterior_scales(n):
    """Scales of p(μ | x_1..x_n) and p(z_1 | x_1..x_n), from the joint precision of μ and all z."""
    precision = np.eye(n + 1)
    slopes = np.concatenate([np.ones((n, 1)), np.eye(n)], axis=1)  # x_n sees μ and its own z
    covariance = np.linalg.inv(precision + slopes.T @ slopes)
    return np.sqrt(covariance[0, 0]), np.sqrt(covariance[1, 1])


for n in (1, 10, 100, 1000):
    of_parameter, of_latent = posterior_scales(n)
    print(
        f"{n:5d} data: scale of the parameter {of_parameter:.3f}, times root n {of_parameter * n**0.5:.2f};"
        f"   scale of z_1 {of_latent:.3f}"
    )

# %% [markdown]
# The parameter's posterior contracts like $1/\sqrt n$. The posterior of $z_1$ does not: there is one datum about it,
# however many there are in all. "The posterior contracts" is a statement about parameters, of models in which they
# can be identified. The weights of a network cannot.

# %% [markdown]
# ## 10 · A bug to find
#
# A colleague's ladder "does not work well". Reconstructions are fine, draws are noise, and the KL knows nothing of
# the prior: below it stays the same wherever the prior is. Here it is, tried with an estimate of log-variance 1. All
# arrays have shape `(levels, batch, units)`, level 1 first; at the top, q is x's estimate and p is N(0, I).


# %%
def broken_kl(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    """A colleague's KL of a ladder, (batch,). Shapes: all (levels, batch, units)."""
    total = 0.0
    for level in range(len(q_mean) - 1):
        log_ratio = estimate_log_var[level] - q_log_var[level]
        squares = ops.exp(q_log_var[level]) + ops.square(q_mean[level] - estimate_mean[level])
        total = total + ops.sum(log_ratio + 0.5 * (squares / ops.exp(estimate_log_var[level]) - 1), axis=-1)
    return total


zero, wide = np.zeros((2, 1, 3), "float32"), np.ones((2, 1, 3), "float32")
for shift in (0.0, 2.0, 4.0):
    value = float(broken_kl(zero, zero, zero, wide, zero + shift, zero)[0])
    true = 2 * 3 * shift**2 / 2
    print(f"two levels of three units, q = N(0, 1), p = N({shift:.0f}, 1): 'KL' {value:5.2f}, true KL {true:5.2f}")

# %% [markdown]
# ### Exercise 5.7 · Mend the KL
#
# Write `mended_kl(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var)` with the shapes of
# `broken_kl`. It returns the KL of each example, summed over units and levels, in nats, shape `(batch,)`. There are
# three faults. For each, say what a model trained with it would get away with.


# %% exercise="5.7"
def mended_kl(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    """The KL of a ladder, summed over levels and units, in nats. Shapes: all (levels, batch, units), to (batch,)."""
    ### BEGIN SOLUTION
    squares = ops.exp(q_log_var) + ops.square(q_mean - p_mean)
    kl = 0.5 * (p_log_var - q_log_var + squares / ops.exp(p_log_var) - 1)
    return ops.sum(kl, axis=(0, 2))
    ### END SOLUTION


# %% check="5.7"
check("5.7", mended_kl)

# %% [markdown]
# <details><summary>What it would get away with</summary>
# With the KL taken to x's own estimate, nothing keeps the posterior near the prior that generates: draws are noise.
# With the logarithm counted twice, the variance that costs least is twice the estimate's. With the top level free,
# it can store anything there, far from N(0, I), where no draw will ever look.
# </details>
#
# These three faults were found in a public PyTorch collection of VAEs. A divergence has two
# properties that a test can hold on to: it is zero if q is p, and never negative.

# %% [markdown]
# ## 11 · Questions to argue about
#
# **1. The KL of the top level is the smallest of all. Is the top level the least important?**
# <details><summary>One answer</summary>
# No. The KL of a level is what is new in it, given the levels above, plus the mismatch of its prior. A few nats at the
# top can decide which digit it is, and all that is below depends on it. In very deep models less than one percent of
# the variables, those at the top, fix the global structure of an image (Child 2021).
# </details>
#
# **2. The merge shares the prior with the generator. Why not give the encoder a prior network of its own?**
# <details><summary>One answer</summary>
# It works, and the released code of the paper has a flag that does so. But then x's estimate is merged with something
# that the KL does not know. With the shared prior, an estimate that says nothing gives a KL of exactly zero.
# </details>
#
# **3. At the start of training the ladder's estimates are near N(0, 1), and so are the priors. What is the
# posterior's variance then, and what does each level cost?**
# <details><summary>One answer</summary>
# Precisions add: the variance is one half, below the top, and every unit pays ½ (log 2 + ½ − 1) nats. What follows
# from that is in section 6, below the stars.
# </details>
#
# **4. For a chain, bottom-up and top-down factorisations both contain the exact posterior. How can one train better
# than the other?**
# <details><summary>One answer</summary>
# They contain it if each conditional may be any density. With diagonal normals they contain different things
# (section 2). And even with the same family, the noise of the gradients and the path from x to each level differ.
# </details>
#
# **5. Two papers report −82.1 and −80.5 nats on MNIST. What do you ask before you compare?**
# <details><summary>One answer</summary>
# Which bound (ELBO, or L_k with which k), which binarisation (fixed or drawn anew), which test images, trained on
# which. In the last table of section 6 one and the same model has an ELBO and an L_100 that are more than a nat
# apart, which is more than the orders differ.
# </details>

# %% [markdown]
# ## 12 · What is known and what is not
#
# | claim | standing |
# |---|---|
# | The precision-weighted merge is Bayes' rule. | **True under conditions**: a chain, x's word shaped like a normal, full precision matrices (section 2). |
# | I(x; z_i) decreases from level to level. | **True** (it cannot rise) in a Markov chain and under a bottom-up q. **Not implied** for a top-down q or with skips (claim 1). |
# | A small KL at the top means that the top does not matter. | **False.** It is a conditional information plus a mismatch (section 7). |
# | The ladder posterior is strictly better than a bottom-up or factorised one. | **False as stated** (claim 2). Sønderby et al. report gains, most of them with batch normalisation and warm-up. |
# | Hierarchical VAEs collapse less than flat ones. | **False in general** (claim 3). Collapse of surplus units can even be optimal (Lucas et al. 2019; Dai, Wang and Wipf 2020). |
# | Hierarchical models need O(log d) examples. | **Unsupported** (claim 4). For the random hierarchy model a power of d (Cagnetta et al. 2024, estimate and experiments). For VAEs open. |
# | The posterior contracts at the rate $n^{-1/2}$. | **The wrong object** (claim 5). True for identifiable parameters (Ghosal, Ghosh and van der Vaart 2000; Wang and Blei 2019), never for the z of one datum. |

# %% [markdown]
# ## 13 · Going further
#
# - How many examples does a hierarchical VAE need to find a hierarchy that is there? Nobody knows. The random
#   hierarchy model of claim 4 has a likelihood, so you could train one on it. Cagnetta et al. (2024), *How deep
#   neural networks learn compositional data: the random hierarchy model*.
# - Does a deep hierarchy learn features at all? Zhao, Song and Ermon (2017), *Learning hierarchical features from deep
#   generative models*, argue that the bottom level alone can reproduce the data.
# - What happens with 40 levels or more, where the merge is learned? Vahdat and Kautz (2020), *NVAE*, and Child
#   (2021), *Very deep VAEs generalize autoregressive models*.
#
# **References.** Sønderby, Raiko, Maaløe, Sønderby and Winther (2016), *Ladder variational autoencoders*. Hinton,
# Dayan, Frey and Neal (1995), *The wake-sleep algorithm for unsupervised neural networks*. Burda, Grosse and
# Salakhutdinov (2016), *Importance weighted autoencoders*. Kingma et al. (2016), *Improved variational inference
# with inverse autoregressive flow*. Ioffe and Szegedy (2015), *Batch normalization*. Maaløe et al. (2019), *BIVA*.
# Hoffman and Johnson (2016), *ELBO surgery*. Lucas et al. (2019), *Don't blame the ELBO!* Dai, Wang and Wipf
# (2020), *The usual suspects? Reassessing blame for VAE posterior collapse*. Ghosal, Ghosh and van der Vaart
# (2000), *Convergence rates of posterior distributions*. Wang and Blei (2019),
# *Frequentist consistency of variational Bayes*.
