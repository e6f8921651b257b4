import numpy as np
import pytest
from tokenizers import Tokenizer

from cobrarec.config import TextEncoderConfig
from cobrarec.errors import ArtifactError, ConfigError
from cobrarec.model.item_tokenizer import CLS, PADDING, ItemTokenizer

TEXTS = ["red wine from Spain", "white wine from France", "", "ROTWEIN für 7 €", "wine " * 100]


def _config(**settings):
    return TextEncoderConfig(vocabulary_size=300, max_tokens=12, **settings)


def test_cls_is_first_and_padding_is_last():
    table = ItemTokenizer.fit(TEXTS, _config()).table(TEXTS)
    assert table.ids.shape == (5, 12)
    assert (table.ids[:, 0] == CLS).all()
    assert (table.ids[2, 1:] == PADDING).all()
    assert (table.ids[4] != PADDING).all()
    is_text = table.ids != PADDING
    assert (is_text[:, 1:] <= is_text[:, :-1]).all()
    assert table.ids.max() < table.vocabulary_size
    assert not np.isin(table.ids[:, 1:], [CLS]).any()


def test_no_text_is_outside_the_vocabulary():
    tokenizer = ItemTokenizer.fit(TEXTS, _config())
    ids = tokenizer.table(["日本 wine"]).ids
    assert tokenizer.tokenizer.decode([int(i) - 2 for i in ids[0, 1:] if i > 1]).strip() == "日本 wine"


def test_the_same_texts_give_the_same_vocabulary():
    assert ItemTokenizer.fit(TEXTS, _config()).tokenizer.to_str() == ItemTokenizer.fit(TEXTS, _config()).tokenizer.to_str()


def test_what_is_saved_is_read_again(tmp_path):
    tokenizer = ItemTokenizer.fit(TEXTS, _config())
    tokenizer.save(tmp_path / "tokenizer.json")
    again = ItemTokenizer.load(tmp_path / "tokenizer.json", _config())
    assert np.array_equal(again.table(TEXTS).ids, tokenizer.table(TEXTS).ids)
    assert again.vocabulary_size == tokenizer.vocabulary_size


def test_a_pretrained_tokenizers_own_lengths_are_not_used(tmp_path):
    plain = ItemTokenizer.fit(TEXTS, _config())
    other = Tokenizer.from_str(plain.tokenizer.to_str())
    other.enable_padding(length=9, pad_id=5)
    other.enable_truncation(3)
    (tmp_path / "tokenizer.json").write_text(other.to_str(), encoding="utf-8")
    for pretrained in (ItemTokenizer.fit([], _config(tokenizer=str(tmp_path))), ItemTokenizer.load(tmp_path / "tokenizer.json", _config())):
        assert np.array_equal(pretrained.table(TEXTS).ids, plain.table(TEXTS).ids)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        ItemTokenizer.load(tmp_path / "tokenizer.json", _config())


def test_a_tokenizer_of_ones_own_is_read_from_its_folder(tmp_path):
    tokenizer = ItemTokenizer.fit(TEXTS, _config())
    tokenizer.save(tmp_path / "tokenizer.json")
    named = ItemTokenizer.fit([], _config(tokenizer=str(tmp_path)))
    assert np.array_equal(named.table(TEXTS).ids, tokenizer.table(TEXTS).ids)
    with pytest.raises(ConfigError, match="model.item.text_encoder.tokenizer"):
        ItemTokenizer.fit([], _config(tokenizer=str(tmp_path / "tokenizer.json") + "\0"))
