"""Songs for a playlist: models that say what belongs to a set of songs, from their content and from other playlists."""
