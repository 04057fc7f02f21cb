"""What each verb's result looks like to a person."""

from typing import Any

from nearer.core.records import CASE_GROUPS

Result = dict[str, Any]
_MOST_SLICES = 20


def added(result: Result) -> str:
    """The result of `nearer add`."""
    lines = [
        f"{kind}: {change['num_added']} added, {change['num_updated']} updated, {change['num_unchanged']} unchanged"
        for kind, change in result["changes"].items()
    ]
    num_rows = sum(sum(change.values()) for change in result["changes"].values())
    lines.append(f"{num_rows} rows in {result['duration_s']:.1f} s ({num_rows / result['duration_s']:.0f} a second)")
    if result["num_skipped"]:
        lines.append(f"{result['num_skipped']} bad rows set aside, the first:")
        lines += [f"  {f['file']}:{f['line']}: {f['reason']} ({f['remedy']})" for f in result["faults"][:20]]
    return "\n".join([*lines, _holdings(result)])


def removed(result: Result) -> str:
    """The result of `nearer remove`."""
    return f"{result['num_removed']} documents removed; bring the index up to date: nearer index"


def checked(result: Result) -> str:
    """The result of `nearer check`."""
    lines = [_holdings(result), f"{result['num_passages']} passages, {result['num_truncated']} truncated"]
    if result["num_dropped"]:
        lines.append(f"{result['num_dropped']} leaking queries set aside")
    lines += [f"fault: {fault}" for fault in result["faults"]]
    lines += [f"  {leak['query_id']} leaks into {leak['leaks_into']} ({leak['kind']})" for leak in result["leaks"]]
    lines += [f"note: {note}" for note in result["notes"]]
    if not result["num_leaks"]:
        lines.append("no leaks between splits")
    return "\n".join([*lines, f"verdict: {result['verdict']}"])


def evaluated(result: Result) -> str:
    """The result of `nearer evaluate`."""
    looks = result["ledger"]["num_looks"]
    groups = f" in {result['num_groups']} groups" if result["num_groups"] else ""
    head = f"{result['split']}: {result['num_queries']} queries{groups}" + (
        f", look {looks} at this split" if looks else ""
    )
    if result["num_without_relevant"]:
        head += f"; {result['num_without_relevant']} more without a relevant document are left out"
    names = [each["system"] for each in result["results"]]
    rows = [["", *names]]
    for metric in result["results"][0]["metrics"]:
        rows.append([metric, *(_interval(each["metrics"][metric]) for each in result["results"])])
    notes = [note for each in result["results"] for note in _run_notes(each)]
    notes += [f"note: {note}" for note in result["notes"]]
    return "\n".join(
        [head, *_table(rows), *_slices(result), *notes, *_comparisons(result), *_precision(result), *_spent(result)]
    )


def _run_notes(result: Result) -> list[str]:
    run = result["run"] or {}
    notes = {
        "num_unknown_documents": "ranked documents are not in the corpus, and count as not relevant",
        "num_queries_without_rows": "queries have no rows, and score 0",
        "num_other_queries": "queries of other splits are left out",
    }
    return [f"{result['system']}: {run[name]} {note}" for name, note in notes.items() if run.get(name)]


def diagnosed(result: Result) -> str:
    """The result of `nearer diagnose`."""
    looks = result["ledger"]["num_looks"]
    head = f"{result['system']}, {result['split']}: {result['num_failed']} of {result['num_queries']} queries failed"
    head += f", look {looks} at this split" if looks else ""
    lines = []
    for each in result["causes"]:
        lines += [
            f"{each['cause']}: {each['num_queries']} ({each['share']:.0%}), {each['meaning']}",
            f"  -> {each['remedy']}",
        ]
        lines += [f"  {_line(example['query'])}: {example['evidence']}" for example in each["examples"]]
    return "\n".join([head, *lines, *(f"note: {note}" for note in result["notes"]), *_spent(result)])


def _line(text: str) -> str:
    """A text on one line, cut where it is long."""
    line = " ".join(text.split())
    return f'"{line[:70]}..."' if len(line) > 70 else f'"{line}"'


def suite_run(result: Result) -> str:
    """The result of `nearer suite`."""
    results = result["results"]
    rows = [["", "", *(each["system"] for each in results)]]
    for group, severities in results[0]["counts"].items():
        for severity in severities:
            found = [each["counts"][group][severity] for each in results]
            rows.append([CASE_GROUPS[group], severity, *map(_passed, found)])
    rows.append(["all", "", *(_passed({**result, **each}) for each in results)])
    failing = [line for each in results for line in _failing_cases(each)]
    changes = [
        f"{each['candidate']} beside {each['baseline']}: newly failing: {_listed(each['newly_failing'])}; "
        f"mended: {_listed(each['mended'])}"
        for each in result["changes"]
    ]
    head, verdict = f"{result['file']}: cases that pass", f"verdict: {result['verdict']}"
    return "\n".join([head, *_table(rows), *failing, *changes, verdict, *_spent(result)])


def _failing_cases(result: Result) -> list[str]:
    head = [f"{result['system']} fails:"] if result["failed"] else []
    cases = [
        f"  {each['name']} ({each['severity']}, {CASE_GROUPS[each['group']]}): {_one_line(each['query'])}\n"
        f"    {each['why']}"
        for each in result["failed"]
    ]
    return [*head, *cases]


def _passed(count: Result) -> str:
    return f"{count['num_cases'] - count['num_failed']} of {count['num_cases']}"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:100]


def exported(result: Result) -> str:
    """The result of `nearer export`."""
    return f"{result['num_lines']} lines of {result['kind']} for {result['split']}: {result['file']}"


def evaluated_task(result: Result) -> str:
    """The result of `nearer evaluate --task`."""
    counts, looks = result["counts"], result["ledger"]["num_looks"]
    head = f"{result['task']} by {result['label']}, {result['split']}: {counts['num_items']} items"
    head += f" of {counts['num_items_before_draw']}" if counts["num_items"] < counts["num_items_before_draw"] else ""
    head += f", {counts['num_labels']} labels" + (f"; look {looks} at this split" if looks else "")
    rows = [["", *(each["system"] for each in result["results"]), "random vectors"]]
    for metric, chance in result["chance"].items():
        rows.append([metric, *(_interval(each["metrics"][metric]) for each in result["results"]), f"{chance:.3f}"])
    details = [
        f"{each['system']}, {metric}: " + ", ".join(f"{name} {value:.3f}" for name, value in detail.items())
        for each in result["results"]
        for metric, detail in each["details"].items()
    ]
    notes = [f"note: {note}" for note in result["notes"]]
    return "\n".join([head, *_table(rows), *details, *_comparisons(result), *notes])


def advised(result: Result) -> str:
    """The result of `nearer advise`."""
    head = (
        f"{result['split']}: {result['num_queries']} judged queries in {result['num_folds']} folds, "
        f"{result['num_documents']} documents; {result['metric']}"
    )
    table = [["remedy", "value", "difference", "p", "ms a query", "index", "hours"]]
    table += [_remedy_cells(each, result["metric"]) for each in result["remedies"]]
    causes = ", ".join(f"{each['num_queries']} {each['cause']}" for each in result["diagnosis"]["causes"])
    failed = result["diagnosis"]["num_failed"]
    lines = [
        head,
        *_table(table),
        *(f"not measured: {each['name']} ({each['reason']})" for each in result["not_measured"]),
    ]
    lines.append(
        f"{failed} of {result['diagnosis']['num_queries']} dev queries fail: {causes}" if failed else "no query fails"
    )
    lines += [f"verdict: {result['verdict']}", *(f"  {reason}" for reason in result["reasons"])]
    if confirmed := result["confirmed"]:
        lines.append(
            f"on {confirmed['split']} (look {confirmed['ledger']['num_looks']}): {confirmed['base']:.3f} -> "
            f"{confirmed['value']:.3f}, {confirmed['difference']:+.3f} "
            f"[{confirmed['low']:+.3f}, {confirmed['high']:+.3f}]"
        )
    lines += [f"written: {line}" for line in result["written"]]
    return "\n".join([*lines, f"next: {'; '.join(result['next'])}", *_spent(result)])


def _remedy_cells(row: Result, metric: str) -> list[str]:
    value, changed = row["metrics"][metric], row["difference"]
    difference = "" if changed is None else f"{changed:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    p_value = "" if row["p_value"] is None else f"{row['p_value']:.4f}"
    hours = "" if row["reindex_hours"] is None else _significant(row["reindex_hours"])
    name = f"{row['name']} (forecast)" if row["origin"] == "forecast" else row["name"]
    latency = f"{row['latency_ms']['p50']:+.1f}" if row["latency_ms"]["p50"] else "0"
    return [name, f"{value['value']:.3f}", difference, p_value, latency, row["index_work"], hours]


def costed(result: Result) -> str:
    """The result of `nearer cost`."""
    rate, baseline = result["throughput"], result["search_cost_baseline"]
    rates = ", ".join(f"{each:,.4g}" for each in rate["documents_per_second"])
    origin = (
        f"measured with {rate['model']} ({rate['dims']} dimensions, {rate['device']}) on {rate['texts']}"
        if rate["origin"] == "measured"
        else "as given"
    )
    head = f"{result['num_documents']:,} documents, {result['num_vectors']:,} vectors; {rates} documents/s {origin}"
    priced = [name for name in ("reembedding", "storage_month") if result["rows"][0]["usd"][name] is not None]
    titles = {"reembedding": "re-embedding USD", "storage_month": "HNSW USD/month"}
    table = [["dims", "precision", "raw", "IVF index", "HNSW index", "re-embedding", "search cost"]]
    table[0] += [titles[name] for name in priced]
    table += [[*_cost_cells(row), *(_usd(row["usd"][name]) for name in priced)] for row in result["rows"]]
    api = [f"an embedding API would charge {_usd(result['api_usd'])} USD"] if result["api_usd"] is not None else []
    foot = f"search cost: bytes read a comparison, beside {baseline['dims']} {baseline['precision']}"
    return "\n".join([head, *_table(table), *api, foot, *(f"note: {note}" for note in result["notes"])])


def _cost_cells(row: Result) -> list[str]:
    at_least = "at least " if row["hours_origin"] == "estimated" else ""
    sizes = [_bytes(each) for each in (row["raw_bytes"], row["index_bytes"]["ivf"], row["index_bytes"]["hnsw"])]
    hours, times = _significant(row["reembedding_hours"]), _significant(row["relative_search_cost"])
    return [str(row["dims"]), row["precision"], *sizes, f"{at_least}{hours} h", f"{times}x"]


def _usd(price: float | Result) -> str:
    return _significant(price if isinstance(price, int | float) else price["hnsw"])


def _bytes(number: float) -> str:
    """Decimal units, three digits: 1 GB is 10^9 bytes."""
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.0f} EB"


def _significant(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def trained(result: Result) -> str:
    """The result of `nearer train`."""
    dev = result["dev"]
    head = f"{result['model_id']}: {dev['metric']} on dev {dev['start']:.3f} -> {dev['best']:.3f}"
    how = f"{result['adapter']['sides']} adapter" if "adapter" in result else f"{len(result['passes'])} passes"
    what = f"{result['num_pairs']} pairs, {how}, {result['duration_s']:.0f} s"
    left_out = result["num_left_out"]
    if any(left_out.values()):
        what += f"; {left_out['queries']} queries and {left_out['pairs']} pairs that dev or test knows were left out"
    alarms = [f"alarm {_alarm(alarm)}" for alarm in result.get("alarms", ()) if alarm["raised"]]
    alarms = [*_chosen(result), *alarms]
    if not result["improved"]:
        lines = [f"nothing was better on dev than where it began ({what}); leave it as it is", *alarms]
    else:
        follows = f"next: nearer evaluate base {result['model_id']}, or nearer promote"
        lines = [f"{head} ({what})", *alarms, follows]
    return "\n".join([*lines, *_spent(result)])


def trained_reranker(result: Result) -> str:
    """The result of `nearer train --reranker`."""
    dev, name = result["dev"], result["reranker_id"]
    left_out = result["num_left_out"]
    what = f"{result['num_pairs']} pairs, {result['duration_s']:.0f} s"
    if any(left_out.values()):
        what += f"; {left_out['queries']} queries and {left_out['pairs']} pairs that dev or test knows were left out"
    measured = f"{dev['metric']} on {dev['num_queries']} dev queries, the first {dev['depth']} of {result['retriever']}"
    began = "" if result["start"]["is_fresh"] else f", {dev['start']:.3f} as it began"
    values = f"{dev['retriever']:.3f} as found{began}, {dev['best']:.3f} reranked at its best"
    lines = [f"{name or 'no reranker'}: {measured}: {values} ({what})"]
    if result["fault"]:
        lines.append(f"training ended early: {result['fault']}")
    if name is None:
        lines.append("nothing that was trained is better on dev than what there was; leave it as it is")
    else:
        lines.append(f'next: search.rerank.model = "{name}" in nearer.toml, then nearer evaluate base base+rerank')
    return "\n".join([*lines, *_spent(result)])


def _chosen(result: Result) -> list[str]:
    """What a time, a search or several seeds decided."""
    lines = [f"the time decided: {reason}" for reason in result.get("budget", {}).get("plan", {}).get("reasons", ())]
    if trials := result.get("trials"):
        values = [each["value"] for each in trials if each["value"] is not None]
        span = f"from {min(values):.3f} to {max(values):.3f}"
        lines.append(f"{len(trials)} settings tried, dev {span}; dev chose, so its best is optimistic")
    if seeds := result.get("seeds"):
        values = [each["value"] for each in seeds["trainings"] if each["value"] is not None]
        deviation = seeds["standard_deviation"]
        spread = "" if deviation is None else f", standard deviation {deviation:.3f}"
        shown = ", ".join(f"{value:.3f}" for value in values)
        lines.append(f"{len(values)} seeds, dev {shown}: mean {seeds['mean']:.3f}{spread}; the best is kept")
    return lines


def _alarm(alarm: Result) -> str:
    return f"{alarm['name']} {alarm['value']:.3f}, above {alarm['threshold']:.3f}: {alarm['sentence']}"


def shortening(result: Result) -> str:
    """The result of `nearer shorten SYSTEM`."""
    looks = result["ledger"]["num_looks"]
    head = f"{result['system']}, {result['split']}: {result['num_queries']} queries, {result['num_passages']} passages"
    head += f", look {looks} at this split" if looks else ""
    titles = ["dimensions", "precision", "bytes a document", result["metric"], "difference", "p", "of full", "time"]
    rows = [titles, *(_size_cells(row) for row in result["rows"])]
    best, allowed = result["proposal"], result["settings"]["max_loss"]
    proven = "" if best["is_proven"] else "; these queries do not prove it"
    lines = [
        f"proposed: {best['dimension']} dimensions, {best['precision']} ({best['stored']}), "
        f"{best['share_of_full']:.1%} of the full quality, at most {allowed:.1%} lost{proven}",
        "time: of one search beside the full float32 vectors, in this run; p is after Holm",
    ]
    lines += [f"next: {'; '.join(result['next'])}"] if result["next"] else []
    return "\n".join([head, *_table(rows), *lines, *_spent(result)])


def _size_cells(row: Result) -> list[str]:
    found = row["difference"]
    difference = f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]" if found else ""
    p_value = f"{found['p_adjusted']:.4f}" if found else ""
    size = [str(row["dimension"]), row["precision"], f"{row['bytes_per_document']:,.0f}", _interval(row)]
    return [*size, difference, p_value, f"{row['share_of_full']:.1%}", f"{row['search_time_ratio']:.2f}x"]


def shortened(result: Result) -> str:
    """The result of `nearer shorten SYSTEM --dimension D`."""
    of = f"the first {result['dimension']} of {result['full_dimension']} dimensions of {result['parent_model_id']}"
    return "\n".join([f"{result['model_id']}: {of}", f"next: nearer promote {result['model_id']}", *_spent(result)])


def merged(result: Result) -> str:
    """The result of `nearer merge`."""
    rows = [["weight", result["metric"], "cases that pass", "newly failing"]]
    for each in result["sweep"]:
        suite = each["suite"]
        cases = [_passed(suite), _listed(suite["newly_failing"])] if suite else ["", ""]
        rows.append([f"{each['weight']:g}", f"{each['value']:.3f}", *cases])
    head = f"{result['model_id']}: {result['weight']:g} of {result['system']}, the rest of {result['other']}"
    if not result["is_new"]:
        head += "; that is a model which was there already"
    elif result["broken"]:
        head += f"; it newly fails {_listed(result['broken'])}"
    foot = f"{result['num_queries']} dev queries; dev chose, so its best is optimistic"
    return "\n".join([head, *_table(rows), foot, f"next: nearer promote {result['model_id']}"])


def indexed(result: Result) -> str:
    """The result of `nearer index`."""
    lines = [
        f"{each['system']}: {each['num_documents']} documents, {each['num_passages']} passages, "
        f"{each['num_encoded']} newly encoded; {_index(each['index'])}"
        for each in result["indexes"]
    ]
    return "\n".join([*lines, *_spent(result)])


def verified(result: Result) -> str:
    """The result of `nearer index --verify`."""
    lines = [f"{name}: {'; '.join(faults) or 'follows the documents'}" for name, faults in result["faults"].items()]
    return "\n".join([*lines, f"verdict: {result['verdict']}"])


def promoted(result: Result) -> str:
    """The result of `nearer promote`."""
    lines = [f"{result['verdict']}: {result['release_id'] or 'live is as it was'}"]
    if result["evaluation"]:
        evaluation = result["evaluation"]
        looks = evaluation["ledger"]["num_looks"]
        judged = f"  judged on {evaluation['num_queries']} queries of {evaluation['split']}"
        lines.append(judged + (f", look {looks} at this split" if looks else ""))
    if result["suite"]:
        suite = result["suite"]
        lines.append(f"  {_passed({**suite, **suite['results'][-1]})} cases of {suite['file']} pass")
    lines += [f"  because {reason}" for reason in result["reasons"]]
    lines += [f"  note: {note}" for note in result["notes"]]
    return "\n".join([*lines, *_spent(result)])


def rolled_back(result: Result) -> str:
    """The result of `nearer rollback`."""
    return f"live: {result['release_id']} ({result['model_id']}); forward again: nearer promote {result['previous']}"


def status(result: Result) -> str:
    """The result of `nearer status`."""
    lines = [f"{name}: {_release(result[name])}" for name in ("live", "previous")]
    return "\n".join([*lines, *(f"{each['model']} at {each['endpoint']}: {_usage(each)}" for each in result["api"])])


def history(result: Result) -> str:
    """The result of `nearer history`."""
    lines = []
    for event in result["events"]:
        why = "; ".join(event["detail"].get("reasons", []))
        forced = f" [forced: {event['detail']['forced']}]" if event["detail"].get("forced") else ""
        lines.append(f"{event['at']} {event['action']} {event['release_id'] or ''}{forced} {why}".rstrip())
    return "\n".join(lines) or "nothing has been live yet"


def lineage(result: Result) -> str:
    """The result of `nearer lineage`."""
    lines = []
    for each in (*result["lineage"], *result["reranker"]):
        data, shorter, mixed = each["data"], each.get("encoder", {}).get("shortened"), each.get("merged")
        made = (
            f"the first {shorter['dimension']} dimensions"
            if shorter
            else f"merged, {mixed['weight']:g} of its parent, the rest of {mixed['with']}"
            if mixed
            else f"trained on {data['num_pairs']} pairs ({data['pairs_id']}), seed {each['seed']}"
            if data
            else "off the shelf"
        )
        lines.append(f"{each.get('model_id') or each['reranker_id']}  {each['created_at']}  {_kind(each)}{made}")
        computed = each.get("encoder_id") or each["cross_encoder_id"]
        lines.append(f"  {computed}  releases: {', '.join(each['releases']) or 'none'}")
    return "\n".join(lines)


def _kind(each: Result) -> str:
    """What a link of a lineage is, where it is no plain model."""
    if "reranker_id" in each:
        return f"reranker from {each['start']['name']}, "
    adapter = each["encoder"].get("adapter")
    return f"{adapter['sides']} adapter, " if adapter else "queries alone, " if "queries" in each["encoder"] else ""


def found(result: Result) -> str:
    """The result of `nearer search`."""
    lines = [f"warning: the index is stale ({fault}): nearer index" for fault in result["stale"]]
    lines += [f"not filtered by {rule}: say what is known, with --known" for rule in result["unused_rules"]]
    for rank, each in enumerate(result["results"], start=1):
        lines.append(f"{rank:3} {each['score']:.3f} {each['doc_id']}  {_one_line(each['text'])}")
    return "\n".join([*lines, *_spent(result)])


def reported(result: Result) -> str:
    """The result of `nearer report`."""
    return f"report: {result['report']}"


def demonstrated(result: Result) -> str:
    """The result of `nearer demo`."""
    comparison = result["comparison"]
    return "\n".join(
        [
            "",
            _comparison(comparison) if comparison else "nothing was better on dev than the base",
            f"look {result['num_looks']} at the test split",
            f"verdict: {result['verdict']}, in {result['duration_s']:.0f} s",
            f"report:  {result['report']}",
        ]
    )


def _holdings(result: Result) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in result["counts"].items() if count)
    splits = ", ".join(f"{split} {count}" for split, count in result["splits"].items())
    return f"the workspace holds {counts or 'nothing'}" + (f"; queries by split: {splits}" if splits else "")


def _slices(result: Result) -> list[str]:
    """A line for each of the largest slices, with the first measure of every system."""
    first, *_ = result["results"]
    names = sorted(first["slices"], key=lambda name: -first["slices"][name]["num_queries"])
    rows = [_slice(name, [each["slices"][name] for each in result["results"]]) for name in names[:_MOST_SLICES]]
    if not rows:
        return []
    left_out = len(names) - len(rows)
    more = [f"  and {left_out} smaller slices, see --json"] if left_out else []
    return [f"{next(iter(first['metrics']))} by slice (queries):", *_table(rows), *more]


def _slice(name: str, found: list[Result]) -> list[str]:
    size = f"{found[0]['num_queries']} in {found[0]['num_groups']} groups"
    size = size if found[0]["num_groups"] else str(found[0]["num_queries"])
    values = [_interval(next(iter(each["metrics"].values()))) if each["metrics"] else "too small" for each in found]
    return [f"  {name} ({size})", *values]


def _comparisons(result: Result) -> list[str]:
    """A line for every candidate and measure; what p-values were adjusted for, where there are several candidates."""
    compared = result["comparisons"]
    num_candidates = len(result["results"]) - 1
    if num_candidates < 2:
        return [_comparison(each) for each in compared]
    baseline = compared[0]["baseline"]
    lines = [_comparison(each, adjusted=f" ({each['p_adjusted']:.4f} after Holm)") for each in compared]
    return [*lines, f"after Holm: over the {num_candidates} systems compared with {baseline}, each measure by itself"]


def _precision(result: Result) -> list[str]:
    """What the queries tell in the first measure: of every candidate, or of a system that was measured alone."""
    metric = next(iter(result["results"][0]["metrics"]))
    compared = [each for each in result["comparisons"] if each["metric"] == metric]
    if not compared:
        return [f"{metric}: {_needed(result['results'][0], result['settings'])}"]
    return [_detectable(each, result["settings"]) for each in compared]


def _detectable(comparison: Result, settings: Result) -> str:
    what = f"{comparison['metric']}, {comparison['candidate']} - {comparison['baseline']}"
    if comparison["detectable"] is None:
        return f"{what}: {_needed(comparison, settings)}"
    shows = f"a true difference of {comparison['detectable']:.3f} would show"
    level = f"(power 0.8, alpha {1 - settings['confidence']:g})"
    return f"{what}: {shows} {level}; {_needed(comparison, settings)}"


def _needed(known: Result, settings: Result) -> str:
    if known["num_queries_needed"] is None:
        return "too few queries or groups, or none that differs, to tell how many are needed"
    more = f"{known['num_queries_more']:,} more" if known["num_queries_more"] else "which there are"
    return f"an interval of ±{settings['wanted_precision']:g} needs {known['num_queries_needed']:,} queries, {more}"


def _index(index: Result) -> str:
    if not index["recall"]:
        return f"{index['kind']}, every passage compared"
    recall, precision = index["recall"], "" if index["precision"] == "float32" else f" in {index['precision']}"
    return (
        f"{index['kind']}{precision}, recall@{recall['k']} {recall['value']:.3f} against exact search "
        f"on {recall['num_queries']} {recall['measured_on']}"
    )


def _interval(value: Result) -> str:
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _comparison(comparison: Result, *, adjusted: str = "") -> str:
    c = comparison
    return (
        f"{c['metric']}: {c['candidate']} - {c['baseline']} = "
        f"{c['difference']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}], "
        f"p = {c['p_value']:.4f}{adjusted}; {c['num_wins']} won, {c['num_losses']} lost, {c['num_ties']} tied"
    )


def _release(release: Result | None) -> str:
    if release is None:
        return "none"
    answers = "+".join([release["model_id"], *release["stages"]])
    return f"{release['release_id']} ({answers}, {release['num_documents']} documents)"


def _spent(result: Result) -> list[str]:
    """What a service was asked for in this run, if any was."""
    if "api" not in result:
        return []
    missing = "" if result["api"]["is_recorded"] else "; not in the sum of nearer status, which could not be written"
    return [f"asked of services: {_usage(result['api'])}{missing}"]


def _usage(usage: Result) -> str:
    cost = "price unknown" if usage["cost_usd"] is None else f"{usage['cost_usd']:.6f} USD"
    return f"{usage['num_requests']} requests, {usage['num_tokens']} tokens, {cost}"


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
