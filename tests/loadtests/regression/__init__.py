"""Tests of the measuring half of the regression check."""
