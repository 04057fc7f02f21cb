"""Experiments with users, as pure functions: who sees what, and what follows from what they did."""
