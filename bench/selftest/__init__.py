"""Tests the harness on this machine in cases whose true result is known."""
