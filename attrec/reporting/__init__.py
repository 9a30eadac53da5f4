"""The leaderboard, the plots and the self-contained page."""
