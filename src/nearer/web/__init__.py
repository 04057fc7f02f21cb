"""The HTTP service: search, embeddings and reranking by what is live. The extra ``serve`` installs what it needs."""
