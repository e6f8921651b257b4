import torch
from small_models import small_batch, small_model


def test_vectors_and_queries_have_length_one_and_targets_are_found_among_the_encoded():
    model = small_model(2)
    batch = small_batch(model)
    output = model(batch)
    for vectors in (output.encoded, output.target_vectors, output.dense_query, output.direct_query):
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)
    assert torch.equal(output.encoded_rows[output.target_index], output.target_rows)
    assert torch.allclose(output.encoded[output.target_index], output.target_vectors)


def test_the_scan_for_the_evidence_serves_the_direct_loss_too():
    model = small_model(2)
    output = model(small_batch(model))
    logits = model.direct_logits(output.direct_query, model.item_vectors())
    assert torch.allclose(output.direct_log_sum, logits.logsumexp(1), atol=1e-4)
    assert small_model(2, item_evidence="off")(small_batch(model)).direct_log_sum is None
