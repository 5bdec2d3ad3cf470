"""What a grading leaves behind: tables, pages and the files that platforms import. Cheap, and nothing is run."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hvae_keras.course.marks import StudentMarks, ranked
from hvae_keras.course.outputs.feedback import Lessons, feedback_html, grade_data
from hvae_keras.course.outputs.gradebooks import canvas_csv, moodle_csv
from hvae_keras.course.outputs.gradescope import gradescope_results
from hvae_keras.course.outputs.junit import junit_xml
from hvae_keras.course.outputs.stale import remove_stale
from hvae_keras.course.outputs.summary import summary_data, summary_html
from hvae_keras.course.outputs.tables import grades_csv
from hvae_keras.course.outputs.text import folder_name, json_text, write_clean
from hvae_keras.course.settings import Settings

__all__ = ["folder_name", "gradescope_results", "write_outputs"]


def write_outputs(out: Path, classroom: Sequence[StudentMarks], settings: Settings, root: Path) -> list[Path]:
    """Write all files for a class under `out`, each whole or not at all; return their paths.

    For the class: `grades.csv`, `gradebook_canvas.csv`, `gradebook_moodle.csv`, `junit.xml`, `summary.json`,
    `summary.html`. For each student, in `students/<key>/`: `grade.json`, `feedback.html` and `results.json`
    (Gradescope). Those of students who are no longer in the class are removed. `root` is the course's folder,
    for the lessons' titles and the solutions that `settings.reveal` allows to show now; without them the pages do
    without. The same marks give the same bytes. Raises OSError where a file cannot be written or removed.
    """
    students = ranked(classroom)
    summary = summary_data(students, settings)
    lessons, now = Lessons(root), datetime.now().astimezone()
    paths, folders = [], []
    for student in students:
        folder = out / "students" / folder_name(student.student.key)
        folders.append(folder)
        paths += [
            write_clean(folder / "grade.json", json_text(grade_data(student))),
            write_clean(folder / "feedback.html", feedback_html(student, settings, lessons, now)),
            write_clean(folder / "results.json", json_text(gradescope_results(student))),
        ]
    remove_stale(out / "students", folders)
    return paths + [
        write_clean(out / "grades.csv", grades_csv(students)),
        write_clean(out / "gradebook_canvas.csv", canvas_csv(students)),
        write_clean(out / "gradebook_moodle.csv", moodle_csv(students, settings.late)),
        write_clean(out / "junit.xml", junit_xml(students)),
        write_clean(out / "summary.json", json_text(summary, indent=1)),
        write_clean(out / "summary.html", summary_html(students, summary, settings)),
    ]
