"""Samples to Summaries, with their Warnings, and how narrow ratios are."""
