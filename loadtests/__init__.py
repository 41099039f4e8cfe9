"""How it is measured: scenarios, the Locust load, the harness and its rows."""
