"""The data sets that can be prepared: one file each, which says what of its layout was seen and what is from documents."""
