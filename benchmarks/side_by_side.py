"""Variants of one training run timed side by side: each run in a process of its own, in turn, several times over.

A script says what the variants are, checks that they compute the same thing, and runs one of them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


class Comparison:
    """The command line, the loop over variants and repeats, and the table.

    Args:
        file: The script.
        description: Its docstring.
        variants: Names; the last is the one the others are compared with.
        data: `data(n)`, n training images.
        weights: The arrays that every variant starts from.
        check: `check(weights)` raises AssertionError unless all variants compute the same thing.
        run: `run(variant, x, weights, settings)` trains in this process; it returns the times of the first step
            and of the end of each epoch, in seconds from the call, and the ELBO of the last epoch.
        parameters: How many parameters are multiplied with every image, for the share of the machine's
            matrix-product rate; 0 leaves it out.
        defaults: Of `--images`, `--batch`, `--epochs` and `--repeats`.
    """

    def __init__(
        self,
        file: str,
        description: str,
        variants: Sequence[str],
        data: Callable,
        weights: Callable,
        check: Callable,
        run: Callable,
        parameters: int = 0,
        **defaults: int,
    ):
        self.file, self.variants, self.parameters = file, variants, parameters
        self.data, self.weights, self.check, self.run = data, weights, check, run
        self.parser = argparse.ArgumentParser(
            description=description, formatter_class=argparse.RawTextHelpFormatter
        )
        numbers = {"images": 51_200, "batch": 128, "epochs": 6, "repeats": 5, "threads": os.cpu_count()} | defaults
        for name, number in numbers.items():
            self.parser.add_argument(f"--{name}", type=int, default=number)
        self.parser.add_argument("--worker", choices=variants, help=argparse.SUPPRESS)
        self.parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)

    def main(self) -> None:
        """Check, then time the variants in turn, and print the table."""
        settings = self.parser.parse_args()
        if settings.worker:
            self._work(settings)
            return
        weights = self.weights()
        self.check(weights)
        found = {variant: [] for variant in self.variants}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "weights.npz")
            np.savez(file, *weights)
            for repeat in range(settings.repeats):
                for variant in self.variants:
                    found[variant].append(self._in_a_process_of_its_own(variant, file, settings))
                    print(f"{repeat + 1}/{settings.repeats}  {variant:10}", found[variant][-1], flush=True)
        self._report(found, settings)

    def _work(self, settings: argparse.Namespace) -> None:
        """One timed run in this process; prints images per second, start-up and the last ELBO as JSON."""
        with np.load(settings.weights) as stored:
            weights = [stored[name] for name in stored.files]
        x = self.data(settings.images)
        times, elbo = self.run(settings.worker, x, weights, settings)
        epoch = statistics.median(np.diff(times[1:]))
        images = len(x) // settings.batch * settings.batch
        # The first epoch takes one start-up longer than the others.
        result = {"speed": images / epoch, "start-up": times[1] - epoch, "first step": times[0], "elbo": elbo}
        if self.parameters:
            rate = products_per_second(pytorch=settings.worker == self.variants[-1])
            result["share"] = 6 * self.parameters * images / epoch / rate
        print(json.dumps({name: float(value) for name, value in result.items()}))

    def _in_a_process_of_its_own(self, variant: str, file: Path, settings: argparse.Namespace) -> dict:
        numbers = ("images", "batch", "epochs", "threads")
        options = [f"--{name}={getattr(settings, name)}" for name in numbers]
        command = [sys.executable, self.file, "--worker", variant, "--weights", str(file), *options]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def _report(self, found: dict[str, list[dict]], settings: argparse.Namespace) -> None:
        """Medians, ranges, and the ratio to the last variant in the run next to it."""
        print(f"\n{settings}\n")
        share = " share of the matrix-product rate |" if self.parameters else ""
        head = f"| variant | images/s, median (range) | ratio to {self.variants[-1]} |{share}"
        print(f"{head} start-up, s | first step, s | ELBO |")
        print("|---" * (6 + bool(share)) + "|")
        reference = [run["speed"] for run in found[self.variants[-1]]]
        for variant, runs in found.items():
            speeds = [run["speed"] for run in runs]
            ratios = [speed / other for speed, other in zip(speeds, reference, strict=True)]
            middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            share = f" {middle['share']:.2f} |" if self.parameters else ""
            print(
                f"| {variant} | {middle['speed']:,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f}) "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |{share}"
                f" {middle['start-up']:.2f} | {middle['first step']:.2f} | {middle['elbo']:.1f} |"
            )


def timed_fit(model: object, x: object, **arguments: int) -> tuple[list[float], float]:
    """Train with `fit`; the times of the first step and of each epoch from the call, and the last ELBO."""
    from hvae_keras.backend import keras

    times = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, step: int, logs: dict | None = None) -> None:
            if step == 1 and not times:
                times.append(time.perf_counter() - start)

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            times.append(time.perf_counter() - start)

    start = time.perf_counter()
    history = model.fit(x, callbacks=[Clock()], verbose=0, **arguments).history
    return times, history["elbo"][-1]


def limit_threads(threads: int) -> None:
    """Threads of one operation in TensorFlow."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)


def products_per_second(pytorch: bool, size: int = 2048, repeats: int = 10) -> float:
    """Floating-point operations per second of a float32 product of two square matrices, best of `repeats`."""
    a = np.random.default_rng(0).random((size, size), dtype="float32")
    if pytorch:
        import torch

        a, multiply = torch.from_numpy(a), torch.matmul
    else:
        import tensorflow as tf

        a, multiply = tf.constant(a), tf.linalg.matmul
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        float(multiply(a, a)[0, 0])
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)
