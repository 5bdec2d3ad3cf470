"""Seconds and memory of the scores of 10,000 generated examples against 10,000 real ones, 64 features each.

    python benchmarks/fidelity_speed.py

All are timed in turn in one process. The memory is of a process of its own for each: what the score allocated at
most, and the most that the process had, with TensorFlow imported. For precision and recall there are also the
distances by scikit-learn's `pairwise_distances_chunked`, the usual building block, with no search for neighbours.

Written down before the first run, for 2 idle cores: the Fréchet distance 0.1 s, the kernel distance 1 s, the
Inception Score of 10 classes 0.01 s, precision and recall 3 s, density and coverage 2.5 s, everything below
200 MB above the imports; scikit-learn's distances, three times as many pairs, 3 s.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
import tracemalloc

import numpy as np
from scipy.special import softmax
from sklearn.metrics import pairwise_distances_chunked

from hvae_keras import metrics


def only_distances(real, generated):
    """The three matrices of distances that precision and recall need, and nothing done with them."""
    for x, y in ((real, real), (generated, generated), (real, generated)):
        for _ in pairwise_distances_chunked(x, y, working_memory=64):
            pass


SCORES = {
    "Fréchet distance": metrics.frechet_distance,
    "kernel distance": metrics.kernel_distance,
    "Inception Score": lambda real, generated: metrics.inception_score(softmax(generated[:, :10], axis=1)),
    "precision and recall": metrics.precision_recall,
    "density and coverage": metrics.density_coverage,
    "scikit-learn, distances only": only_distances,
}


def drawn(n, d):
    """Two sets of one normal."""
    return np.random.default_rng(0).normal(size=(2, n, d))


def memory(name, n, d, found):
    """Put into `found` how many MB the score allocated at most, and how many its process had at most."""
    real, generated = drawn(n, d)
    tracemalloc.start()
    SCORES[name](real, generated)
    found.put([tracemalloc.get_traced_memory()[1] / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3])


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    settings = parser.parse_args()
    size = settings.examples, settings.features

    real, generated = drawn(*size)
    seconds, work = {name: [] for name in SCORES}, {name: [] for name in SCORES}
    for _ in range(settings.repeats):
        for name, score in SCORES.items():
            start, started = time.perf_counter(), time.process_time()
            score(real, generated)
            seconds[name].append(time.perf_counter() - start)
            work[name].append(time.process_time() - started)
    print(
        f"{settings}\n\n| score | seconds | least | of processor time | MB | of the process |\n" + "|---" * 6 + "|"
    )
    context = multiprocessing.get_context("spawn")
    for name in SCORES:
        found = context.Queue()
        process = context.Process(target=memory, args=(name, *size, found))
        process.start()
        own, most = found.get()
        process.join()
        times = f"{statistics.median(seconds[name]):.2f} | {min(seconds[name]):.2f} | {min(work[name]):.2f}"
        print(f"| {name} | {times} | {own:.0f} | {most:.0f} |", flush=True)


if __name__ == "__main__":
    main()
