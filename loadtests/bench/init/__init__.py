"""`loopbench init`: a configuration for a person's application."""
