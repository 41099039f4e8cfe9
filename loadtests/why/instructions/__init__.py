"""Instructions of a request in all, as one number: counted by a command, and after a bench."""
