"""What happens in the store, told to those who listen."""
