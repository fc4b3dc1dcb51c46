"""The worker process of each variant (`pool`, `process`), and what runs inside it (`server`)."""
