"""What dev and the suite say of the models between two models, weight by weight.

Shapes: Q queries, P passages, D dimensions, K ranked documents.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.results.training import MergedWeight
from nearer.encode.blocks import longest_first
from nearer.encode.corpus import Corpus, refuse_other_documents
from nearer.encode.encoder import Encoder
from nearer.evaluation.suite import DEPTH, Results, Suite
from nearer.measure.suite import newly_failing, run_case
from nearer.store.workspace import Workspace
from nearer.systems import BASE, open_local
from nearer.training.dev_set import DevSet, read_dev_set
from nearer.training.examples import find_excluded
from nearer.vectors.topk import top_k


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightPoint:
    """What dev and the suite say of one weight; ``results`` is None where the recipe names no suite."""

    weight: float
    value: float
    results: Results | None

    def broken(self, first: "WeightPoint") -> tuple[str, ...]:
        """The cases that fail here and not there."""
        if self.results is None or first.results is None:
            return ()
        return tuple(each.case.name for each in newly_failing(first.results, self.results))

    def described(self, first: "WeightPoint") -> MergedWeight:
        """The same as it is written down; ``first`` is the other model alone."""
        if self.results is None:
            return MergedWeight(weight=self.weight, value=self.value)
        return MergedWeight(
            weight=self.weight,
            value=self.value,
            num_cases=len(self.results),
            num_failed=sum(not each.passed for each in self.results),
            newly_failing=self.broken(first),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightMeasure:
    """What every weight is measured on: dev as training has it, and the suite over all documents."""

    dev: DevSet
    corpus: Corpus
    suite: Suite | None

    @classmethod
    def read(cls, workspace: Workspace, suite: Suite | None, progress: Progress) -> "WeightMeasure":
        """What dev and the suite need. Raises Conflict where documents came or went since the suite was read."""
        base = open_local(workspace, BASE).encoder
        excluded = find_excluded(workspace).query_ids
        dev, corpus = read_dev_set(workspace, base, excluded=excluded, progress=progress)
        if suite:
            refuse_other_documents(corpus.documents, suite.doc_ids)
        return cls(dev=dev, corpus=corpus, suite=suite)

    def measured(self, encoder: Encoder, weight: float, progress: Progress) -> WeightPoint:
        """The model as it is now; no vector is kept. Raises InputError where vectors are not numbers."""
        results = self._results(self.suite, encoder, progress) if self.suite else None
        value = self.dev.measure(encoder)
        if not isfinite(value):
            raise InputError(f"at weight {weight:g} vectors are not numbers", hint="measure both models by themselves")
        return WeightPoint(weight=weight, value=value, results=results)

    def _results(self, suite: Suite, encoder: Encoder, progress: Progress) -> Results:
        emb_PD = np.empty((len(self.corpus.passages), encoder.dimension), np.float32)
        blocks = longest_first(self.corpus.passages)
        for block in progress.track(blocks, label="encode for the suite", total=len(self.corpus.passages), size=len):
            emb_PD[block] = encoder.encode_documents([self.corpus.passages[row] for row in block])
        k = max(DEPTH, *(case.k for case in suite.cases))
        query_emb_QD = encoder.encode_queries([case.query for case in suite.cases])
        rows_QK = top_k(query_emb_QD, emb_PD, k=k, starts_N=self.corpus.starts_N).rows_QK
        ranked = ([suite.doc_ids[row] for row in rows_K if row >= 0] for rows_K in rows_QK)
        return tuple(run_case(case, doc_ids) for case, doc_ids in zip(suite.cases, ranked, strict=True))
