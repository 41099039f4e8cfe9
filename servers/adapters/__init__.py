"""How an application is run by a server, in the current event loop or in a thread."""
