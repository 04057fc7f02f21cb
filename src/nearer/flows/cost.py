"""What vectors would cost on paper, with the rate of encoding measured here or given."""

from collections.abc import Sequence

from nearer.core.errors import InputError
from nearer.core.progress import Progress, Silent
from nearer.core.recipe import Recipe
from nearer.core.results.vectors import Cost, CostRow, EncodingRate, Prices, SearchCostBaseline
from nearer.core.sections import CostRecipe
from nearer.flows.throughput import Throughput, measure_throughput
from nearer.measure.cost import encoding_hours, encoding_work, parse_count, relative_search_cost, size
from nearer.store.workspace import Workspace

_GB = 10**9
_OTHER_PASSAGES = 0.05
_MOST_PASSAGES = 1e6


def cost(
    documents: int | str,
    *,
    dims: Sequence[int] = (384,),
    precisions: Sequence[str] = ("float32",),
    documents_per_second: Sequence[float] = (),
    passages_per_document: float = 1.0,
    workspace: Workspace | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> Cost:
    """Storage, index, hours of encoding and relative search cost for every one of ``dims`` in every precision.

    ``documents_per_second`` has one rate for all dims or one each; without it the workspace's base model is measured
    on its documents, or without these on the Python standard library's functions. ``documents`` may be text such as
    "100M". Prices are those of ``recipe``, the workspace's own unless given.

    Raises InputError for a number, precision or price that cannot work.
    """
    recipe = recipe or (workspace.recipe if workspace else Recipe())
    num_documents = parse_count(documents) if isinstance(documents, str) else documents
    if not (dims and precisions):
        raise InputError("no dimensions or no precisions are given", hint="--dims 384,1024 --precision float32,int8")
    if not 1 <= passages_per_document <= _MOST_PASSAGES:
        raise InputError(
            f"{passages_per_document} passages a document", hint="--passages-per-document is 1 to a million"
        )
    num_vectors = round(num_documents * passages_per_document)
    sizes = [size(num_vectors, dims=each, precision=name) for each in dims for name in precisions]
    _check_rates(documents_per_second, dims)
    sample = None if documents_per_second else measure_throughput(workspace, recipe, progress or Silent())
    rows = []
    for each in sizes:
        rate, origin = _rate(each.dims, dims, documents_per_second, sample, passages_per_document)
        hours = encoding_hours(num_documents, documents_per_second=rate)
        rows.append(
            CostRow(
                dims=each.dims,
                precision=each.precision,
                raw_bytes=each.raw_bytes,
                index_bytes=each.index_bytes,
                reembedding_hours=hours,
                hours_origin=origin,
                relative_search_cost=relative_search_cost(each.dims, each.precision, baseline=(dims[0], precisions[0])),
                usd=_prices(recipe.cost, hours, {"raw": each.raw_bytes, **each.index_bytes}),
            )
        )
    return Cost(
        num_documents=num_documents,
        passages_per_document=passages_per_document,
        num_vectors=num_vectors,
        throughput=_described(documents_per_second, sample, passages_per_document),
        search_cost_baseline=SearchCostBaseline(dims=dims[0], precision=precisions[0]),
        rows=tuple(rows),
        api_usd=_api_usd(recipe.cost, num_documents, sample),
        notes=_notes(rows, documents_per_second, sample, passages_per_document),
    )


def _check_rates(rates: Sequence[float], dims: Sequence[int]) -> None:
    if len(rates) not in (0, 1, len(dims)):
        raise InputError(
            f"{len(rates)} rates for {len(dims)} dimensions",
            hint="give --documents-per-second once for all, or one for each of --dims",
        )


def _rate(
    dims: int, all_dims: Sequence[int], rates: Sequence[float], sample: Throughput | None, passages_per_document: float
) -> tuple[float, str]:
    """Documents a second for a model of these dimensions, and where that is from."""
    if sample is None:
        return rates[all_dims.index(dims) if len(rates) > 1 else 0], "given"
    measured = sample.texts_per_second / passages_per_document
    work = encoding_work(dims, measured_dims=sample.dims)
    return measured / work, "measured" if work == 1 else "estimated"


def _described(rates: Sequence[float], sample: Throughput | None, passages_per_document: float) -> EncodingRate:
    if sample is None:
        return EncodingRate(origin="given", documents_per_second=tuple(rates))
    return EncodingRate(
        origin="measured",
        documents_per_second=(sample.texts_per_second / passages_per_document,),
        texts=sample.texts,
        model=sample.model,
        dims=sample.dims,
        device=sample.device,
        num_texts=sample.num_texts,
        duration_s=sample.duration_s,
        sample_passages_per_document=sample.passages_per_document,
        sample_tokens_per_document=sample.tokens_per_document,
    )


def _prices(recipe: CostRecipe, hours: float, num_bytes: dict[str, int]) -> Prices:
    machine, storage = recipe.machine_usd_per_hour, recipe.storage_usd_per_gb_month
    return Prices(
        reembedding=None if machine is None else hours * machine,
        storage_month=None if storage is None else {kind: storage * number / _GB for kind, number in num_bytes.items()},
    )


def _api_usd(recipe: CostRecipe, num_documents: int, sample: Throughput | None) -> float | None:
    price = recipe.api_usd_per_million_tokens
    if price is None:
        return None
    tokens = recipe.tokens_per_document or (sample.tokens_per_document if sample else None)
    if tokens is None:
        raise InputError(
            "an API charges by the token, and how many a document has is not known",
            hint="--set cost.tokens_per_document=N, or leave --documents-per-second out, which measures it",
        )
    return num_documents * tokens / 1e6 * price


def _notes(
    rows: Sequence[CostRow], rates: Sequence[float], sample: Throughput | None, passages_per_document: float
) -> tuple[str, ...]:
    """What the reader would otherwise take for more than it is."""
    notes = []
    if any(row.hours_origin == "estimated" for row in rows) and sample:
        notes.append(
            f"hours for more than {sample.dims} dimensions are estimated as the least a wider model of as many layers "
            "needs; give --documents-per-second for each of --dims where you have measured it"
        )
    if len(rates) == 1 and len({row.dims for row in rows}) > 1:
        notes.append("one rate was given for all dimensions; a model of more dimensions is mostly slower")
    if sample and abs(sample.passages_per_document / passages_per_document - 1) > _OTHER_PASSAGES:
        notes.append(
            f"a document of the sample makes {sample.passages_per_document:.2f} passages, {passages_per_document:g} "
            f"was reckoned with: --passages-per-document {sample.passages_per_document:.2f}"
        )
    return tuple(notes)
