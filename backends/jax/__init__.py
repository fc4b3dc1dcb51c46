"""JAX without a library: a scan, and an unrolled scan."""
