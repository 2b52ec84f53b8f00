"""What takes room on the disk, what may go, and what must stay."""
