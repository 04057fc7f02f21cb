"""What search quality is, and how sure we are of it: pure functions on arrays."""
