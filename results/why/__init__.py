"""Reading what a request costs by function: tables, phases, differences, pictures, sentences."""
