"""Tests, in folders that mirror servers/, loadtests/ and results/."""
