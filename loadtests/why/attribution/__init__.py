"""What callgrind counted, as the cost of those it was done for: functions and their callers."""
