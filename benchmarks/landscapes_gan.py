"""Two levels against one flat GAN on `landscapes`, from the weights that lesson 07 loads.

    python benchmarks/landscapes_gan.py

For each seed: the Fréchet distance to the test pictures on standardised features of the factors of level 2 and of
level 1, and the share of pictures that keep every rule of a level. Of two levels three distances stand apart:
sketches alone (both sides enlarged, features of level 2), pictures of real sketches, and pictures of drawn ones.
Real validation pictures are floor and ceiling. One line of JSON each. `lessons/weights/train_07.py` made the
weights; epochs, seconds and multiply-adds are in `07_training.json`.
"""

import json
import sys

import numpy as np

from hvae_keras.course.places import course_root
from hvae_keras.course.weights import load_weights
from hvae_keras.data import landscape_rules, load
from hvae_keras.metrics import FactorFeatures, frechet_distance

sys.path.insert(0, str(course_root() / "lessons" / "weights"))
import train_07

SEEDS = (0, 1, 2)


def enlarged(sketches: np.ndarray) -> np.ndarray:
    """Each pixel of a sketch as 2×2 pixels."""
    return sketches.repeat(2, axis=1).repeat(2, axis=2)


def features(data: object, level: int) -> FactorFeatures:
    """The classifier of one level's factors that the course ships."""
    model = train_07.make_features(data, level)
    load_weights(model, f"07_features_{level}")
    return model


def rules_kept(x: np.ndarray) -> dict[str, float]:
    """Share of pictures that keep every rule of level 2, of level 1, and all."""
    kept = landscape_rules.rules_kept(x)
    shares = {"all rules": np.all(list(kept.values()), axis=0).mean()}
    for level in (2, 1):
        of_level = [kept[name] for name, rule in landscape_rules.RULES.items() if rule.level == level]
        shares[f"rules of level {level}"] = np.all(of_level, axis=0).mean()
    return {name: round(float(share), 3) for name, share in shares.items()}


def main() -> None:
    """Load every model, draw as many pictures as there are test pictures, print the scores."""
    data = load("landscapes")
    n = len(data.test)
    classifiers = {level: features(data, level) for level in (2, 1)}
    real = {level: model.features(data.test.x) for level, model in classifiers.items()}
    real_sketches = classifiers[2].features(enlarged(data.test.sketch))

    def report(name: str, x: np.ndarray) -> None:
        found = {
            f"distance, level {level}": round(frechet_distance(real[level], model.features(x)), 2)
            for level, model in classifiers.items()
        }
        print(json.dumps({"pictures": name, **found, **rules_kept(x)}), flush=True)

    def report_sketches(name: str, x: np.ndarray) -> None:
        distance = frechet_distance(real_sketches, classifiers[2].features(enlarged(x)))
        print(json.dumps({"sketches": name, "distance, level 2": round(distance, 2)}), flush=True)

    report("real, validation", data.validation.x)
    report_sketches("real, validation", data.validation.sketch)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        model = train_07.make_two_level()
        load_weights(model, f"07_two_level_{seed}")
        z = {level: rng.normal(size=(n, model.level(level).latent)) for level in (2, 1)}
        report_sketches(f"two levels, seed {seed}", model.generate(n, z, level=2))
        report(f"level 1 on real sketches, seed {seed}", model.level(1).translate(data.test.sketch, {1: z[1]}))
        report(f"two levels, seed {seed}", model.generate(n, z))
        model = train_07.make_flat()
        load_weights(model, f"07_flat_{seed}")
        report(f"flat, seed {seed}", model.generate(n, {1: rng.normal(size=(n, model.latent))}))


if __name__ == "__main__":
    main()
