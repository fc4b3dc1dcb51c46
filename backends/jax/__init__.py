"""JAX: a scan, and an unrolled scan."""
