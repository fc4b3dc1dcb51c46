"""What the records say: estimators, verdicts, break-even, scaling, formatting. Pure."""
