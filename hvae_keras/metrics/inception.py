"""Features of Inception v3, trained on ImageNet: those of FID and KID, for photographs and what is like them."""

import hashlib
import os
import warnings
from pathlib import Path

import numpy as np

from hvae_keras.backend import has_gpu, keras, ops
from hvae_keras.data.mnist import socket_timeout
from hvae_keras.metrics.features import checked_pixels

FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"
URL = f"https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/{FILE}"
MD5 = "9a0d58056eeedaa3f26cb7ebd46da564"
SIDE = 299  # pixels that the network was trained with
BATCH = 32


class InceptionFeatures:
    """The 2,048 features under the last layer of Inception v3 (Szegedy et al. 2016), means over the places.

    Pictures are resized to 299×299, bilinearly, smoothed before they are made smaller; a grey one is repeated in
    the three channels. Both move the distances: with another filter, or pictures that were stored as JPEG, FID
    changes by several units (Parmar, Zhang & Zhu 2022). The weights are those of Keras, not those of 2015 that
    Heusel et al. used, so compare FID and KID with values from here only.

    On 2 CPU cores it takes about a tenth of a second a picture.

    Attributes:
        name: "Inception", or "Inception, weights FILE" if they are not the weights that Keras distributes.
        classes: {"ImageNet": 1000}, the one factor that it tells.
    """

    def __init__(self, weights: str | Path = "imagenet"):
        """Make the network.

        Args:
            weights: "imagenet", through the cache of Keras, or a file of weights for
                `keras.applications.InceptionV3` with its last layer.

        Raises:
            RuntimeError: if there is no such file, and it cannot be downloaded, or it holds other weights.
        """
        path = _downloaded() if weights == "imagenet" else Path(weights)
        if not path.is_file():
            raise RuntimeError(f"there is no file {path}, which should hold the weights of Inception: {FILE}.")
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        self.name = "Inception" if found == MD5 else f"Inception, weights {path.name}"
        self.classes = {"ImageNet": 1000}
        network = keras.applications.InceptionV3(weights=None)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # Keras warns of layers that it leaves random
                network.load_weights(path)
        except (OSError, ValueError, UserWarning) as error:
            reason = " ".join(str(error).split())
            raise RuntimeError(f"{path} does not hold the weights of Inception ({reason}): get {FILE}.") from error
        self._pooled = keras.Model(network.input, network.get_layer("avg_pool").output)
        self._pooled.compile(jit_compile=has_gpu())  # on a CPU it takes longer to compile than to run
        self._last = network.get_layer("predictions")

    def features(self, x: np.ndarray) -> np.ndarray:
        """Features float32 `[n, 2048]` of pictures `[n, height, width, 1 or 3]` in [0, 1].

        Raises:
            ValueError: if x has another shape or a pixel outside [0, 1].
        """
        x = np.asarray(x)
        if x.ndim != 4 or x.shape[-1] not in (1, 3) or not x.size:
            raise ValueError(f"x has shape {x.shape}, expected [n, height, width, 1 or 3] with n at least 1.")
        x, found = np.broadcast_to(checked_pixels(x), (*x.shape[:3], 3)), []
        for at in range(0, len(x), BATCH):
            resized = ops.image.resize(x[at : at + BATCH], (SIDE, SIDE), "bilinear", antialias=True)
            found.append(self._pooled.predict_on_batch(2 * resized - 1))
        return np.concatenate(found)

    def probabilities(self, x: np.ndarray, factor: str = "ImageNet") -> np.ndarray:
        """p(class|x) of the classes of ImageNet, float64 `[n, 1000]`; it computes the features again.

        Raises:
            ValueError: if there is no such factor; also as for `features`.
        """
        if factor not in self.classes:
            raise ValueError(f"factor is 'ImageNet'; got {factor!r}.")
        return ops.convert_to_numpy(self._last(self.features(x))).astype("float64")


def _downloaded() -> Path:
    """The file of weights in the cache of Keras, downloaded if it is not there; its hash is checked."""
    try:
        with socket_timeout(seconds=20):
            return Path(keras.utils.get_file(FILE, URL, cache_subdir="models", file_hash=MD5))
    except Exception as error:  # Keras raises a bare Exception when there is no network
        reason, folder = " ".join(str(error).split()), f"{os.environ.get('KERAS_HOME', '~/.keras')}/models"
        raise RuntimeError(
            f"the weights of Inception are not in the cache of Keras and cannot be downloaded ({reason}): connect "
            f"once, or put {FILE} into {folder}, or give its path as weights."
        ) from error
