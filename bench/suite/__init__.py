"""What `pytest --benchmark-only` collects: a file a phase, a test a workload and variant."""
