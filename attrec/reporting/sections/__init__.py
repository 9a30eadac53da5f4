"""The sections of reports, one a family, and the page of a published comparison."""
