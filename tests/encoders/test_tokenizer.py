import concurrent.futures
import shutil

import pytest
from tiny_checkpoints import END as CLIP_END
from tiny_checkpoints import write_clip_tokenizer

from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tokenizer import END, hash_tokenizer, load_tokenizer, make_tokenize, train_tokenizer
from posterfusion_jax.errors import InputError

TEXTS = ["The Night of the Hunter", "Night Train", "THE HUNTER", "Über den Dächern", "night and day", "", "夜と霧"]


def tokenize(tokenizer, max_tokens=12):
    return make_tokenize(tokenizer, EncoderOptions(), max_tokens=max_tokens)


def test_training_depends_on_the_texts_only(tmp_path):
    first = train_tokenizer(TEXTS, tmp_path / "a", vocab_size=290, max_tokens=12)
    again = train_tokenizer(reversed(TEXTS), tmp_path / "b", vocab_size=290, max_tokens=12)
    other = train_tokenizer(TEXTS[:2], tmp_path / "c", vocab_size=290, max_tokens=12)
    assert first.backend_tokenizer.to_str() == again.backend_tokenizer.to_str()
    assert hash_tokenizer(first) == hash_tokenizer(again) != hash_tokenizer(other)
    assert "Ġnight" in first.get_vocab()
    assert len(first) <= 290


def test_saved_and_loaded_are_the_same(tmp_path):
    made = train_tokenizer(TEXTS, tmp_path, vocab_size=290, max_tokens=12)
    loaded = load_tokenizer(tmp_path)
    assert hash_tokenizer(made) == hash_tokenizer(loaded)
    assert loaded.model_max_length == 12
    texts = [*TEXTS, "never seen: Ω≈ç√ 🎬"]
    assert (tokenize(made)(texts).input_ids == tokenize(loaded)(texts).input_ids).all()


def test_any_text_is_spelt_out_of_bytes(tmp_path):
    tokenizer = train_tokenizer(TEXTS, tmp_path, vocab_size=290, max_tokens=12)
    ids = tokenizer.backend_tokenizer.encode("Amélie 🎬", add_special_tokens=False).ids
    assert tokenizer.decode(ids).strip() == "amélie 🎬"


def test_marks(tmp_path):
    tokenizer = train_tokenizer(TEXTS, tmp_path, vocab_size=290, max_tokens=12)
    assert tokenizer.eos_token_id != 2  # with 2 transformers would pool elsewhere
    begin, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    empty = tokenize(tokenizer)(["", "   "]).input_ids
    assert empty[0, 0].tolist() == [begin, end] + [pad] * 10
    row = tokenize(tokenizer)([f"Night {END} night"]).input_ids[0, 0].tolist()
    night = tokenizer.get_vocab()["Ġnight"]
    assert (row[0], row.count(night), row.count(end)) == (begin, 2, 1)  # a poster that spells a mark is not cut there
    assert row.index(end) == sum(token != pad for token in row) - 1


def test_clip_and_bert_files(tmp_path, bert_folder):
    write_clip_tokenizer(tmp_path)
    clip = tokenize(load_tokenizer(tmp_path))(["AB", ""])
    a, b = load_tokenizer(tmp_path).convert_tokens_to_ids(["a", "b</w>"])
    assert clip.input_ids[0, 0, :4].tolist() == [CLIP_END - 1, a, b, CLIP_END]
    assert clip.attention_mask[:, 0].sum(axis=1).tolist() == [4, 2]
    bert = tokenize(load_tokenizer(bert_folder))(["Ab [SEP] c", "é"])
    assert bert.input_ids[0, 0, :6].tolist() == [2, 5, 32, 7, 3, 0]  # [CLS] a ##b c [SEP] [PAD]
    assert bert.input_ids[1, 0, :4].tolist() == [2, 9, 3, 0]  # accents are stripped by BERT's own rules


def test_threads_may_share_it(tmp_path):
    write_clip_tokenizer(tmp_path)
    function = tokenize(load_tokenizer(tmp_path), max_tokens=30)
    texts = [f"poster number {i}" for i in range(64)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: function([text]).input_ids[0].tolist(), texts))
    assert rows == function(texts).input_ids.tolist()


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match=r"vocab_size is 100; .* at least 259"):
        train_tokenizer(TEXTS, tmp_path, vocab_size=100, max_tokens=12)
    with pytest.raises(InputError, match="no training text"):
        train_tokenizer(["", "  "], tmp_path, vocab_size=300, max_tokens=12)
    with pytest.raises(InputError, match=r"encoders\.text: .* has no tokenizer"):
        load_tokenizer(tmp_path)
    write_clip_tokenizer(tmp_path)
    (tmp_path / "vocab.json").write_text("{")
    with pytest.raises(InputError, match=r"encoders\.text: .* has no tokenizer"):
        load_tokenizer(tmp_path)


@pytest.mark.real
def test_clips_own_vocabulary(weights_dir, tmp_path):
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(weights_dir / "clip-vit-b16" / name, tmp_path)  # works without config.json beside it
    tokens = tokenize(load_tokenizer(tmp_path), max_tokens=77)(["a photo of a cat"])
    assert tokens.input_ids[0, 0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]  # as clip.tokenize gives it
    assert tokens.input_ids.shape == (1, 1, 77)
