"""Progress: bars on a terminal, lines in a log, nothing that stays."""

import io
import logging
import threading
import time

import pytest
from rich.console import Console

from nearer.core.progress import Silent, phase
from nearer.printing.progress import ConsoleProgress, WarningLines, _Phase, as_clock, end_all


def console(*, terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)


def text_of(console):
    return console.file.getvalue()


def test_a_line_says_what_is_done_of_what_and_how_long_it_takes():
    one = _Phase(label="encode passages", total=2048, began=100.0, done=512)
    assert one.line(now=104.0) == "encode passages: 512 of 2,048 (25%), 0:12 left"
    begun = _Phase(label="encode passages", total=2048, began=100.0)
    assert begun.line(now=107.0) == "encode passages: 0 of 2,048 (0%), 0:07 so far"
    unknown = _Phase(label="import corpus", total=0, began=0.0, done=1500)
    assert unknown.line(now=65.0) == "import corpus: 1,500, 1:05 so far"
    assert one.end(now=3825.0) == "encode passages: 512 done in 1:02:05"
    assert _Phase(label="cut documents", total=0, began=0.0).line(now=6) == "cut documents: 0:06 so far"
    assert as_clock(59.6) == "1:00"


def test_a_log_gets_lines_even_while_one_item_lasts():
    log = console()
    progress = ConsoleProgress(log, first_s=0.05)
    for _ in progress.track([["a"] * 30, ["b"] * 10], label="encode passages", total=40, size=len):
        time.sleep(0.12)
    lines = text_of(log).splitlines()
    assert lines[0] == "encode passages: 0 of 40 (0%), 0:00 so far"
    assert lines[-1] == "encode passages: 40 done in 0:00"


def test_what_is_short_says_nothing():
    log = console()
    assert list(ConsoleProgress(log).track([1, 2], label="encode", total=2)) == [1, 2]
    assert text_of(log) == ""


def test_no_teller_of_lines_outlives_a_failure():
    log, before = console(), threading.active_count()
    progress = ConsoleProgress(log, first_s=0.05)
    steps = progress.track(range(9), label="train", total=9)
    next(steps)
    assert threading.active_count() == before + 1
    end_all()
    assert threading.active_count() == before
    time.sleep(0.1)
    assert text_of(log) == ""
    with pytest.raises(ZeroDivisionError):
        [1 / 0 for _ in progress.track([1], label="divide", total=1)]


@pytest.mark.parametrize("total", [3, 0], ids=["known", "unknown"])
def test_a_bar_is_gone_at_the_end_and_bars_may_be_nested(total):
    terminal = console(terminal=True)
    progress = ConsoleProgress(terminal)
    for _ in progress.track(range(3), label="train [1]", total=total):
        for _ in progress.track(range(2), label="measure dev", total=2):
            progress._bars.refresh()
    shown = text_of(terminal)
    assert "train [1]" in shown, "what looks like markup is shown as it is"
    assert "measure dev" in shown
    assert progress._bars is None
    assert shown.rstrip().endswith("\x1b[2K\x1b[?25h"), "the bars are wiped"


def test_a_bar_of_what_never_ended_is_taken_away():
    progress = ConsoleProgress(console(terminal=True))
    steps = progress.track(range(9), label="train", total=9)
    next(steps)
    end_all()
    assert progress._bars is None
    next(steps)
    steps.close()


def test_a_phase_that_cannot_be_counted_is_shown():
    log = console()
    with phase(ConsoleProgress(log, first_s=0.05), "cut documents"):
        time.sleep(0.12)
    assert text_of(log).splitlines() == ["cut documents: 0:00 so far", "cut documents: done in 0:00"]
    with phase(Silent(), "cut documents"), pytest.raises(KeyError):
        raise KeyError
    with pytest.raises(KeyError), phase(ConsoleProgress(log), "cut documents"):
        raise KeyError


def test_a_warning_is_a_line_of_the_progress():
    log = console()
    handler = WarningLines(ConsoleProgress(log))
    logger = logging.getLogger("nearer.test-of-progress")
    logger.addHandler(handler)
    try:
        logger.warning("waits for %s to end, to write what was done", "add (process 7)")
        logger.info("not this")
    finally:
        logger.removeHandler(handler)
    assert text_of(log) == "waits for add (process 7) to end, to write what was done\n"
