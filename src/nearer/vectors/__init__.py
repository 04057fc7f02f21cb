"""Search kernels on arrays of vectors: the nearest, quantisation, geometry."""
