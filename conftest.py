"""Pytest for the whole course: the checks of the exercises get the functions they grade from this plugin."""

pytest_plugins = ["hvae_keras.course.pytest_plugin"]
