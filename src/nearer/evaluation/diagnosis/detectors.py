"""Why queries failed: detector by detector in order of precedence, each sought only where none before it was found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nearer.core.records import Document, Query
from nearer.core.text import NEAR_DUPLICATE
from nearer.encode.embedded import Corpora
from nearer.encode.encoder import TextEncoder
from nearer.encode.unknown import count_unknown
from nearer.evaluation.diagnosis.background import Background, Failure
from nearer.evaluation.diagnosis.rechunk import Scores
from nearer.measure.diagnosis import Cause, Limits, Missed, MissEvidence, cause_of
from nearer.retrieval.rule_support import SupportedRule
from nearer.systems import System
from nearer.systems.pipeline import wants_vectors
from nearer.vectors.topk import NO_ROW

Stale = Mapping[int, Literal["missing", "older"]]
Sentences = dict[str, str]
"""What was found, in a sentence, by query id."""

LEXICAL_WITHIN = 3
"""Down to this rank words find a document."""

SAME_COSINE = 0.95
"""Two texts this near are one in meaning, where random ones are not as near. Our rule."""

FAR_BELOW = 10
"""Below this rank a system is far from finding a document: off the first page of results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The cause of a failure, and the evidence for it in a sentence."""

    failure: Failure
    cause: Cause
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that detectors look at; ``scores`` is None for a run, whose encoder nobody knows.

    ``reader`` is the encoder whose vectors rank; None for a run, and where words alone do.
    """

    background: Background
    scores: Scores | None
    reader: TextEncoder | None
    stale: Stale

    def document(self, row: int) -> Document:
        """The document of a row."""
        return self.background.documents[row]

    def doc_id(self, row: int) -> str:
        """The id of the document of a row."""
        return self.document(row).doc_id


def explain(
    corpora: Corpora,
    background: Background,
    system: System | None,
    failures: Sequence[Failure],
    *,
    stale: Stale,
) -> list[Finding]:
    """The cause of every failure of one system, or of a run for None; ``stale`` holds what its index does not follow.

    Texts that the system's encoder has not seen yet are encoded: other cuts of a few documents.
    """
    search = corpora.workspace.recipe.search
    scene = Scene(
        background=background,
        scores=Scores(corpora, system, failures) if system else None,
        reader=system.encoder if system and wants_vectors(system.stages) else None,
        stale=stale,
    )
    proven: dict[str, dict[Cause, str]] = {failure.query.query_id: {} for failure in failures}
    for cause, seek in _CLUES.items():
        open_still = [failure for failure in failures if not proven[failure.query.query_id]]
        for query_id, sentence in seek(scene, open_still).items():
            proven[query_id][cause] = sentence
    limits = Limits(order_within=search.rerank.depth, recall_within=search.depth)
    found = []
    for failure in failures:
        sentences = proven[failure.query.query_id]
        rank = failure.missed.rank if failure.missed else None
        cause = cause_of(MissEvidence(rank=rank, proven=frozenset(sentences)), limits)
        found.append(Finding(failure=failure, cause=cause, evidence=sentences.get(cause) or _by_rank(scene, failure)))
    return found


def _absent(scene: Scene, failures: Sequence[Failure]) -> Sentences:
    found = {}
    for failure in failures:
        query_id = failure.query.query_id
        if failure.relevant:
            continue
        num_judged = len(scene.background.grades.get(query_id, ()))
        found[query_id] = f"{num_judged} documents of the corpus were judged for it, and none is relevant"
    return found


def _stale(scene: Scene, failures: Sequence[Failure]) -> Sentences:
    said = {"missing": "does not hold {}", "older": "holds {} as it was before an edit"}
    found = {}
    for failure, missed in _missed(failures):
        if state := scene.stale.get(missed.row):
            what = said[state].format(scene.doc_id(missed.row))
            found[failure.query.query_id] = f"the live index {what}, which as it is now {_would_rank(missed)}"
    return found


def _unknown_tokens(scene: Scene, failures: Sequence[Failure]) -> Sentences:
    """The query or the missed document is of a script that the tokenizer does not know."""
    found: Sentences = {}
    for failure, missed in _missed(failures) if scene.reader is not None else ():
        assert scene.reader is not None
        document = scene.document(missed.row)
        for what, text, of_queries in (
            ("the query", failure.query.text, True),
            (document.doc_id, document.full_text, False),
        ):
            unknown = count_unknown(scene.reader, [text], of_queries=of_queries)
            if unknown and unknown.is_unreadable:
                found[failure.query.query_id] = (
                    f"the model's tokenizer does not know {unknown.described} of the tokens of {what}"
                )
                break
    return found


def _doubtful(scene: Scene, failures: Sequence[Failure]) -> Sentences:
    """What stands highest above the missed document, was never judged, and looks like a relevant one."""
    found = {}
    for failure, missed in _missed(failures):
        other = next(iter(missed.above), NO_ROW)
        if other < 0 or other in scene.background.grades[failure.query.query_id]:
            continue
        for row in failure.relevant:
            alike = _alike(scene, failure, row, other)
            if alike and not scene.background.distinguishes(failure.query, row, other):
                found[failure.query.query_id] = (
                    f"{scene.doc_id(other)}, which nobody judged, {alike} {scene.doc_id(row)}, which is relevant"
                )
                break
    return found


def _alike(scene: Scene, failure: Failure, row: int, other: int) -> str:
    """How two documents look alike in what answers the query; nothing if they do not."""
    resemblance = scene.background.resemblance(row, other)
    if resemblance >= NEAR_DUPLICATE:
        return f"has {resemblance:.0%} of its text in common with"
    if scene.scores is None:
        return ""
    query_id = failure.query.query_id
    cosine = float(scene.scores.best(query_id, row)[1] @ scene.scores.best(query_id, other)[1])
    if cosine < SAME_COSINE or cosine < scene.scores.chance:
        return ""
    return f"is as good as the same (cosine {cosine:.2f}) as"


def _truncated(scene: Scene, failures: Sequence[Failure]) -> Sentences:
    """Only of whole documents: passages are cut to what the encoder reads."""
    if scene.scores is None or scene.scores.window is not None:
        return {}
    most = scene.scores.encoder.settings.max_seq_length
    doc_id_of = {failure.query.query_id: scene.doc_id(missed.row) for failure, missed in _missed(failures)}
    return {
        query_id: f"the encoder reads the first {most} tokens of {doc_id_of[query_id]}; a part that it does not read "
        f"scores {score:.3f}, what stands above {other:.3f}"
        for query_id, (score, other) in scene.scores.won_by(scene.scores.unread, failures).items()
    }


def _structure(scene: Scene, failures: Sequence[Failure]) -> Sentences:
    """Rules that the missed document obeys, of which each document above breaks one."""
    found = {}
    for failure, missed in _missed(failures):
        if missed.rank is None or NO_ROW in missed.above:
            continue
        if used := _broken_above(scene.background, failure.query, missed):
            said = " and ".join(map(str, used))
            found[failure.query.query_id] = (
                f"{scene.doc_id(missed.row)} obeys {said}, and the {len(missed.above)} above it do not"
            )
    return found


def _broken_above(background: Background, query: Query, missed: Missed) -> list[SupportedRule]:
    """Of the rules that the missed document obeys the first that each one above breaks; none unless all break one."""
    passing = {
        each: background.passing(each.rule, query, [missed.row, *missed.above]) for each in background.obeyed.rules
    }
    broken = {each: ~mask[1:] for each, mask in passing.items() if mask[0]}
    if not broken or not np.any(list(broken.values()), axis=0).all():
        return []
    first_N = np.argmax(list(broken.values()), axis=0)
    return [list(broken)[place] for place in dict.fromkeys(first_N.tolist())]


def _exact_identifier(scene: Scene, failures: Sequence[Failure]) -> Sentences:
    named: dict[str, dict[int, tuple[str, ...]]] = {}
    far = [failure for failure, missed in _missed(failures) if missed.rank is None or missed.rank > FAR_BELOW]
    for failure in far:
        names = {row: scene.background.names(failure.query, row) for row in failure.relevant}
        named[failure.query.query_id] = {row: shared for row, shared in names.items() if shared}
    hopeful = [failure for failure in far if named[failure.query.query_id]]
    if not hopeful:
        return {}
    known = scene.background.excluded
    pairs = [(place, row) for place, each in enumerate(hopeful) for row in known.get(each.query.query_id, ())]
    excluded = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    texts = [failure.query.text for failure in hopeful]
    ranked = scene.background.lexical.search(texts, k=LEXICAL_WITHIN, excluded=(excluded[0], excluded[1]))
    found = {}
    for failure, rows_K in zip(hopeful, ranked.rows_QK.tolist(), strict=True):
        query_id = failure.query.query_id
        for rank, row in enumerate(rows_K, start=1):
            if row in named[query_id]:
                assert failure.missed is not None
                found[query_id] = (
                    f"{scene.doc_id(row)} holds {', '.join(named[query_id][row])}; by words it is at rank {rank}, here "
                    f"{_place(failure.missed)}"
                )
                break
    return found


def _chunking(scene: Scene, failures: Sequence[Failure]) -> Sentences:
    found: Sentences = {}
    if scene.scores is None:
        return found
    for name, cut in scene.scores.cuts().items():
        waiting = [failure for failure in failures if failure.query.query_id not in found]
        doc_id_of = {failure.query.query_id: scene.doc_id(missed.row) for failure, missed in _missed(waiting)}
        for query_id, (score, other) in scene.scores.won_by(cut, waiting).items():
            found[query_id] = (
                f"cut into {name}, {doc_id_of[query_id]} scores {score:.3f}, what stands above {other:.3f}"
            )
    return found


def _by_rank(scene: Scene, failure: Failure) -> str:
    if failure.missed is None:
        return "nothing relevant is outranked"
    return f"{scene.doc_id(failure.missed.row)} is {_place(failure.missed)}"


def _missed(failures: Sequence[Failure]) -> list[tuple[Failure, Missed]]:
    return [(failure, failure.missed) for failure in failures if failure.missed]


def _place(missed: Missed) -> str:
    if missed.rank:
        return f"at rank {missed.rank}"
    return f"not among the first {len(missed.above)}" if missed.above else "not ranked"


def _would_rank(missed: Missed) -> str:
    return f"would be at rank {missed.rank}" if missed.rank else "would not be near the top either"


_CLUES: Mapping[Cause, Callable[[Scene, Sequence[Failure]], Sentences]] = {
    "absent": _absent,
    "stale_index": _stale,
    "unknown_tokens": _unknown_tokens,
    "doubtful_label": _doubtful,
    "truncated": _truncated,
    "structure": _structure,
    "exact_identifier": _exact_identifier,
    "chunking": _chunking,
}
