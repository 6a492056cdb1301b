"""The data sets that can be prepared: one file each, which says what was seen of its layout, what is from documents."""
