"""What is put right at the start, after a power cut, or by a check."""
