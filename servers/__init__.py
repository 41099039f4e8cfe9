"""What is measured: equivalent servers, and how to start and stop them."""
