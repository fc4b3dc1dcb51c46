"""Data of one's own: files in published formats, read into a task."""
