"""The statistics of records: estimators, verdicts, break-even, scaling, formatting. Pure."""
