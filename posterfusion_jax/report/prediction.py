"""One prediction, as JSON and as text for a terminal."""

from typing import Any, NamedTuple

from posterfusion_jax.utils.console import sanitize

_WIDTH = 100  # characters of a text


class Prediction(NamedTuple):
    """The genres of one poster; with an `error` all fields but `file` are empty.

    Attributes:
      file: the name of the file, or "image 3" for the image at position 3 that has none.
      text: the words that the model gets.
      scores: genre -> score in [0, 1], to which thresholds apply.
      probabilities: genre -> calibrated probability, fitted on the validation split.
      genres: the predicted genres.
      error: why there is no prediction; None for a prediction.
      text_error: why no words were read, if reading failed; the prediction then uses the picture alone.
    """

    file: str
    text: str
    scores: dict[str, float]
    probabilities: dict[str, float]
    genres: list[str]
    error: str | None = None
    text_error: str | None = None


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as JSON values.

    Returns:
      {"file", "text", "scores", "probabilities", "genres"}, with "text_error" if no words could be read; or {"file", "error"}.
    """
    if prediction.error is not None:
        return {"file": prediction.file, "error": prediction.error}
    return {name: value for name, value in prediction._asdict().items() if value is not None}


def as_text(prediction: Prediction) -> str:
    """Format a prediction for a terminal: its genres and the next best, with scores and probabilities, and the words."""
    if prediction.error is not None:
        return f"{sanitize(prediction.file)}\n  not predicted: {sanitize(prediction.error)}"
    ranked = sorted(prediction.scores, key=lambda genre: -prediction.scores[genre])
    lines = {
        genre: f"{genre} {prediction.scores[genre]:.2f} ({100 * prediction.probabilities[genre]:.0f} %)" for genre in ranked
    }
    named = [lines[genre] for genre in ranked if genre in prediction.genres]
    rest = [lines[genre] for genre in ranked if genre not in prediction.genres][:3]
    return "\n".join(
        [
            sanitize(prediction.file),
            f"  genres: {', '.join(named) or 'none above the threshold'}",
            f"  next:   {', '.join(rest) or '(none)'}",
            f"  text:   {_text_for_people(prediction)}",
        ]
    )


def _text_for_people(prediction: Prediction) -> str:
    if prediction.text_error is not None:
        return f"not read, the picture alone was judged: {sanitize(prediction.text_error, width=_WIDTH)}"
    return sanitize(prediction.text, width=_WIDTH) or "(none read)"
