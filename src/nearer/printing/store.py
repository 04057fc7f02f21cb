"""The result of `nearer store`."""

from nearer.core.results.data import StoreCopied


def store_copied(result: StoreCopied) -> str:
    """The result of `nearer store copy`."""
    kept = {name: table for name, table in result.tables.items() if table.num_rows}
    lines = [f"copied {result.num_rows} rows of {len(kept)} tables to {result.target}; every row was compared"]
    width = max(map(len, kept), default=0)
    lines += [f"  {name:{width}}  {table.num_rows:>9}  {table.sha256[:12]}" for name, table in kept.items()]
    if result.is_in_recipe:
        lines.append("nearer.toml names it now; the old database stays as it is")
    else:
        lines.append("to use it, set store.url in nearer.toml, or repeat with --write into an empty one")
    return "\n".join(lines)
