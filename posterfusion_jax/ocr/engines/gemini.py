"""Read posters with Gemini by google-genai, through the Developer API or Vertex AI: one request, one answer.

The key is read from the environment (GOOGLE_API_KEY or GEMINI_API_KEY; for Vertex AI the credentials of Google Cloud) and is
never written anywhere. The service's address can be set with GOOGLE_GEMINI_BASE_URL. The model is a name in the config, because
the paper's gemini-pro-vision answers 404 since 2024.
"""

import asyncio
import io
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from PIL import Image

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import OcrResult, RequestRejected, ServiceBusy, ServiceExhausted, Usage
from posterfusion_jax.ocr.engines.gemini_options import GeminiOptions
from posterfusion_jax.ocr.engines.gemini_prompt import PROMPT, PROMPT_VERSION, SCHEMA
from posterfusion_jax.ocr.engines.gemini_response import parse_answer
from posterfusion_jax.posters.decode import decode_poster, open_image

_HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
_SENT_UNCHANGED = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]+")
_INPUT_TOKENS = 5_000  # an upper limit, not an estimate: the prompt, and an image at the highest resolution


class _Picture(NamedTuple):
    data: bytes
    mime_type: str


def read_key(*, vertex: bool) -> str | None:
    """Return the key from the environment, None if there is none and Vertex AI needs none.

    Raises:
      InputError: there is none, or it has characters that no key has.
    """
    name, key = next(((name, key) for name in _KEYS if (key := os.environ.get(name, "").strip())), ("", None))
    if key is None and not vertex:
        raise InputError(
            "ocr.engine='gemini' needs a key in the environment: set GOOGLE_API_KEY (from "
            "https://aistudio.google.com/apikey), or --config.ocr.gemini.vertex=True and the credentials "
            "of Google Cloud."
        )
    if key is not None and not _KEY.fullmatch(key):  # it could not be found in a message that quotes it, to redact it
        raise InputError(f"{name} contains characters that no key has (it is not shown here). Copy the key again.")
    return key


class GeminiEngine:
    """Request the lines on a poster from a Gemini model, as JSON of a given schema.

    Attributes:
      model: its name at the service.
      temperatures: tried one after another.
      prices: US dollars per million tokens, input and output.
    """

    name: str = "gemini"
    prompt_version: str = PROMPT_VERSION
    fallback_statuses: tuple[str, ...] = ("recitation", "error")

    def __init__(self, options: GeminiOptions, *, threads: int = 1) -> None:
        """Make the client without sending a request.

        Args:
          options: of the requests.
          threads: not used; every engine has it.

        Raises:
          InputError: no key, an invalid one, or google-genai rejects the settings.
        """
        from google import genai  # 2 s to import
        from google.genai import errors, types

        del threads
        self._secret = read_key(vertex=options.vertex)
        self._options, self._errors, self._types = options, errors, types
        self.model, self.temperatures = options.model, options.temperatures
        self.prices = (options.input_price, options.output_price)
        self.model_version: str | None = options.model
        self.version = f"{options.model} prompt {PROMPT_VERSION}"
        self.worst_case = Usage(
            input_tokens=_INPUT_TOKENS,
            output_tokens=options.max_output_tokens,
            usd=(_INPUT_TOKENS * options.input_price + options.max_output_tokens * options.output_price) / 1e6,
        )
        self._levels = [(options.model, temperature) for temperature in options.temperatures]
        if options.fallback_model:
            self._levels.append((options.fallback_model, options.temperatures[0]))
        self.fallback_levels = len(self._levels)
        self._config = _request_settings(options)
        # Without retry options google-genai repeats requests after some broken connections, but every request must be counted.
        http_options = types.HttpOptions(
            timeout=round(options.timeout * 1000), retry_options=types.HttpRetryOptions(attempts=1)
        )
        try:
            api_key = None if options.vertex else self._secret
            self._client = genai.Client(vertexai=options.vertex, api_key=api_key, http_options=http_options)
        except Exception as error:  # no project, no credentials, a bad address
            raise InputError(f"ocr.engine='gemini': {self.redact(error)}") from None

    def prepare(self, data: bytes) -> _Picture:
        """Return the file itself if the service accepts its format and size, else the upright image as JPEG."""
        image = decode_poster(data)  # also reports a broken file before a request is paid for
        with open_image(data) as header:
            mime_type = _SENT_UNCHANGED.get(header.format or "")
        too_large = 0 < self._options.max_side < max(image.size)
        if mime_type and not too_large:
            return _Picture(data, mime_type)
        if too_large:
            image.thumbnail((self._options.max_side, self._options.max_side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=95)
        return _Picture(file.getvalue(), "image/jpeg")

    async def request(self, image: _Picture, *, level: int) -> OcrResult:
        """Make one request; see `base.RemoteEngine.request`."""
        model, temperature = self._levels[level]
        try:
            async with asyncio.timeout(self._options.timeout + 10):  # google-genai's own timeout comes first
                response = await self._client.aio.models.generate_content(
                    model=model,
                    contents=[self._types.Part.from_bytes(data=image.data, mime_type=image.mime_type), PROMPT],
                    config=self._config.model_copy(update={"temperature": temperature}),
                )
        except RecursionError:  # google-genai parses the answer as JSON; one of a thousand brackets costs money as well
            return OcrResult(status="error", reason="an answer of endless brackets", usage=self.worst_case)
        except Exception as error:
            raise self._classify_error(error, model) from None
        return parse_answer(response, prices=self.prices)

    def call(self, function: Callable[[Any], Any]) -> Any:
        """Return the result of `function` for the google.genai client, with the errors of `request`; for the batch API."""
        if self._options.vertex:
            raise InputError(
                "ocr.gemini.batch is not for Vertex AI, which needs the posters in Cloud Storage. Set ocr.gemini.vertex=False."
            )
        try:
            return function(self._client)
        except Exception as error:
            raise self._classify_error(error, self.model) from None

    def rest_request(self, blob: dict[str, str], *, level: int) -> dict[str, Any]:
        """Return the request of `request` in the form of the REST API; `blob` has the image's mimeType and data."""
        config = self._config.model_dump(mode="json", by_alias=True, exclude_none=True)
        safety = config.pop("safetySettings", [])
        request = {
            "contents": [{"role": "user", "parts": [{"inlineData": blob}, {"text": PROMPT}]}],
            "generationConfig": {**config, "temperature": self._levels[level][1]},
        }
        return {**request, "safetySettings": safety} if safety else request

    def response(self, answer: dict[str, Any]) -> Any:
        """Convert an answer of the REST API to the type of google-genai."""
        return self._types.GenerateContentResponse.model_validate(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aio.aclose()

    def _classify_error(self, error: Any, model: str) -> Exception:
        """Return the exception that states what a failed request means for the run."""
        if isinstance(error, self._errors.ServerError):
            return ServiceBusy(f"{error.code} {self.redact(error.message)}", _retry_delay(error.details))
        if not isinstance(error, self._errors.ClientError):  # a connection that hangs or breaks, an answer that is not JSON
            return ServiceBusy(self.redact(f"{type(error).__name__}: {error}").removesuffix(": "))
        message = self.redact(error.message or "")
        if error.code == 429:
            if _is_daily_quota(error.details):
                return ServiceExhausted(f"the day's quota of {model} is used up ({message})")
            return ServiceBusy(f"429 {message}", _retry_delay(error.details))
        if error.code in (408, 409, 499):
            return ServiceBusy(f"{error.code} {message}")
        if error.code in (401, 403) or "API_KEY_INVALID" in str(error.details):
            return InputError(
                f"Gemini rejects the key ({error.code} {error.status}: {message}). Set GOOGLE_API_KEY to a key from "
                "https://aistudio.google.com/apikey that may use this model."
            )
        if error.code == 404:
            return InputError(
                f"ocr.gemini.model={model!r} is not available ({message}). Models are retired; name one that "
                "https://ai.google.dev/gemini-api/docs/models lists."
            )
        return RequestRejected(f"{error.code} {error.status}: {message}")

    def redact(self, message: Any) -> str:
        """Return a message of the service or google-genai on one line and without the key."""
        text = " ".join(str(message).split())
        return text.replace(self._secret, "<key>") if self._secret else text


def _request_settings(options: GeminiOptions) -> Any:
    """Return google-genai's settings of a request, except its temperature."""
    from google.genai import types

    threshold = types.HarmBlockThreshold(options.safety) if options.safety else None
    harms = [types.HarmCategory(f"HARM_CATEGORY_{harm}") for harm in _HARMS]
    safety = [types.SafetySetting(category=harm, threshold=threshold) for harm in harms]
    thinking = types.ThinkingLevel(options.thinking.upper()) if options.thinking else None
    resolution = f"MEDIA_RESOLUTION_{options.media_resolution.upper()}" if options.media_resolution else None
    return types.GenerateContentConfig(
        max_output_tokens=options.max_output_tokens,
        response_mime_type="application/json",
        response_schema=SCHEMA,
        safety_settings=safety if options.safety else None,
        thinking_config=types.ThinkingConfig(thinking_level=thinking) if thinking else None,
        media_resolution=types.MediaResolution(resolution) if resolution else None,
    )


def _retry_delay(details: Any) -> float | None:
    """Return the seconds of google.rpc.RetryInfo in an error's details, which google-genai ignores."""
    for detail in _error_details(details):
        seconds = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay", "")))
        if seconds:
            return float(seconds[1])
    return None


def _is_daily_quota(details: Any) -> bool:
    """Return whether google.rpc.QuotaFailure names a daily quota, so that a retry in the next minutes is useless."""
    for detail in _error_details(details):
        for violation in detail.get("violations", ()):
            if "PerDay" in str(violation.get("quotaId", "")):
                return True
    return False


def _error_details(details: Any) -> list[dict[str, Any]]:
    error = details.get("error", {}) if isinstance(details, dict) else {}
    found = error.get("details", ()) if isinstance(error, dict) else ()
    return [detail for detail in found if isinstance(detail, dict)]
