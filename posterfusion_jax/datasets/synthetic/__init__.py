"""Draw posters with planted cues, whose best achievable score is known."""
