"""Text to vectors: encoders and their ids, passages, and the cache of vectors."""
