"""The contract as an application, one module a framework, with the same handler names in each."""
