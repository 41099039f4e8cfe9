"""The campaign of faults: each provoked for real at a bench, and what came of it."""
