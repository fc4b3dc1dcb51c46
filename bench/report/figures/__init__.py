"""The report's figures, as data and as SVG."""
