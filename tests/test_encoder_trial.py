from cobrarec import pipeline
from cobrarec.encoder_trial import trial_config, try_text_encoder
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from small_run import small_config, small_world


def test_gradients_reach_the_papers_encoder_on_all_three_ways(tmp_path):
    pipeline.prepare(*small_world(), tmp_path / "run", small_config())
    pipeline.build_semantic_ids(tmp_path / "run")
    losses, norms = try_text_encoder(RunFolder(tmp_path / "run"), 1.0, Silent())
    assert set(norms) == {"input", "target", "negative"}
    assert all(norm > 0 for norm in norms.values())
    assert {"sparse", "dense"} <= set(losses)


def test_the_trial_keeps_what_makes_the_papers_model():
    model = trial_config().model
    assert model.item.kind == "text-encoder"
    assert (model.item.id_embedding, model.direct_query, model.dense_skip) == (False, False, False)
