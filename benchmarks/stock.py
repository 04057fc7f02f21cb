"""What a careful engineer gets from sentence-transformers alone, within a number of seconds.

Pass 1: SentenceTransformerTrainer with MultipleNegativesRankingLoss, its learning rate and epochs searched on dev.
Pass 2: mine_hard_negatives with the best model so far, its defaults and two usual ways to avoid false negatives, at the
best rate. A trial begins only if it is expected to end in time; all it costs is counted, dev measurements too; the best
model on dev is what is left.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearer.core.sections import TrainRecipe

RATES = (5e-5, 1e-4, 2e-5)
EPOCHS = (2, 3)
MINING: tuple[dict[str, Any], ...] = (
    {"sampling_strategy": "random", "range_max": 10},
    {"relative_margin": 0.05},
    {},
)
"""Ways to call mine_hard_negatives, besides one negative: at random from the top 10, with a margin, its defaults."""

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

    def run(self) -> dict[str, Any]:
        """All trials that there is time for; the best model is in ``folder`` then."""
        model = self._load(self.base)
        self._keep({"pass": 0, "seconds": 0.0}, model)
        for rate in RATES:
            self._try(self.base, {"pass": 1, "learning_rate": rate, "epochs": 1}, self._pairs_alone)
        rate = self._best_rate()
        for epochs in EPOCHS:
            self._try(self.base, {"pass": 1, "learning_rate": rate, "epochs": epochs}, self._pairs_alone)
        start = str(self.folder)
        with tempfile.TemporaryDirectory() as copy:
            self._load(start).save_pretrained(copy)
            for options in MINING:
                trial = {"pass": 2, "learning_rate": rate, "epochs": 1, "mining": options}
                options = {**options, "cache_folder": f"{copy}/vectors"}
                self._try(copy, trial, lambda model, options=options: self._mined(model, options))
        return {"trials": self.trials, "dev": self._best, "seconds": time.monotonic() - self._began}

    def _try(self, start: str, trial: dict[str, Any], rows_of: Callable[[Any], dict[str, list[str]]]) -> None:
        if not self._fits(trial):
            self.trials.append({**trial, "dev": None})
            return
        began = time.monotonic()
        model = self._load(start)
        fit_stock(model, rows_of(model), rate=trial["learning_rate"], epochs=trial["epochs"], seed=self.seed)
        self._keep({**trial, "began": began}, model)

    def _keep(self, trial: dict[str, Any], model: Any) -> None:
        value = self.measure(model)
        seconds = time.monotonic() - trial.pop("began", self._began)
        self.trials.append({**trial, "dev": value, "seconds": seconds})
        if value > self._best:
            self._best = value
            model.save_pretrained(str(self.folder), create_model_card=False)

    def _fits(self, trial: dict[str, Any]) -> bool:
        """Whether it is expected to end in time: an epoch as long as the last, with negatives half as long again."""
        done = [each for each in self.trials if each["dev"] is not None and each["pass"] == 1]
        if not done:
            return True
        an_epoch = done[-1]["seconds"] / done[-1]["epochs"]
        expected = an_epoch * trial["epochs"] * (1.5 if trial["pass"] == 2 else 1.0)
        return time.monotonic() - self._began + expected <= self.seconds

    def _best_rate(self) -> float:
        tried = [each for each in self.trials if each["pass"] == 1 and each["dev"] is not None]
        return float(max(tried, key=lambda each: each["dev"])["learning_rate"])

    def _pairs_alone(self, _: Any) -> dict[str, list[str]]:
        return {"anchor": [pair[0] for pair in self.pairs], "positive": [pair[1] for pair in self.pairs]}

    def _mined(self, model: Any, options: dict[str, Any]) -> dict[str, list[str]]:
        from datasets import Dataset
        from sentence_transformers.util import mine_hard_negatives

        rows = Dataset.from_dict(self._pairs_alone(model))
        mined = mine_hard_negatives(
            rows, model, corpus=list(self.passages), num_negatives=1, verbose=False, **options
        ).to_dict()
        return {name: list(mined[name]) for name in ("anchor", "positive", "negative")}

    def _load(self, source: str) -> Any:
        from nearer.encode.encoder import Encoder

        return Encoder.load(source, max_seq_length=self.max_length).model


def fit_stock(model: Any, rows: dict[str, list[str]], *, rate: float, epochs: int, seed: int) -> None:
    """The trainer of sentence-transformers, with the batch size and warm-up that Nearer uses."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.base.sampler import BatchSamplers
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    recipe = TrainRecipe()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=rate,
            warmup_ratio=recipe.warmup_ratio,
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
