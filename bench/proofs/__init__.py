"""Programs that show that this harness measures what it says, run by hand on a quiet machine."""
