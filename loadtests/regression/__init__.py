"""The measuring half of the regression check: two sides, and what is seen of each.

It writes facts.csv, instructions.csv, slots.csv and sides.json into one folder and computes no
statistics; `python -m results regression` judges the folder.
"""
