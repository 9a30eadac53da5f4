"""What the counts of a cleaning report mean, in words; the rules themselves are where they are applied."""

from __future__ import annotations

_MEANINGS = {
    "marks_decoded": "rows in which a mark such as <U+1F525> became the character that it means",
    "blanks_trimmed": "rows in which blanks around a text were removed",
    "spelled_otherwise": "rows whose title or artist is not written as in the first row of the item, which counts",
    "features_of_another_row": "rows whose features differ from those of the item's first complete row, which count",
    "repeated_in_playlist": "rows of an item that its playlist has already: it counts once",
    "quarantined": "rows left out, for validation found them unfit",
    "missing_values": "rows left out without an id or a rating",
    "duplicate_ratings": "earlier ratings of the same item by the same user: the last counts",
    "duplicate": "rows left out whose id has a row already",
    "added": "ids that only the ratings name, which got a row without attributes",
    "year_from_title": "items whose release year was taken from their title",
    "year_left_missing": "items without a release year, which keep none",
    "genres_set_to_unknown": "items without genres, which got the genre unknown",
    "categories_normalised": "rows with a category written in another way (blanks, letter case, repeated)",
}


def meaning_of(rule: str) -> str:
    """What a count of this rule (`attrec.prepare.cleaning.CleaningReport.rules`) says: the longest rule that it begins
    with, for what follows names a table or column.

    Raises:
        KeyError: nobody has said what this rule means.
    """
    names = [name for name in _MEANINGS if rule.startswith(name)]
    if not names:
        raise KeyError(rule)
    return _MEANINGS[max(names, key=len)]
