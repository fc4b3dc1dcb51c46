"""What the harness finds where the truth is known."""
