"""The report as markdown."""
