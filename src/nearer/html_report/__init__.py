"""One self-contained HTML page: what was measured, decided and shipped."""
