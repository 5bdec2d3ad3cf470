"""`junit.xml`: the class as a test report, for Jenkins, GitLab, GitHub and whatever else reads JUnit's form.

There is no one schema. What is written here is what they share: `testsuites` of `testsuite` of `testcase`, with
one `failure`, `error` or `skipped` in a case that is not passed.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from hvae_keras.course.judge import CheckResult, Verdict
from hvae_keras.course.marks import Mark, StudentMarks
from hvae_keras.course.outputs.statuses import BROKEN, UNTOUCHED, checks_of, explanation
from hvae_keras.course.outputs.text import abridged, shortened

COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}
MESSAGE_LENGTH = 200


def junit_xml(classroom: Sequence[StudentMarks]) -> str:
    """The report: a suite a student and lesson, a case a check.

    Wrong is a failure; error, timed out and out of memory are errors; not attempted and missing are skipped. A
    file that cannot be graded has one more case, an error. Only exercises are timed, so that a check's time is an
    equal share of its exercise's. Times in seconds.
    """
    top = ET.Element("testsuites", name="hvae grade")
    for student in classroom:
        for mark in student.marks:
            top.append(_suite(student.student.key, mark))
    for name in ("tests", "failures", "errors"):
        top.set(name, str(sum(int(suite.get(name, "0")) for suite in top)))
    top.set("time", _time(sum(mark.report.seconds for student in classroom for mark in student.marks)))
    ET.indent(top, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"


def _suite(key: str, mark: Mark) -> ET.Element:
    lesson = mark.report.lesson or "lesson unknown"
    suite = ET.Element("testsuite", name=f"{key}: {lesson}")
    if mark.report.problem and mark.file:
        case = ET.SubElement(suite, "testcase", name="can be graded", classname=f"{key}.{lesson}", time="0.000")
        _say(case, "error", "error", [mark.report.problem])
    for verdict in mark.report.verdicts:
        for check in checks_of(verdict):
            suite.append(_case(f"{key}.{lesson}", verdict, check))
    suite.set("tests", str(len(suite)))
    for name, tag in COUNTS.items():
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", _time(mark.report.seconds))
    return suite


def _case(group: str, verdict: Verdict, check: CheckResult) -> ET.Element:
    # No dot in the last part: readers take what follows the last dot for the class.
    classname = f"{group}.{verdict.exercise.replace('.', '_')} {verdict.name}"
    seconds = _time(verdict.seconds / len(checks_of(verdict)))
    case = ET.Element("testcase", name=check.title, classname=classname, time=seconds)
    if check.status == "wrong":
        _say(case, "failure", check.status, explanation(check))
    elif check.status in BROKEN:
        _say(case, "error", check.status, explanation(check))
    elif check.status in UNTOUCHED:
        _say(case, "skipped", check.status, explanation(check))
    return case


def _say(case: ET.Element, tag: str, status: str, lines: Sequence[str]) -> None:
    lines = abridged(lines)
    message = shortened(" | ".join([status, *lines[-1:]]), MESSAGE_LENGTH)
    ET.SubElement(case, tag, type=status, message=message).text = "\n".join(lines)


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"
