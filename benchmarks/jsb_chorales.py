"""Nats per frame of the flat and the hierarchical recurrent model on Bach's chorales in quarter notes.

    HVAE_DATA=../shared/datasets python benchmarks/jsb_chorales.py

A frame holds the keys that sound in a quarter note; given the frames before it, its keys are independent
(Boulanger-Lewandowski, Bengio & Vincent 2012). The score is -log p of all test pieces over the number of their
frames, every frame counted. The script of Bai et al. (2018) leaves out the first frame of each piece, so the score
without it stands beside. The epoch is chosen on the validation split; the test split is looked at once a run, at
the end, and not at all with `--validation-only`. One line of JSON for the floors and for each run.
"""

import argparse
import json
import time

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from hvae_keras import callbacks, layers, models
from hvae_keras.backend import keras
from hvae_keras.data import load
from hvae_keras.models import SequenceModel

KEYS, BEATS = 88, 4
PHRASE = 8  # frames
BATCH, PATIENCE = 16, 20  # pieces, epochs
REPEATED = 0.8  # share of notes in common from which a phrase counts as a repeat
TEMPERATURES = (1.0, 0.5)
# Chosen on the validation split: Adam's first rate, epochs, dropout of a cell's input and of its output.
CHOSEN = {
    "flat": {"rate": 0.05, "epochs": 60, "dropout": (0.3, 0.4)},
    "hierarchical": {"rate": 0.02, "epochs": 20, "dropout": (0.1, 0.4)},
}


# Models


def make(kind: str, x: np.ndarray, dropout: tuple[float, float]) -> SequenceModel:
    """The model, its output starting at the log-odds of how often each key sounds."""
    likelihood = layers.BernoulliFrames(KEYS)

    def cell(units: int) -> keras.layers.Layer:
        return keras.layers.LSTMCell(units, dropout=dropout[0])

    if kind == "flat":
        model = models.RecurrentModel(cell(128), likelihood, meter=BEATS, dropout=dropout[1])
    else:
        model = models.HierarchicalRecurrentModel(
            cell(32),
            keras.layers.LSTMCell(48),
            cell(88),
            likelihood,
            PHRASE,
            plan=32,
            dropout=dropout[1],
        )
    model.build((None, *x.shape[1:]))
    often = smoothed(frames(x))
    head = model.head if kind == "flat" else model.writer.head
    head.bias.assign(np.log(often / (1 - often)))
    return model


def by_length(x: np.ndarray) -> tf.data.Dataset:
    """Batches without end, each of pieces about as long as each other and cut after the longest of them.

    Most pieces are less than half as long as the longest one. A model that reads step by step would spend most of
    its time on padding.
    """
    pieces = [piece[piece[:, 0] >= 0] for piece in x]
    each = tf.data.Dataset.from_generator(lambda: iter(pieces), output_signature=tf.TensorSpec((None, KEYS)))
    return (
        each.shuffle(len(pieces))
        .repeat()
        .bucket_by_sequence_length(
            lambda piece: tf.shape(piece)[0], [49, 65, 97], [BATCH] * 4, padding_values=np.float32(-1)
        )
    )


def train(model: SequenceModel, data, first_rate: float, epochs: int) -> dict:
    """Train with a rate that falls along a cosine, and keep the weights of the best epoch on validation."""
    batches = -(-len(data.train.x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(first_rate, epochs * batches, alpha=0.05)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0))
    best = keras.callbacks.EarlyStopping(
        "val_nats_per_step", mode="min", patience=PATIENCE, restore_best_weights=True
    )
    flat = isinstance(model, models.RecurrentModel)
    start = time.perf_counter()
    history = model.fit(
        by_length(data.train.x) if flat else data.train.x,
        batch_size=None if flat else BATCH,
        steps_per_epoch=batches if flat else None,
        validation_data=data.validation.x,
        validation_batch_size=len(data.validation.x),
        epochs=epochs,
        callbacks=[best, callbacks.Progress(20)],
        verbose=0,
    ).history
    return {
        "epochs run": len(history["loss"]),
        "epoch kept": best.best_epoch + 1,
        "training seconds": round(time.perf_counter() - start),
        "train": round(min(history["nats_per_step"]), 3),
    }


def score(log_prob: np.ndarray, x: np.ndarray, split: str) -> dict:
    """Nats per frame from log p of each frame `[n, steps]`: of all frames, of all but each piece's first, and of
    the frames of those phrases that repeat an earlier one of the piece.
    """
    real = x[..., 0] >= 0
    again = np.repeat(returns(x) >= REPEATED, PHRASE, axis=1)
    return {
        split: round(float(-log_prob.sum() / real.sum()), 3),
        f"{split} without first frames": round(float(-log_prob[:, 1:].sum() / real[:, 1:].sum()), 3),
        f"{split} in repeats": round(float(-log_prob[again].mean()), 3),
    }


# Floors


def floors(data) -> list[dict]:
    """How well models do that look at no frame, at the same key one frame ago, and at all keys one frame ago."""
    train = data.train.x
    now, before = frames(train), frames(moved(train))
    often = smoothed(now)
    change = np.stack([[(now * (before == b)).sum(0) + 1, (before == b).sum(0) + 2] for b in (0, 1)])
    change = change[:, 0] / change[:, 1]  # p(on | off before), p(on | on before), by key
    weights, bias, seconds = regression(train)
    rows = {"unigram": lambda x: often, "per-key Markov": lambda x: np.where(moved(x) > 0, change[1], change[0])}
    rows["logistic regression"] = lambda x: 1 / (1 + np.exp(-features(x) @ weights - bias))
    found = [
        {"floor": name, **score(log_bernoulli(chance(split.x), split.x), split.x, part)}
        for name, chance in rows.items()
        for part, split in (("validation", data.validation), ("test", data.test))
    ]
    found[-1]["seconds"] = seconds
    return found


def regression(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """One logistic regression a key on all keys one frame ago and the beat: weights, bias, seconds."""
    start = time.perf_counter()
    now, read = frames(x), features(x)[x[..., 0] >= 0]
    weights, often = np.zeros((read.shape[1], KEYS)), smoothed(now)
    bias = np.log(often / (1 - often))  # all there is to know of a key that never sounds
    for key in np.flatnonzero(now.any(axis=0)):
        model = LogisticRegression(solver="newton-cholesky").fit(read, now[:, key])
        weights[:, key], bias[key] = model.coef_[0], model.intercept_[0]
    return weights, bias, round(time.perf_counter() - start, 1)


def frames(x: np.ndarray) -> np.ndarray:
    """All frames of all pieces, without padding: `[frames, 88]`."""
    return x[x[..., 0] >= 0]


def moved(x: np.ndarray) -> np.ndarray:
    """The frame before each frame, silence before the first: `[n, steps, 88]`, -1 where x is padding."""
    return np.where(x < 0, x, np.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0))))


def features(x: np.ndarray) -> np.ndarray:
    """What the logistic regression reads: the frame before, and the beat as one-hot: `[n, steps, 88 + 4]`."""
    beat = np.eye(BEATS)[np.arange(x.shape[1]) % BEATS]
    return np.concatenate([moved(x), np.broadcast_to(beat, (len(x), *beat.shape))], axis=-1)


def smoothed(x: np.ndarray) -> np.ndarray:
    """How often each key is on in the frames `[frames, 88]`, as if it had been seen once more on and once off."""
    return (x.sum(axis=0) + 1) / (len(x) + 2)


def log_bernoulli(chance: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log p of each frame given the chance of each key, 0 at padding: `[n, steps]`."""
    return np.where(x < 0, 0, np.log(np.where(x > 0, chance, 1 - chance))).sum(axis=-1)


# Structure


def returns(x: np.ndarray) -> np.ndarray:
    """How much each phrase of 8 frames is like the earlier phrase it is most like: `[n, phrases]`.

    Like is notes in common over notes in either (Jaccard), a note being a key in a frame. -1 where there is no
    whole phrase or none before it.
    """
    n, steps, keys = x.shape
    phrases = x.reshape(n, steps // PHRASE, PHRASE * keys)
    sounding = np.maximum(phrases, 0)
    common = sounding @ sounding.transpose(0, 2, 1)
    notes = sounding.sum(axis=-1)
    alike = common / np.maximum(notes[:, :, None] + notes[:, None] - common, 1)
    earlier = np.tril(np.ones(alike.shape[1:], bool), -1)
    best = np.where(earlier, alike, 0).max(axis=-1)
    whole = phrases.min(axis=-1) >= 0
    whole[:, 0] = False
    return np.where(whole, best, -1)


def structure(x: np.ndarray) -> dict:
    """The mean of `returns`, also with the phrases shuffled between pieces, and the share that are repeats."""
    best, chance = (found[found >= 0] for found in (returns(x), returns(shuffled(x))))
    return {
        "likest earlier phrase": round(float(best.mean()), 3),
        "by chance": round(float(chance.mean()), 3),
        "repeats": round(float((best >= REPEATED).mean()), 4),
        "repeats by chance": round(float((chance >= REPEATED).mean()), 4),
    }


def shuffled(x: np.ndarray, seed: int = 0) -> np.ndarray:
    """The pieces, each phrase taken from a random one of the pieces that reach as far: structure by chance."""
    rng, x = np.random.default_rng(seed), x.copy()
    for at in range(0, x.shape[1], PHRASE):
        there = np.flatnonzero(x[:, at + PHRASE - 1, 0] >= 0)
        x[there, at : at + PHRASE] = x[rng.permutation(there), at : at + PHRASE]
    return x


def drawn(model: SequenceModel, x: np.ndarray, temperature: float, seed: int) -> np.ndarray:
    """Five pieces of the model for each piece of x, as long as it is."""
    x = np.tile(x, (5, 1, 1))
    return np.where(x < 0, x, model.generate(len(x), temperature=temperature, seed=seed))


# The runs


def run(kind: str, data, seed: int, parts: tuple[str, ...], rate: float, epochs: int, dropout: tuple) -> dict:
    """Train one model and measure it."""
    keras.utils.set_random_seed(seed)
    model = make(kind, data.train.x, dropout)
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    result = {"model": kind, "seed": seed, "parameters": parameters, **train(model, data, rate, epochs)}
    for part in parts:
        x = getattr(data, part).x
        log_prob = model.predict(x, batch_size=len(x), verbose=0)["step_log_prob"]
        result |= score(log_prob, x, part)
    draws = {temperature: structure(drawn(model, x, temperature, seed)) for temperature in TEMPERATURES}
    return {**result, "draws at temperature": draws}


def main() -> None:
    """Print the floors, then train and measure every model with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="*", choices=CHOSEN, default=list(CHOSEN))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rate", type=float, help="of Adam; falls to 5 %% along a cosine")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--dropout", type=float, nargs=2, help="of a cell's input, and of its output")
    parser.add_argument("--validation-only", action="store_true", help="choose settings without the test split")
    settings = parser.parse_args()

    data = load("jsb_chorales")
    parts = ("validation",) if settings.validation_only else ("validation", "test")
    if not settings.validation_only:
        for row in floors(data):
            print(json.dumps(row), flush=True)
        print(json.dumps({"structure": "real", **structure(data.test.x)}), flush=True)
    for kind in settings.models:
        given = {name: getattr(settings, name) for name in CHOSEN[kind]}
        chosen = CHOSEN[kind] | {name: value for name, value in given.items() if value is not None}
        for seed in settings.seeds:
            print(json.dumps({**run(kind, data, seed, parts, **chosen), **chosen}), flush=True)


if __name__ == "__main__":
    main()
