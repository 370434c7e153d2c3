"""What is said of a poster file, as JSON and for people."""

from typing import Any, NamedTuple

from posterfusion_jax.utils.console import sanitize

_WIDTH = 100  # characters of a text


class Prediction(NamedTuple):
    """Of one file. `error` says why there is none; then the other fields are empty.

    Attributes:
      text: the words read, those of them that the model gets.
      scores: of each genre in [0, 1], what thresholds apply to.
      probabilities: of each genre, what its score stands for, as fitted on the validation split.
      genres: those predicted.
      text_error: why no words were read, where that is not because there are none; the picture alone was judged.
    """

    file: str
    text: str
    scores: dict[str, float]
    probabilities: dict[str, float]
    genres: list[str]
    error: str | None = None
    text_error: str | None = None


def as_json(prediction: Prediction) -> dict[str, Any]:
    """{"file", "text", "scores", "probabilities", "genres"}, "text_error" if no words could be read; or {"file", "error"}."""
    if prediction.error is not None:
        return {"file": prediction.file, "error": prediction.error}
    return {name: value for name, value in prediction._asdict().items() if value is not None}


def as_text(prediction: Prediction) -> str:
    """The same for people: genres predicted and the next best, each with its score and probability; the words read."""
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
            f"  next:   {', '.join(rest)}",
            f"  text:   {_text_for_people(prediction)}",
        ]
    )


def _text_for_people(prediction: Prediction) -> str:
    if prediction.text_error is not None:
        return f"not read, the picture alone was judged: {sanitize(prediction.text_error, width=_WIDTH)}"
    return sanitize(prediction.text, width=_WIDTH) or "(none read)"
