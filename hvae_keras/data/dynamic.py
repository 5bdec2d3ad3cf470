"""Dynamic binarization: new zeros and ones from the grey levels in every epoch.

It needs Keras, which `hvae_keras.data` itself does not: import it from here.
"""

import numpy as np

from hvae_keras.backend import keras


class DynamicallyBinarized(keras.utils.PyDataset):
    """Batches of pixels drawn anew from Bernoulli(grey level) each time they are read, for `fit`.

    The draws act as data augmentation, so models score better than on a set that was binarized once: compare
    only like with like. For evaluation binarize once, with `Dataset.binarized`.

    Args:
        x: Grey levels in [0, 1], `[n, *shape]`.
        batch_size: Images in a batch. The order is new in every epoch, and the n % batch_size images at its
            end are left out, so that every batch has the same shape.
        seed: Seed of order and pixels.

    Raises:
        ValueError: if grey levels are outside [0, 1], or there is no full batch.
    """

    def __init__(self, x: np.ndarray, batch_size: int, seed: int = 0):
        super().__init__()
        if not 1 <= batch_size <= len(x):
            raise ValueError(f"batch_size is 1 to {len(x)}, the number of images; got {batch_size}.")
        if not (x.min() >= 0 and x.max() <= 1):
            raise ValueError(f"x holds grey levels between 0 and 1; got {x.min():g} to {x.max():g}.")
        self.x, self.batch_size = x, batch_size
        # SFC64 is NumPy's fastest generator, and the pixels are most of the work.
        self.rng = np.random.Generator(np.random.SFC64(seed))
        self.order = self.rng.permutation(len(x))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.x) // self.batch_size

    def __getitem__(self, index: int) -> np.ndarray:
        """A batch of zeros and ones, float32."""
        grey = self.x[self.order[index * self.batch_size : (index + 1) * self.batch_size]]
        return (self.rng.random(grey.shape, dtype="float32") < grey).astype("float32")

    def on_epoch_end(self) -> None:
        """A new order."""
        self.order = self.rng.permutation(len(self.x))
