"""A training run while it is not finished, kept so that a killed one goes on where it was.

.nearer/training/RUN_ID/run.json         what decides the outcome; the id is made of it
.nearer/training/RUN_ID/pass-N/mined/    the negatives that the pass learns from
.nearer/training/RUN_ID/pass-N/step-S/   its checkpoints; gone when it is done
.nearer/training/RUN_ID/pass-N/result/   the weights that stand, and how it went
.nearer/training/RUN_ID/budget.json      with a time to keep: what is left of it, and what was chosen to fit
.nearer/training/RUN_ID/parts.json       of several trainings: what came of each that is finished
.nearer/training/RUN_ID/part-N/          the best of them, as above
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearer.core.failpoints import failpoint
from nearer.core.ids import canonical_json, content_id
from nearer.core.records import Document
from nearer.core.results.base import JSON, Result
from nearer.core.results.training import MiningReport, Pass
from nearer.core.results.training_plan import Budget, Trial
from nearer.evaluation.ready import choosing_split
from nearer.learn.checkpoint import WRITE_FAILURES, Checkpoints, cannot_write, weights_of
from nearer.learn.distributed import num_processes
from nearer.learn.examples import Example
from nearer.store.checksummed import fault_in, keep_checksummed
from nearer.store.collection import Collection
from nearer.store.files import remove_tree, scratch_folder, write_atomic
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace
from nearer.systems import LocalSystem
from nearer.training.examples import Excluded
from nearer.training.part import Part
from nearer.training.relabel import teacher_id
from nearer.training.unfinished import (
    PACKAGES,
    RECORD,
    RunRecord,
    TrainingRequest,
    record_of,
    resource_of,
    run_to_go_on,
)

if TYPE_CHECKING:
    import torch

_REPORT, _WEIGHTS = "report.json", "weights.safetensors"
_BUDGET, _PARTS = "budget.json", "parts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBudget(Result):
    """What is left of a time, and what was chosen to fit it so far: documents, a plan, the pairs of later passes."""

    left_s: float
    part: Part | None = None
    budget: Budget | None = None
    num_pairs: Mapping[str, int] = field(default_factory=dict)


class TrainingRun:
    """One run; ``is_resumed`` when a process before this one began it, at ``started_at``, over that revision."""

    def __init__(
        self, folder: Path, *, started_at: str, revision: int, is_resumed: bool, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._say = say
        self._is_announced = not is_resumed
        self.started_at = started_at
        self.revision = revision
        self.is_resumed = is_resumed

    @classmethod
    def open(
        cls,
        workspace: Workspace,
        decides: JSON,
        *,
        request: TrainingRequest,
        revision: int,
        held: ExitStack,
        say: Callable[[str], None],
        resume: str | None = None,
    ) -> "TrainingRun":
        """Go on with the run whose outcome ``decides`` decides, or begin it; others stay as they are.

        ``request`` is what was called; ``revision`` is that of the documents that were
        read. ``held`` keeps the lease of the run. The run to ``resume`` may have been begun with other libraries.

        Raises WorkspaceBusy when another process is at that run, Conflict as ``run_to_go_on`` does, WorkspaceError
        when the disk refuses.
        """
        import torch

        run_id = run_to_go_on(workspace, decides, verb=request.verb, resume=resume)
        held.enter_context(workspace.lease(resource_of(run_id), verb=request.verb))
        folder = workspace.training / run_id
        record = RunRecord(
            started_at=utc_now(),
            revision=revision,
            num_threads=torch.get_num_threads(),
            num_processes=num_processes(),
            request=request,
            decides=dict(decides),
        )
        if found := record_of(folder):
            for what in ("threads", "processes"):
                if (before := found[f"num_{what}"]) != (number := record[f"num_{what}"]):
                    say(
                        f"goes on with {number} {what} what began with {before}: sums round "
                        "differently, so the model may differ from an uninterrupted run's"
                    )
            return cls(folder, started_at=found.started_at, revision=found.revision, is_resumed=True, say=say)
        if folder.exists():
            say(f"drops what there is of {run_id}, whose {RECORD} is missing or damaged")
            remove_tree(folder)
        try:
            folder.mkdir(parents=True)
            write_atomic(folder / RECORD, json.dumps(record.to_dict(), indent=2) + "\n")
        except OSError as error:
            raise cannot_write(folder, error) from error
        failpoint("train.examples")
        return cls(folder, started_at=record.started_at, revision=revision, is_resumed=False, say=say)

    def revision_at_end(self, workspace: Workspace) -> int:
        """The revision of the documents now; says when it is not the one that was read."""
        now = workspace.collection.revision()
        if now != self.revision:
            self._say(f"documents changed meanwhile: it read revision {self.revision}, now there is {now}")
        return now

    def part(self, number: int) -> "TrainingRun":
        """One of several trainings, kept within this run."""
        folder = self._folder / f"part-{number}"
        return TrainingRun(
            folder, started_at=self.started_at, revision=self.revision, is_resumed=folder.exists(), say=self._say
        )

    def parts(self) -> list[Trial]:
        """What came of the trainings that are finished, in their order."""
        return [Trial.read(each) for each in _json_in(self._folder / _PARTS) or []]

    def keep_parts(self, finished: Sequence[Trial], *, best: int) -> None:
        """Keep what came of the finished trainings, and the weights of the best."""
        self._write(_PARTS, [each.to_dict() for each in finished])
        failpoint("train.part")
        for number in range(len(finished)):
            if number != best:
                self.part(number).remove()

    def budget(self) -> KeptBudget | None:
        """What is left of the time, and what was chosen to fit it; None when nothing was yet."""
        kept = _json_in(self._folder / _BUDGET)
        return KeptBudget.read(kept) if kept else None

    def keep_budget(self, budget: KeptBudget) -> None:
        """Keep that."""
        self._write(_BUDGET, budget.to_dict())
        failpoint("train.budget")

    def keep_left(self, left_s: float) -> None:
        """Keep how many seconds are left of the time, once there is a choice."""
        if kept := self.budget():
            self.keep_budget(replace(kept, left_s=left_s))

    def checkpoints(self, number: int) -> Checkpoints:
        """The checkpoints of a pass; says where it goes on from."""
        found = Checkpoints.open(self._pass(number), say=self._say)
        if found.start:
            self._say(f"goes on from pass {number}, step {found.start.step} of {found.start.num_steps}")
        elif not self._is_announced:
            self._say(f"goes on from the beginning of pass {number}")
        self._is_announced = True
        return found

    def mined(self, number: int) -> tuple[list[Example], MiningReport] | None:
        """The examples of a pass, with the negatives that were mined; None when they were not yet."""
        folder = self._whole(number, "mined")
        if folder is None:
            return None
        content = json.loads((folder / _REPORT).read_text(encoding="utf-8"))
        return _examples(content), MiningReport.read(content["mining"])

    def keep_mined(self, number: int, examples: Sequence[Example], mining: MiningReport) -> None:
        """Keep what was mined for a pass."""
        content = {**_values(examples), "mining": mining.to_dict()}
        with self._sealing(number, "mined") as scratch:
            (scratch / _REPORT).write_text(json.dumps(content), encoding="utf-8")
        failpoint("train.mined")

    def result(self, number: int, model: "torch.nn.Module") -> Pass | None:
        """How a finished pass went, with the weights that stand loaded into ``model``; None when it is not finished."""
        weights = self.weights(number)
        if weights is None:
            return None
        model.load_state_dict(weights)
        return Pass.read(json.loads((self._pass(number) / "result" / _REPORT).read_text(encoding="utf-8")))

    def weights(self, number: int) -> "dict[str, torch.Tensor] | None":
        """The weights that a finished pass ended with; None when it is not finished."""
        from safetensors.torch import load_file

        folder = self._whole(number, "result")
        return None if folder is None else load_file(folder / _WEIGHTS)

    def is_done(self, number: int) -> bool:
        """Whether a pass is finished."""
        return self._whole(number, "result") is not None

    def keep_result(self, model: "torch.nn.Module", report: Pass) -> None:
        """Keep the weights that a pass ended with, and how it went; its checkpoints are not needed any more."""
        from safetensors.torch import save_file

        number = report.number
        with self._sealing(number, "result") as scratch:
            save_file(weights_of(model), scratch / _WEIGHTS)
            (scratch / _REPORT).write_text(canonical_json(report.to_dict()), encoding="utf-8")
        failpoint("train.pass")
        Checkpoints(self._pass(number), start=None).remove()

    def remove(self) -> None:
        """Remove all of it: the run is over."""
        remove_tree(self._folder)

    def _write(self, name: str, content: JSON | Sequence[JSON]) -> None:
        try:
            write_atomic(self._folder / name, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise cannot_write(self._folder, error) from error

    def _pass(self, number: int) -> Path:
        return self._folder / f"pass-{number}"

    def _whole(self, number: int, name: str) -> Path | None:
        """A checksummed folder of a pass; when it is damaged, nothing that was built on it stays."""
        folder = self._pass(number) / name
        if not folder.is_dir():
            return None
        fault = fault_in(folder)
        if not fault:
            return folder
        self._say(f"{folder} is damaged ({fault}): pass {number} begins anew")
        for path in self._folder.glob("pass-*"):
            if int(path.name.removeprefix("pass-")) >= number:
                remove_tree(path)
        return None

    @contextmanager
    def _sealing(self, number: int, name: str) -> Iterator[Path]:
        """A folder to write into, checksummed as ``name`` at the end. Raises WorkspaceError when the disk refuses."""
        try:
            self._pass(number).mkdir(parents=True, exist_ok=True)
            with scratch_folder(self._pass(number)) as scratch:
                yield scratch
                keep_checksummed(scratch, self._pass(number) / name)
        except WRITE_FAILURES as error:
            raise cannot_write(self._pass(number), error) from error


def what_decides(
    workspace: Workspace, *, base: LocalSystem, start: LocalSystem, documents: Sequence[Document], excluded: Excluded
) -> JSON:
    """Everything that decides which model a run makes, under names for a message; nothing is cut or encoded for it."""
    collection = workspace.collection
    recipe = workspace.recipe.model_dump(
        mode="json", include={"train", "adapter", "mining", "encoder", "chunk", "grades"}
    )
    recipe["train"].pop("checkpoint_steps")
    keys = {f"{section}.{key}": value for section, values in recipe.items() for key, value in values.items()}
    pairs = [asdict(pair) for pair in collection.pairs() if pair not in excluded.pairs]
    return {
        **keys,
        "search.language": workspace.recipe.search.language,
        "evaluate.exclude": workspace.recipe.evaluate.exclude,
        "base model": base.model.encoder_id,
        "start model": start.model.encoder_id,
        "training pairs": content_id("pairs", [_judged(collection, "train", excluded), pairs]),
        "dev": content_id("dev", _judged(collection, choosing_split(workspace), excluded)),
        "documents": content_id("documents", [[each.doc_id, each.title, each.text] for each in documents]),
        "teacher": teacher_id(workspace),
        **surroundings(start.encoder.model.device),
    }


def _judged(collection: Collection, split: str, excluded: Excluded) -> list[list[JSON]]:
    """The queries of a split that count, and how they are judged."""
    queries = [query for query in collection.queries(split) if query.query_id not in excluded.query_ids]
    judgments = collection.judgments(split)
    return [
        [asdict(each) for each in queries],
        [
            {"query": each.query_id, "document": each.doc_id, "grade": each.grade, "weight": each.weight}
            for each in judgments
        ],
    ]


def surroundings(device: "torch.device") -> dict[str, str]:
    """What beside the recipe and the data decides how sums round: the device, and the versions of the libraries."""
    import torch

    kind = torch.cuda.get_device_name() if device.type == "cuda" else str(device.type)
    return {"device": kind, **{package: version(package) for package in PACKAGES}}


def _values(examples: Sequence[Example]) -> JSON:
    """The examples as they are written down; a set of masked texts, which many share, once."""
    place_of: dict[frozenset[str], int] = {}
    rows = [
        {**asdict(replace(each, masked=frozenset())), "known_negatives": sorted(each.known_negatives)}
        | {"masked": place_of.setdefault(each.masked, len(place_of))}
        for each in examples
    ]
    return {"examples": rows, "masked": [sorted(masked) for masked in place_of]}


def _examples(content: JSON) -> list[Example]:
    """The examples that were written down so."""
    sets = [frozenset(masked) for masked in content["masked"]]
    return [_example(values, masked=sets[values["masked"]]) for values in content["examples"]]


def _example(values: JSON, *, masked: frozenset[str]) -> Example:
    lists = {name: tuple(values[name]) for name in ("negatives", "scores")}
    return Example(**{**values, **lists, "masked": masked, "known_negatives": frozenset(values["known_negatives"])})


def _json_in(path: Path) -> Any:
    """What a file of the run holds; None when it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
