"""Pages for people: one HTML file each, which asks nothing of any network."""
