"""Define the options of the Gemini engine, the config's section ocr.gemini, and the values that are allowed."""

import dataclasses

SAFETY = ("OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE", "")
THINKING = ("", "minimal", "low", "medium", "high")
RESOLUTIONS = ("", "low", "medium", "high")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeminiOptions:
    """Configure the Gemini engine.

    Attributes:
      model: its name at the service.
      fallback_model: tried last, if `model` gave no text at any temperature; "": none.
      temperatures: tried one after another, when an answer was withheld as a recitation of known material.
      max_side: longer side in pixels to which a larger poster is reduced; 0: the file is sent unchanged.
      max_output_tokens: of an answer; a longer one is truncated and flagged.
      safety: the level of harm from which answers are withheld, for all four categories; "": the service's default.
      thinking: how much a thinking model may think; "": not sent, which older models need.
      media_resolution: how many tokens the service uses for the image; "": its default.
      input_price: US dollars per million tokens; costs are computed with it.
      output_price: US dollars per million tokens; costs are computed with it.
      timeout: seconds for one request.
      vertex: Vertex AI instead of the Developer API.
    """

    model: str
    fallback_model: str = ""
    temperatures: tuple[float, ...] = (0.0, 0.5, 1.0)
    max_side: int = 0
    max_output_tokens: int = 2048
    safety: str = "OFF"
    thinking: str = ""
    media_resolution: str = ""
    input_price: float = 0.0
    output_price: float = 0.0
    timeout: float = 120.0
    vertex: bool = False
