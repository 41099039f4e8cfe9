"""Where code runs: which thread, which loop, and what a sync route can still do."""
