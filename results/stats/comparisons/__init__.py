"""Runs against runs, and server against framework."""
