"""Answering queries: a searcher that is opened once and asked by many."""
