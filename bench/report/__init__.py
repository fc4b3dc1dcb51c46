"""Reports: pure functions of records. Nothing here measures."""
