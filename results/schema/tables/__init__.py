"""The tables of a results folder, with their columns. (Those of a check: `schema.regression`.)"""
