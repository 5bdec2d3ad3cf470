"""Train the models of lesson 06 for longer than a lesson may, and write what it loads.

    python lessons/weights/train_06.py flat 0
    python lessons/weights/train_06.py hierarchical 2 --steps 3000
    python lessons/weights/train_06.py vae
    python lessons/weights/train_06.py all

Each run writes `06_NAME_SEED.npz` (`06_vae.npz`, `06_bare_vae.npz`) beside this file, and its curves and seconds
into `06_training.json`.
The models are those of the lesson's own cells.
"""

import argparse
import json
import time
from pathlib import Path

import keras

from hvae_keras.callbacks import BetaSchedule
from hvae_keras.course.weights import save_weights
from hvae_keras.data import load
from hvae_keras.layers import Categorical, FreeBits
from hvae_keras.models import HierarchicalRecurrentModel, HierarchicalRecurrentVAE, RecurrentModel
from hvae_keras.music import TOKENS
from hvae_keras.schedules import linear

FOLDER = Path(__file__).parent
BATCH, PHRASE = 64, 16
SEEDS = (0, 1, 2)


def make_flat() -> RecurrentModel:
    """One LSTM over all steps, which is told the place in the phrase."""
    return RecurrentModel(keras.layers.LSTMCell(182), Categorical(TOKENS), meter=PHRASE)


def make_hierarchical() -> HierarchicalRecurrentModel:
    """About as many weights, on two levels."""
    encoder, conductor, writer = (keras.layers.LSTMCell(units) for units in (48, 96, 96))
    return HierarchicalRecurrentModel(encoder, conductor, writer, Categorical(TOKENS), phrase_length=PHRASE)


def make_vae() -> HierarchicalRecurrentVAE:
    """Twelve numbers for the tune, twelve for each phrase; at least 5 and 10 nats are free."""
    return make_bare_vae(FreeBits((10.0, 5.0), per="level"))


def make_bare_vae(penalty: FreeBits | None = None) -> HierarchicalRecurrentVAE:
    """The same without free bits, which is trained without warm-up, too: the section in which it breaks."""
    cells = [keras.layers.LSTMCell(units) for units in (64, 96, 96, 112)]
    return HierarchicalRecurrentVAE((12, 12), *cells, Categorical(TOKENS), phrase_length=PHRASE, penalty=penalty)


MAKERS = {"flat": make_flat, "hierarchical": make_hierarchical, "vae": make_vae, "bare_vae": make_bare_vae}


def train(name: str, seed: int, steps: int, folder: Path) -> None:
    """Train one model from one seed, print seconds and nats on validation data, write weights and curves."""
    data = load("melodies")
    model = MAKERS[name]()
    rate = keras.optimizers.schedules.CosineDecay(4e-3, steps)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), steps_per_execution=10)
    model.build((None, *data.train.x.shape[1:]))
    model.reinitialise(seed)
    epochs = max(1, round(steps * BATCH / len(data.train.x)))
    callbacks = [BetaSchedule(linear(epochs / 2))] if name == "vae" else []
    start = time.monotonic()
    history = model.fit(
        data.train.x,
        batch_size=BATCH,
        epochs=epochs,
        validation_data=data.validation.x,
        callbacks=callbacks,
        verbose=2,
    ).history
    seconds = time.monotonic() - start
    run = name if "vae" in name else f"{name}_{seed}"
    save_weights(model, folder / f"06_{run}.npz")
    kept = ("loss", "val_loss", "elbo", "val_elbo", "kl_1", "kl_2", "val_kl_1", "val_kl_2")
    curves = {key: [round(float(value), 3) for value in history[key]] for key in kept if key in history}
    report = {
        "steps": epochs * -(-len(data.train.x) // BATCH),
        "epochs": epochs,
        "seconds": round(seconds),
        "parameters": model.count_params(),
        **curves,
    }
    _add_report(folder / "06_training.json", run, report)
    nats = -curves["val_elbo"][-1] if "vae" in name else curves["val_loss"][-1]
    print(f"{run}: {model.count_params():,} parameters, {epochs} epochs, {seconds:.0f} s; {nats:.2f} nats a tune")


def _add_report(path: Path, run: str, report: dict) -> None:
    """Put one run's report into the file, beside those of other runs."""
    reports = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    reports[run] = report
    path.write_text(json.dumps(dict(sorted(reports.items())), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line and train what it names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=[*MAKERS, "all"])
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    everything = [(name, seed) for name in ("flat", "hierarchical") for seed in SEEDS]
    everything += [("vae", 0), ("bare_vae", 0)]
    for name, seed in everything if given.model == "all" else [(given.model, given.seed)]:
        train(name, seed, given.steps, given.folder)


if __name__ == "__main__":
    main()
