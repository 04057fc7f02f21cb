"""Which judged queries advice is given by; read without a library of models, so that too few are refused at once."""

from nearer.core.errors import InputError
from nearer.core.text import normalise
from nearer.encode.embedded import Corpora
from nearer.evaluation.judged_split import JudgedSplit, read_judged_split
from nearer.evaluation.ready import JUDGE, ready_to_measure
from nearer.store.workspace import Workspace
from nearer.training.examples import find_excluded

MAX_QUERIES = 2000
"""Judged queries of train and dev that remedies are measured on, drawn at random where there are more."""
_FEWEST = 10


def read_advice_queries_with(corpora: Corpora) -> JudgedSplit:
    """The judged queries of train and dev, read in one transaction with the documents of ``corpora``.

    Raises what ``read_advice_queries`` does.
    """
    ready_to_measure(corpora.workspace)
    with corpora.at_one_moment() as moment:
        return read_advice_queries(moment)


def read_advice_queries(workspace: Workspace) -> JudgedSplit:
    """The judged queries of train and dev that leak nowhere, drawn at random where there are too many.

    Raises InputError where there are too few to tune on some and judge others.
    """
    ready_to_measure(workspace)
    names = [name for name in ("train", "dev") if workspace.collection.splits().get(name)]
    excluded = find_excluded(workspace).query_ids
    judged = read_judged_split(workspace, *(names or ["dev"]), excluded=excluded, most=MAX_QUERIES)
    texts = {normalise(query.text) for query in judged.queries}
    if len(texts) < _FEWEST:
        what = "are all the same" if len(texts) == 1 < len(judged.queries) else "can be told apart"
        number = len(judged.queries) if len(texts) == 1 else len(texts)
        raise InputError(
            f"only {number} judged queries of train and dev {what}; advice needs {_FEWEST} different ones",
            hint=JUDGE,
        )
    return judged
