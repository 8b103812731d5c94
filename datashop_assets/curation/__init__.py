"""The curation stage: what is wrong in the ratings, found by what like documents were rated."""
