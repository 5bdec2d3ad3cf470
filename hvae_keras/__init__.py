"""Hierarchical generative models in Keras 3, and the course that teaches them.

Importing the package is cheap: TensorFlow is only loaded by the modules that compute with it
(`hvae_keras.models`, `hvae_keras.distributions`, ...), so the command line answers at once.
"""

import os

# Read by TensorFlow when it is first imported; a value set by the user wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

__version__ = "0.1.0"
