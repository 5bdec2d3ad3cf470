"""Reading a trained model from a `.keras` file, with one line for whatever is wrong with it."""

import hashlib
import json
import zipfile
from pathlib import Path

from hvae_keras import models
from hvae_keras.backend import keras
from hvae_keras.models.base import BaseModel
from hvae_keras.report.subject import ReportError


def read_model(path: Path) -> tuple[BaseModel, str]:
    """The model in a file, and a line that identifies the file: its name and its first hexadecimal digits.

    Raises:
        ReportError: if there is no such file, it is not a `.keras` file, it is damaged, or it holds something else
            than a model of this package.
    """
    if not path.is_file():
        raise ReportError(f"there is no file {path}; MODEL is what model.save('NAME.keras') wrote.")
    kind = _kind(path)
    package, _, name = kind.rpartition(">")
    if package != "hvae_keras" or not hasattr(models, name):
        raise ReportError(f"{path} holds a {kind or 'model without a name'}, not a model of hvae_keras.")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ReportError(f"{path} is damaged, or was made by another version ({reason[:300]}).") from error
    if not isinstance(model, BaseModel):
        raise ReportError(f"{path} holds a {kind}, which is not a model that a report can be made of.")
    return model, f"{path.name}, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}…"


def _kind(path: Path) -> str:
    """The name that the class of the model is registered under, such as "hvae_keras>VAE"."""
    if not zipfile.is_zipfile(path):
        raise ReportError(f"{path} is not a .keras file, or is cut short; model.save('NAME.keras') writes one.")
    try:
        with zipfile.ZipFile(path) as archive:
            if "config.json" not in archive.namelist():
                raise ReportError(f"{path} is not a .keras file; model.save('NAME.keras') writes one.")
            if (wrong := archive.testzip()) is not None:
                raise ReportError(f"{path} is damaged (a checksum of {wrong} is wrong).")
            config = json.loads(archive.read("config.json"))
        return str(config.get("registered_name") or config["class_name"])
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, ReportError):
            raise
        raise ReportError(f"{path} is damaged ({' '.join(str(error).split())}).") from error
