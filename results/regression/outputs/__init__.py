"""A verdict on the terminal, in Markdown and for CI systems."""
