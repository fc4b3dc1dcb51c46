"""Do the backends agree, and how long does each take: the harness."""

__version__ = "0.1.0"
