"""What every layer shares: records, ids, text comparison, the recipe, errors and progress."""
