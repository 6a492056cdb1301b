"""The data sets that can be prepared: a file each, which says what of its layout was seen and what documents say."""
