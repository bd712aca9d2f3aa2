"""Image data sets, read from where they lie; nothing is downloaded."""
