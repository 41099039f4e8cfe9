"""The commands of `python -m results`, but for those of the regression check and of costs."""
