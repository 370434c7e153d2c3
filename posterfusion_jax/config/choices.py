"""Names that the fields of a config accept, apart from the code that they stand for.

Look a name up with `utils.choose.choose`: a name without code is an error, never another choice. That code imports JAX; a
config is read and checked without it, so that errors are reported quickly and OCR starts while JAX loads.
"""

# encoders.image and encoders.text, apart from hub names and folders
SCRATCH = "scratch"  # a small CLIP without pretrained weights
KERAS = "keras:"  # before a network of keras.applications
WORD2VEC = "word2vec:"  # before a file of word vectors

CLIP_TYPES = ("clip", "clip_vision_model", "clip_text_model")  # model_type in config.json: whole, or one tower of it

# model.name
ZERO_SHOT = "zero_shot"  # the one head that does not train
CROSS_ATTENTION = ("cross", "as_printed")
TOKEN_FUSION = ("add_pooled_text", "concat", "pool_add")
POOLING = ("mean", "cls")
GATE_INPUTS = ("projections", "raw")
GENRE = "{genre}"  # in model.zero_shot_prompts: replaced by the genre's name

# data.text_control and evaluate.controls
TEXTS = ("own", "empty", "shuffled")
WITHOUT_TITLE = "without_title"  # the fourth choice of data.text_control, which needs texts of its own
CONTROLS = ("text_empty", "text_shuffled", "image_mean", "text_without_title")
MISSING_TEXT = {"learned": False, "encode": True}  # model.missing_text -> whether an absent text is the encoded empty string
LEVELS = {"pooled": False, "tokens": True}  # features.level -> whether features are tokens
