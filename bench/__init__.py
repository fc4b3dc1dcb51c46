"""Do the backends agree, and how long does each take: the harness."""
