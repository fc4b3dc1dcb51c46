"""Loads the suite's plugin for this repository alone."""

pytest_plugins = ["bench.pytest_plugin"]
