"""Images on their way in and out without a registry's pull: load, save, push, import, commit, unpack."""
