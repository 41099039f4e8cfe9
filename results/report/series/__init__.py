"""What several sections and questions draw from a folder: by scenario, by Round, in words."""
