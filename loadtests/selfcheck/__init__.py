"""Checks of the measuring instrument itself, each against something that is not ours."""
