"""Turns of the loop: what is news, which slice is fresh, and stages that are kept."""
