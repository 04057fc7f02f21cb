"""The sections of the recipe: every choice that has a default, by what it is about."""

from nearer.core.sections.base import Section
from nearer.core.sections.data import (
    ColumnsRecipe,
    DocumentColumns,
    EventsRecipe,
    GradesRecipe,
    JudgmentColumns,
    PairColumns,
    QueryColumns,
    SplitRecipe,
)
from nearer.core.sections.encoder import ApiRecipe, ChunkRecipe, EncoderRecipe
from nearer.core.sections.measuring import (
    AdviseRecipe,
    CostRecipe,
    EvaluateRecipe,
    Exclude,
    GateRecipe,
)
from nearer.core.sections.search import BoostRecipe, CompressRecipe, IndexRecipe, RerankRecipe, SearchRecipe
from nearer.core.sections.store import HERE, StoreRecipe
from nearer.core.sections.training import (
    AdapterRecipe,
    LossName,
    MiningRecipe,
    MiningSource,
    RerankerRecipe,
    TrainRecipe,
)

__all__ = [
    "HERE",
    "AdapterRecipe",
    "AdviseRecipe",
    "ApiRecipe",
    "BoostRecipe",
    "ChunkRecipe",
    "ColumnsRecipe",
    "CompressRecipe",
    "CostRecipe",
    "DocumentColumns",
    "EncoderRecipe",
    "EvaluateRecipe",
    "EventsRecipe",
    "Exclude",
    "GateRecipe",
    "GradesRecipe",
    "IndexRecipe",
    "JudgmentColumns",
    "LossName",
    "MiningRecipe",
    "MiningSource",
    "PairColumns",
    "QueryColumns",
    "RerankRecipe",
    "RerankerRecipe",
    "SearchRecipe",
    "Section",
    "SplitRecipe",
    "StoreRecipe",
    "TrainRecipe",
]
