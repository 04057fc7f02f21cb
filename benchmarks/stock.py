"""What a careful engineer gets from sentence-transformers alone, within a number of seconds.

SentenceTransformerTrainer with MultipleNegativesRankingLoss, and mine_hard_negatives before a second pass. TRIALS are
in the order in which they are worth most where there is no time for all: a first pass, a second one that mines as did
best on functions of the standard library, more epochs, other rates, other ways to mine. One is begun only if it is
expected to end in time; all it costs is counted, dev measurements too; the best model on dev is what is left.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearer.core.sections import TrainRecipe

RANDOM = {"sampling_strategy": "random", "range_max": 10}
MARGIN = {"relative_margin": 0.05}
TRIALS: tuple[dict[str, Any], ...] = (
    {"pass": 1, "learning_rate": 5e-5, "epochs": 1},
    {"pass": 2, "mining": RANDOM, "epochs": 1},
    {"pass": 1, "learning_rate": 5e-5, "epochs": 2},
    {"pass": 1, "learning_rate": 1e-4, "epochs": 1},
    {"pass": 1, "learning_rate": 1e-4, "epochs": 2},
    {"pass": 1, "learning_rate": 2e-5, "epochs": 2},
    {"pass": 2, "mining": RANDOM, "epochs": 1},
    {"pass": 2, "mining": MARGIN, "epochs": 1},
    {"pass": 2, "mining": {}, "epochs": 1},
    {"pass": 2, "mining": RANDOM, "epochs": 2},
)
"""A second pass goes on from the best first one, at its rate, with one negative a pair."""
NUM_TIMED = 10
"""Batches that tell how long an epoch takes."""
LEFT_OVER = 0.1
"""Of the time, where it decides how many pairs there are: Nearer's own share (learn/plan.py)."""

Pairs = Sequence[tuple[str, str]]


@dataclass(slots=True, kw_only=True)
class Stock:
    """A search on dev within ``seconds``; ``trials`` says what was tried, and how it went."""

    base: str
    pairs: Pairs
    passages: Sequence[str]
    measure: Callable[[Any], float]
    seconds: float
    seed: int
    max_length: int
    folder: Path
    trials: list[dict[str, Any]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _best: float = 0.0
    _best_first: dict[str, Any] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """All trials that there is time for; the best model is in ``folder`` then."""
        self._keep({"pass": 0, "seconds": 0.0}, self._load(self.base))
        self._leave_out_what_does_not_fit()
        with tempfile.TemporaryDirectory() as folder:
            for trial in TRIALS:
                self._try(trial, Path(folder))
        took = time.monotonic() - self._began
        return {"trials": self.trials, "dev": self._best, "num_pairs": len(self.pairs), "seconds": took}

    def _leave_out_what_does_not_fit(self) -> None:
        """Keep as many pairs, drawn at random, as an epoch has time for, by the time that some batches take."""
        number = NUM_TIMED * TrainRecipe().batch_size
        pairs = random.Random(self.seed).sample(list(self.pairs), len(self.pairs))
        if len(pairs) <= number:
            return
        first = {"rate": TRIALS[0]["learning_rate"], "epochs": 1, "seed": self.seed}
        model = self._load(self.base)
        fit_stock(model, self._columns(pairs[:64]), **first)  # what is set up once is not counted
        began = time.monotonic()
        fit_stock(model, self._columns(pairs[:number]), **first)
        a_pair, dev_s = (time.monotonic() - began) / number, self.trials[0]["seconds"]
        left_s = (1 - LEFT_OVER) * self.seconds - (time.monotonic() - self._began) - 2 * dev_s
        if left_s < a_pair * len(pairs):
            self.pairs = pairs[: int(left_s / a_pair)]

    def _try(self, trial: dict[str, Any], scratch: Path) -> None:
        if trial["pass"] == 2:
            trial = {**trial, "learning_rate": self._best_first["learning_rate"], "after": self._best_first["epochs"]}
        if any(trial.items() <= each.items() for each in self.trials):
            return
        if not self._fits(trial):
            self.trials.append({**trial, "dev": None})
            return
        began = time.monotonic()
        model = self._load(str(scratch / "first") if trial["pass"] == 2 else self.base)
        rows = self._mined(model, trial["mining"], scratch) if trial["pass"] == 2 else self._pairs_alone()
        fit_stock(model, rows, rate=trial["learning_rate"], epochs=trial["epochs"], seed=self.seed)
        value = self._keep({**trial, "began": began}, model)
        if trial["pass"] == 1 and value > self._best_first.get("dev", 0.0):
            self._best_first = self.trials[-1]
            shutil.rmtree(scratch, ignore_errors=True)
            model.save_pretrained(str(scratch / "first"), create_model_card=False)

    def _keep(self, trial: dict[str, Any], model: Any) -> float:
        value = self.measure(model)
        seconds = time.monotonic() - trial.pop("began", self._began)
        self.trials.append({**trial, "dev": value, "seconds": seconds})
        if value > self._best:
            self._best = value
            model.save_pretrained(str(self.folder), create_model_card=False)
        return value

    def _fits(self, trial: dict[str, Any]) -> bool:
        """Whether it is expected to end in time: an epoch as long as the last, with negatives half as long again."""
        done = [each for each in self.trials if each["dev"] is not None and each["pass"] == 1]
        if not done:
            return True
        an_epoch = done[-1]["seconds"] / done[-1]["epochs"]
        expected = an_epoch * trial["epochs"] * (1.5 if trial["pass"] == 2 else 1.0)
        return bool(time.monotonic() - self._began + expected <= self.seconds)

    def _pairs_alone(self) -> dict[str, list[str]]:
        return self._columns(self.pairs)

    @staticmethod
    def _columns(pairs: Pairs) -> dict[str, list[str]]:
        return {"anchor": [pair[0] for pair in pairs], "positive": [pair[1] for pair in pairs]}

    def _mined(self, model: Any, options: dict[str, Any], scratch: Path) -> dict[str, list[str]]:
        from datasets import Dataset
        from sentence_transformers.util import mine_hard_negatives

        rows, passages = Dataset.from_dict(self._pairs_alone()), list(self.passages)
        kept = {"num_negatives": 1, "verbose": False, "cache_folder": str(scratch / "vectors")}
        mined = mine_hard_negatives(rows, model, corpus=passages, **kept, **options).to_dict()
        return {name: list(mined[name]) for name in ("anchor", "positive", "negative")}

    def _load(self, source: str) -> Any:
        from nearer.encode.encoder import Encoder

        return Encoder.load(source, max_seq_length=self.max_length).model


def fit_stock(model: Any, rows: dict[str, list[str]], *, rate: float, epochs: int, seed: int, **others: Any) -> None:
    """The trainer of sentence-transformers, with the batch size and warm-up that Nearer uses, or other arguments."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.base.sampler import BatchSamplers
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from nearer.learn.trainer import WARMUP

    recipe = TrainRecipe()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            **{"per_device_train_batch_size": recipe.batch_size, **others},
            learning_rate=rate,
            warmup_ratio=WARMUP,
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=seed,
        )
        loss = MultipleNegativesRankingLoss(model)
        SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_dict(rows), loss=loss
        ).train()
