"""Trees of files on disk: walked, copied, merged, compared, and made to fit those below."""
