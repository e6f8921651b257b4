import numpy as np
import torch

from cobrarec import pipeline
from cobrarec.artifact import load_artifact, load_new_item_tools
from cobrarec.config import RunOptions
from small_run import small_config, small_world


def test_items_are_encoded_as_the_parts_alone_encode_them(tmp_path):
    pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions())
    recommender, tools = load_artifact(tmp_path / "run" / "artifact"), load_new_item_tools(tmp_path / "run" / "artifact")
    texts = ["a new thing", recommender.catalog.texts[5]]
    encoded = tools.encode(recommender.model, texts)
    embeddings = tools.embedder.encode(texts)
    assert (encoded.embeddings == embeddings).all()
    assert (encoded.codes == tools.assigner.encode(embeddings)).all()
    alone = tools.cold_start.new_items(recommender.model, embeddings)
    assert torch.equal(encoded.items.vectors, alone.vectors)


def test_an_item_of_the_training_keeps_its_own_values_beside_its_new_text(tmp_path):
    pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions())
    recommender, tools = load_artifact(tmp_path / "run" / "artifact"), load_new_item_tools(tmp_path / "run" / "artifact")
    warm = int(recommender.info.popularity.argmax())
    same = tools.encode(recommender.model, [recommender.catalog.texts[warm]], np.array([warm]))
    assert torch.allclose(same.items.vectors[0], recommender.items.vectors[warm], atol=1e-5), "its old text gives its old vector"
    assert same.items.dense_bias[0] == recommender.items.dense_bias[warm]
    unknown = tools.encode(recommender.model, [recommender.catalog.texts[warm]], np.array([-1]))
    assert not torch.allclose(unknown.items.vectors[0], recommender.items.vectors[warm], atol=1e-5)
