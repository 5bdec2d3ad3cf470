"""What can go wrong with a student's function, told apart.

A session (in this process or in another) raises these and nothing else, so that a check behaves the same
wherever the function lives.
"""

from dataclasses import dataclass


class StudentFailure(Exception):
    """Base of everything a student's function can do except return a value."""

    status = "error"


class NotAttempted(StudentFailure):
    """The stub still raises NotImplementedError."""

    status = "not attempted"

    def __str__(self) -> str:
        return "not attempted"


@dataclass(eq=False)
class Missing(StudentFailure):
    """The submission has no such function."""

    message: str
    status = "missing"

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class TimedOut(StudentFailure):
    """The function did not return in time."""

    seconds: float
    status = "timed out"

    def __str__(self) -> str:
        return f"no answer within {self.seconds:g} seconds"


@dataclass(eq=False)
class OutOfMemory(StudentFailure):
    """The function asked for more memory than it was given."""

    message: str
    status = "out of memory"

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class StudentError(StudentFailure):
    """An exception inside the student's function, or the end of the process it ran in.

    `place` is the student's own last line, as `cell 7, line 3: return mean + scal`, or empty.
    """

    message: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.message}\n{self.place}" if self.place else self.message


class GraderFault(Exception):
    """Something of the grader's own failed: no room on the disk, no more processes. Never the student's fault."""
