"""The work behind the routes, the same code for every stack; nothing here imports a web framework."""
