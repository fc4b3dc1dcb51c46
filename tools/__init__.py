"""Programs for maintainers, run by hand."""
