"""What `pytest --benchmark-only` collects: a file per phase, a test per workload and variant."""
