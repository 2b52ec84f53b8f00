"""What Headway does (pull, push, list, tag, prune, mount and so on), in terms of the interfaces alone."""
