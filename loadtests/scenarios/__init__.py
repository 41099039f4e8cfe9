"""The loads that can be offered: models, scenarios, and those of a custom application."""
