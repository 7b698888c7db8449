"""What the ledger costs Redis: each transition at 100,000 shards outstanding, memory, growth, and the finish."""
