"""A package to start a backend from: templates, and the command that writes them."""
