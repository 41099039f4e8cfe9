"""The databases behind the routes: one protocol, and a module for each store."""
