"""The questions that people ask, and the line that this run's rows answer with."""
