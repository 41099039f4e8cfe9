"""Judging each layer of a regression check."""
