"""Many things at once: handlers that wait, and clients that ask for several pages."""
