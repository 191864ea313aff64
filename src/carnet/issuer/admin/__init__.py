"""What administrators may do, and when."""
