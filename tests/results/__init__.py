"""Tests of reading the results; the golden folder is in `tests.results.examples.golden`."""
