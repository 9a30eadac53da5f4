"""What only playlists know."""
