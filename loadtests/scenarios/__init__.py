"""The loads that can be offered: the models, the table of scenarios, and those of a custom application."""
