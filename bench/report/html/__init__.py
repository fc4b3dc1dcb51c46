"""Runs as one HTML file to explore: `page.py` joins the data, the charts and the script."""
