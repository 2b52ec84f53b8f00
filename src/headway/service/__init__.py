"""What Headway does, in terms of the interfaces."""
