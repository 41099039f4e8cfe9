"""From rows to summaries and comparisons: centres, intervals, and warnings in words."""
