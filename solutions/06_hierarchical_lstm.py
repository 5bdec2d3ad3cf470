# ---
# jupyter:
#   hvae:
#     title: "Hierarchical LSTM: music from form to note"
#     minutes: 90
# ---

# %% [markdown]
# # Lesson 06 · Hierarchical LSTM: music from form to note
#
# ![Piano rolls of three tunes of four phrases each, written by a hierarchical LSTM. Each phrase is coloured by a
# letter: phrases of one letter are alike.](../lessons/pictures/06_hierarchical_lstm.png)
#
# A model with two levels wrote these tunes: one LSTM goes from phrase to phrase, another one writes the notes of each.
# Phrases of one colour are alike. (They are chosen: the first draws with a form, at temperature 0.6.) A tune that says
# something, says something else and comes back to the first is what an ear calls music. An LSTM of the same size
# without the upper level has a likelihood about as good, and comes back less often.
#
# **The question of this lesson: how can a model be good at every next note, and bad at the tune?**

# %% [markdown]
# **You will learn to**
# - write one step of an Elman cell and of an LSTM, and the likelihood of a tune with padding,
# - derive how fast a gradient dies on its way back through time, and measure it,
# - draw tunes, and score their form, key and harmony against a floor and a ceiling,
# - unroll a conductor over phrases, in which the output of each level feeds the next,
# - hold the latent variable of one level, draw the other anew, and say what each of them decides.
#
# **You need** [lesson 02](02_vae.ipynb) for sections 7 and 8. [Lesson 04](04_hierarchical_priors.ipynb) helps there.
# You do not need to read music.
#
# **Time** 90 minutes, {exercise summary}.
#
# Under every stub is a cell that checks your answer. `hint("6.1")` gives a hint, three of them if you ask again.
# `reveal("6.1")` shows a solution once you have passed or tried three times. No later cell uses your answers, so
# you can go on without them. Floating arrays come as NumPy arrays in float32, tokens as integers; return arrays.
#
# | symbol | meaning | in code |
# |---|---|---|
# | $x = x_1 \dots x_T$ | a tune: one token for each eighth note, 64 steps | `x` `[n, steps]` |
# | $x_{p,t}$ | the same in phrases: step $t$ of phrase $p$; 4 phrases of 16 steps | `music.cut(x, 16)` |
# | $x_{<t}$ | all steps before $t$ | |
# | $h_t$, $c_t$ | the state of a cell after step $t$, and the second state of an LSTM | `h`, `c` |
# | $W, U, b$ | weights for what comes in, for the state, and the bias | `kernel`, `recurrent`, `bias` |
# | $i, f, g, o$ | input gate, forget gate, candidate and output gate of an LSTM (Keras calls $g$ "c") | |
# | $\sigma$ | the sigmoid | `sigmoid` |
# | $z_2$, $z_{1,p}$ | latent variable of the tune, and of phrase $p$ | `{2: z}`, `{1: z}` |
# | NLL | $-\log p(x)$, the negative log-likelihood | `-model.log_prob(x)` |
#
# Everything is in nats per tune: sums over steps, means over tunes.

# %%
# %matplotlib inline
import json
from itertools import permutations
from math import perm

import numpy as np
from scipy.special import expit as sigmoid
from scipy.special import logsumexp

from hvae_keras import metrics, music, plots
from hvae_keras.backend import keras, ops
from hvae_keras.callbacks import BetaSchedule, Progress
from hvae_keras.course import check, hint, reveal
from hvae_keras.course.places import course_root
from hvae_keras.course.weights import load_weights
from hvae_keras.data import load, melodies
from hvae_keras.layers import Categorical, FreeBits
from hvae_keras.metrics import music as music_scores
from hvae_keras.models import HierarchicalRecurrentModel, HierarchicalRecurrentVAE, RecurrentModel
from hvae_keras.schedules import linear

keras.utils.set_random_seed(6)
data = load("melodies")
x_train, x_validation, x_test = data.train.x, data.validation.x, data.test.x
FORMS, PHRASE = melodies.FORMS, melodies.STEPS
print(data)

# %% [markdown]
# ## 1 · Four phrases, two or three letters
#
# The tunes of this lesson come from a program, so we know what there is to find. It works from the top:
# - **the tune**: its key and its form: AABA, ABAB, ABAC or AABC. A key is a note to start a scale from, the *tonic*, and
#   one of two scales of seven notes, the *mode*: 24 of them,
# - **each letter** of the form: a progression of four chords, a rhythm, and a contour (rising, falling, arch, valley).
#   A chord here is a *triad*, three notes of the scale,
# - **each note**: the first one in each chord's time is *strong* and belongs to the chord. The others follow the
#   contour, off by one step of the scale now and then.
#
# Phrases of one letter are the same, note for note. Music comes back; that is how you know where you are in it.
#
# A tune is a row of **tokens**, one for each eighth note: 0 lets the note before go on (HOLD), 1 begins a silence
# (REST), and each other token starts a note, 2 the lowest pitch. A real tune, to see and to hear:

# %%
example = 4
letters = str(data.factor_values["form"][data.test.factors["form"][example]])
print("tokens of the first phrase:", *x_test[example, :PHRASE])
plots.piano_roll(
    {"a tune of the test set": x_test[example]},
    letters=[letters],
    caption="A bar is a note, its dark end is where it starts. Letters and colours name the phrases. Can you hear what "
    "you see?",
)
music.play(x_test[example])

# %% [markdown]
# A **self-similarity matrix** shows what an ear does: it compares every moment with every other. A phrase that
# returns is a bright line beside the diagonal, a long note is a square. (Each point is a mean over five along its
# diagonal, so that a single note that agrees does not count for much.) Next to the tune stands a worse one: four
# phrases, each from another tune.

# %%
rng = np.random.default_rng(6)
phrases_of_test = music.cut(x_test, PHRASE)
order = rng.random(phrases_of_test.shape[:2]).argsort(axis=1)
shuffled = music.join(np.take_along_axis(phrases_of_test, order[:, :, None], axis=1))
exchanged = music.join(np.stack([phrases_of_test[rng.permutation(len(x_test)), p] for p in range(4)], axis=1))
plots.self_similarity(
    {
        "a tune": music_scores.self_similarity(x_test[example]),
        "phrases of four tunes": music_scores.self_similarity(exchanged[example]),
    },
    caption="Which phrases of the left tune are the same? Does anything return on the right for a whole phrase?",
)

# %% [markdown]
# Both sets are for later: `exchanged` has phrases of four tunes in each tune, `shuffled` the phrases of one tune in
# another order. Every phrase in them is right. Only what holds phrases together is broken.
#
# Our phrases all have 16 steps. Those of real tunes do not, such as Bach's chorales (`load("chorales")`). In one array,
# the shorter ones are filled up with **padding**, −1.

# %% [markdown]
# ### Exercise 6.1 · Cut a tune into phrases
#
# Write `cut(tune, ends, length)`. `tune` has shape `(steps,)`, integers of at least 0. `ends`, shape `(phrases,)`,
# holds the index of the last step of each phrase, counted from 0 and increasing; the last of them is that of the tune's
# last step. No phrase is longer than `length`. It returns integers of shape `(phrases, length)`, each phrase from the
# start of its row, padded with −1. Nothing may be lost: without its padding, the result is the tune again.


# %% exercise="6.1"
def cut(tune, ends, length):
    """Cut a tune after the steps named. Shapes: (steps,) and (phrases,), to (phrases, length), padded with -1."""
    ### BEGIN SOLUTION
    phrases, start = np.full((len(ends), length), -1), 0
    for row, end in zip(phrases, ends, strict=True):
        row[: end + 1 - start] = tune[start : end + 1]
        start = end + 1
    return phrases
    ### END SOLUTION


# %% check="6.1"
check("6.1", cut)

# %% [markdown]
# ## 2 · Memory
#
# How does one predict the next token? The chain rule takes a tune apart without any assumption:
#
# $$ \log p(x) = \sum_{t=1}^{T} \log p(x_t \mid x_{<t}). $$
#
# What comes before gets longer and longer. A **recurrent network** keeps it in a state of fixed size (Elman 1990).
# The **Elman cell** mixes what comes in with what it remembers, with the same weights at every step:
#
# $$ h_t = \tanh(x_t W + h_{t-1} U + b). $$
#
# In code it is `h = np.tanh(x @ kernel + h @ recurrent + bias)`. All that it knows is overwritten at every step.
#
# The **LSTM** (Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000) has a
# second state $c$ that is not overwritten but *changed*. Three **gates**, numbers between 0 and 1 for each unit, say
# what stays, what comes in, and what is shown:
#
# $$ (i, f, g, o) = x_t W + h_{t-1} U + b \quad \text{cut in four}, $$
# $$ c_t = \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(g), \qquad h_t = \sigma(o) \odot \tanh(c_t). $$
#
# With $\sigma(f)$ at 1 and $\sigma(i)$ at 0, a unit keeps what it knows for as long as it likes. The **GRU** (Cho et
# al. 2014) does with one state and two gates.

# %% [markdown]
# ### Exercise 6.2 · One step of two cells
#
# Write `one_step(cell, x, h, c, kernel, recurrent, bias)`, where `cell` is `"elman"` or `"lstm"`. `x` has shape
# `(batch, inputs)`, `h` and `c` have `(batch, units)`. For the Elman cell `kernel` is `(inputs, units)`, `recurrent`
# `(units, units)` and `bias` `(units,)`. For the LSTM the last axis of these three is four times as long: the parts
# of $i, f, g, o$, in this order, side by side. It returns the new `h` and `c`, both `(batch, units)`. An Elman cell has
# no `c`: return it as it came. `sigmoid` is there. The check compares with Keras's own cells.


# %% exercise="6.2"
def one_step(cell, x, h, c, kernel, recurrent, bias):
    """The states h and c after one step of an "elman" or "lstm" cell, both (batch, units)."""
    ### BEGIN SOLUTION
    total = x @ kernel + h @ recurrent + bias
    if cell == "elman":
        return np.tanh(total), c
    i, f, g, o = np.split(total, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c
    ### END SOLUTION


# %% check="6.2"
check("6.2", one_step)

# %% [markdown]
# From the state, a matrix makes the **logits** of the next token. In training, the state has read the *true* tokens
# before it, whatever the model would have said: this is **teacher forcing** (Williams and Zipser 1989). It makes
# every step a classification, and the loss of a tune is the sum of its surprises.

# %% [markdown]
# ### Exercise 6.3 · The surprise of a tune
#
# Write `masked_nll(tokens, logits)`. `tokens`, integers of shape `(batch, steps)`, are −1 where there is padding, and
# at least one step in each row is not. `logits`, `(batch, steps, classes)`, are those of $p(x_t \mid x_{<t})$ at step
# $t$. It returns the negative log-likelihood of each tune in nats, `(batch,)`, and the nats per step of all tunes
# together, a number: all nats over all steps. Padding costs nothing and is no step. `logsumexp(a, axis, keepdims=True)`
# is there.


# %% exercise="6.3"
def masked_nll(tokens, logits):
    """Nats of each tune, (batch,), and nats per step, a number. Shapes: (batch, steps), (batch, steps, classes)."""
    ### BEGIN SOLUTION
    log_p = logits - logsumexp(logits, axis=-1, keepdims=True)
    known = tokens >= 0
    picked = np.take_along_axis(log_p, np.where(known, tokens, 0)[..., None], axis=-1)[..., 0]
    nll = -np.sum(picked * known, axis=1)
    return nll, nll.sum() / known.sum()
    ### END SOLUTION


# %% check="6.3"
check("6.3", masked_nll)

# %% [markdown]
# Before any network, two ends to compare with. How many nats does a tune cost if we know nothing, or only count: each
# token, each after the one before it, or after two? And because we know the program, we know the best possible: the
# **entropy** of the process, below which no model can be on average. It adds up from the top as well: form and key,
# the rhythms and contours of the letters (2 or 3 a tune), their chords and the notes that wander.
#
# **Predict, then run.** There are 34 tokens, so knowing nothing costs 64 log 34 nats, about 226. Write down a guess
# for the counts, for the counts given the token before, and for the entropy.


# %%
def count_model(order):
    """NLL of test tunes, nats, from counts of the tokens given so many tokens before (and one added to each)."""

    def contexts(x):
        padded = np.pad(x, ((0, 0), (order, 0)), constant_values=music.TOKENS)
        return sum(padded[:, k : k + x.shape[1]] * (music.TOKENS + 1) ** k for k in range(order)) + 0 * x

    counts = np.ones(((music.TOKENS + 1) ** order, music.TOKENS))
    np.add.at(counts, (contexts(x_train), x_train), 1)
    log_p = np.log(counts / counts.sum(axis=1, keepdims=True))
    return -log_p[contexts(x_test), x_test].sum(axis=1).mean()


print(f"knowing nothing           {64 * np.log(music.TOKENS):7.1f} nats a tune")
for order, name in enumerate(["counts", "given the token before", "given two tokens before"]):
    print(f"{name:25s} {count_model(order):7.1f}")
letters = [len(set(form)) for form in FORMS]
lines = np.mean([np.log(perm(8, n) * perm(4, n)) for n in letters])  # 8 rhythms, 4 contours, no two alike
notes = np.mean(letters) * melodies.phrase_entropy()[0].mean()
print(f"entropy of the process    {melodies.entropy():7.1f}: form {np.log(4):.1f}, key {np.log(24):.1f}, ", end="")
print(f"rhythms and contours {lines:.1f}, chords and notes that wander {notes:.1f}")

# %% [markdown]
# Now an Elman network of 128 units. `RecurrentModel` takes the cell as an argument, and with `meter=16` it also reads
# the place in the phrase, as a musician would. It is trained on 3,000 of the tunes for a few hundred steps, to see how
# such a curve begins.

# %%
BATCH, EPOCHS = 64, 8
STEPS_SHORT = EPOCHS * -(-3000 // BATCH)


def train(model, seed=0, lines=0, callbacks=()):
    """Train from new weights on 3,000 tunes; returns the history, with validation."""
    rate = keras.optimizers.schedules.CosineDecay(4e-3, STEPS_SHORT)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), steps_per_execution=47)
    model.build((None, *x_train.shape[1:]))
    model.reinitialise(seed)
    options = {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0, "validation_data": x_validation}
    return model.fit(
        x_train[:3000], callbacks=[*callbacks, *([Progress(lines)] if lines else [])], **options
    ).history


elman = RecurrentModel(keras.layers.SimpleRNNCell(128), Categorical(music.TOKENS), meter=PHRASE)
histories = {"Elman": train(elman, lines=4)}
print(f"{elman.count_params():,} parameters, {STEPS_SHORT} steps of {BATCH} tunes")

# %% [markdown]
# Far below the counts, and far above the entropy. What is missing? By the last phrase of a tune the key has been heard,
# and most letters; where the phrase returns, the note to come was played 16, 32 or 48 steps ago. Does the network hear
# that far back? Could it *learn* to?

# %% [markdown]
# ## 3 · How far back?
#
# A network learns from a step in the past only if a small change there would change what comes out now. Take a
# small change $\delta$ of $h_{t-1}$. It changes $h_t$ by $(\delta U) \odot (1 - h_t^2)$, since the slope of the tanh
# is $1 - \tanh^2$. As a matrix, to be multiplied by from the right, that is $U \operatorname{diag}(1 - h_t^2)$. From
# $t$ to $T$ they multiply:
#
# $$ \frac{\partial h_T}{\partial h_t} = \prod_{s = t+1}^{T} U \operatorname{diag}(1 - h_s^2). $$
#
# A product of $T - t$ matrices grows or shrinks like a power. If every factor shrinks all vectors, the gradient
# **vanishes**; if some direction is stretched again and again, it **explodes** (Bengio, Simard and Frasconi 1994;
# Pascanu, Mikolov and Bengio 2013). The slope is at most 1: a tanh never lengthens a vector.

# %% [markdown]
# ### Exercise 6.4 · The gradient's way back
#
# Write `gradient_norms(h, recurrent)`. `h`, shape `(steps, units)`, holds the states $h_1, \dots, h_T$ of an Elman cell
# along a tune, `recurrent` is $U$, `(units, units)`. It returns the Frobenius norm (the root of the sum of all squares)
# of $\partial h_T / \partial h_t$ for $t = 1, \dots, T$, shape `(steps,)`. The last one is that of the identity. Derive
# the product before you write it; the check moves every state a little and runs the cell to the end.


# %% exercise="6.4"
def gradient_norms(h, recurrent):
    """Frobenius norms of d h_T / d h_t for t = 1..T. Shapes: (steps, units), (units, units), to (steps,)."""
    ### BEGIN SOLUTION
    product, norms = np.eye(len(recurrent)), []
    for state in h[::-1]:
        norms.append(np.linalg.norm(product))
        product = (recurrent * (1 - state**2)) @ product
    return np.array(norms[::-1])
    ### END SOLUTION


# %% check="6.4"
check("6.4", gradient_norms)

# %% [markdown]
# Now measured, for cells of 64 units with Keras's own first weights, along test tunes. For the LSTM it is the gradient
# with respect to both parts of its state. One Elman cell has its first $U$ multiplied by 0.7, another one by 2.
#
# **Predict, then run.** Keras starts the $U$ of an Elman cell as an orthogonal matrix, which changes no length. Order
# the lines at distance 48: Elman as it comes, Elman × 2, GRU, LSTM. Is the LSTM, which was invented to keep gradients
# alive, on top?


# %%
def made(cell, scale=1.0, forget=None):
    """A cell with its first weights; `U` times `scale`, and with `forget` another bias of the forget gate."""
    cell.build((None, music.TOKENS))
    cell.recurrent_kernel.assign(scale * cell.recurrent_kernel.value)
    if forget is not None:
        bias = ops.convert_to_numpy(cell.bias).reshape(4, -1)
        bias[1] = forget
        cell.bias.assign(bias.ravel())
    return cell


one_hot = np.eye(music.TOKENS, dtype="float32")[x_test[:20]]
cells = {
    "Elman": made(keras.layers.SimpleRNNCell(64)),
    "Elman, U × 0.7": made(keras.layers.SimpleRNNCell(64), 0.7),
    "Elman, U × 2": made(keras.layers.SimpleRNNCell(64), 2.0),
    "GRU": made(keras.layers.GRUCell(64)),
    "LSTM": made(keras.layers.LSTMCell(64)),
    "LSTM, forget bias 3": made(keras.layers.LSTMCell(64), forget=3.0),
}
norms = {name: metrics.gradient_norms(cell, one_hot)[:, ::-1] for name, cell in cells.items()}
plots.gradient_norms(
    norms,
    caption="Norm of dh_T/d(state) against the distance from the end, median and middle 80 % of 20 tunes. What does the "
    "slope of a straight line say?",
)
for name, norm in norms.items():
    at = np.median(norm, axis=0)
    factor = (at[48] / at[16]) ** (1 / 32)
    print(f"{name:20s} distance 16: {at[16]:8.1e}   48: {at[48]:8.1e}   factor a step between them: {factor:.2f}")

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# A straight line is a power: the same factor at each step, which the cell prints. The LSTM as it comes is not on top:
# at distance 48 it is far below the Elman cell. Keras starts the bias of its forget gates at 1, so that they are near
# σ(1), about 0.73, and the GRU's are near one half. Both lose less than that at each step (about 0.86 and 0.63),
# because a second way leads back, through h and U. It is not enough. What the LSTM has is not a large gradient but a
# gate that can be opened: with a forget bias of 3 it is at 0.95, and with the second way the line no longer falls. In
# an Elman cell one matrix must remember and compute: times 0.7 the gradient dies, times 2 it explodes.
# </details>
#
# So "an LSTM does not have vanishing gradients" is true of units whose forget gate is open. Does training open it?
# Section 4 measures it. (A forget bias of 1 was found to help already: Jozefowicz, Zaremba and Sutskever 2015. Which
# bias for which distance: Tallec and Ollivier 2018.)

# %% [markdown]
# ## 4 · A flat LSTM, and what it loses
#
# Now an LSTM of 182 units, with six times as many parameters as the Elman network. We see how its training begins, and
# then load weights that were trained for longer than a lesson may: all 12,000 tunes, by the script
# `lessons/weights/train_06.py`, with the settings that the cell prints. Three seeds. (Learning rate and schedule were
# the same for all models and tuned for none.)


# %%
def make_flat():
    """One LSTM over all steps, which is told the place in the phrase."""
    return RecurrentModel(keras.layers.LSTMCell(182), Categorical(music.TOKENS), meter=PHRASE)


flat = make_flat()
histories["LSTM"] = train(flat, lines=2)
plots.training_curves(
    histories,
    ylabel="nats per tune",
    caption=f"The first {STEPS_SHORT} steps, on 3,000 tunes. (Training is the mean over an epoch in which the model "
    "improves; validation comes at its end.) Which cell is ahead, and where do both seem to be going?",
)

# %% [markdown]
# The Elman cell is ahead at first, and both still fall. Would it stay ahead? We have not trained one for longer; the
# code to try it is above.

# %%
SEEDS = (0, 1, 2)
runs = json.loads((course_root() / "lessons" / "weights" / "06_training.json").read_text())


def trained(model, name):
    """The model with the weights that the course ships."""
    if not model.built:
        model.build((None, *x_train.shape[1:]))
    load_weights(model, f"06_{name}")
    return model


def nats(model, x=x_test):
    """NLL of each tune and phrase, in nats: [n, phrases]."""
    return music.cut(-ops.convert_to_numpy(model.step_log_prob(x)), PHRASE).sum(axis=-1)


surprise = {"flat": [nats(trained(flat, f"flat_{seed}")) for seed in SEEDS]}
for seed in SEEDS:
    run = runs[f"flat_{seed}"]
    print(
        f"flat LSTM, seed {seed}: {run['parameters']:,} parameters, {run['steps']:,} steps of 64 tunes, "
        f"{run['seconds']} s where it was trained: validation {run['val_loss'][-1]:.1f}, test "
        f"{surprise['flat'][seed].sum(axis=1).mean():.1f} nats a tune"
    )
print(
    f"the process itself on these tunes: {-melodies.log_prob(x_test).mean():.1f}, on average {melodies.entropy():.1f}"
)

# %% [markdown]
# Far better than counts, and still about 12 nats a tune above the process itself. What do they pay for? Draw from
# it, and listen. One step after another: the logits of the next token, a
# draw, and the token drawn goes in as if it had been played. Now there is no teacher.
#
# Two knobs are common. The **temperature** $T$ divides the logits: below 1, probable tokens become more probable.
# **Top-k** leaves out all but the $k$ most probable tokens (Fan, Lewis and Dauphin 2018). Both change the
# distribution: what is drawn at $T = 0.6$ is *not* a sample of the model whose likelihood you measured.

# %% [markdown]
# ### Exercise 6.5 · Temperature and top-k
#
# Write `sharpen(logits, temperature, top_k)`. `logits` has shape `(batch, classes)`, `temperature` is above 0, `top_k`
# is a whole number from 1 to the number of classes. It returns the probabilities to draw from, `(batch, classes)`: each
# row sums to 1, and all but the `top_k` largest are 0. No two logits of a row are equal.


# %% exercise="6.5"
def sharpen(logits, temperature, top_k):
    """Probabilities at a temperature, of the top_k largest in each row. Shapes: (batch, classes), to the same."""
    ### BEGIN SOLUTION
    kth = np.sort(logits, axis=-1)[:, -top_k, None]
    kept = np.where(logits >= kth, logits / temperature, -np.inf)
    p = np.exp(kept - kept.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% check="6.5"
check("6.5", sharpen)

# %% [markdown]
# Listen before you measure. The first draw of the flat LSTM of seed 0 whose form is none of the four, at temperature
# 1, and its picture. (Its letters are found by the rule of exercise 6.6.)

# %%
TUNES = 2000
trained(flat, "flat_0")
drawn = {("flat", 0, 1.0): flat.generate(TUNES, seed=0)}
found = music_scores.form(drawn["flat", 0, 1.0])
formless = int(np.flatnonzero(~np.isin(found, FORMS))[0])
plots.piano_roll(
    {f"draw {formless + 1} of the flat LSTM": drawn["flat", 0, 1.0][formless]},
    letters=[found[formless]],
    caption="Is there a wrong note in it? Is there a phrase that comes back?",
)
music.play(drawn["flat", 0, 1.0][formless])

# %% [markdown]
# To count, we need a rule. Two phrases are similar by the share of their steps at which the same pitch sounds. The
# first phrase is A. Each next one takes the letter of the *most similar* phrase before it, if that similarity is at or
# above a threshold (0.6 in the library), and a new letter if not. The **form score** is the share of tunes whose
# letters are one of the four forms.

# %% [markdown]
# ### Exercise 6.6 · The form score
#
# Write `form_score(pitch, forms, length, threshold)`. `pitch`, integers of shape `(n, steps)`, is what sounds at each
# step (−1 is silence, which sounds like silence); phrases have `length` steps. `forms`, `(k, phrases)`, holds letters
# as numbers, 0 for A. It returns the letters of every tune, integers of shape `(n, phrases)`, and the share of tunes
# whose letters are one of the forms. A new letter is the next one that the tune has not used.


# %% exercise="6.6"
def form_score(pitch, forms, length, threshold):
    """Letters (n, phrases), 0 for A, and the share of tunes in one of the forms. Shapes: (n, steps), (k, phrases)."""
    ### BEGIN SOLUTION
    phrases = pitch.reshape(len(pitch), -1, length)
    alike = (phrases[:, :, None] == phrases[:, None]).mean(axis=-1)
    letters, tunes = np.zeros(phrases.shape[:2], int), np.arange(len(pitch))
    for i in range(1, letters.shape[1]):
        best = alike[:, i, :i].argmax(axis=1)
        returns = alike[tunes, i, best] >= threshold
        letters[:, i] = np.where(returns, letters[tunes, best], letters[:, :i].max(axis=1) + 1)
    legal = (letters[:, None] == forms).all(axis=-1).any(axis=1)
    return letters, legal.mean()
    ### END SOLUTION


# %% check="6.6"
check("6.6", form_score)

# %% [markdown]
# A score says nothing without its ends. The ceiling are test tunes. The floor are tunes whose phrases were shuffled:
# letters are still there, in a random order. Below it are the tunes whose phrases were exchanged. Besides the form we
# measure the key (the share of what sounds that is in the key which fits best), the harmony (the share of strong
# notes in the triads of the progression that fits best), the repetition (the similarity of the phrases that should be
# alike less that of the others, in the form that fits best; it has no threshold, and is below 1 for real tunes, whose
# other phrases agree now and then) and the overlap of the histogram of durations with that of test tunes, at most 1.
#
# **Predict, then run.** The flat LSTM is 12 nats above the process. Where between floor and ceiling will its form be?
# Its key? Write down two numbers.


# %%
def scores(tunes):
    """Share in one of the forms; in key; strong notes in a chord; repetition; overlap of the durations: [5]."""
    tonic, mode = music_scores.key(tunes)
    repetition = np.max([music_scores.repetition(tunes, form) for form in FORMS], axis=0)
    parts = music_scores.in_key(tunes, tonic, mode), music_scores.best_harmony(tunes, tonic, mode), repetition
    durations = music_scores.duration_histogram(tunes), music_scores.duration_histogram(x_test)
    means = [part.mean() for part in parts]
    return [music_scores.form_score(tunes, FORMS), *means, music_scores.overlap(*durations)]


def show_scores(named):
    """A line for each set of tunes."""
    print(f"{'':36s}   form  in key  harmony  repetition  durations")
    for name, tunes in named.items():
        form, key, harmony, repetition, durations = scores(tunes)
        print(f"{name:36s}{form:7.2f}{key:8.2f}{harmony:9.2f}{repetition:12.2f}{durations:11.2f}")


show_scores(
    {
        "test tunes": x_test,
        "phrases shuffled within each tune": shuffled,
        "phrases exchanged between tunes": exchanged,
        "flat LSTM, seed 0": drawn["flat", 0, 1.0],
    }
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# Key, harmony and durations are nearly those of real tunes. The form is below the floor: tunes whose own phrases were
# put in a random order have one of the forms more often than what the model draws. Note by note it sounds right. As a
# whole it wanders.
# </details>
#
# Why? Section 3 suggests a reason: nothing that could teach the LSTM to look so far back comes through. It can be
# tested.
#
# **Predict, then run.** The same measure as in section 3, now of the trained LSTMs along test tunes. At distance 48, is
# it nearer to the untrained LSTM's 0.001 or to 1?

# %%
heard = np.pad(one_hot, ((0, 0), (1, 0), (0, 0)))[:, :-1]  # the token before, zeros at the start
place = np.tile(np.eye(PHRASE, dtype="float32"), (len(one_hot), 4, 1))
for seed in SEEDS:
    norm = metrics.gradient_norms(trained(flat, f"flat_{seed}").cell, np.concatenate([heard, place], axis=-1))
    at = np.median(norm[:, ::-1], axis=0)
    print(f"flat LSTM, seed {seed}: distance 16 {at[16]:.2f}, 32 {at[32]:.2f}, 48 {at[48]:.2f}")

# %% [markdown]
# Training has opened the gates: hundreds of times as much comes back from 48 steps as at the start. So the gradient is
# not what is missing. What is? A guess: all of the first phrase, note by note, has to be held in one state that is busy
# with the next note, until its moment comes. We test it by giving the phrases a way of their own.

# %% [markdown]
# ## 5 · Phrases, then notes
#
# The hierarchical LSTM has three parts (after Sordoni et al. 2015, Serban et al. 2016, and the conductor of Roberts et
# al. 2018, MusicVAE):
# - an **encoder** reads a phrase that has been played and leaves a summary $s_p$,
# - a **conductor** makes one step a *phrase*. It reads the summary of the phrase before and gives the plan of the next,
# - a **writer** starts each phrase with a fresh state made from the plan, reads the plan beside every step, and
#   writes the notes.
#
# $$ s_p = \mathrm{encode}(x_p), \qquad h_p = \mathrm{conduct}(s_{p-1}, h_{p-1}), \qquad
#    p(x_p \mid x_{<p}) = \prod_{t} p(x_{p,t} \mid x_{p,<t}, x_{p-1,16}, h_p). $$
#
# From the third phrase back to the first it was 32 steps of one cell. Now it is two steps of the
# conductor, besides reading one phrase and writing one. **Only the plan and the last note pass from phrase to phrase**:
# the writer is fed the note before, also at the start of a phrase, but its state does not go on.

# %% [markdown]
# ### Exercise 6.7 · Unroll the conductor
#
# Write `conduct(z, conductor, writer, phrases, length)`: both levels as Elman cells without biases, which start from a
# code `z`, `(batch, units)`, as the model of section 7 will. Here not even the last note passes between phrases.
# `conductor` and `writer` are dictionaries of weights:
#
# | `conductor` | shape | `writer` | shape |
# |---|---|---|---|
# | `"kernel"` | `(size, units)` | `"kernel"` | `(size, writer_units)` |
# | `"recurrent"` | `(units, units)` | `"recurrent"` | `(writer_units, writer_units)` |
# | | | `"start"`, `"plan"` | `(units, writer_units)` |
# | | | `"output"` | `(writer_units, size)` |
#
# - The conductor's state starts as $h_0 = z$, what it has heard as zeros, $m_0 = 0$.
# - For each phrase, the conductor makes a step: $h_p = \tanh(m_{p-1}\, \text{kernel} + h_{p-1}\, \text{recurrent})$.
# - The writer's state starts anew, $s_0 = \tanh(h_p\, \text{start})$, and what it has written as zeros, $y_0 = 0$. Then
#   `length` times $s_t = \tanh(y_{t-1}\, \text{kernel} + h_p\, \text{plan} + s_{t-1}\, \text{recurrent})$ and
#   $y_t = s_t\, \text{output}$.
# - What the conductor hears of the phrase, $m_p$, is the mean of its $y_t$.
#
# It returns all $y$, shape `(batch, phrases, length, size)`.


# %% exercise="6.7"
def conduct(z, conductor, writer, phrases, length):
    """Notes (batch, phrases, length, size) of a conductor and a writer, each output feeding the next."""
    ### BEGIN SOLUTION
    h, tune = z, []
    heard = silence = np.zeros((len(z), writer["output"].shape[1]))
    for _ in range(phrases):
        h = np.tanh(heard @ conductor["kernel"] + h @ conductor["recurrent"])
        s, y, phrase = np.tanh(h @ writer["start"]), silence, []
        for _ in range(length):
            s = np.tanh(y @ writer["kernel"] + h @ writer["plan"] + s @ writer["recurrent"])
            y = s @ writer["output"]
            phrase.append(y)
        heard = np.mean(phrase, axis=0)
        tune.append(np.stack(phrase, axis=1))
    return np.stack(tune, axis=1)
    ### END SOLUTION


# %% check="6.7"
check("6.7", conduct)

# %% [markdown]
# The library's model has LSTMs in all three places. Their sizes are chosen so that it has as many parameters as the flat
# one: what changes is the order of things, not the size. The training is the same.


# %%
def make_hierarchical():
    """About as many weights as the flat model, on two levels."""
    encoder, conductor, writer = (keras.layers.LSTMCell(units) for units in (48, 96, 96))
    return HierarchicalRecurrentModel(encoder, conductor, writer, Categorical(music.TOKENS), phrase_length=PHRASE)


hierarchical = make_hierarchical()
histories["hierarchical LSTM"] = train(hierarchical, lines=2)
plots.training_curves(
    histories,
    ylabel="nats per tune",
    caption=f"The first {STEPS_SHORT} steps, on 3,000 tunes. Would you bet on the hierarchical model?",
)
print(f"flat {flat.count_params():,} parameters, hierarchical {hierarchical.count_params():,}")

# %%
surprise["hierarchical"] = [nats(trained(hierarchical, f"hierarchical_{seed}")) for seed in SEEDS]
for name, found in surprise.items():
    steps, seconds = (
        ", ".join(f"{runs[f'{name}_{seed}'][key]:,}" for seed in SEEDS) for key in ("steps", "seconds")
    )
    tests = ", ".join(f"{nll.sum(axis=1).mean():.1f}" for nll in found)
    print(f"{name:13s} {steps} steps ({seconds} s): test {tests} nats a tune")

# %% tags=["picture"]
trained(hierarchical, "hierarchical_0")
drawn["hierarchical", 0, 0.6] = hierarchical.generate(TUNES, temperature=0.6, seed=0)
found = music_scores.form(drawn["hierarchical", 0, 0.6])
chosen = np.flatnonzero(np.isin(found, FORMS))[:3]
plots.piano_roll(
    {f"draw {i + 1}": drawn["hierarchical", 0, 0.6][i] for i in chosen},
    letters=[found[i] for i in chosen],
    caption="The first three draws of the hierarchical LSTM, at temperature 0.6, that have one of the four forms. Which "
    "returns are exact?",
)

# %% [markdown]
# The first of them to hear. (`music.save_midi("tune.mid", tune)` writes a file that MuseScore or any player opens.)

# %%
for i in chosen:
    parts = music.cut(drawn["hierarchical", 0, 0.6][[i]], PHRASE)[0]
    pairs = [(a, b) for b in range(4) for a in range(b) if found[i][a] == found[i][b]]
    said = [f"{a + 1} and {b + 1} {'the same' if (parts[a] == parts[b]).all() else 'differ'}" for a, b in pairs]
    print(f"draw {i + 1}, {found[i]}: phrases", "; ".join(said))
music.play(drawn["hierarchical", 0, 0.6][chosen[0]])

# %% [markdown]
# ## 6 · Side by side
#
# These three were chosen. Now we count: both models, three seeds each, 2,000 tunes from each, at two temperatures. (The
# standard error of such a share is about 0.01.) The floor we can give exactly: all orders of the letters of all forms.
#
# **Predict, then run.** In nats the flat model is a little ahead, for every pair of seeds. Will it be ahead in form as
# well? By how much will the seeds of one model differ: more than the models?


# %%
def draw_all(model, name, temperatures=(1.0, 0.6)):
    """Tunes from every seed at every temperature, into `drawn`."""
    for seed in SEEDS:
        trained(model, f"{name}_{seed}")
        for temperature in temperatures:
            key = (name, seed, temperature)
            if key not in drawn:
                drawn[key] = model.generate(TUNES, temperature=temperature, seed=seed)


draw_all(flat, "flat")
draw_all(hierarchical, "hierarchical")
show_scores(
    {"test tunes": x_test, "phrases shuffled": shuffled}
    | {
        f"{name:13s} T = {t}, seed {seed}": drawn[name, seed, t]
        for name in ("flat", "hierarchical")
        for t in (1.0, 0.6)
        for seed in SEEDS
    }
)


# %%
def renamed(order):
    """Letters in the order of their first use: BABC is ABAC."""
    return "".join("ABC"[sorted(set(order), key=order.index).index(letter)] for letter in order)


floor = np.mean([renamed("".join(order)) in FORMS for form in FORMS for order in permutations(form)])
forms_of = {
    f"{name}, T = {t}": [music_scores.form_score(drawn[name, seed, t], FORMS) for seed in SEEDS]
    for t in (1.0, 0.6)
    for name in ("flat", "hierarchical")
}
plots.form_scores(
    forms_of,
    caption="Share of tunes in one of the four forms; a dot is a seed. Is the gap larger than the spread of the seeds?",
    floor=("any order of the phrases", floor),
    ceiling=("test tunes", music_scores.form_score(x_test, FORMS)),
)
tests = {name: [nll.sum(axis=1).mean() for nll in found] for name, found in surprise.items()}
print(*(f"{name} {min(each):.1f} to {max(each):.1f} nats a tune;" for name, each in tests.items()))
for t in (1.0, 0.6):
    a, b = (np.array(forms_of[f"{name}, T = {t}"]) for name in ("flat", "hierarchical"))
    print(
        f"T = {t}: flat {a.min():.2f} to {a.max():.2f}, hierarchical {b.min():.2f} to {b.max():.2f}; "
        f"difference of the means {b.mean() - a.mean():.2f}, of the nearest seeds {b.min() - a.max():+.2f}"
    )

# %% [markdown]
# So the model with the better likelihood has the worse form, at both temperatures, for each pair of seeds, and the means
# are farther apart than the seeds of one model. That is not the whole table. At $T = 1$ both models are below the floor,
# in form and in repetition; only sharpened draws get above it, the hierarchical ones clearly, the flat ones hardly. The
# hierarchical model pays for its form: its strong notes are less often in the chord, for all seeds. And the sharper
# draws of both pay with durations that are farther from the real ones.
#
# Where do the nats go? We sort every phrase of the test tunes: it is *new*, or it *returns*. The program itself pays
# for a return log 2 nats, to choose the form, or nothing: then come 16 steps that are known. (The first phrase, which is
# always new, is not in the figure.) "Exact" is the mean of $e^{-\text{nats}}$ over returns: the probability that the
# model, at $T = 1$, goes on with just that phrase.
#
# **Predict, then run.** On which of the two kinds of phrases is the hierarchical model ahead?

# %%
letters_of = melodies.form_letters()[data.test.factors["form"]]
returns = np.array([[row[p] in row[:p] for p in range(4)] for row in letters_of])
print("nats of a phrase      new      returns   exact: mean of exp(-nats)")
for name, found in surprise.items():
    for seed, nll in zip(SEEDS, found, strict=True):
        exact = np.exp(-nll[returns]).mean()
        print(f"{name:13s} seed {seed}{nll[~returns].mean():7.1f}{nll[returns].mean():12.2f}{exact:18.2f}")
plots.dots(
    [f"phrase {p}" for p in (2, 3, 4)],
    {
        f"{name}, {kind}": [(nll * mask).sum(axis=0)[1:] / mask.sum(axis=0)[1:] for nll in found]
        for name, found in surprise.items()
        for kind, mask in (("new", ~returns), ("returns", returns))
    },
    xlabel="place in the tune",
    ylabel="nats per phrase",
    caption="What a phrase costs, by place, three seeds. The line, log 2, is the most that a return has to cost. Where is "
    "the hierarchical model ahead, and where behind?",
    line=np.log(2),
)

# %% [markdown]
# The two models spend their nats in different places. The hierarchical one is ahead where a phrase returns. The flat one
# is ahead where a phrase is new, perhaps because it has one large state for the next note, the other three smaller ones.
# Added up, that is nearly the same likelihood.
#
# This is the answer to the question of the lesson. **Likelihood is a sum over steps, and does not say which.** A nat
# saved on new notes makes up for a nat lost on a return. But an ear hears whether the tune comes back.
#
# No score is wrong here: a model whose NLL is the *entropy* of the process would have perfect form as well. But of two
# models that both fall short, by 12 and 13 nats, likelihood does not say where. (Theis, van den Oord and Bethge 2016
# show for images how little it says about samples.) Measure what you care about.

# %% [markdown]
# ## 7 · A latent variable for the tune, and one for each phrase
#
# So far nothing says what a tune *will* be: each draw decides as it goes. Put latent variables on both levels, as in
# lesson 04: $z_2$ for the whole tune, $z_{1,p}$ for each phrase.
#
# $$ p(x, z) = p(z_2) \prod_{p=1}^{4} p(z_{1,p} \mid z_2, z_{1,<p}) \prod_t p(x_{p,t} \mid x_{p,<t}, z_2, z_{1,\le p}). $$
#
# (The last note of the phrase before is heard, too, as in section 5.) The conductor starts from $z_2$, and at each
# phrase reads $z_2$ and the last $z_{1,p-1}$: the loop of exercise 6.7 with
# $z$ in place of what was heard. This conductor does not hear the notes. Its state gives the prior of the next
# $z_{1,p}$, and both go to the writer. The posterior goes down in the same order,
# with what an encoder has read: $q(z_2 \mid x) \prod_p q(z_{1,p} \mid z_2, z_{1,<p}, x)$. So the ELBO is, as for every
# top-down model, a likelihood less one KL for each level.
#
# Such a model collapses easily (section 8). We give each level nats that are **free**: the tune's KL costs 5 nats
# however small it is, that of its four phrases together 10, so nothing is gained by less. And $\beta$ grows from 0 in
# the first half of training. Again the cell trains for a few hundred steps, and then loads weights that were trained
# for longer.


# %%
def make_vae(penalty=None):
    """Twelve numbers for the tune, twelve for each phrase."""
    # Encoder of a phrase, reader of the four summaries for q(z_2 | x), conductor, writer.
    cells = [keras.layers.LSTMCell(units) for units in (64, 96, 96, 112)]
    return HierarchicalRecurrentVAE(
        (12, 12), *cells, Categorical(music.TOKENS), phrase_length=PHRASE, penalty=penalty
    )


vae = make_vae(FreeBits((10.0, 5.0), per="level"))  # level 1 first, as everywhere
short = train(vae, callbacks=[BetaSchedule(linear(EPOCHS / 2))])["val_elbo"]
print(
    f"validation ELBO after 1, 4 and {EPOCHS} epochs: {short[0]:.1f}, {short[3]:.1f}, {short[-1]:.1f} nats a tune"
)
trained(vae, "vae")
run, kl = runs["vae"], metrics.kl_by_level(vae, x_test).mean(axis=0)
print(
    f"shipped: {run['parameters']:,} parameters, {run['steps']:,} steps, {run['seconds']} s where it was trained"
)
print(f"test: KL of the phrases' latents {kl[0]:.1f}, of the tune's {kl[1]:.1f} nats")
nll = {name: f"{np.mean([each.sum(axis=1).mean() for each in found]):.1f}" for name, found in surprise.items()}
bound = -metrics.elbo(vae, x_test, samples=5).mean()
print(f"NLL: flat {nll['flat']}, hierarchical {nll['hierarchical']}, VAE at most {bound:.1f} (minus its ELBO)")

# %% [markdown]
# Both KLs lie near the free amounts: that is where we put them, no property of music. What is in them? Infer both from
# test tunes. Then write each tune again, without a note of the original, in three ways:
# with both latents held; with the tune's latent held and the phrases' **redrawn** from their prior; and with the
# phrases' latents held and the tune's latent **taken from another tune**.
#
# We compare with the tune that gave the latents: whether the key is the same, the form, the share of steps on which
# both start a note or neither does (the rhythm), and the correlation of the pitches within a phrase (the contour).
#
# **Predict, then run.** A table of 3 rows and 4 columns: write + where you expect much more than chance.

# %%
some, other = x_test[:300], np.roll(x_test[:300], 1, axis=0)


def held_of(model):
    """Both latents of some test tunes, drawn from the posterior."""
    return {i: ops.convert_to_numpy(level.z) for i, level in enumerate(model.infer(some), 1)}


def written_by(model, latents):
    """Four sets of tunes: notes drawn at T = 0.6, latents held or drawn from their prior as it is."""
    return [model.generate(len(some), latents, step_temperature=0.6) for _ in range(4)]


inferred = held_of(vae)
written = {
    "both held": written_by(vae, inferred),
    "tune's held, phrases' redrawn": written_by(vae, {2: inferred[2]}),
    "phrases' held, another tune's": written_by(vae, {1: inferred[1], 2: np.roll(inferred[2], 1, axis=0)}),
    "nothing held": written_by(vae, {}),
}
same = letters_of[: len(some), :, None] == letters_of[: len(some), None]  # which phrases have one letter
copied = np.take_along_axis(inferred[1], same.argmax(axis=-1)[..., None], axis=1)
written["both held, z_1 copied by letter"] = written_by(vae, {1: copied, 2: inferred[2]})


# %%
def outline(tunes):
    """Pitch less its mean in the phrase, 0 in silence: [n, phrases, 16]."""
    pitch = music.cut(music.sounding(tunes), PHRASE)
    sounds = pitch >= 0
    mean = (pitch * sounds).sum(axis=-1, keepdims=True) / np.maximum(sounds.sum(axis=-1, keepdims=True), 1)
    return (pitch - mean) * sounds


def contour(tunes, of):
    """Correlation of the outlines of each phrase: [n, phrases]."""
    a, b = outline(tunes), outline(of)
    return (a * b).sum(axis=-1) / np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1) + 1e-9)


def kept(tunes, of):
    """What tunes share with others: key and form (shares of tunes), rhythm (of steps), contour (correlation)."""
    tonic, mode = (
        mine == theirs for mine, theirs in zip(music_scores.key(tunes), music_scores.key(of), strict=True)
    )
    form = music_scores.form(tunes) == music_scores.form(of)
    return np.mean(tonic & mode), form.mean(), np.mean((tunes != 0) == (of != 0)), contour(tunes, of).mean()


# %%
rows = {name: (draws, some) for name, draws in written.items()}
rows["another tune's: with that tune"] = (written["phrases' held, another tune's"], other)
rows["chance: two test tunes"] = ([other], some)
print(f"{'':33s}   key   form  rhythm  contour")
for name, (draws, of) in rows.items():
    means = np.mean([kept(tunes, of) for tunes in draws], axis=0)
    print(f"{name:33s}" + "".join(f"{value:7.2f}" for value in means))
z = inferred[1]  # [tunes, phrases, units]
apart = np.linalg.norm(z[:, :, None] - z[:, None], axis=-1)
pairs = np.triu(np.ones((4, 4), bool), 1)
print(
    f"distance of two phrases' latents: same letter {apart[same & pairs].mean():.1f}, another letter "
    f"{apart[~same & pairs].mean():.1f}, another tune {np.linalg.norm(z - np.roll(z, 1, axis=0), axis=-1).mean():.1f}"
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# With the tune's latent held and the phrases redrawn, the key stays in about nine tunes of ten; the contour goes to
# chance, the rhythm nearly. With the phrases' latents held and another tune's latent, the rhythm stays, of the contour
# about half (a correlation of 0.5, and it differs much from tune to tune), and the key follows the other tune. The top
# decides the key, the bottom most of what each phrase does, and nobody told the model: a key is the same in all
# phrases.
# </details>
#
# And the form? Two test tunes agree in it by chance, each having one of four; the fair comparison for draws is the row
# in which nothing is held. Against it, form comes with both levels held. It lies in how near the latents of two phrases
# are: those of one letter are at half the distance of two letters, and where we make them equal (*copied*), the form is
# kept more often still. (One model, one seed, four draws of each row.)
#
# To see and to hear: one test tune, and the same phrases under the tune's latent of another one. It is a middling
# case by rule: the one with the median correlation of contours.

# %%
drawn_again = written["phrases' held, another tune's"][0]
same_contour = contour(drawn_again, some).mean(axis=1)
middle = same_contour.argsort()[len(some) // 2]
named = {"a test tune": some[middle], "its phrases, another tune's latent": drawn_again[middle]}
key_of = {}
for name, tune in named.items():
    tonic, mode = (int(index[0]) for index in music_scores.key(tune))
    key_of[f"{name} ({melodies.TONICS[tonic]} {melodies.MODES[mode]})"] = tune
plots.piano_roll(
    key_of,
    letters=[str(music_scores.form(tune)[0]) for tune in key_of.values()],
    caption="What has moved, and what has stayed?",
)
print(f"correlation of the contours {same_contour[middle]:.2f}; one tune in ten has less than ", end="")
print(f"{np.quantile(same_contour, 0.1):.2f}, one in ten more than {np.quantile(same_contour, 0.9):.2f}")
music.play(drawn_again[middle])

# %% [markdown]
# Without a tune to infer from, the prior of $z_{1,p}$ has to bring a phrase back. Does it? Draws from the prior, beside
# those of section 6. And is it the noise? In the last row only $z_2$ is drawn, and each $z_{1,p}$ is the mean of its
# prior.

# %%
z_2 = rng.normal(size=(TUNES, 12)).astype("float32")
show_scores(
    {
        "test tunes": x_test,
        "phrases shuffled": shuffled,
        "hierarchical LSTM, seed 0, T = 0.6": drawn["hierarchical", 0, 0.6],
        "VAE, from the prior, T = 0.6": vae.generate(TUNES, step_temperature=0.6),
        "  the same, z_1 at its prior's mean": vae.generate(
            TUNES, {2: z_2}, temperature=0.0, step_temperature=0.6
        ),
    }
)

# %% [markdown]
# No: less often than shuffled phrases, and without the noise hardly more often. So noise between the levels is not the
# reason. This conductor does not hear the notes, that of section 5 does; whether that is it, an experiment could say.
#
# ## 8 · Break it: phrases that say nothing
#
# The free bits and the warm-up looked like decoration. Take them away: the same model, trained on the plain ELBO from
# the first step on, for as long.
#
# **Predict, then run.** Which of the two latents will hold less than before? Which of the four columns will fall to
# chance when both latents are held? And which of the two models has the better ELBO?

# %%
bare = trained(make_vae(), "bare_vae")
models = {
    "free bits, warm-up": (vae, written["both held"]),
    "plain ELBO": (bare, written_by(bare, held_of(bare))),
    "nothing held": (None, written["nothing held"]),
}
print(f"plain: {runs['bare_vae']['steps']:,} steps, {runs['bare_vae']['seconds']} s where it was trained")
print(f"{'':20s}  ELBO  with 20 samples  KL phrases  KL tune   kept, both held:  key   form  rhythm  contour")
for name, (model, draws) in models.items():
    shares = "".join(f"{value:7.2f}" for value in np.mean([kept(tunes, some) for tunes in draws], axis=0))
    bounds = " " * 46
    if model is not None:
        level_kl = metrics.kl_by_level(model, x_test).mean(axis=0)
        elbo = metrics.elbo(model, x_test, samples=5).mean()
        tighter = metrics.importance_weighted_bound(model, x_test, samples=20).mean()
        bounds = f"{elbo:6.1f}{tighter:17.1f}{level_kl[0]:13.1f}{level_kl[1]:9.1f} "
    print(f"{name:20s}{bounds}                 {shares}")

# %%
plots.level_kl(
    runs["bare_vae"],
    caption="KL of both levels in training on the plain ELBO; level 1 is all four phrases. With free bits they end at "
    f"{kl[0]:.1f} and {kl[1]:.1f}. Does more training help?",
)

# %% [markdown]
# <details><summary>Compare with your prediction</summary>
# The phrases' latents lose most of what they held. The contour is at chance, though they are "held"; of the rhythm,
# above
# what comes without them, nearly two thirds are left. The tune's latent keeps the key. So here it is not the top that
# collapses. In training the KL of the phrases creeps up, ever more slowly, and ends below 4; more of the same might find
# more. And the collapsed model has the <b>better</b> ELBO, by about a nat. A better <i>model</i> it is not: the bound
# with 20 samples (lesson 02), which is closer to log p(x), puts the two side by side. The ELBO's gap is an inexact posterior.
# </details>
#
# Why? Our explanation, which the cells above do not test: the writer reads its own notes, and a few of them tell rhythm
# and contour, whether a latent said so or not. What the latent says is paid in KL; what it leaves out is paid by the
# first notes, and costs as many nats. Nothing in the ELBO prefers the first way, and an inexact posterior makes it cost
# more (the argument is that of Chen et al. 2017; Bowman et al. 2016 saw the collapse in VAEs of sentences). Free bits
# (Kingma et al. 2016) make the first way free up to a point. That is a decision about what we want, and it has a price:
# about a nat of ELBO. We changed two things at once, free bits and warm-up. Which does the work? You know from [lesson
# 05](05_ladder_vae.ipynb) how to find out.

# %% [markdown]
# ## 9 · A bug to find
#
# A colleague builds the inputs of a hierarchical LSTM. Within minutes the validation loss falls below the entropy of the
# process, which no honest model can do, and the draws keep neither key nor form. `tokens` are `(batch, phrases,
# length)`, `embeddings` `(batch, phrases, size)`: what the encoder
# makes of each phrase. `previous` is what the writer is fed at each step, `heard` what the conductor reads before it
# plans a phrase. The cell changes one note and looks which inputs move; phrases and steps are counted from 0 here.


# %%
def broken_inputs(tokens, embeddings, start):
    """A colleague's inputs of writer and conductor."""
    previous = np.roll(tokens, 1, axis=2)
    previous[:, 0, 0] = start
    return previous, embeddings


def stand_in(tokens):
    """How often each token occurs in a phrase: an encoder good enough to find a fault."""
    return np.eye(music.TOKENS)[tokens].mean(axis=2)


tokens = music.cut(x_test[:1], PHRASE)
before = broken_inputs(tokens, stand_in(tokens), music.TOKENS)
for phrase, step in ((1, 15), (2, 0)):
    changed = tokens.copy()
    changed[0, phrase, step] = music.token(82)
    previous, heard = broken_inputs(changed, stand_in(changed), music.TOKENS)
    moved = [tuple(int(i) for i in place) for place in np.argwhere(previous != before[0])[:, 1:]]
    planned = np.flatnonzero((heard != before[1]).any(axis=(0, 2))).tolist()
    print(
        f"note changed: phrase {phrase}, step {step}; writer's inputs that move: {moved}; plans that move: {planned}"
    )

# %% [markdown]
# ### Exercise 6.8 · Mend the inputs
#
# Write `mended_inputs(tokens, embeddings, start)` with the arguments of `broken_inputs`. It returns
# - `previous`, `(batch, phrases, length)`: for each note the note before it in the *tune*, also across the border of
#   two phrases (unlike exercise 6.7), and `start` before the first,
# - `heard`, `(batch, phrases, size)`: for each phrase the embedding of the phrase before it, and zeros for the first.
#
# Both faults give the model what it is to predict. How does each get through?


# %% exercise="6.8"
def mended_inputs(tokens, embeddings, start):
    """What the writer is fed, like tokens, and what the conductor has heard, like embeddings."""
    ### BEGIN SOLUTION
    tune = tokens.reshape(len(tokens), -1)
    previous = np.concatenate([np.full_like(tune[:, :1], start), tune[:, :-1]], axis=1)
    heard = np.concatenate([np.zeros_like(embeddings[:, :1]), embeddings[:, :-1]], axis=1)
    return previous.reshape(tokens.shape), heard
    ### END SOLUTION


# %% check="6.8"
check("6.8", mended_inputs)

# %% [markdown]
# <details><summary>How it gets through</summary>
# `np.roll` wraps around: the first note of each phrase is fed the last note of the same phrase, which has not been
# played. And the conductor reads the phrase that it is to plan, so the plan can hold all of it: the model has become
# an autoencoder. In training that looks like a wonderful likelihood. When it draws, there is no phrase to read.
# </details>
#
# **A property that a test can hold on to:** change a note, and no input, plan or predicted distribution at or before it
# may move. It finds every look ahead; not an input that is missing or too old. The course's own models are tested so.

# %% [markdown]
# ## 10 · Beyond music
#
# Slow things decide what fast things do, in more places than music. A slow recurrence beside a fast one was tried for
# tunes early (Mozer 1992); encoder, conductor and writer, as here, came from text.
#
# | | slowest | in between | fastest | a model |
# |---|---|---|---|---|
# | tunes | key, form | phrase | note | MusicVAE: one latent for the tune, a conductor, a writer (Roberts et al. 2018) |
# | dialogues | the conversation | utterance | word | HRED: a recurrence over utterances (Serban et al. 2016); VHRED: a latent for each (Serban et al. 2017) |
# | documents | topic | paragraph, sentence | word | a recurrence over sentences above one over words (Li, Luong and Jurafsky 2015) |
# | video | slow objects | | fast objects | Clockwork VAE: each level ticks slower than the one below (Saxena, Ba and Hafner 2021) |
# | any row of symbols | found by the model | | | Hierarchical multiscale RNN: learns where the borders are (Chung, Ahn and Bengio 2017) |
#
# In each row the same three choices were made. **Where are the borders?** Given (bars, sentences), at a fixed rate
# (clockwork), or learned. **What passes?** A deterministic state (HRED), or a latent that can be drawn anew (VHRED,
# MusicVAE). **Does the slow level hear what the fast one did?** In section 5 and in HRED it does. In section 7 and in
# MusicVAE it does not, so the latents have to carry the whole plan.

# %% [markdown]
# ## 11 · Questions to argue about
#
# **1. The flat LSTM reads the place in the phrase. It could count to 16 and copy. Why does it not?**
# <details><summary>One answer</summary>
# To copy, it has to hold sixteen notes of the first phrase, each at its place, through another phrase that needs the
# same state. Nothing forbids it, 182 units have room, and section 4 shows that gradients come back. Perhaps the gain
# from half a copy is too small to be found. An attention over the past would do it in one step.
# </details>
#
# **2. Lower temperature raised the form score. Is there a temperature that makes the flat model good?**
# <details><summary>One answer</summary>
# At temperature 0 it always takes the most probable note, and there is one tune. Sharper draws return more often
# because mistakes become rarer, and they vary less. A score that any model can raise by drawing one good tune again and
# again must not stand alone: look at the overlap of histograms with real tunes, or count different tunes.
# </details>
#
# **3. The hierarchical model was told that phrases have 16 steps. Is the comparison fair?**
# <details><summary>One answer</summary>
# The flat one was told as well: it reads the place in the phrase. It was not told that the past is cut there. That is
# the hypothesis that a hierarchy is. If the borders were wrong, it would be a handicap.
# </details>

# %% [markdown]
# ## 12 · What is known and what is not
#
# | claim | standing |
# |---|---|
# | Gradients through an Elman cell vanish or explode like a power. | **True under conditions**: they vanish if every factor's largest singular value is below one bound smaller than 1; one above 1 is needed to explode, and is not enough (Pascanu, Mikolov and Bengio 2013). |
# | LSTMs do not have vanishing gradients. | **True under conditions**: along $c$, where the forget gate stays near 1. As Keras starts them, they vanish; as training leaves them, they did not here (sections 3 and 4). |
# | LSTMs bridge a thousand steps. | **Shown** on synthetic tasks (Hochreiter and Schmidhuber 1997). In language models, order seems to matter for about 50 tokens only, and all of it for about 200 (Khandelwal et al. 2018, one architecture). |
# | A better likelihood means better samples. | **False** (section 6; Theis, van den Oord and Bethge 2016). The entropy itself would mean perfect samples. |
# | Teacher forcing ruins samples (exposure bias), and scheduled sampling mends them. | **Contested.** Its objective does not have the data's distribution as its optimum (Huszár 2015). |
# | A hierarchy keeps the form better than a flat model. | **True here**: one process, one budget, three seeds. Transformers with relative attention write long repetitions without any hierarchy (Huang et al. 2019). |
# | The top of a hierarchy learns what is slow. | **True here**, with the borders given: the key. **Not implied** by the ELBO. |
# | A better ELBO means that more is in the latents. | **False** (section 8; Bowman et al. 2016). |

# %% [markdown]
# ## 13 · Going further
#
# - Which likelihood does form need? Weigh the steps of a return more, or train on a loss over phrases, and measure both.
# - Let the borders be learned: Chung, Ahn and Bengio (2017), *Hierarchical multiscale recurrent neural networks*. Does
#   it find those of `melodies`? That is open, as far as we know.
# - Scheduled sampling: `callbacks.SamplingSchedule` lets a model hear its own draws in training. Does the form improve,
#   and what happens to the likelihood?
# - Real tunes: `load("chorales")` has phrases of different lengths and no known form. Which of the scores still mean
#   something?
#
# **References.** Elman (1990), *Finding structure in time*. Hochreiter and Schmidhuber (1997), *Long short-term
# memory*. Gers, Schmidhuber and Cummins (2000), *Learning to forget*. Cho et al. (2014), *Learning phrase
# representations using RNN encoder-decoder*. Williams and Zipser (1989), *A learning algorithm for continually running
# fully recurrent neural networks*. Bengio, Simard and Frasconi (1994), *Learning long-term dependencies with gradient
# descent is difficult*. Pascanu, Mikolov and Bengio (2013), *On the difficulty of training recurrent neural networks*.
# Jozefowicz, Zaremba and Sutskever (2015), *An empirical exploration of recurrent network architectures*. Tallec and
# Ollivier (2018), *Can recurrent neural networks warp time?* Fan, Lewis and Dauphin (2018), *Hierarchical neural story
# generation*. Sordoni et al. (2015), *A hierarchical recurrent encoder-decoder for generative context-aware query
# suggestion*. Serban et al. (2016), *Building end-to-end dialogue systems using generative hierarchical neural network
# models*. Serban et al. (2017), *A hierarchical latent variable encoder-decoder model for generating dialogues*.
# Roberts et al. (2018), *A hierarchical latent vector model for learning long-term structure in music*. Li, Luong and
# Jurafsky (2015), *A hierarchical neural autoencoder for paragraphs and documents*. Saxena, Ba and Hafner (2021),
# *Clockwork variational autoencoders*. Bowman et al. (2016), *Generating sentences from a continuous space*. Theis, van
# den Oord and Bethge (2016), *A note on the evaluation of generative models*. Huszár (2015), *How (not) to train your
# generative model*. Khandelwal et al. (2018), *Sharp nearby, fuzzy far away*. Mozer (1992), *Induction of multiscale
# temporal structure*. Chen et al. (2017), *Variational lossy autoencoder*. Kingma et al. (2016), *Improved variational
# inference with inverse autoregressive flow*. Huang et al. (2019), *Music transformer*.
