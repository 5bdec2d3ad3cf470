"""Tunes as rows of tokens, one for each eighth note: to notes and back, cut into phrases, as sound and as MIDI.

HOLD lets the note or the silence before it go on, REST begins a silence, and every other token begins a note.
PADDING marks a place that is no step of the tune: rows of one length can then hold phrases of several. A row is
an int array `[steps]`, many tunes are `[n, steps]`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hvae_keras.files import written_whole

if TYPE_CHECKING:
    from IPython.display import Audio

HOLD, REST, PADDING = 0, 1, -1
LOWEST, HIGHEST = 51, 82  # MIDI numbers of the first and the last pitch, E♭3 to B♭5
TOKENS = 2 + HIGHEST - LOWEST + 1
SILENT, ABSENT = -1, -2  # what `sounding` says instead of a pitch

TICKS = 480  # of a MIDI file, in a quarter note
STEPS_PER_BEAT = 2
LONGEST_SOUND = 8.0  # seconds that `play` puts into a notebook: 171 kB at 8 kHz


class Note(NamedTuple):
    """A note: the step at which it starts, how many steps it lasts, and its MIDI number."""

    start: int
    duration: int
    pitch: int


def token(pitch: int) -> int:
    """Return the token that starts a note of MIDI number `pitch`; ValueError outside LOWEST..HIGHEST."""
    if not LOWEST <= pitch <= HIGHEST or pitch != int(pitch):
        raise ValueError(f"pitch is a MIDI number from {LOWEST} to {HIGHEST}; got {pitch!r}.")
    return int(pitch) - LOWEST + 2


def pitch(token: int) -> int:
    """Return the MIDI number of the note that `token` starts; ValueError for any other token."""
    if not REST < token < TOKENS or token != int(token):
        raise ValueError(f"token of a note is from 2 to {TOKENS - 1}; got {token!r}.")
    return int(token) - 2 + LOWEST


def check_tokens(tokens: np.ndarray) -> np.ndarray:
    """Return tokens `[..., steps]` as an array; ValueError if it is empty, no integers or out of range."""
    tokens = np.asarray(tokens)
    if tokens.ndim < 1 or tokens.size == 0:
        raise ValueError(f"tokens is [steps] or [n, steps] with at least one step; got shape {tokens.shape}.")
    if not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"tokens is an array of integers; got {tokens.dtype}.")
    wrong = np.argwhere((tokens < PADDING) | (tokens >= TOKENS))
    if len(wrong):
        at = tuple(int(i) for i in wrong[0])
        place = ", ".join(map(str, at))
        raise ValueError(f"tokens run from {PADDING} (padding) to {TOKENS - 1}; tokens[{place}] is {tokens[at]}.")
    return tokens


def sounding(tokens: np.ndarray) -> np.ndarray:
    """Return the MIDI number that sounds at each step `[..., steps]`; SILENT (-1) or ABSENT (-2, padding).

    A HOLD with nothing before it is silence; one behind padding holds what stood before the padding.
    """
    tokens = check_tokens(tokens)
    starts = np.where(tokens > HOLD, np.arange(tokens.shape[-1]), 0)
    held = np.take_along_axis(tokens, np.maximum.accumulate(starts, axis=-1), axis=-1)
    return np.where(tokens == PADDING, ABSENT, np.where(held > REST, held - 2 + LOWEST, SILENT))


def notes(tokens: np.ndarray) -> list[Note]:
    """Return the notes of one tune `[steps]`. Padding is left out first, so it takes no time."""
    tokens = uncut(_one_tune(tokens))
    starts = np.flatnonzero(tokens > HOLD)
    durations = np.diff(starts, append=len(tokens))
    return [
        Note(int(start), int(duration), pitch(tokens[start]))
        for start, duration in zip(starts, durations, strict=True)
        if tokens[start] > REST
    ]


def tokens(notes: Sequence[Note], steps: int) -> np.ndarray:
    """Return the tune `[steps]` of int32 that plays `notes`, in any order: the inverse of `notes`.

    Each silence is one REST, then HOLD. ValueError if a note overlaps another, is not within the steps, or its
    pitch is out of range.
    """
    if steps < 1:
        raise ValueError(f"steps is at least 1; got {steps!r}.")
    row = np.full(steps, HOLD, "int32")
    row[0] = REST
    free = 0
    for note in sorted(notes):
        start, duration, pitch = note
        if start < 0 or duration < 1 or start + duration > steps:
            raise ValueError(f"a note lasts at least one step within 0 to {steps - 1}; got {note}.")
        if start < free:
            raise ValueError(f"notes do not overlap; got {note}, where the note before ends at step {free}.")
        free = start + duration
        row[start] = token(pitch)
        if free < steps:
            row[free] = REST
    return row


def cut(x: np.ndarray, length: int) -> np.ndarray:
    """Cut `[..., steps]` into whole phrases, `[..., phrases, length]`; ValueError if steps would be left over."""
    x = np.asarray(x)
    if x.ndim < 1 or length < 1 or x.shape[-1] % length or x.shape[-1] == 0:
        raise ValueError(f"x is cut into whole phrases of {length} steps; got shape {x.shape}, steps last.")
    return x.reshape(*x.shape[:-1], -1, length)


def join(phrases: np.ndarray) -> np.ndarray:
    """Put `[..., phrases, length]` together, `[..., steps]`: the inverse of `cut`."""
    phrases = np.asarray(phrases)
    if phrases.ndim < 2:
        raise ValueError(f"phrases is [..., phrases, length]; got shape {phrases.shape}.")
    return phrases.reshape(*phrases.shape[:-2], phrases.shape[-2] * phrases.shape[-1])


def cut_at(tokens: np.ndarray, ends: Sequence[int], length: int) -> np.ndarray:
    """Cut one tune after the steps `ends`, each phrase in a row of its own with padding behind it.

    Args:
        tokens: One tune without padding, `[steps]`.
        ends: The last step of each phrase, increasing; the last of them is the last step of the tune.
        length: Steps of a row, at least as many as the longest phrase has.

    Returns:
        `[phrases, length]`.

    Raises:
        ValueError: if `ends` is not as above or a phrase is longer than `length`.
    """
    tokens = _one_tune(tokens)
    if (tokens == PADDING).any():
        raise ValueError("tokens has padding; a tune to cut is expected without.")
    ends = np.asarray(ends)
    if ends.ndim != 1 or not np.issubdtype(ends.dtype, np.integer) or ends.size == 0:
        raise ValueError(f"ends is a list of steps; got {ends.tolist()!r}.")
    sizes = np.diff(ends, prepend=-1)
    if (sizes < 1).any() or ends[-1] != len(tokens) - 1:
        raise ValueError(f"ends increases, up to the last step {len(tokens) - 1}; got {ends.tolist()}.")
    if sizes.max() > length:
        raise ValueError(
            f"a phrase has at most {length} steps (length); phrase {sizes.argmax()} has {sizes.max()}."
        )
    phrases = np.full((len(ends), length), PADDING, tokens.dtype)
    phrases[np.arange(length) < sizes[:, None]] = tokens  # row by row, so in the order of the tune
    return phrases


def uncut(phrases: np.ndarray) -> np.ndarray:
    """Leave out the padding of one tune, `[phrases, length]` or `[steps]`, and return `[steps]`."""
    phrases = check_tokens(phrases)
    if (phrases == PADDING).all():
        raise ValueError(f"the tune is empty: all of its {phrases.size} places are padding.")
    return phrases[phrases != PADDING]


def _one_tune(tokens: np.ndarray) -> np.ndarray:
    """The checked row; a ValueError if it is not one tune."""
    tokens = check_tokens(tokens)
    if tokens.ndim != 1:
        raise ValueError(f"tokens is one tune [steps]; got shape {tokens.shape}.")
    return tokens


def synthesise(tokens: np.ndarray, rate: int = 8000, steps_per_second: float = 10.0) -> np.ndarray:
    """Return the sound of one tune: each note a sum of harmonics that swells fast and dies away.

    Args:
        tokens: `[steps]`; padding takes no time.
        rate: Samples per second.
        steps_per_second: Eighth notes per second.

    Returns:
        float32 `[samples]` in [-1, 1], steps * rate / steps_per_second of them (rounded).

    Raises:
        ValueError: if a rate is not positive, or `tokens` is not one tune.
    """
    tokens = uncut(_one_tune(tokens))
    if not (rate > 0 and steps_per_second > 0):
        raise ValueError(f"rate and steps_per_second are positive; got {rate!r} and {steps_per_second!r}.")
    place = rate / steps_per_second
    sound = np.zeros(round(len(tokens) * place), "float32")
    for start, duration, pitch in notes(tokens):
        first, end = round(start * place), round((start + duration) * place)
        sound[first:end] = _tone(440.0 * 2 ** ((pitch - 69) / 12), end - first, rate)
    return sound


def _tone(frequency: float, samples: int, rate: int) -> np.ndarray:
    """One note `[samples]` in [-1, 1]. It begins and ends at 0: a jump would be heard as a click."""
    time = np.arange(samples) / rate
    harmonics = np.arange(1, 7)
    # A harmonic above half the sampling rate would come out as another pitch.
    strength = np.where(harmonics * frequency < rate / 2, 1.0 / harmonics**2, 0.0)
    wave = strength @ np.sin(2 * np.pi * frequency * np.outer(harmonics, time))
    left = (samples - 1) / rate - time
    envelope = np.minimum(1.0, time / 0.01) * np.exp(-2.5 * time) * np.minimum(1.0, left / 0.03)
    return wave * envelope / (1.0 / harmonics**2).sum()


def play(tokens: np.ndarray, rate: int = 8000, steps_per_second: float = 10.0) -> "Audio":
    """Return a player for a notebook. It stores every sample: 64 steps at the default speed take 137 kB.

    ValueError if the tune lasts more than LONGEST_SOUND (8) seconds, or as `synthesise`.
    """
    from IPython.display import Audio  # here, so that the rest of the module needs NumPy alone

    sound = synthesise(tokens, rate, steps_per_second)
    if len(sound) > LONGEST_SOUND * rate:
        raise ValueError(
            f"a notebook holds at most {LONGEST_SOUND:g} s of sound; got {len(sound) / rate:.1f} s. "
            "Pass fewer steps, or more steps_per_second."
        )
    return Audio(sound, rate=rate, normalize=False)


def save_midi(path: str | Path, tokens: np.ndarray, beats_per_minute: float = 100.0) -> None:
    """Write one tune as a MIDI file (format 0, piano), which any player and notation program opens.

    The file is written whole or not at all; a file of that name is replaced.

    Args:
        path: Where to; mostly ends in `.mid`.
        tokens: `[steps]` of eighth notes; padding takes no time.
        beats_per_minute: Quarter notes in a minute, 4 to 1000.

    Raises:
        ValueError: if the tempo is out of range, or `tokens` is not one tune.
    """
    import mido  # here, so that tunes can be read and cut without it

    if not 4 <= beats_per_minute <= 1000:  # a slower beat overflows the 24 bits of microseconds in the file
        raise ValueError(f"beats_per_minute is from 4 to 1000; got {beats_per_minute!r}.")
    tokens = uncut(_one_tune(tokens))
    step = TICKS // STEPS_PER_BEAT
    # Sorted by time, and at one time ends before starts: a note that is struck again must stop first.
    events = sorted(
        (at * step, velocity, note.pitch)
        for note in notes(tokens)
        for at, velocity in ((note.start, 80), (note.start + note.duration, 0))
    )
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(beats_per_minute))])
    now = 0
    for at, velocity, pitch in events:
        track.append(mido.Message("note_on", note=pitch, velocity=velocity, time=at - now))  # velocity 0 ends it
        now = at
    track.append(mido.MetaMessage("end_of_track", time=len(tokens) * step - now))
    with written_whole(path) as partial:
        mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track]).save(partial)
