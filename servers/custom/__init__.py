"""A person's own application, and the stacks that it is measured on."""
