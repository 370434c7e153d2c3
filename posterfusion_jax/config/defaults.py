"""Every field of a run, once: its default, its meaning, its unit and where the value comes from.

Other configs are small deltas on this one. Free quantities only: what follows from them (folders, steps, live or cached
training) is derived in `posterfusion_jax.config.run.resolve`. Override one on the command line with
`--config.train.batch_size=64`; a misspelt field is an error that names the nearest one. "paper" is arXiv 2410.19764, "ours"
what the paper leaves open.
"""

from typing import Any

from ml_collections import ConfigDict, FieldReference

NONE_WORDS = ("none", "")  # in upper or lower case: None in a field that may be None


class OptionalField(FieldReference):
    """Hold a value of one type, or None, for which "none", "None" and "" may be given as well."""

    def set(self, value: Any, type_safe: bool = True) -> None:
        """Set the value. Raises TypeError where it is neither None nor of the field's type."""
        super().set(None if is_none(value) else value, type_safe)


def is_none(value: Any) -> bool:
    """Return whether a value means None."""
    return value is None or (isinstance(value, str) and value.strip().lower() in NONE_WORDS)


def _optional(kind: type) -> OptionalField:
    return OptionalField(None, field_type=kind)


def get_config() -> ConfigDict:
    """Return the defaults, locked: as in the paper where the paper gives a value."""
    config = ConfigDict()
    config.seed = 0  # parameters, batch order and dropout; the split has its own seed

    config.data = data = ConfigDict()
    data.source = "folder"  # "folder": posters_dir; "synthetic": draw films into posters_dir first; "table": data.table and
    # data.images; in data.images: "class_folders", "mm_imdb", "nfo", "hugging_face"; "auto": which of them is found out
    data.posters_dir = ""  # holds title.basics.tsv.gz and images/<tconst>_<k>.jpg; "": <workdir>/posters if synthetic
    data.table = ""  # labels of your own posters: CSV, TSV, JSON, JSON lines or Parquet, see docs/own-posters.md
    data.images = ""  # the pictures of data.table, or the folder of a source that needs no table; sub-folders count
    data.dataset_dir = ""  # where the TFDS dataset is built; "": <workdir>/dataset. Runs may share one
    data.split_by = "film"  # "film" or "group" (ours: no film on both sides), "poster" (paper: random by poster), "file",
    # "year" (split_years), "column" (the split that the table or source gives)
    data.split_file = ""  # the split to use with split_by="file": a recorded splits.json, or your own JSON or CSV
    data.split_seed = 0
    data.split_fractions = (0.8, 0.1, 0.1)  # train, validation, test (paper); (0.9, 0.1, 0.0): no test split
    data.split_years = (0, 0)  # only for split_by="year": the last year of train, and the last of validation; later is test
    data.folds = 0  # cross-validation in this many parts, by film or group; 0: none. posterfusion folds runs all of them
    data.fold = 0  # the part that is the test split; the next one is the validation split
    data.labels = ()  # the label set: "paper13" (the paper's genres), "imdb" (IMDb's genres with enough posters), "all" (all
    # labels with enough posters), or the names, as in "drama,comedy"; (): "paper13" of films as IMDb names them, else "all"
    data.label_min_posters = 0  # least number of posters of a label, for "imdb" and "all"; 0: 1 % of all, from 3 to 50
    data.label_aliases = ()  # further spellings of labels, as in "Science Fiction=sci-fi"
    data.text_control = "own"  # text of each poster, in training and evaluation: "own"; "empty", "shuffled" (that of another
    # film of the split) or "without_title" (its own, less the words of the film's title), to see what the text is worth
    data.other_genres = "drop_label"  # labels outside the set: "drop_label", or "drop_film" that has one (ours)
    data.drawn_films = 300  # only for source="synthetic": how many films to draw, 1 to 5 posters each
    data.drawn_width = 240  # only for source="synthetic": width of a drawn poster in pixels; the height is 1.5 times that
    data.drawn_seed = 0

    # Columns and notation of data.table. "": found out, printed, and kept in the run's config; "none": the table has no such
    # column.
    data.table_columns = columns = ConfigDict()
    columns.id = ""  # names a row, and its picture where no column has a path
    columns.picture = ""  # paths or file names of pictures
    columns.group = ""  # rows with the same value stay in one split: the film of several posters
    columns.title = ""  # for people, never an input
    columns.year = ""  # a year, or a date
    columns.labels = ""  # the column of labels, or columns of 0 and 1 separated by commas, or "*" for all such columns
    columns.split = ""  # train, validation or test
    columns.text = ""  # the words on the poster, in place of OCR
    columns.label_table = ""  # a second file, with one label in each row
    columns.separator = ""  # between the labels of a cell: "|", ",", ";", "/", or "list" (JSON or Python)
    columns.delimiter = ""  # between cells: ",", "tab", ";", "|", "::"
    columns.encoding = ""  # such as "utf-8" or "latin-1"

    # From the lines that were read to the text, see docs/ocr.md (ours). What has no boxes or confidences passes the rules
    # that need them.
    data.text_rules = rules = ConfigDict()
    rules.order = "engine"  # "engine": as it gives them; "boxes": rows from top to bottom, each from left to right
    rules.min_confidence = 0.0  # lines read with less, of 1, are dropped; 0: none are
    rules.credits_max_height = 0.0  # the credit block, lines of this fraction of the image's height at most, is dropped; 0: not
    rules.credits_top = 0.8  # the block is below this fraction of the image's height
    rules.credits_min_lines = 3  # and has at least this many lines

    config.ocr = ocr = ConfigDict()
    ocr.engine = "rapidocr"  # "rapidocr" (offline), "tesseract" (a system program), "gemini" (a paid service), "none"
    ocr.store = ""  # records are appended here; "": <posters_dir>/ocr.jsonl. That file is read in any case
    ocr.prefer = ()  # engines (or "engine@version"), best first: whose record counts where a poster has several; (): ocr.engine
    ocr.workers = 0  # processes; 0: one a core
    ocr.min_side = 640  # pixels to which the detector enlarges a poster's shorter side; smaller is faster, misses small print
    ocr.reread = "never"  # posters with a text to read again: "engine": if ocr.engine did not; "version": its present version
    ocr.retry = ()  # record states to read again, of "error", "blocked", "recitation", "max_tokens", "empty"

    ocr.limits = limits = ConfigDict()  # only for "gemini"; 0: without a limit
    limits.concurrency = 16  # requests under way at a time
    limits.requests_per_minute = 0.0  # what your account may do: https://ai.google.dev/gemini-api/docs/rate-limits
    limits.tokens_per_minute = 0.0
    limits.tries = 6  # of one question while the service is busy, with growing pauses; pauses that it asks for are not counted
    limits.budget = 0.0  # US dollars for one run, never overspent by the prices below
    limits.max_requests = 0  # of one run

    ocr.tesseract = tesseract = ConfigDict()
    tesseract.languages = "eng"  # its codes, the most likely first: "eng+deu"
    tesseract.psm = 11  # page segmentation mode: 1, 3, 4, 6, 11 or 12; 11: sparse text anywhere
    tesseract.min_side = 900  # pixels to which a poster's shorter side is enlarged
    tesseract.min_confidence = 0.5  # words below are dropped

    ocr.gemini = gemini = ConfigDict()  # the key comes from the environment: GOOGLE_API_KEY or GEMINI_API_KEY
    gemini.model = "gemini-3.5-flash-lite"  # the paper's gemini-pro-vision answers 404 since 2024
    gemini.fallback_model = ""  # asked last, where the model withheld its answer at every temperature; "": none
    gemini.temperatures = (0.0, 0.5, 1.0)  # tried in this order where an answer is withheld as a recitation (ours)
    gemini.max_side = 0  # pixels of the longer side to which a poster is reduced before it is sent; 0: sent unchanged
    gemini.max_output_tokens = 2048  # of one answer; a longer one is truncated and its record notes it
    gemini.safety = "OFF"  # withhold harmful answers: "OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", ... "": the service's default
    gemini.thinking = ""  # thinking of models from Gemini 3 on: "minimal", "low", "medium", "high"; "": the model's default
    gemini.media_resolution = ""  # tokens the image is worth: "low", "medium", "high"; "": the service's default
    gemini.input_price = 0.3  # US dollars a million tokens, July 2026; see https://ai.google.dev/gemini-api/docs/pricing
    gemini.output_price = 2.5
    gemini.timeout = 120.0  # seconds for one request
    gemini.vertex = False  # Vertex AI with the credentials of Google Cloud, instead of the Developer API with a key

    ocr.batch = batch = ConfigDict()  # Gemini's batch API: half the price, answers within a day
    batch.use = False  # each call submits the posters that are in no job and collects the jobs that are finished
    batch.posters = 1000  # of one job, at most
    batch.poll = 0.0  # seconds between two looks until all jobs are collected; 0: look once and leave the rest to a later call

    config.encoders = encoders = ConfigDict()
    encoders.image = "openai/clip-vit-base-patch32"  # hub name or folder of a CLIP or BLIP, "keras:NAME",
    # "keras:NAME@FILE", or "scratch" (size unstated in paper)
    encoders.text = "openai/clip-vit-base-patch32"  # hub name or folder of a CLIP, BLIP or BERT, "word2vec:FILE", or "scratch"
    encoders.resize = "crop"  # "crop": CLIP's centre crop, cuts a third off a 2:3 poster; "squash"; "pad" (paper: unstated)
    encoders.max_text_tokens = _optional(int)  # None: CLIP and BLIP 77, BERT 128, Word2Vec 40 words
    encoders.long_text = "truncate"  # text over that: "truncate": its beginning, end mark kept; "head_tail": half from either
    # end; "chunk_mean": mean of its chunks' pooled features; "chunk_tokens": its chunks' tokens in a row (level "tokens")
    encoders.max_chunks = 4  # only for the chunk policies; text after the last chunk is cut
    encoders.dtype = "float32"  # of the encoders' arithmetic: "float32" or "bfloat16"; features are stored as features.dtype
    encoders.allow_random = ()  # of "image", "text": towers of a CLIP that may start from random weights where it lacks them

    encoders.scratch = scratch = ConfigDict()  # the small CLIP named "scratch"; no pretrained weights (ours)
    scratch.image_size = 64  # pixels, square
    scratch.patch_size = 8
    scratch.width = 128
    scratch.heads = 4
    scratch.image_layers = 3
    scratch.text_layers = 2
    scratch.projection = 128
    scratch.vocabulary = 2000  # tokens; the tokenizer is trained on the training split's text

    config.features = features = ConfigDict()
    features.level = "pooled"  # "pooled": one vector a modality (letter of the paper); "tokens": sequences with masks.
    # Features extracted as tokens serve runs of both levels, so long as they share features.dir.
    features.image_grid = 0  # tokens: average the patch grid down to this many per side, class token kept; 0: unchanged
    features.batch_size = 32  # posters encoded per batch
    features.dtype = "float32"  # of tokens on disk: "float32" or "float16"; pooled features are float32
    features.dir = ""  # "": <workdir>/features. Runs with the same encoders may share one

    config.model = model = ConfigDict()
    model.name = "fusion"  # "fusion" (paper); "addition", "concatenation", "image_only", "text_only", "gmu", "centralnet"
    # (Tables I and II); "linear_probe", "linear_probe_image", "zero_shot" (ours)
    model.dim = 512  # D_a (ours: the paper gives no number); hidden width of "gmu" and "centralnet"
    model.heads = 8  # h; D_k = D_v = dim / heads (ours)
    model.mcam = True  # False: the ablation -MCAM of Table III
    model.smsam_layers = 4  # L (paper: 4); 0: the ablation -SMSAM
    model.cross_attention = "cross"  # "cross", or "as_printed" (Eq. 3 prints self-attention)
    model.token_fusion = "add_pooled_text"  # Eq. 5 for sequences of unequal length; also "concat", "pool_add" (ours)
    model.pooling = "mean"  # tokens into the FFN: "mean" or "cls" (ours)
    model.out_projection = False  # W_O after the heads; the paper has none
    model.block_mlp = False  # an MLP in each SMSAM layer; the paper has none
    model.dropout = 0.0  # the paper has none
    model.ffn = (512, 128)  # hidden layers (paper)
    model.align = 0  # only for "addition": both features pass a dense layer of this width first; 0: none
    model.text_lstm = 0  # all but "fusion": an LSTM of this width reads the text's tokens; 0: their mean
    model.gmu_gate = "projections"  # what GMU's gate reads: "projections" (its authors' code) or "raw" (their article)
    model.missing_text = "learned"  # a poster without text: "learned" vector and mask, or "encode" the empty string (ours)

    # Only for "zero_shot": CLIP's prompts (Radford et al. 2021, section 3.1.4). Several wordings are averaged, as there.
    model.zero_shot_prompts = ("a movie poster of a {genre} film",)  # {genre}: its name as in genres.GENRES (wording: ours)
    model.zero_shot_neutral = ("a movie poster",)  # a score over 0.5 is a picture nearer to the genre's prompt than to this

    config.loss = loss = ConfigDict()
    loss.preset = "asl"  # "asl" (paper: 3, 4, 0.2), "asl_default" (Ridnik et al.: 1, 4, 0.05), "bce", "focal"
    loss.gamma_pos = _optional(float)  # None: the preset's
    loss.gamma_neg = _optional(float)  # None: the preset's
    loss.margin = _optional(float)  # epsilon of Eq. 9; None: the preset's
    loss.stop_gradient = False  # focusing weights without gradient, as one class of the reference code does

    config.train = train = ConfigDict()
    train.learning_rate = 1e-4  # Adam (paper)
    train.schedule = "constant"  # of the learning rates: "constant" (paper), or "cosine": 5 % of the steps up, then down to 0
    train.beta1 = 0.9  # paper
    train.beta2 = 0.999  # paper
    train.epsilon = 1e-8  # paper
    train.weight_decay = 0.0  # decoupled (AdamW), of all but biases and layer norms; the paper has none
    train.batch_size = 32  # posters (paper)
    train.max_epochs = 100  # paper
    train.patience = 10  # epochs without improvement before stopping (paper)
    train.monitor = "loss"  # of the validation split: "loss" (ours, not stated in the paper) or "f1_macro"
    train.fine_tune = "none"  # encoders: "none" (frozen, features cached), "all", "last_n" layers
    train.fine_tune_towers = ("image", "text")  # which towers train, unless fine_tune="none"
    train.fine_tune_layers = 2  # only for fine_tune="last_n"
    train.encoder_learning_rate = 1e-5  # of the encoders, unless fine_tune="none" (ours)
    train.augment_shift = 0  # pixels: training pictures are mirrored at random and shifted by up to this; 0: neither (ours)
    train.augment_drop_tokens = 0.0  # share of the text tokens hidden at random in training, in [0, 1) (ours)
    train.resident_gib = 1.0  # training features of up to this size lie on the device as a whole; larger ones stream from disk
    train.loader_threads = 2  # that read and decode ahead of the computation
    train.eval_batch_size = 256  # posters

    config.evaluate = evaluate = ConfigDict()
    evaluate.splits = ("validation", "test")
    evaluate.threshold = 0.5  # tau of Eq. 10, strictly above (paper)
    evaluate.force_top1 = False  # always predict the best genre, even below the threshold; also in prediction (ours)
    evaluate.controls = ("text_empty", "text_shuffled", "image_mean")  # changed inputs to evaluate as well; also
    # "text_without_title", for which all texts are encoded once more
    evaluate.metrics = ()  # metrics of your own as well: registered names, or "package.module:function" (ours)
    evaluate.bootstrap = 1000  # resamples of films for the 95 % intervals

    return config.lock()
