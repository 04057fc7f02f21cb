"""How to judge, as a file that a team edits: an introduction, and a line a grade with its name, meaning and example."""

import re
from pathlib import Path

from nearer.core.errors import InputError
from nearer.store.label_records import Guideline, GuidelineGrade

_GRADE = re.compile(r"\s*(?:[-*]\s*)?(\d{1,2})\s+([^:]{1,40}):\s*(.+)")

_FIVE = """\
Judge how far the document answers what the person who asked wants to know. Judge what it says, not how it is written.
0 Not relevant: it is about something else. Asked "how do I rotate a log file", a page on rotating images.
1 Related: the same topic, but it does not help. A page that lists all settings of the logger.
2 Partly: it helps, and more must be found. A page on log files that names rotation and does not say how.
3 Good: it answers the question, among other things. A page on log files with a section on rotation.
4 Perfect: it is the answer, and about it. The page "Rotate a log file".
"""
_BINARY = """\
Judge whether the document answers what the person who asked wants to know.
0 Not relevant: it does not help. Asked "how do I rotate a log file", a page on rotating images.
1 Relevant: it helps. A page on log files with a section on rotation.
"""


def read_guideline(path: Path | None, *, max_grade: int) -> Guideline:
    """The guideline of a file, or the one that comes with Nearer.

    Raises InputError for a file that cannot be read or lacks a grade.
    """
    if path is None:
        return parse_guideline(_built_in(max_grade), max_grade=max_grade, where="the guideline")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8", hint="save it as UTF-8") from error
    return parse_guideline(text, max_grade=max_grade, where=str(path))


def parse_guideline(text: str, *, max_grade: int, where: str) -> Guideline:
    """A guideline of its text. Raises InputError where a grade has no line, or one has two."""
    intro, grades = [], dict[int, GuidelineGrade]()
    for line in text.splitlines():
        match = _GRADE.fullmatch(line)
        if not match:
            intro.append(line.strip())
            continue
        grade = int(match[1])
        if grade > max_grade or grade in grades:
            what = "is there twice" if grade in grades else f"is above {max_grade}"
            raise InputError(f"{where}: the grade {grade} {what}", hint=f"a line each for 0 to {max_grade}")
        grades[grade] = GuidelineGrade(grade=grade, name=match[2].strip(), meaning=match[3].strip())
    if missing := [grade for grade in range(max_grade + 1) if grade not in grades]:
        hint = 'write a line such as "3 Good: it answers the question. For example ..."'
        raise InputError(f"{where}: no line for the grade {missing[0]}", hint=hint)
    return Guideline(intro="\n".join(intro).strip(), grades=tuple(grades[grade] for grade in sorted(grades)))


def _built_in(max_grade: int) -> str:
    if max_grade == 1:
        return _BINARY
    intro, *lines = _FIVE.splitlines()
    if max_grade == 4:
        return _FIVE
    kept = [lines[round(4 * grade / max_grade)] for grade in range(max_grade + 1)]
    return "\n".join([intro, *(f"{grade} {line.split(' ', 1)[1]}" for grade, line in enumerate(kept))])
