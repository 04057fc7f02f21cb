"""The regression suite: what a ranking makes of a case, and what one system loses that another kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from nearer.core.records import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a document was found: its rank from 1, or None when it is not among the documents ranked."""

    doc_id: str
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """Documents ``missing`` from the first k that must be there, and documents ``forbidden`` there that are."""

    case: Case
    num_ranked: int
    missing: tuple[Place, ...]
    forbidden: tuple[Place, ...]

    @property
    def passed(self) -> bool:
        """Whether all is as the case wants it."""
        return not self.missing and not self.forbidden

    def why(self) -> str:
        """What is wrong, in words; nothing when it passed."""
        first, last = f"the first {self.case.k}", f"not among the first {self.num_ranked}"
        missing = [
            f"{each.doc_id!r} is " + (f"at rank {each.rank}, not among {first}" if each.rank else last)
            for each in self.missing
        ]
        forbidden = [
            f"{each.doc_id!r} is at rank {each.rank}, but must not be among {first}" for each in self.forbidden
        ]
        return "; ".join([*missing, *forbidden])


def run_case(case: Case, ranking: Sequence[str]) -> CaseResult:
    """What a ranking, document ids from the best, makes of a case.

    >>> run_case(Case(name="a", query="rain", must=("d1",), k=1), ["d3", "d1"]).why()
    "'d1' is at rank 2, not among the first 1"
    """
    rank_of = {doc_id: rank for rank, doc_id in enumerate(ranking, start=1)}
    first = frozenset(ranking[: case.k])
    return CaseResult(
        case=case,
        num_ranked=len(ranking),
        missing=tuple(Place(doc_id=each, rank=rank_of.get(each)) for each in case.must if each not in first),
        forbidden=tuple(Place(doc_id=each, rank=rank_of[each]) for each in case.must_not if each in first),
    )


def newly_failing(before: Sequence[CaseResult], after: Sequence[CaseResult]) -> list[CaseResult]:
    """The results of ``after`` that failed where ``before`` passed, of the same cases in the same order."""
    assert [each.case for each in before] == [each.case for each in after], "both ran the same suite"
    return [new for old, new in zip(before, after, strict=True) if old.passed and not new.passed]
