import functools
import gzip
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.word2vec import load_word2vec, spellings, split_words
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.sharding import DataParallel

WORDS = ["</s>", "night", "NIGHT", "love", "Paris", "####", "##st", "3D", "don't", "café", "the"]
WIDTH = 5
VECTORS = dict(zip(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), WIDTH)).astype(np.float32), strict=True))


def binary(words=WORDS, *, newline=b"", header=None):
    head = f"{len(words)} {WIDTH}\n".encode() if header is None else header
    return head + b"".join(word.encode() + b" " + VECTORS[word].astype("<f4").tobytes() + newline for word in words)


def write(folder, content, name="vectors.bin"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return f"word2vec:{folder / name}"


def run(tower, texts, level):
    ids, mask, _ = tower.tokenize(texts)
    encode = jax.jit(tower.forward, static_argnames="level")
    return jax.tree.map(np.asarray, encode(tower.params, ids, mask, level=level))


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    return load_word2vec(write(tmp_path_factory.mktemp("w2v"), binary()), EncoderOptions(max_text_tokens=4))


@pytest.mark.parametrize("newline", [b"", b"\n"], ids=["GoogleNews", "word2vec.c"])
def test_every_vector_is_found(tmp_path, newline):
    tower = load_word2vec(write(tmp_path, binary(newline=newline)), EncoderOptions())
    assert (tower.width, tower.max_tokens, tower.params, tower.passport["words"]) == (5, 40, {}, 11)
    features = run(tower, [" ".join(WORDS[1:5] + WORDS[7:])], "tokens")
    assert features.values.shape == (1, 40, 5)
    np.testing.assert_array_equal(features.values[0, :8], [VECTORS[word] for word in WORDS[1:5] + WORDS[7:]])


def test_vectors_that_hold_newlines_and_spaces(tmp_path):
    awkward = b"5 5\n".join([b"\n\n\n ", b" \n  "])  # float32 bytes that look like the file's own marks
    vectors = np.frombuffer(awkward.ljust(40, b"\n"), "<f4")
    content = b"2 5\nfirst " + vectors[:5].tobytes() + b"second " + vectors[5:].tobytes()
    tower = load_word2vec(write(tmp_path, content), EncoderOptions())
    np.testing.assert_array_equal(run(tower, ["first second"], "tokens").values[0, :2], vectors.reshape(2, 5))


def test_of_a_word_that_occurs_twice_the_first_counts(tmp_path):
    content = b"2 1\nx " + np.float32(1).tobytes() + b"x " + np.float32(2).tobytes()
    tower = load_word2vec(write(tmp_path, content), EncoderOptions())
    assert run(tower, ["x"], "pooled").values.tolist() == [[1.0]]
    assert tower.passport["words"] == 1


def test_words_of_a_text():
    assert split_words("THE NIGHT-TIME, (2001): don\u2019t_stop!  L'AMOUR 'tis") == [
        *("THE", "NIGHT", "TIME", "2001", "don't", "stop", "L'AMOUR", "tis")
    ]
    assert split_words(" ... ·&* ") == []


def test_spellings():
    assert list(spellings("LOVE")) == ["LOVE", "love", "Love"]
    assert next(spellings("1999")) == "####"
    assert list(spellings("21ST")) == ["##ST", "##st", "##st"]
    assert next(spellings("Se7en")) == "Se7en"
    assert list(spellings("KING'S")) == ["KING'S", "king's", "King's", "KING", "king", "King"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("NIGHT night Night", ["NIGHT", "night", "night"]),  # as it is comes before lower case
        ("LOVE PARIS paris", ["love", "Paris", "Paris"]),
        ("CAFÉ DON\u2019T 3d", ["café", "don't"]),  # "3d" is "3D" under none of its spellings
        ("1999 21ST 3D 7", ["####", "##st", "3D"]),
        ("LOVE'S Paris's", ["love", "Paris"]),
    ],
)
def test_lookup(tower, text, found):
    features = run(tower, [text], "tokens")
    assert features.mask[0].tolist() == [True] * len(found) + [False] * (4 - len(found))
    np.testing.assert_array_equal(features.values[0, : len(found)], [VECTORS[word] for word in found])


def test_unknown_words_are_dropped_before_the_text_is_cut(tower):
    texts = ["qq love xx night qq the 3D", "love love love love qq", "love night the 3D Paris", "qq xx", ""]
    ids, mask, truncated = tower.tokenize(texts)
    assert (ids.shape, ids.dtype, mask.shape, mask.dtype) == ((5, 1, 4, 5), np.float32, (5, 1, 4), np.int32)
    assert mask[:, 0].sum(axis=1).tolist() == [4, 4, 4, 0, 0]
    assert truncated.tolist() == [False, False, True, False, False]


def test_pooled_is_the_mean_and_unknown_is_no_text(tower):
    texts = ["LOVE qq Paris", "qq xx", "", "the"]
    tokens, pooled = run(tower, texts, "tokens"), run(tower, texts, "pooled")
    np.testing.assert_allclose(pooled.values[0], (VECTORS["love"] + VECTORS["Paris"]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(pooled.values[3], VECTORS["the"])
    assert pooled.mask.tolist() == tokens.mask.any(axis=1).tolist() == [True, False, False, True]
    assert (pooled.values[1:3] == 0).all()
    assert (tokens.values[~tokens.mask] == 0).all()


def test_what_the_mask_hides_does_not_count(tower):
    ids, mask, _ = tower.tokenize(["love night the", "Paris"])
    hidden = mask.copy()
    hidden[0, 0, 1] = 0  # as word dropout does
    pooled = tower.forward({}, jnp.asarray(ids), jnp.asarray(hidden), level="pooled")
    np.testing.assert_allclose(pooled.values[0], (VECTORS["love"] + VECTORS["the"]) / 2, rtol=1e-6)


def test_two_devices_give_what_one_gives(tower):
    parallel = DataParallel()
    assert parallel.devices == 2
    texts = [" ".join(WORDS[1 + i : 3 + i]) for i in range(8)]
    ids, mask, _ = tower.tokenize(texts)
    encode = jax.jit(functools.partial(tower.forward, level="tokens"))
    features = encode(parallel.replicate(tower.params), *parallel.shard_batch((ids, mask)))
    assert len(features.values.sharding.device_set) == 2
    np.testing.assert_array_equal(features.values, run(tower, texts, "tokens").values)


def test_a_head_on_top_can_be_differentiated(tower):
    ids, mask, _ = tower.tokenize(["love night", "qq"])

    def loss(weights):
        features = tower.forward(tower.params, jnp.asarray(ids), jnp.asarray(mask), level="pooled")
        return (features.values @ weights).sum()

    np.testing.assert_allclose(jax.jit(jax.grad(loss))(jnp.ones(5)), (VECTORS["love"] + VECTORS["night"]) / 2, rtol=1e-6)


def test_coverage(tower):
    coverage = tower.coverage(["LOVE qq 1999", "xx yy", "...", "", "the"])
    assert coverage == (6, 3, 1)
    assert coverage.unknown_rate == 0.5
    assert tower.coverage([]).unknown_rate == 0


def test_passport(tower, tmp_path):
    assert json.loads(json.dumps(tower.passport)) == tower.passport
    assert (tower.passport["family"], tower.passport["tower"], tower.passport["pooling"]) == ("word2vec", "text", "mean")
    assert (tower.passport["source"], tower.passport["revision"], tower.passport["random"]) == ("vectors.bin", None, False)
    changed = bytearray(binary())
    changed[-1] ^= 1
    other = load_word2vec(write(tmp_path, bytes(changed)), EncoderOptions(max_text_tokens=4))
    assert [name for name in tower.passport if tower.passport[name] != other.passport[name]] == ["weights_sha256"]


def test_a_folder_with_one_file(tmp_path, tower):
    write(tmp_path / "one", binary())
    (tmp_path / "one" / "readme.txt").write_text("x")
    assert load_word2vec(f"word2vec:{tmp_path / 'one'}", EncoderOptions(max_text_tokens=4)).passport == tower.passport
    write(tmp_path / "one", binary(), name="second.bin")
    with pytest.raises(InputError, match=r"holds 2 files named \*\.bin, one is needed; name the file itself"):
        load_word2vec(f"word2vec:{tmp_path / 'one'}", EncoderOptions())
    write(tmp_path / "packed", gzip.compress(binary()), name="vectors.bin.gz")
    with pytest.raises(InputError, match=r"holds 0 files named \*\.bin, one is needed \(unpack vectors\.bin\.gz first\)"):
        load_word2vec(f"word2vec:{tmp_path / 'packed'}", EncoderOptions())


LAST = len(binary()) - 4 * WIDTH - len("the ")  # where the last word begins
BAD = {
    "empty": (b"", r"vectors\.bin cannot be read"),
    "gzip": (gzip.compress(binary()), "is gzip-compressed; unpack it first"),
    "no header": (binary(header=b""), r"begins with b'</s> .*begins with '<words> <width>' and a newline"),
    "GloVe": (b"the 0.1 0.2 0.3\nof 0.2 0.1 0.4\n", "begins with b'the 0.1 0.2 0.3"),
    "text": (b"2 3\nthe 0.1 -2e-3 0.3\nof 0.2 0.1 0.4\n", "is in word2vec's text format; load it with gensim and save it"),
    "no words": (b"0 5\n", "announces 0 words of width 5"),
    "half a file": (binary()[: len(binary()) // 2], rf"has {len(binary()) // 2} bytes, too few for the 11 words of width 5"),
    "last vector cut": (
        binary()[:-3],
        rf"word 11 of 11, byte {LAST} of {len(binary()) - 3}: the vector extends past the end",
    ),
    "more words": (binary(header=b"10 5\n"), rf"continues after the 10 words .*\(byte {LAST} of {len(binary())}\)"),
    "wrong width": (binary(header=b"11 4\n"), r"word \d+ of 11, byte|continues after"),
    "no space": (b"1 1\n" + b"x" * 9000, "word 1 of 1, byte 4 of 9,004: no word and space"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path, name):
    content, message = BAD[name]
    with pytest.raises(InputError, match=rf"encoders\.text: .*{message}"):
        load_word2vec(write(tmp_path, content), EncoderOptions())


def test_bad_input(tmp_path, tower):
    with pytest.raises(InputError, match=r"encoders\.text: there is no file or folder 'nowhere/x\.bin'.*unpack it, and set"):
        load_word2vec("word2vec:nowhere/x.bin", EncoderOptions())
    with pytest.raises(InputError, match=r"encoders\.text: there is no file or folder ''"):
        load_word2vec("word2vec:", EncoderOptions())
    with pytest.raises(InputError, match=r"encoders\.max_text_tokens is 0; a Word2Vec text needs at least 1 word"):
        load_word2vec(tower.name, EncoderOptions(max_text_tokens=0))


@pytest.mark.real
def test_real_vectors_have_their_published_similarities(weights_dir):
    tower = load_word2vec(f"word2vec:{weights_dir / 'word2vec'}", EncoderOptions())
    words = ["king", "queen", "banana", "man", "woman", "film", "movie"]
    vectors = run(tower, words, "pooled").values
    king, queen, banana, man, woman, film, movie = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    # What gensim's `similarity` gives for GoogleNews; many tutorials print these.
    np.testing.assert_allclose([king @ queen, king @ banana, man @ woman], [0.6510957, 0.1364908, 0.7664012], atol=2e-6)
    assert film @ movie > max(film @ other for other in (king, queen, banana, man, woman))


@pytest.mark.real
def test_real_vectors_on_a_posters_text(weights_dir):
    tower = load_word2vec(f"word2vec:{weights_dir / 'word2vec'}", EncoderOptions())
    poster = "A STORY OF LOVE AND WAR DIRECTED BY QXZ ZZYZX THE NIGHT IS LONG"
    coverage = tower.coverage([poster, "QXZ"])
    assert (coverage.words, coverage.empty) == (15, 1)
    assert 3 <= coverage.unknown <= 6  # the three nonsense words, and "a", "of", "and", which GoogleNews has in no lower case
    ids, mask, truncated = tower.tokenize([poster, "QXZ"])
    assert mask[:, 0].sum(axis=1).tolist() == [15 - coverage.unknown, 0]
    assert not truncated.any()
    assert np.isfinite(ids).all()
