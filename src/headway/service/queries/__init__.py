"""What users ask for in Docker's words: filters, moments, patterns of names."""
