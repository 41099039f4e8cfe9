"""The work behind the routes, the same code for every stack, without any web framework."""
