"""Judging in a terminal: one pair at a time, by keys, as on the page."""

from collections.abc import Callable

from nearer.core.errors import Conflict, InputError, NotFound
from nearer.core.results.people import LabelStatus
from nearer.flows.label_status import label_status
from nearer.store.label_records import RATED, LabelSet, PairToLabel
from nearer.store.labels import Labels
from nearer.store.workspace import Workspace

_MOST_CHARACTERS = 4000
KEYS = "S skip, U undo, R un-rate, ? guideline, Q quit"


def label(
    workspace: Workspace,
    *,
    rater: str,
    ask: Callable[[str], str],
    say: Callable[[str], None],
    name: str | None = None,
) -> LabelStatus:
    """Show pairs and take grades until there is none left, or the rater quits; each is kept at once.

    A grade may be followed by a reason: "3 names the setting". Raises InputError without a rater's name, or where
    several sets are there and none is named; NotFound for an unknown set.
    """
    if not rater.strip():
        raise InputError("a rater has a name", hint="nearer label --terminal --rater ann")
    labels = Labels(workspace.database)
    label_set = labels.get(name) if name else only_set(labels)
    while (pair := labels.next(label_set.set_id, rater)) is not None:
        say(_shown(labels, label_set, pair, rater))
        try:
            if not _taken(labels, label_set, pair, rater, ask(f"0-{label_set.max_grade}, {KEYS}: "), say):
                break
        except EOFError:
            break
        except (Conflict, NotFound, InputError) as error:
            say(error.message)
    else:
        say("That was all: there is nothing left to judge.")
    return label_status(workspace, label_set.set_id)


def only_set(labels: Labels) -> LabelSet:
    """The set there is. Raises NotFound without one, InputError where there are several."""
    found = labels.all()
    if not found:
        raise NotFound("there is no label set", hint="nearer label start QUERIES")
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise InputError(f"there are {len(found)} label sets: {names}", hint="choose one with --name")
    return found[0]


def guideline_lines(label_set: LabelSet) -> list[str]:
    """How to judge, as lines."""
    lines = [label_set.guideline.intro] if label_set.guideline.intro else []
    return lines + [f"{each.grade} {each.name}: {each.meaning}" for each in label_set.guideline.grades]


def need_of(metadata: object) -> str:
    """What the person who asked wants to know, where the query says so: TREC's description and narrative, or a need."""
    if not isinstance(metadata, dict):
        return ""
    found = [metadata.get(name) for name in ("need", "information_need", "description", "narrative")]
    return "\n".join(str(each) for each in found if each)


def _shown(labels: Labels, label_set: LabelSet, pair: PairToLabel, rater: str) -> str:
    query, metadata, title, text = labels.texts(pair)
    num_rated = sum(each.state == RATED for each in labels.ratings(label_set.set_id, rater=rater))
    cut = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} …"
    need = need_of(metadata)
    parts = [f"\n--- {num_rated} judged by you ---", f"Query: {query}", need, "", title, cut]
    return "\n".join(part for part in parts if part or part == "")


def _taken(
    labels: Labels, label_set: LabelSet, pair: PairToLabel, rater: str, answer: str, say: Callable[[str], None]
) -> bool:
    """Do what a rater typed; whether to go on."""
    word, _, reason = answer.strip().partition(" ")
    match word.lower():
        case "q":
            return False
        case "s":
            labels.skip(label_set.set_id, pair.pair_id, rater)
        case "u":
            undone = labels.undo(label_set.set_id, rater)
            say("Taken back; judge it again." if undone else "There is nothing to take back.")
        case "r":
            last = next((e for e in labels.ratings(label_set.set_id, rater=rater) if e.state == RATED), None)
            if last:
                labels.unrate(label_set.set_id, last.pair_id, rater)
            say("Your last rating is gone; the pair waits for ratings again." if last else "You have no rating yet.")
        case "?":
            say("\n".join(guideline_lines(label_set)))
        case text if text.isdecimal() and int(text) <= label_set.max_grade:
            labels.rate(label_set.set_id, pair.pair_id, rater, grade=int(text), reason=reason)
        case _:
            say(f"{answer.strip()[:20]!r} is no answer.")
    return True
