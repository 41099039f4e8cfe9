"""Values drawn from a folder for several sections: by scenario, by Round, over time."""
