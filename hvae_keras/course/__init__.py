"""The exercise engine: stubs in notebooks, checks as pytest functions, verdicts, grading.

What a lesson needs is `check`, `hint` and `reveal`; what the author of checks needs is `Exercise` and
`assert_close`. Nothing here imports TensorFlow.
"""

from hvae_keras.course.exercises import Exercise, assert_close
from hvae_keras.course.notebook import check, hint, reveal

__all__ = ["Exercise", "assert_close", "check", "hint", "reveal"]
