"""The files of an image handed over: as a plain directory, as a bundle, one by one."""
