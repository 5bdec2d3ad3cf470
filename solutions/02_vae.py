# ---
# jupyter:
#   hvae:
#     title: "The variational autoencoder"
#     minutes: 90
# ---

# %% [markdown]
# # Lesson 02 · The variational autoencoder
#
# ![Left: codes of digit images in a plane, gathered in one cloud around the origin. Right: a grid of decoded
# images, where nearly every place shows a digit and neighbours blend into one
# another.](../lessons/pictures/02_vae.png)
#
# The autoencoder of [lesson 01](01_autoencoder.ipynb) compresses and restores, but random numbers decode to no digit. In
# the picture above, made by the model of this lesson, nearly every place decodes to something like a digit, and random
# numbers (the crosses) fall where the digits are.
#
# **The question of this lesson: what has to be added to an autoencoder so that it can draw, and what does that
# cost?**

# %% [markdown]
# **You will learn to**
# - derive the evidence lower bound (ELBO) and say what each of its two parts measures,
# - take gradients through a random draw, and measure how much worse the other way is here,
# - write a VAE's loss in nats per example, and find the β that a careless mean hides in it,
# - tell from a plot and from a number whether a latent space can be drawn from,
# - tighten the bound with more samples, and say exactly what is missing from it.
#
# **You need** [lesson 01](01_autoencoder.ipynb), and the density of the normal distribution.
#
# **Time** 90 minutes, {exercise summary}.
#
# Under every stub is a cell that checks your answer. `hint("2.1")` gives a hint, three of them if you ask again.
# `reveal("2.1")` shows a solution once you have passed or tried three times. No later cell uses your answers, so
# you can go on without them.
#
# | symbol | meaning | in code |
# |---|---|---|
# | $x$ | one example, an image of black and white pixels | `x` `[batch, height, width, 1]` |
# | $z$ | its code, the latent variable | `z` `[batch, latent]` |
# | $p(z)$ | the prior over codes, $\mathcal N(0, I)$ | `prior` |
# | $q(z \mid x)$ | the posterior over codes that the encoder gives | `posterior`, from `mean` ($\mu$) and `log_var` ($\log \sigma^2$) |
# | $p(x \mid z)$ | the likelihood that the decoder gives | `logits` |
#
# Everything is in nats per example: sums over dimensions, means over the batch.

# %%
# %matplotlib inline
import numpy as np

from hvae_keras import distributions, plots
from hvae_keras.backend import keras, ops
from hvae_keras.callbacks import Progress
from hvae_keras.course import check, hint, reveal
from hvae_keras.data import load
from hvae_keras.layers import mlp_decoder, mlp_encoder
from hvae_keras.metrics import elbo as library_elbo
from hvae_keras.metrics import importance_weighted_bound as library_bound
from hvae_keras.models import VAE, LinearGaussian

DATA = "digits"  # change to "mnist" and run everything again
keras.utils.set_random_seed(2)

# %% [markdown]
# The images have grey levels. We make every pixel black or white: white where the grey level is at least a half. The
# Bernoulli likelihood of section 5 is then a true likelihood. For grey pixels it would only look like one.


# %%
def black_and_white(split):
    """The images with every pixel 0 or 1: [n, height, width, 1]."""
    return (split.x >= 0.5).astype("float32")


data = load(DATA)
x_train, x_validation, x_test = map(black_and_white, (data.train, data.validation, data.test))
digit_test = data.test.factors["digit"]
SHAPE, PIXELS = x_train.shape[1:], int(np.prod(x_train.shape[1:]))
print(data)
plots.image_grid(
    [data.train.x[:12], x_train[:12]],
    row_labels=["grey", "binary"],
    caption="Twelve images, and what is left of them. Which of them would you still read?",
)

# %% [markdown]
# ## 1 · A model of where images come from
#
# A **latent variable model** tells a story with two steps. First a code is drawn from a **prior**, then an image
# from a **likelihood** that the decoder computes from the code:
#
# $$ z \sim p(z) = \mathcal N(0, I), \qquad x \sim p_\theta(x \mid z). $$
#
# A good model gives real images a high probability. That probability is an average over all codes:
#
# $$ p_\theta(x) = \int p(z)\, p_\theta(x \mid z)\, dz = \mathbb E_{p(z)}\big[p_\theta(x \mid z)\big]. $$
#
# An average invites sampling: draw codes from the prior, average the likelihoods. Before we trust that, we test it
# on a model whose answer is known. In a **linear-Gaussian** model (Tipping and Bishop 1999) the decoder is a matrix, and
# $\log p(x)$, also called the **log-evidence**, has a closed form. (The columns of our matrix are orthogonal. That will
# matter in section 2.)

# %%
rng = np.random.default_rng(0)
columns = np.linalg.qr(rng.normal(size=(10, 4)))[0]
exact = LinearGaussian(weights=2 * columns, bias=np.zeros(10), scale=0.5)
x_exact = exact.sample(1, seed=1)
log_evidence = float(exact.log_prob(x_exact)[0])
print(f"x has {exact.data} dimensions, z has {exact.latent}; log p(x) = {log_evidence:.3f} nats")

# %% [markdown]
# **Predict, then run.** We estimate $\log p(x)$ from 10, 100, ..., 100,000 codes drawn from the prior, twenty
# times each. Write down: how many codes until nine of ten estimates are within one nat? Will the estimates err upwards or
# downwards before that?


# %%
def from_the_prior(samples, repeats=20):
    """Estimates of log p(x) from codes that know nothing of x: [repeats]."""
    z = rng.normal(size=(samples, repeats, exact.latent))
    log_likelihood = distributions.normal(z @ exact.weights.T + exact.bias, exact.scale).log_prob(x_exact[0])
    return np.log(np.exp(log_likelihood).mean(axis=0))


prior_counts = [10, 100, 1000, 10_000, 100_000]
naive = np.array([from_the_prior(count) for count in prior_counts])
plots.convergence(
    prior_counts,
    {"codes from the prior": naive},
    exact=log_evidence,
    ylabel="estimate of log p(x), nats",
    caption="Mean of twenty estimates, and the range of the middle 80 %. Why is their mean below the exact value?",
)
for count, estimates in zip(prior_counts, naive, strict=True):
    print(
        f"{count:7,d} codes: {np.mean(np.abs(estimates - log_evidence) < 1):4.0%} of the estimates within one nat"
    )

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The printed shares say how many codes it takes. The mean errs downwards: the logarithm of an average of few is, on
# average, below the logarithm of the true average. That is Jensen's inequality, which section 2 puts to work.
# </details>
#
# Most codes explain this $x$ badly. The average lives from a few lucky ones, and with few samples there are
# none. This is with four latent dimensions. Each further one that the image depends on makes luck rarer.
#
# The remedy: do not draw codes from the prior. Draw them where the codes of this $x$ are.

# %% [markdown]
# ## 2 · The bound
#
# One tool first. The **KL divergence** compares two densities: how much larger is the log-density of $q$ than that of
# $p$, on average, where $q$ draws?
#
# $$ \mathrm{KL}(q \,\|\, p) = \mathbb E_q[\log q(z) - \log p(z)] \;\ge\; 0, \qquad \text{and 0 only if } q = p. $$
#
# It is never negative because the logarithm of an average is at least the average of the logarithms (**Jensen's
# inequality**): $-\mathrm{KL} = \mathbb E_q[\log \tfrac pq] \le \log \mathbb E_q[\tfrac pq] = \log 1 = 0$. Mind the order:
# $\mathrm{KL}(q\|p)$ and $\mathrm{KL}(p\|q)$ are two numbers.
#
# Let $q(z \mid x)$ be a density over codes that may look at the image, positive wherever $p(x, z)$ is. Multiply and
# divide by it, and use Jensen's inequality once more:
#
# $$ \log p(x) = \log \mathbb E_{q}\!\left[\frac{p(x \mid z)\,p(z)}{q(z \mid x)}\right]
#    \;\ge\; \mathbb E_q\!\left[\log \frac{p(x \mid z)\,p(z)}{q(z \mid x)}\right]
#    = \underbrace{\mathbb E_q[\log p(x \mid z)]}_{\text{log-likelihood}}
#    - \underbrace{\mathrm{KL}\big(q(z \mid x)\,\|\,p(z)\big)}_{\text{what the code costs}}. $$
#
# The right-hand side is the **evidence lower bound**, the ELBO. Its two parts pull in opposite directions. The
# first wants codes that tell the decoder everything. The second wants codes that could have come from the prior.
#
# How much is lost? Put $p(x \mid z)\,p(z) = p(z \mid x)\,p(x)$ into the same expectation:
#
# $$ \text{ELBO} = \log p(x) - \mathrm{KL}\big(q(z \mid x)\,\|\,p(z \mid x)\big). $$
#
# So the gap is zero exactly where $q$ is the **true posterior** $p(z \mid x)$. On the exact model we can look at it:
# its true posterior is a normal with independent dimensions, since the columns of the matrix are orthogonal. We move the
# mean of $q$ past the true posterior's and leave everything else right. `shift` does that, and
# `library_elbo` averages $\log p(x, z) - \log q(z \mid x)$ over draws of $z$ from $q$.


# %%
def exact_elbo(shift, repeats=2000):
    """The ELBO of x_exact with q's means off by `shift`, averaged over draws of q."""
    return float(library_elbo(exact.as_vae(shift=shift), x_exact.astype("float32"), samples=repeats)[0])


shifts = np.linspace(-0.5, 0.5, 21)
elbo_by_shift = np.array([exact_elbo(shift) for shift in shifts])
plots.bound_and_gap(
    shifts,
    elbo_by_shift,
    log_evidence=log_evidence,
    best=0.0,
    xlabel="how far the means of q are from the true posterior's",
    caption="The ELBO under the log p(x) that it bounds. Where is the gap zero, and how does it grow?",
)
print(f"at shift 0: ELBO {exact_elbo(0.0):.5f}, log p(x) {log_evidence:.5f}")

# %% [markdown]
# With the true posterior there is no gap at all, and no noise but rounding: every draw of $z$ gives the same value of
# $\log p(x, z) - \log q(z \mid x)$. You will derive the gap yourself in exercise 2.6.
#
# A **variational autoencoder** (Kingma and Welling 2014; Rezende, Mohamed and Wierstra 2014) lets a network, the
# encoder with weights $\phi$, compute $q_\phi(z \mid x)$ for every image: a normal with independent dimensions, of mean
# $\mu_\phi(x)$ and variance $\sigma_\phi^2(x)$. It raises the ELBO in $\phi$ and in the decoder's weights $\theta$ together. For that it needs three pieces. You write each of them.

# %% [markdown]
# ## 3 · Moving the noise out of the way
#
# Training needs the gradient of an average over $z \sim q_\phi(z \mid x)$, and $\phi$ sits inside the distribution we
# draw from. A draw is a number, not a function of $\phi$: no derivative passes through it.
#
# Write the draw as a function of $\phi$ and of noise that does not depend on it:
#
# $$ z = \mu_\phi(x) + \sigma_\phi(x) \odot \epsilon, \qquad \epsilon \sim \mathcal N(0, I) $$
#
# ($\odot$ multiplies entry by entry.) In code it is one line, `z = mean + scale * noise`. Now `z` is differentiable in
# `mean` and in `scale`: there is a **path** from them to `z`. This is the **reparameterisation trick**.
#
# There is an older way that needs no such path, the **score function** (also called REINFORCE): from
# $\nabla q = q \nabla \log q$ it follows that $\nabla_\mu \mathbb E_q[f(z)] = \mathbb E_q[f(z)\, \nabla_\mu \log q(z)]$ for an
# $f$ that does not depend on $\mu$.
#
# We compare them on $f(z) = (z - 3)^2$ with $q = \mathcal N(\mu, 1)$ at $\mu = 0$. The exact gradient in $\mu$ is
# $2(\mu - 3) = -6$.
#
# **Predict, then run.** Both estimate the same gradient from 16 draws. By what factor do their variances differ?
# Write down 5, 50 or 500 before you run it.


# %%
def gradient_estimates(samples, repeats, dimensions=1, baseline=0.0, seed=0):
    """Estimates of the gradient of E[sum (z - 3)²] in the first mean, at mean 0 and scale 1: two of [repeats]."""
    noise = np.random.default_rng(seed).normal(size=(repeats, samples, dimensions))
    z = 0.0 + 1.0 * noise
    path = 2 * (z[..., 0] - 3)
    f = ((z - 3) ** 2).sum(axis=-1) - baseline
    score = f * noise[..., 0]  # the derivative of log q in the first mean is z - mean, here the noise itself
    return {"path": path.mean(axis=1), "score function": score.mean(axis=1)}


estimates = gradient_estimates(samples=16, repeats=2000)
plots.estimator_histograms(
    estimates,
    exact=-6.0,
    xlabel="estimate of the gradient",
    caption="2,000 estimates from 16 draws each. Neither is biased. What would you pay to make the right one useful?",
)
for dimensions in (1, 4, 16, 64):
    path, score = gradient_estimates(16, 2000, dimensions).values()
    print(
        f"z of {dimensions:2d} dimensions: the score function's variance is {score.var() / path.var():7.0f} times"
    )

# %% [markdown]
# This $f$ is a sum, so the path sees only the term of its own dimension, while the score function multiplies by all of
# $f$. Much of that can be taken away by subtracting a constant close to $\mathbb E[f]$, a **baseline**: the score function
# has mean zero, so the estimate stays unbiased. The next cell does.

# %%
for dimensions in (1, 4, 16, 64):
    path, score = gradient_estimates(16, 2000, dimensions, baseline=10 * dimensions).values()
    print(f"z of {dimensions:2d} dimensions, with a baseline: {score.var() / path.var():7.0f} times")

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The first printed factor is nearest to 50, and it gets worse from there. With one dimension you can work it out exactly:
# both variances are moments of a normal.
# </details>
#
# Better, and still far from the path. The path asks for one thing in return: $f$ must be differentiable. Ours is, so
# VAEs use it.

# %% [markdown]
# ### Exercise 2.1 · Reparameterise
#
# Write `reparameterise(mean, log_var, noise)`, all three of shape `(batch, latent)`. It returns a sample of
# $\mathcal N(\mu, \sigma^2)$ of the same shape. The encoder gives $\log \sigma^2$, not $\sigma$: any real number is then a valid
# output. The result must be differentiable in `mean` and `log_var`, so compute with `ops`, not with NumPy.


# %% exercise="2.1"
def reparameterise(mean, log_var, noise):
    """Turn standard normal noise into a sample of N(mean, exp(log_var)). Shapes: all (batch, latent)."""
    ### BEGIN SOLUTION
    return mean + ops.exp(0.5 * log_var) * noise
    ### END SOLUTION


# %% check="2.1"
check("2.1", reparameterise)

# %% [markdown]
# ## 4 · What a code costs
#
# The second part of the ELBO asks how far $q(z \mid x)$ is from the prior. The KL is an average over $q$, and could be
# sampled like everything else. For two normals it also has a closed form. Here are both, for one $q$ with four
# dimensions. (`diagonal_normal` takes the means first, then as many log-variances.)

# %%
four_means, four_log_vars = [1.0, 0.0, -0.5, 2.0], [-1.0, 0.0, -2.0, -3.0]
posterior = distributions.diagonal_normal(ops.convert_to_tensor(four_means + four_log_vars))
prior = distributions.standard_normal([4])
kl_exact = float(distributions.kl(posterior, prior))


def sampled_kl(samples, repeats=1000):
    """Monte Carlo estimates of KL(q‖p): [repeats]."""
    z = distributions.sample(posterior, samples, (samples, repeats))
    return ops.convert_to_numpy(ops.mean(posterior.log_prob(z) - prior.log_prob(z), axis=0))


kl_counts = [1, 4, 16, 64, 256, 1024]
sampled = np.array([sampled_kl(count) for count in kl_counts])
plots.convergence(
    kl_counts,
    {"Monte Carlo": sampled},
    exact=kl_exact,
    ylabel="KL(q‖p), nats",
    caption="A thousand estimates at each size. How many samples would you spend on every image, in every step?",
)
print(f"of the estimates from one sample, {np.mean(sampled[0] < 0):.1%} are negative; a KL never is")

# %% [markdown]
# ### Exercise 2.2 · The KL to the prior
#
# Write `kl_to_standard_normal(mean, log_var)` for `mean` and `log_var` of shape `(batch, latent)`. It returns
# $\mathrm{KL}(\mathcal N(\mu, \sigma^2) \,\|\, \mathcal N(0, I))$ in nats for each example: shape `(batch,)`. Start from
# one dimension. Under $q$, $\mathbb E[z] = \mu$ and $\mathbb E[z^2] = \mu^2 + \sigma^2$, and that is all you need.


# %% exercise="2.2"
def kl_to_standard_normal(mean, log_var):
    """KL(N(mean, exp(log_var)) ‖ N(0, I)) in nats. Shapes: (batch, latent) to (batch,)."""
    ### BEGIN SOLUTION
    return 0.5 * ops.sum(ops.exp(log_var) + ops.square(mean) - 1.0 - log_var, axis=-1)
    ### END SOLUTION


# %% check="2.2"
check("2.2", kl_to_standard_normal)

# %% [markdown]
# ## 5 · What the decoder explains
#
# Our pixels are 0 or 1. The decoder gives a **logit** $\ell$ for each, any real number, and the probability of white
# is $\mathrm{sigmoid}(\ell) = 1 / (1 + e^{-\ell})$. The log-likelihood of an image is a sum over its pixels:
#
# $$ \log p(x \mid z) = \sum_d \big[ x_d \log \mathrm{sigmoid}(\ell_d)
#    + (1 - x_d) \log(1 - \mathrm{sigmoid}(\ell_d)) \big]. $$
#
# Typed in like this, it breaks where the decoder is sure, and wrong.

# %%
for logit in (2.0, 20.0, 1000.0):
    white = ops.sigmoid(ops.convert_to_tensor(np.float32(logit)))
    typed_in = float(ops.log(1 - white))
    stable = float(distributions.bernoulli(ops.convert_to_tensor([[logit]])).log_prob([[0.0]])[0])
    print(f"logit {logit:6.0f}, pixel 0:   log(1 - sigmoid) {typed_in:10.4f}   from the logit {stable:10.4f}")

# %% [markdown]
# In float32, $1 - \mathrm{sigmoid}(20)$ is already rounded to 0. The true cost of that mistake is 20 nats, not
# infinity, and its gradient is 1, not NaN. The cure is algebra: simplify first, compute then. The function you will
# want is $\mathrm{softplus}(\ell) = \log(1 + e^{\ell})$, which `ops.softplus` computes without overflow.

# %% [markdown]
# ### Exercise 2.3 · Bernoulli log-likelihood
#
# Write `bernoulli_log_likelihood(x, logits)`. Both have shape `(batch, ...)`, with any number of axes after the
# first. It returns $\log p(x \mid z)$ in nats for each example, shape `(batch,)`: a **sum** over all the other axes. It is
# right for logits of ±1000 too. Build it from `ops` alone; `distributions` is what you are rebuilding.
# `tuple(range(1, np.ndim(x)))` lists all axes but the first.


# %% exercise="2.3"
def bernoulli_log_likelihood(x, logits):
    """log p(x) of independent Bernoulli pixels, in nats. Shapes: both (batch, ...), to (batch,)."""
    ### BEGIN SOLUTION
    axes = tuple(range(1, np.ndim(x)))
    return ops.sum(x * logits - ops.softplus(logits), axis=axes)
    ### END SOLUTION


# %% check="2.3"
check("2.3", bernoulli_log_likelihood)

# %% [markdown]
# ## 6 · The two together
#
# The ELBO of one image, from one draw of $z$, is what the decoder explains less what the code costs. The loss is its
# negative, averaged over the batch. **Sums over dimensions, a mean over the batch**: only then is it in nats per
# image, and only then are the two parts in the same unit. With a weight on the KL it becomes the **β-VAE**'s loss (Higgins
# et al. 2017), the VAE's at $\beta = 1$:
#
# $$ \text{loss} = \frac1{\text{batch}} \sum_{x} \big[ -\log p(x \mid z) + \beta\, \mathrm{KL}(q(z \mid x) \,\|\, p(z)) \big]. $$

# %% [markdown]
# ### Exercise 2.4 · The ELBO
#
# Write `elbo(x, logits, mean, log_var)`: `x` and `logits` of shape `(batch, ...)`, `mean` and `log_var` of shape
# `(batch, latent)`. It returns the ELBO of each example in nats, shape `(batch,)`.
#
# Use the library this time. (An exercise that leans on your answer to another one fails with it.)
# - `distributions.bernoulli(logits)` has a method `log_prob(x)`: shape `(batch,)`, already summed.
# - `distributions.diagonal_normal(parameters)` takes means and log-variances side by side, `(batch, 2 * latent)`:
#   `ops.concatenate` along the last axis.
# - `distributions.standard_normal([latent])` is the prior; `latent` is the last number of `np.shape(mean)`.
# - `distributions.kl(q, p)` knows the closed form: shape `(batch,)`, already summed.


# %% exercise="2.4"
def elbo(x, logits, mean, log_var):
    """The evidence lower bound of each example, in nats. Shapes: (batch, ...) and (batch, latent), to (batch,)."""
    ### BEGIN SOLUTION
    log_likelihood = distributions.bernoulli(logits).log_prob(x)
    posterior = distributions.diagonal_normal(ops.concatenate([mean, log_var], axis=-1))
    prior = distributions.standard_normal([np.shape(mean)[-1]])
    return log_likelihood - distributions.kl(posterior, prior)
    ### END SOLUTION


# %% check="2.4"
check("2.4", elbo)

# %% [markdown]
# ## 7 · A VAE that draws
#
# `VAE` in the library is these three pieces around any encoder and decoder. The encoder ends in `2 * latent` numbers,
# mean and log-variance side by side. The decoder ends in logits of the image's shape. Two latent dimensions are few,
# but we can draw them. A model may have several levels of latent variables; ours has one, level 1. `vae.infer(x)` returns a
# list with a record for each level (`vae.infer(x)[0].posterior` is our $q(z \mid x)$), and `generate(n, latents={1: z})`
# decodes given codes of level 1.

# %%
STEPS, BATCH = 2000, 64
EPOCHS = max(2, round(STEPS * BATCH / len(x_train)))


def make_vae(latent, hidden=(128,)):
    """A VAE with one hidden layer on either side."""
    vae = VAE(mlp_encoder(SHAPE, hidden, 2 * latent), mlp_decoder(latent, hidden, SHAPE))
    vae.compile(keras.optimizers.Adam(1e-3))
    return vae


def train(vae, beta=1.0, seed=0, lines=0):
    """Train from new weights; the traced step is used again. Returns the history."""
    vae.reinitialise(seed=seed)
    vae.beta = beta
    callbacks = [Progress(lines)] if lines else []
    options = {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0, "callbacks": callbacks}
    return vae.fit(x_train, validation_data=x_validation, **options).history


# %%
plain = make_vae(latent=2)
print(f"{plain.count_params():,} parameters, {EPOCHS} epochs of {len(x_train):,} images; {plain.compilation}")
history = train(plain, lines=6)

# %%
plots.training_curves(
    {"VAE": history},
    metric="elbo",
    ylabel="ELBO, nats per image",
    caption="The ELBO, higher is better. Does the model know the training images better? (The solid line is a mean over the epoch: it lags by half of one.)",
)

# %% [markdown]
# To draw an image: a code from the prior, and the decoder. `generate` does that and returns the mean of
# $p(x \mid z)$, the probability of white. Lesson 01 did the same with its autoencoder, and no digits came.

# %%
plots.image_grid(
    [x_test[:12], plain.reconstruct(x_test[:12], temperature=0), plain.generate(12), plain.generate(12)],
    row_labels=["test image", "reconstructed", "generated", "generated"],
    column_labels=digit_test[:12],
    caption="Test images (their digit above), reconstructions from the mean of q, draws. Which digits are confused?",
)

# %% [markdown]
# ## 8 · With and without the KL
#
# What makes a latent space one to draw from? **Completeness**: whatever the prior draws decodes to something like the
# data. **Coverage**: every kind of image can be drawn. **Continuity**: neighbouring codes decode to neighbouring images.
# We train the same network again with the KL switched off (`beta = 0`: an autoencoder with noise that it may switch
# off), and compare.
#
# **Predict, then run.** Where will the codes lie without the KL: closer together or further apart? What will $\sigma$
# do? Which of the three properties will suffer?


# %%
def codes(vae, x):
    """Mean and scale of the posterior of every image: two of [n, latent]."""
    posterior = vae.infer(x)[0].posterior
    return ops.convert_to_numpy(posterior.mean()), ops.convert_to_numpy(posterior.stddev())


def show_plane(vae, caption, extent=None, n=10):
    """Draw the codes of the test images, draws of the prior, and what a grid of codes decodes to."""
    mean, scale = codes(vae, x_test)
    low, high = np.minimum(np.quantile(mean, 0.01, axis=0), -3), np.maximum(np.quantile(mean, 0.99, axis=0), 3)
    left, right, bottom, top = extent or (low[0], high[0], low[1], high[1])
    grid = np.stack(np.meshgrid(np.linspace(left, right, n), np.linspace(top, bottom, n)), axis=-1)
    images = vae.generate(n * n, latents={1: grid.reshape(-1, 2)}).reshape(n, n, *SHAPE)
    draws = np.random.default_rng(0).normal(size=(60, 2))
    total = np.mean(mean**2 + scale**2)
    print(
        f"means of q spread by {mean.std():.2f}, scale of q {np.median(scale):.3f}; E[z²] {total:.2f}, the prior has 1"
    )
    plots.latent_plane(
        mean[:500], digit_test[:500], images, (left, right, bottom, top), draws=draws, caption=caption
    )


# %% tags=["picture"]
show_plane(
    plain,
    extent=(-2.5, 2.5, -2.5, 2.5),
    caption="With the KL. Codes of test images (digits) and draws of the prior (crosses) share one region.",
)

# %%
without = make_vae(latent=2)
train(without, beta=0.0)
show_plane(without, caption="Without the KL: the prior's draws fall into one small spot of what the encoder uses.")

# %% [markdown]
# Mind the axes: they are not the same. Without the KL, nothing keeps the codes near the origin, or the noise
# away from zero. The prior knows nothing of that space.
#
# A picture convinces, a number compares. Completeness: the squared distance from a decoded draw of the prior to the
# nearest training image. Coverage: the squared distance from a test image to the nearest of 1,000 decoded draws.
# Continuity: the largest change of the picture on a walk of 50 small steps between the codes of two test images. Smaller is
# better in all three. As a yardstick, the first two for a model that always gives the mean image.


# %%
def nearest(a, b):
    """Mean squared distance from an image of a to the nearest image of b."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    return ((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T).min(axis=1).mean()


def largest_step(vae, pairs=100, steps=50):
    """Largest change of the picture on a straight walk between the codes of two images, mean over pairs."""
    mean, _ = codes(vae, x_test[: 2 * pairs])
    t = np.linspace(0, 1, steps + 1)[:, None, None]
    walk = (1 - t) * mean[:pairs] + t * mean[pairs:]
    images = vae.generate(walk[..., 0].size, latents={1: walk.reshape(-1, vae.latent)})
    change = np.diff(images.reshape(steps + 1, pairs, PIXELS), axis=0)
    return np.linalg.norm(change, axis=-1).max(axis=0).mean()


# %%
def three_numbers(vae):
    """Completeness, coverage and continuity of a model, smaller is better."""
    drawn = vae.generate(1000)
    return nearest(drawn, x_train[:1000]), nearest(x_test[:1000], drawn), largest_step(vae)


sweep, measured = make_vae(latent=2), {1.0: [], 0.0: []}
for beta in measured:
    for seed in (1, 2, 3):
        train(sweep, beta=beta, seed=seed)
        measured[beta].append(three_numbers(sweep))
mean_image = x_train.mean(axis=0, keepdims=True)
constant = nearest(mean_image, x_train[:1000]), nearest(x_test[:1000], mean_image), 0.0
print("three seeds each             beta 1               beta 0         the mean image")
for row, name in enumerate(("draw to nearest image", "image to nearest draw", "largest step")):
    texts = ["  ".join(f"{numbers[row]:5.2f}" for numbers in measured[beta]) for beta in measured]
    print(f"{name:24s}{texts[0]}  {texts[1]}{constant[row]:12.2f}")

# %% [markdown]
# Read the rows one by one, against your prediction. In one of them, on `digits`, the two models hardly differ. Draws that land
# anywhere in a space full of images decode to *some* image. What they cannot do is reach all of them: compare the second
# row with the mean image's number.
#
# <details><summary>Compare with your prediction</summary>
# Without the KL the codes are further apart, and the noise is nearly gone: a large space is a way to tell images apart for
# free. Coverage suffers most, continuity too. Completeness hardly does.
# </details>
#
# The third row needs care. A decoder that ignores its code makes no steps at all. A small number is only good news
# beside a KL that is not zero.

# %% [markdown]
# ## 9 · Break it: the β that a mean hides
#
# Many public implementations take the *mean* over pixels, because that is what ready-made losses do by default. It
# looks harmless: a constant factor on one term. But the other term does not get it. With $D$ pixels,
#
# $$ -\tfrac1D \log p(x \mid z) + \mathrm{KL} = \tfrac1D \big[ -\log p(x \mid z) + D \cdot \mathrm{KL} \big], $$
#
# so the mean is a $\beta$ of $D$ in a loss that is $D$ times smaller, which Adam hardly notices. Nobody wrote that $\beta$
# down. We train with it.

# %%
collapsed = make_vae(latent=2)
collapsed_history = train(collapsed, beta=float(PIXELS), lines=4)
plots.training_curves(
    {"mean over pixels": collapsed_history},
    ylabel="loss times the number of pixels",
    caption="The loss with the hidden β. Would you have noticed anything?",
)
for name, run in {f"hidden beta of {PIXELS}": collapsed_history, "beta of 1": history}.items():
    print(f"{name:18s}  KL {run['val_kl'][-1]:7.4f} nats,  ELBO {run['val_elbo'][-1]:7.2f} nats  (validation)")

# %%
plots.image_grid(
    [x_test[:12], *(vae.reconstruct(x_test[:12], temperature=0) for vae in (collapsed, plain))],
    row_labels=["test image", "mean over pixels", "sum over pixels"],
    column_labels=digit_test[:12],
    caption="Reconstructions with the hidden β, and without. What does the decoder do when the code tells it nothing?",
)

# %% [markdown]
# This is **posterior collapse**: $q(z \mid x)$ is the prior for every $x$, the KL is next to nothing, and the decoder
# gives the same answer always. The loss fell smoothly. Two things would have told you: the KL reported beside the loss,
# and the ELBO with $\beta = 1$, which our models always log.
#
# The mend is one word, sum for mean. Collapse has other causes too; later lessons meet them.

# %% [markdown]
# ## 10 · One dimension at a time
#
# With more latent dimensions we can no longer draw the plane. We can walk: start from the code of an image, move one
# dimension through the prior's range, and hold the others. That is a **traversal**.

# %%
wide = make_vae(latent=16)
wide_history = train(wide, seed=1, lines=3)
wide_means, _ = codes(wide, x_test)
one_by_one = wide.infer(x_test)[0].posterior.distribution  # one normal for each dimension
kl_per_unit = distributions.kl(one_by_one, distributions.tfd.Normal(0.0, 1.0))
kl_per_unit = ops.convert_to_numpy(ops.mean(kl_per_unit, axis=0))
print("KL of each dimension, nats:", np.round(kl_per_unit, 2))

# %%
order = np.argsort(-kl_per_unit)
shown = [*order[:5], *order[-3:]]
walk = np.tile(wide_means[0], (len(shown), 11, 1))
for row, unit in enumerate(shown):
    walk[row, :, unit] = np.linspace(-2.5, 2.5, 11)
walked = wide.generate(len(shown) * 11, latents={1: walk.reshape(-1, wide.latent)})
plots.image_grid(
    list(walked.reshape(len(shown), 11, *SHAPE)),
    row_labels=[f"z{unit + 1}: {kl_per_unit[unit]:.2f} nats" for unit in shown],
    caption="Traversals: five dimensions with the largest KL, three with the smallest. Which rows do nothing, and why?",
)

# %% [markdown]
# The KL of a dimension, averaged over images, is at least the information that it carries about $x$. Where it is near
# zero, there is almost nothing for the decoder to read, only noise, and it learns to ignore it. Compare the numbers at
# the rows with what the rows do.

# %%
probability = wide.generate(12)
drawn = (np.random.default_rng(3).random(probability.shape) < probability).astype("float32")
plots.image_grid(
    [probability, drawn, x_test[12:24]],
    row_labels=["generated: p(white)", "a draw from it", "test image"],
    caption="Draws from the model with 16 latent dimensions. What do the drawn pixels lack that the test images have?",
)

# %% [markdown]
# ## 11 · A tighter bound
#
# The ELBO averages the logarithms of weights. With $k$ independent codes from $q$, average the *weights* themselves, and
# take the logarithm then (Burda, Grosse and Salakhutdinov 2016):
#
# $$ L_k = \mathbb E\left[\log \frac1k \sum_{i=1}^k w_i\right], \qquad
#    \log w_i = \log p(x \mid z_i) + \log p(z_i) - \log q(z_i \mid x). $$
#
# $L_1$ is the ELBO, and $L_1 \le L_2 \le \dots \le \log p(x)$. On the exact model, with a posterior that is shifted and
# too wide on purpose, we can watch it rise to the truth.
#
# (Section 1 was $L_k$ with the prior for $q$.)
#
# **Predict, then run.** Would more samples help with the *exact* posterior?

# %%
many = np.repeat(x_exact, 2000, axis=0).astype("float32")
wrong, right = exact.as_vae(shift=0.15, stretch=1.5), exact.as_vae()
bound_counts = [1, 4, 16, 64, 256]
bounds = {
    name: np.array([library_bound(model, many, samples=k) for k in bound_counts])
    for name, model in {"a wrong posterior": wrong, "the true posterior": right}.items()
}
plots.convergence(
    bound_counts,
    bounds,
    exact=log_evidence,
    ylabel="estimate of the bound, nats",
    caption="2,000 estimates at each k: mean and middle 80 %. Only the mean is a bound. Why has one band no width?",
)

# %% [markdown]
# ### Exercise 2.5 · The importance-weighted bound
#
# Write `importance_weighted_bound(log_weights)` for `log_weights` of shape `(samples, batch)`, in nats. It returns the
# estimate of $L_k$ for each example, shape `(batch,)`. The weights of an image of 784 pixels are around $e^{-100}$, which
# is 0 in float32. Stay in logarithms.


# %% exercise="2.5"
def importance_weighted_bound(log_weights):
    """log of the mean weight of each example, in nats. Shapes: (samples, batch) to (batch,)."""
    ### BEGIN SOLUTION
    samples = np.shape(log_weights)[0]
    return ops.logsumexp(log_weights, axis=0) - np.log(samples).astype("float32")
    ### END SOLUTION


# %% check="2.5"
check("2.5", importance_weighted_bound)

# %% [markdown]
# With a network for a decoder nobody can compute $\log p(x)$. But $L_k - L_1$ is the least by which the ELBO falls short.

# %%
for k in (1, 10, 100, 1000):
    print(f"L_{k:<5d}{library_bound(wide, x_test, samples=k).mean():8.3f} nats per test image")

# %% [markdown]
# ### Exercise 2.6 · What the ELBO is short of
#
# Take the linear-Gaussian model in one dimension: $p(z) = \mathcal N(0, 1)$ and $p(x \mid z) = \mathcal N(w z, s^2)$. Let
# $q(z \mid x) = \mathcal N(\mu, \sigma^2)$ be any normal.
#
# Derive on paper $\log p(x) - \text{ELBO}$. Section 2 says which KL it is. Find $p(z \mid x)$ first: as a function of $z$,
# $\log p(z) + \log p(x \mid z)$ is a parabola, so the posterior is normal; read off its mean and variance. For two normals,
#
# $$ \mathrm{KL}\big(\mathcal N(m_1, v_1) \,\|\, \mathcal N(m_2, v_2)\big)
#    = \tfrac12 \left[ \log \frac{v_2}{v_1} + \frac{v_1 + (m_1 - m_2)^2}{v_2} - 1 \right], $$
#
# of which exercise 2.2 was a special case. Then write `elbo_gap(x, weight, scale, mean, log_var)`. All arguments have
# shape `(n,)`: $x$, $w$, $s$ (a scale, not a variance), $\mu$, $\log \sigma^2$. It returns the gap in nats, shape `(n,)`. The
# main check knows nothing of posteriors: it computes $\log p(x)$ and the ELBO, and subtracts.


# %% exercise="2.6"
def elbo_gap(x, weight, scale, mean, log_var):
    """log p(x) - ELBO for z ~ N(0, 1), x|z ~ N(weight z, scale²), q = N(mean, exp(log_var)). Shapes: all (n,)."""
    ### BEGIN SOLUTION
    variance = 1 / (1 + weight**2 / scale**2)
    centre = variance * weight * x / scale**2
    ratio = np.exp(log_var) / variance
    return 0.5 * (ratio - 1 - np.log(ratio) + (mean - centre) ** 2 / variance)
    ### END SOLUTION


# %% check="2.6"
check("2.6", elbo_gap)

# %% [markdown]
# ## 12 · A bug to find
#
# A colleague's VAE gives the same blurred image for everything. Its loss falls smoothly. Here is the loss; it runs, and
# its gradient is finite everywhere.


# %%
def broken_loss(x, logits, mean, log_var):
    """A colleague's loss. Shapes: x and logits (batch, ...), mean and log_var (batch, latent); a scalar."""
    axes = tuple(range(1, np.ndim(x)))
    log_likelihood = ops.sum(x * logits - ops.softplus(logits), axis=axes)
    kl = 0.5 * ops.sum(ops.exp(log_var) + ops.square(mean) - 1 - log_var)
    return ops.mean(kl - log_likelihood)


plain_means, plain_scales = codes(plain, x_test)
plain_logits = plain.decoder(plain_means)
for size in (8, 32, 128):
    part = slice(0, size)
    loss = broken_loss(x_test[part], plain_logits[part], plain_means[part], 2 * np.log(plain_scales[part]))
    print(f"the first {size:3d} test images, one model: loss {float(loss):8.2f} 'nats per image'")

# %% [markdown]
# The numbers above are from one trained model, the same images first. A loss in nats per image may differ a little
# between batches. Not like this.

# %% [markdown]
# ### Exercise 2.7 · Mend the loss
#
# Write `mended_loss(x, logits, mean, log_var)`, with the shapes of `broken_loss`. It returns the negative ELBO in nats per
# example, a scalar. Then say in one sentence which $\beta$ the broken loss used, in a batch of 32.
#
# <details><summary>Which β it was</summary>
# 32, the size of the batch: every image pays for the codes of all images. Change the batch and you change the model.
# </details>


# %% exercise="2.7"
def mended_loss(x, logits, mean, log_var):
    """The negative ELBO, averaged over the batch, in nats. Shapes as in broken_loss; a scalar."""
    ### BEGIN SOLUTION
    axes = tuple(range(1, np.ndim(x)))
    log_likelihood = ops.sum(x * logits - ops.softplus(logits), axis=axes)
    kl = 0.5 * ops.sum(ops.exp(log_var) + ops.square(mean) - 1 - log_var, axis=-1)
    return ops.mean(kl - log_likelihood)
    ### END SOLUTION


# %% check="2.7"
check("2.7", mended_loss)

# %% [markdown]
# ## 13 · Questions to argue about
#
# **1. The KL is zero for every image. Is the model necessarily bad?**
# <details><summary>One answer</summary>
# It does not use its code, so it is no use as an encoder. As a density it may be as good as its decoder alone: if the
# data need no latent variable (independent pixels, say), a zero KL is optimal.
# </details>
#
# **2. Two models have the same ELBO. One has a KL of 2 nats, the other of 20. Which one is better?**
# <details><summary>One answer</summary>
# The ELBO does not say. (The KL is also called the **rate**, as in data compression.) The second pays for more in the code, stores at most that, and explains as much more from it; as
# lower bounds on log p(x) they are equal. Which is better depends on what you want the code for (Alemi et al. 2018). Compare L_k for the density, and
# a task for the code.
# </details>
#
# **3. Why is the reconstruction of a VAE blurred, and where exactly is the blur?**
# <details><summary>One answer</summary>
# The picture shown is the mean of p(x|z), over all the images that share this code. Nothing in the code says which of
# them it was. A draw from p(x|z) is not blurred, it is noisy: the pixels are independent given z.
# </details>
#
# **4. With the true posterior, every importance weight is the same. What does a large spread of weights tell you?**
# <details><summary>One answer</summary>
# That q is far from p(z|x). Near the posterior, the variance of the log-weights is about twice the gap. But a small variance
# proves nothing: a q that is too narrow, or misses a mode, has one too, since it only looks where q has mass.
# </details>
#
# **5. Could you train on L_k with a very large k instead of the ELBO?**
# <details><summary>One answer</summary>
# It is a tighter bound, and better decoders come of it for moderate k. But the gradient of the encoder loses its signal
# relative to its noise as k grows (Rainforth et al. 2018): with a perfect estimate of log p(x), q would not matter.
# </details>

# %% [markdown]
# ## 14 · What is known and what is not
#
# | claim | standing |
# |---|---|
# | The ELBO is a lower bound on log p(x), and the gap is KL(q‖p(z given x)). | **True** for every model with p(x) > 0 and every density q; the gap is infinite where q leaves the posterior's support. |
# | L_k grows with k and approaches log p(x). | **True** in expectation: it never falls, and it approaches log p(x) if q covers the posterior and the ELBO is finite; bounded weights suffice (Burda et al. 2016, theorem 1). A single estimate may fall. |
# | A higher ELBO means a better latent representation. | **False in general.** With flexible networks the same ELBO is reached at many rates, even at zero (Alemi et al. 2018). |
# | The reparameterised gradient always has the smaller variance. | **False in general**; it often has, by far, as in section 3. For an f that oscillates quickly the score function wins: try sin(10 z) (see also Gal 2016, section 3.1). |
# | Posterior collapse is caused by the KL term. | **True under conditions.** A wrong β causes it, as in section 9; but linear models show it at maxima of log p(x) itself when the observation noise is too large, with no fault of the bound (Lucas et al. 2019). |
# | VAE samples are blurred because of the KL term. | **True in part.** A heavier KL blurs more (section 9), but pixels that are independent given z, and a code too small to tell images apart, blur without it. |

# %% [markdown]
# ## 15 · Going further
#
# - How much of the gap comes from an encoder that is too simple, and how much from one network serving all images?
#   Cremer, Li and Duvenaud (2018), *Inference suboptimality in variational autoencoders*, take it apart. On the exact
#   model you can too.
# - Is there an estimator of L_k's encoder gradient that does not drown in noise as k grows? Tucker et al. (2019), *Doubly
#   reparameterized gradient estimators for Monte Carlo objectives*, is one answer. Is it the last?
# - Is a standard normal prior a good idea at all? Compare the cloud of codes in section 8 with it. Hoffman and Johnson
#   (2016), *ELBO surgery*, measure the mismatch; lesson 04 gives the prior levels of its own.
#
# **References.** Higgins et al. (2017), *β-VAE: learning basic visual concepts with a constrained variational framework*. Kingma and Welling (2014), *Auto-encoding variational Bayes*. Rezende, Mohamed and Wierstra (2014),
# *Stochastic backpropagation and approximate inference in deep generative models*. Burda, Grosse and Salakhutdinov (2016),
# *Importance weighted autoencoders*. Alemi et al. (2018), *Fixing a broken ELBO*. Rainforth et al. (2018), *Tighter
# variational bounds are not necessarily better*. Lucas et al. (2019), *Don't blame the ELBO!* Gal (2016), *Uncertainty in
# deep learning* (thesis). Tipping and Bishop (1999), *Probabilistic principal component analysis*.
