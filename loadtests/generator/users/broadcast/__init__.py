"""The users of a broadcast: one publishes, many receive, some read nothing."""
