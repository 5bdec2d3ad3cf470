"""The instructor's settings: what is read, what is refused, and the rules about lateness and solutions."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from hvae_keras.course.settings import Late, Reveal, Settings, SettingsError, course_settings, read_settings

WHOLE = """
[grading]
seed = 7
seconds = 5
memory = 0.5
leave_out = ["1.2"]
[points]
"1.1" = 5
[weights]
"1" = 2
[late]
due = 2026-10-01T23:59:00+02:00
penalty = 0.1
most = 0.5
[late.extensions]
alice = 2026-10-03T23:59:00+02:00
[reveal]
when = "date"
tries = 2
date = 2026-10-02T00:00:00+02:00
"""
SUMMER = timezone(timedelta(hours=2))
DUE = datetime(2026, 10, 1, 23, 59, tzinfo=SUMMER)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def read(root, text: str) -> Settings:
    (root / "course.toml").write_text(text, encoding="utf-8")
    return course_settings(root)


def test_without_a_file_the_defaults_hold(tiny):
    assert course_settings(tiny) == Settings()


def test_an_empty_file_means_the_defaults(tiny):
    assert read(tiny, "") == Settings()


def test_everything_can_be_set(tiny):
    assert read(tiny, WHOLE) == Settings(
        seed=7,
        seconds=5.0,
        memory=0.5,
        leave_out=frozenset({"1.2"}),
        points={"1.1": 5.0},
        weights={"1": 2.0},
        late=Late(DUE, 0.1, 0.5, {"alice": datetime(2026, 10, 3, 23, 59, tzinfo=SUMMER)}),
        reveal=Reveal("date", 2, datetime(2026, 10, 2, tzinfo=SUMMER)),
    )


@pytest.mark.parametrize("key", ["1", "01", "01_tiny"])
def test_a_lesson_may_be_named_in_three_ways(tiny, key):
    assert read(tiny, f'[weights]\n"{key}" = 3').lesson_weights(tiny) == {"01_tiny": 3.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[grading]\nsecnods = 3", "grading.secnods is unknown; did you mean seconds?"),
        ("[gradng]\nseed = 3", "gradng is unknown; did you mean grading?"),
        ("grading = 3", "grading must be a table, [grading], got 3"),
        ("[grading]\nseed = 1.5", "grading.seed must be a whole number, 0 or more, got 1.5"),
        ("[grading]\nseed = true", "grading.seed must be a whole number, 0 or more, got True"),
        ("[grading]\nseconds = 0", "grading.seconds must be a number above 0, got 0"),
        ("[grading]\nmemory = nan", "grading.memory must be a number above 0, got nan"),
        ("[grading]\nmemory = inf", "grading.memory must be a number above 0, got inf"),
        ('[grading]\nseconds = "20"', "grading.seconds must be a number above 0, got '20'"),
        (
            "[grading]\nleave_out = [1.2]",
            'grading.leave_out must be a list of exercises in quotes, such as ["2.7"], got [1.2]',
        ),
        ('[grading]\nleave_out = ["1.3"]', "grading.leave_out: there is no exercise '1.3'; did you mean 1.2?"),
        ('[points]\n"1.1" = -1', 'points."1.1" must be a number, 0 or more, got -1'),
        ("[points]\n1.1 = 5", 'points.1 must be a number; put the name in quotes: "1.1" = 5'),
        ('[points]\n"9" = 5', "points: there is no exercise '9'; there are: 1.1, 1.2"),
        ('[weights]\n"07" = 5', "weights: there is no lesson '07'; there are: 01_tiny"),
        ('[weights]\n"1.1" = 5', "weights: there is no lesson '1.1'; there are: 01_tiny"),
        ('[weights]\n"1" = 5\n"01" = 5', "weights: lesson 01_tiny is named twice"),
        ("[late]\npenalty = 1.1", "late.penalty must be a share from 0 to 1, got 1.1"),
        ("[late]\nmost = -0.1", "late.most must be a share from 0 to 1, got -0.1"),
        (
            "[late]\ndue = 2026-10-01",
            "late.due must be a date and time without quotes, such as 2026-10-01T23:59:00+02:00, "
            "got datetime.date(2026, 10, 1)",
        ),
        ("[late.extensions]\nalice = 2026-10-01T10:00:00", "late.due is missing: without it, nothing is late"),
        (
            "[late]\ndue = 2026-10-01T10:00:00Z\n[late.extensions]\nalice = 2026-10-01T09:59:59Z",
            'late.extensions."alice" is before late.due',
        ),
        (
            '[late]\ndue = 2026-10-01T10:00:00Z\n[late.extensions]\nalice = "soon"',
            "late.extensions.alice must be a date and time without quotes, such as 2026-10-01T23:59:00+02:00, "
            "got 'soon'",
        ),
        ("[late]\nextensions = 1", "late.extensions must be a table of students and their due dates, got 1"),
        ('[reveal]\nwhen = "try"', 'reveal.when must be one of "never", "passed", "tries", "date", got \'try\''),
        ('[reveal]\nwhen = "date"', 'reveal.date is missing: reveal.when is "date"'),
        ("[reveal]\ntries = 0", "reveal.tries must be a whole number, 1 or more, got 0"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(tiny, text, message):
    with pytest.raises(SettingsError) as caught:
        read(tiny, text)
    assert str(caught.value) == f"course.toml: {message}"


def test_a_file_that_is_not_toml(tiny):
    with pytest.raises(SettingsError, match=r"^course.toml: is not TOML: .*line 2"):
        read(tiny, "[late]\ndue = tomorrow")


def test_a_file_that_is_not_text(tiny):
    (tiny / "course.toml").write_bytes(b"[late]\n# \xff")
    with pytest.raises(SettingsError, match="^course.toml: is not UTF-8 text$"):
        course_settings(tiny)


def test_notepads_mark_at_the_beginning_does_no_harm(tiny):
    (tiny / "course.toml").write_bytes(b"\xef\xbb\xbf[grading]\nseed = 3\n")
    assert course_settings(tiny).seed == 3


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no settings file"):
        read_settings(tmp_path / "other.toml")


def test_without_a_course_exercises_are_taken_as_they_are(tmp_path):
    (tmp_path / "other.toml").write_text('[points]\n"9.9" = 1')
    assert read_settings(tmp_path / "other.toml").points == {"9.9": 1.0}


def test_a_time_without_zone_is_local(tiny):
    due = read(tiny, "[late]\ndue = 2026-10-01T23:59:00").late.due
    assert due.tzinfo is not None
    assert due == datetime(2026, 10, 1, 23, 59).astimezone()


@pytest.mark.parametrize(
    ("after", "days"),
    [
        (timedelta(days=-3), 0),
        (timedelta(0), 0),  # at the due second
        (timedelta(seconds=0.999), 0),  # still in it
        (timedelta(seconds=1), 1),
        (timedelta(hours=24), 1),
        (timedelta(hours=24, seconds=1), 2),
        (timedelta(days=10), 10),
    ],
)
def test_days_begun_after_the_due_date(after, days):
    assert Late(DUE).days("bob", DUE + after) == days


def test_zones_do_not_matter_to_lateness():
    assert Late(DUE).days("bob", datetime(2026, 10, 1, 21, 59, tzinfo=UTC)) == 0
    assert Late(DUE).days("bob", datetime(2026, 10, 1, 21, 59, 1, tzinfo=UTC)) == 1


def test_a_change_of_the_clock_does_not_move_a_day():
    berlin = ZoneInfo("Europe/Berlin")
    # The night has 25 hours in autumn: 23:59 to 22:59 is a day of 24 hours, a second more is the second day.
    autumn = Late(datetime(2026, 10, 24, 23, 59, tzinfo=berlin))
    assert autumn.days("bob", datetime(2026, 10, 25, 22, 59, tzinfo=berlin)) == 1
    assert autumn.days("bob", datetime(2026, 10, 25, 22, 59, 1, tzinfo=berlin)) == 2
    # And 23 in spring: 23:59 to 00:59 two dates later.
    spring = Late(datetime(2026, 3, 28, 23, 59, tzinfo=berlin))
    assert spring.days("bob", datetime(2026, 3, 30, 0, 59, tzinfo=berlin)) == 1
    assert spring.days("bob", datetime(2026, 3, 30, 0, 59, 1, tzinfo=berlin)) == 2


def test_an_extension_is_one_students():
    late = Late(DUE, extensions={"alice": DUE + timedelta(days=2)})
    came = DUE + timedelta(days=2, seconds=1)
    assert late.days("alice", came) == 1
    assert late.days("bob", came) == 3


def test_what_is_not_known_is_not_late():
    assert Late(DUE).days("bob", None) == 0
    assert Late().days("bob", DUE) == 0


def test_the_share_grows_a_day_at_a_time_up_to_the_most():
    late = Late(DUE, penalty=0.2, most=0.5)
    assert [late.share(days) for days in range(5)] == [0.0, 0.2, 0.4, 0.5, 0.5]


def test_when_a_solution_is_shown():
    date = Reveal("date", date=NOW)
    before = NOW - timedelta(seconds=1)
    table = [  # policy, passed, tries, now, shown
        (Reveal("never"), True, 99, NOW, False),
        (Reveal("passed"), True, 0, NOW, True),
        (Reveal("passed"), False, 99, NOW, False),
        (Reveal(), True, 1, NOW, True),
        (Reveal(), False, 2, NOW, False),
        (Reveal(), False, 3, NOW, True),
        (date, True, 99, before, False),
        (date, False, 0, NOW, True),
    ]
    for policy, passed, tries, now, shown in table:
        assert policy.allows(passed, tries, now) is shown
        assert (policy.condition(passed, tries, now) == "") is shown


def test_the_student_is_told_when():
    assert Reveal().condition(False, 1, NOW) == "The solution is shown after a pass, or after 2 more tries."
    assert Reveal().condition(False, 2, NOW) == "The solution is shown after a pass, or after 1 more try."
    assert Reveal("passed").condition(False, 2, NOW) == "The solution is shown after a pass."
    assert Reveal("never").condition(True, 2, NOW) == "Solutions are not shown."
    elsewhere = datetime(2026, 10, 2, 8, 30, tzinfo=timezone(timedelta(hours=9)))
    told = Reveal("date", date=elsewhere).condition(True, 2, NOW)
    assert told == "The solution is shown from 2026-10-02 08:30 UTC+09:00 on."
