import numpy as np
import pytest
import torch
from reference_decoder import predictions, read
from small_models import MAX_HISTORY, NUM_CODES, PAPER, WORDS, embeddings, histories, semantic_ids, small_batch, small_config, small_model

from cobrarec.config import ItemConfig, LossConfig
from cobrarec.data.interactions import Histories
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.errors import ConfigError
from cobrarec.model.batch import collate
from cobrarec.model.cobra import Cobra
from cobrarec.model.item_encoder import ProjectionEncoder
from cobrarec.semantic_ids.semantic_ids import SemanticIds

KINDS = [{}, PAPER, {"item": WORDS}, {"use_dense": False}, {"item_evidence": "centroids"}, {"decoder": {"day_gap": False, "month": False}}]


def _walk(model, batch, items, codes):
    """Everything generation computes for given codes [batch, beams, num_levels]: logits per level, dense and direct queries."""
    history = model.encode_history(batch, items)
    direct = model.direct_queries(history.last_state)
    mass = model.prefix_mass(direct, items)
    beams, logits = model.new_beams(history), []
    states, prefixes = history.last_state[:, None], torch.zeros(len(codes), 1, dtype=torch.long)
    for level in range(model.num_levels):
        logits.append(model.code_logits(level, states, prefixes, mass).expand(-1, codes.shape[1], -1))
        prefixes = model.tables.children_of(level, prefixes.expand(codes.shape[:2])).gather(2, codes[:, :, level, None])[..., 0]
        states = model.append_code(history, beams, level, codes[:, :, level])
    return logits, model.dense_queries(states, history.last_state), direct


@torch.no_grad()
@pytest.mark.parametrize("num_levels", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("settings", [{}, PAPER, {"use_dense": False}, {"dense_skip": False}, {"item_evidence": "off"}])
def test_forward_equals_the_model_read_token_by_token(num_levels, settings):
    if num_levels == 0 and "use_dense" in settings:
        pytest.skip("nothing is left to predict")
    model = small_model(num_levels, **settings)
    batch = small_batch(model)
    output, items, t = model(batch), model.item_vectors(), 0
    for user, length in enumerate(batch.lengths.tolist()):
        for place in range(length):
            if not batch.is_target[user, place]:
                continue
            row = int(batch.rows[user, place])
            assert int(output.target_rows[t]) == row
            logits, dense, direct = predictions(model, batch.rows[user, :place].tolist(), items, row)
            for level in range(num_levels):
                assert torch.allclose(output.sparse_logits[level][t], logits[level], atol=1e-4)
            for found, slow in ((output.dense_query, dense), (output.direct_query, direct)):
                assert (found is None) == (slow is None)
                assert found is None or torch.allclose(found[t], slow, atol=1e-5)
            t += 1
    assert t == len(output.target_rows) == batch.num_targets


@torch.no_grad()
@pytest.mark.parametrize("num_levels", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("settings", KINDS)
def test_generation_equals_forward(num_levels, settings):
    """The target's codes, walked with the cache, give what training sees for it."""
    if num_levels == 0 and "use_dense" in settings:
        pytest.skip("nothing is left to predict")
    model = small_model(num_levels, **settings)
    lengths = (3, 7, 2, 5)
    output = model(small_batch(model, lengths=lengths, timestamps=True))
    whole = histories(lengths, timestamps=True)
    items = model.item_vectors()
    batch = collate(Histories(whole.user_ids, whole.starts, whole.ends - 1, whole.rows, whole.timestamps), None, MAX_HISTORY)
    last = [sum(n - 1 for n in lengths[: user + 1]) - 1 for user in range(4)]
    codes = model.tables.codes[output.target_rows[last]][:, None]
    logits, dense, direct = _walk(model, batch, items, codes)
    for level in range(num_levels):
        expected = output.sparse_logits[level][last].log_softmax(1)
        assert torch.allclose(logits[level][:, 0].log_softmax(1), expected, atol=1e-5)
    assert dense is None or torch.allclose(dense[:, 0], output.dense_query[last], atol=1e-5)
    assert direct is None or torch.allclose(direct, output.direct_query[last], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("num_levels", [0, 1, 2, 3])
@pytest.mark.parametrize("settings", KINDS)
def test_a_history_alone_is_read_as_in_any_batch(num_levels, settings):
    if num_levels == 0 and "use_dense" in settings:
        pytest.skip("nothing is left to predict")
    model = small_model(num_levels, **settings)
    items, whole = model.item_vectors(), histories((1, 6, 3, 2, 5), timestamps=True)
    codes = torch.randint(NUM_CODES, (5, 3, num_levels), generator=torch.Generator().manual_seed(0))
    codes[:, :] = model.tables.codes[torch.randint(40, (5, 3), generator=torch.Generator().manual_seed(0))]
    logits, dense, direct = _walk(model, collate(whole, None, MAX_HISTORY), items, codes)
    for user in range(5):
        alone = collate(whole.select(torch.tensor([user]).numpy()), None, MAX_HISTORY)
        own_logits, own_dense, own_direct = _walk(model, alone, items, codes[user : user + 1])
        for level in range(num_levels):
            assert torch.allclose(logits[level][user].log_softmax(-1), own_logits[level][0].log_softmax(-1), atol=1e-5)
        for query, own, logits_of in ((dense, own_dense, model.dense_logits), (direct, own_direct, model.direct_logits)):
            if query is not None:
                both = [logits_of(q, items).log_softmax(-1) for q in (query[user], own[0])]
                assert torch.allclose(*both, atol=1e-5)


@torch.no_grad()
def test_the_future_changes_no_earlier_prediction():
    model = small_model(2)
    train = histories((7,))
    before = model(small_batch(model, lengths=(7,)))
    rows = train.rows.copy()
    changed = Histories(train.user_ids, train.starts, train.ends, rows)
    rows[4] = next(r for r in range(40) if r not in rows)
    batch = collate(changed, None, 7)
    batch = small_batch(model, lengths=(7,)).__class__(
        batch.rows, batch.mask, torch.arange(7)[None] > 0, torch.arange(40), batch.rows, batch.drawn
    )
    after = model(batch)
    for level in range(2):  # targets 1..6 stand at places 0..5: the item at place 4 is the target at place 3
        assert torch.equal(before.sparse_logits[level][:3], after.sparse_logits[level][:3])
    assert torch.equal(before.dense_query[:3], after.dense_query[:3])
    assert torch.equal(before.direct_query[:4], after.direct_query[:4])
    assert not torch.allclose(before.direct_query[4:], after.direct_query[4:])


@torch.no_grad()
def test_codes_without_items_get_no_evidence_and_keep_what_the_head_says():
    model = small_model(3)
    batch = small_batch(model)
    with_evidence = model(batch).sparse_logits
    model.evidence_gain.zero_()
    some_empty = False
    for level, (logits, plain) in enumerate(zip(with_evidence, model(batch).sparse_logits, strict=True)):
        prefixes = model.tables.prefix_of_rows(level, batch.rows[batch.is_target])
        empty = model.tables.children_of(level, prefixes) < 0
        some_empty |= bool(empty.any())
        assert torch.equal(logits[empty], plain[empty])
        assert not torch.isclose(logits[~empty], plain[~empty]).any()
    assert some_empty


@torch.no_grad()
def test_logits_for_some_rows_are_those_of_the_whole_catalog():
    model = small_model(1)
    items = model.item_vectors()
    query = torch.nn.functional.normalize(torch.randn(2, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    rows = torch.tensor([[1, 2, 3], [4, 5, 6]])
    for logits_of, bias, temperature in (
        (model.direct_logits, items.direct_bias, model.direct_temperature),
        (model.dense_logits, items.dense_bias, model.dense_temperature),
    ):
        whole = logits_of(query, items)
        assert torch.allclose(whole, query @ items.unit.t() / temperature + bias, atol=1e-5)
        assert torch.allclose(logits_of(query, items, rows), whole.gather(1, rows), atol=1e-5)


def test_time_tells_histories_apart_only_where_it_is_switched_on():
    whole = histories((5,), timestamps=True)
    later = Histories(whole.user_ids, whole.starts, whole.ends, whole.rows, whole.timestamps * 2)
    off = {"day_gap": False, "month": False}
    for decoder, differs in ((off, False), (off | {"day_gap": True}, True), (off | {"month": True}, True)):
        model = small_model(1, decoder=decoder)
        with torch.no_grad():
            states = [model.encode_history(collate(h, None, 6), model.item_vectors()).last_state for h in (whole, later)]
        assert torch.equal(*states) != differs


def test_months_after_training_are_read_as_the_last_month_of_training():
    model, train = small_model(1), histories((5,), timestamps=True)
    later = Histories(train.user_ids, train.starts, train.ends, train.rows, train.timestamps + 400 * 86400)
    end = Histories(train.user_ids, train.starts, train.ends, train.rows, np.full_like(train.timestamps, train.timestamps.max()))

    def months(view):
        tokens = model._tokens(collate(view, None, 6), model.item_vectors().vectors[collate(view, None, 6).rows])
        gaps = model.day_gap_embedding(collate(view, None, 6).day_gap)
        return tokens[:, :, -1] - gaps

    assert not torch.allclose(months(later), months(end), atol=1e-5)
    model.limit_times(train)
    assert torch.allclose(months(later), months(end), atol=1e-5)
    assert not torch.allclose(months(train)[0, 0], months(end)[0, 0], atol=1e-5)


def test_times_say_nothing_to_a_model_that_was_trained_without():
    model, whole = small_model(1), histories((5, 3), timestamps=True)
    without = Histories(whole.user_ids, whole.starts, whole.ends, whole.rows)
    with torch.no_grad():
        for bucket in (model.day_gap_embedding, model.month_embedding):
            bucket.weight.normal_()
        read = [model.encode_history(collate(view, None, 6), model.item_vectors()).last_state for view in (whole, without)]
        assert not torch.allclose(*read, atol=1e-3)
        for unknown in (None, np.full_like(whole.timestamps, UNKNOWN_TIME)):
            model.limit_times(Histories(whole.user_ids, whole.starts, whole.ends, whole.rows, unknown))
            read = [model.encode_history(collate(view, None, 6), model.item_vectors()).last_state for view in (whole, without)]
            assert torch.equal(*read)


@pytest.mark.parametrize("use_dense", [True, False])
def test_time_is_read_at_the_last_token_of_each_item_as_the_reference_reads_it(use_dense):
    model, whole = small_model(2, use_dense=use_dense), histories((5,), timestamps=True)
    batch = collate(whole, None, 6)
    items = model.item_vectors()
    with torch.no_grad():
        slow = read(model, whole.of(0).tolist(), items, day_gap=batch.day_gap[0], month=batch.month[0])
        assert torch.allclose(model.encode_history(batch, items).last_state[0], slow[-1], atol=1e-5)


def test_a_history_without_items_is_not_read():
    model = small_model(1)
    with pytest.raises(ValueError, match="without items"):
        model.encode_history(collate(Histories.from_lists([[1], []]), None, 6), model.item_vectors())


def test_the_step_encodes_no_more_than_its_losses_need():
    model = small_model(1)
    assert model.sampling(LossConfig()).whole_catalog
    assert model.sampling(LossConfig(direct_negatives="sampled", num_sampled=5)).num_uniform == 5
    paper = small_model(1, **PAPER)
    batch_only = paper.sampling(LossConfig(dense_negatives="batch"))
    assert (batch_only.whole_catalog, batch_only.num_uniform, batch_only.num_in_bucket) == (False, 0, 0)
    words = small_model(1, item=WORDS).sampling(LossConfig(num_sampled=7))
    assert (words.whole_catalog, words.num_uniform, words.num_in_bucket) == (False, 7, 7)
    for name in ("dense", "direct"):
        with pytest.raises(ConfigError, match=rf"loss\.{name}_negatives"):
            small_model(1, item=WORDS).sampling(LossConfig.model_validate({f"{name}_negatives": "catalog"}))


def test_evidence_is_exact_where_the_catalog_is_scanned_and_from_centroids_elsewhere():
    assert small_model(1).evidence == "exact"
    assert small_model(1, item=WORDS).evidence == "centroids"
    assert small_model(1, exact_catalog_limit=39).evidence == "centroids"
    assert small_model(0).evidence == small_model(1, use_dense=False).evidence == small_model(1, direct_query=False).evidence == "off"
    with pytest.raises(ConfigError, match="exact_catalog_limit"):
        small_model(1, exact_catalog_limit=39, item_evidence="exact")
    with pytest.raises(ConfigError, match="direct_query"):
        small_model(1, direct_query=False, item_evidence="exact")


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="num_heads"):
        small_model(1, decoder={"num_heads": 3})
    with pytest.raises(ConfigError, match="nothing is left"):
        small_model(0, use_dense=False)
    with pytest.raises(ValueError, match="39 items"):
        Cobra(small_config(), semantic_ids(1, num_items=39), ProjectionEncoder(ItemConfig(), 16, embeddings()))


@pytest.mark.parametrize("settings", [{}, PAPER, {"item": WORDS}])
def test_every_trained_parameter_is_in_one_group(settings):
    model = small_model(2, **settings)
    groups = model.parameter_groups()
    grouped = [id(p) for group in groups.values() for p in group]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in groups["id_embeddings"]} == {"item_encoder.id_embedding.weight"}
    assert all(p.dim() == 2 and "embedding" not in names[id(p)] for p in groups["matrices"])
    assert {names[id(p)] for p in groups["scales"]} <= {"dense_scale", "direct_scale", "evidence_gain"}


def test_item_vectors_leave_the_mode_as_it_was_and_drop_nothing():
    model = small_model(1, item={**WORDS, "embedding_dropout": 0.5}).train()
    assert torch.equal(model.item_vectors().vectors, model.item_vectors().vectors)
    assert model.training


@torch.no_grad()
@pytest.mark.parametrize("settings", [{}, {"item_evidence": "centroids"}])
def test_ids_of_a_grown_catalog_replace_the_old_ones(settings):
    model = small_model(2, **settings)
    items, ids = model.item_vectors(), model.semantic_ids
    grown = SemanticIds.from_codes(torch.cat([model.tables.codes, model.tables.codes[:5]]).to(torch.int32).numpy(), NUM_CODES)
    more = items.from_arrays({name: torch.cat([a, a[:5]]) for name, a in items.arrays().items()})
    batch = collate(histories((4, 2)), None, 6)
    codes = model.tables.codes[torch.tensor([[1, 2], [3, 4]])]
    before = _walk(model, batch, items, codes)
    twin = model.with_semantic_ids(grown)
    twin.refresh_evidence(more)
    after = _walk(twin, batch, more, codes)
    assert torch.allclose(before[1], after[1], atol=1e-5)
    assert not torch.allclose(before[0][0], after[0][0])  # twice as many items below some codes
    assert torch.equal(_walk(model, batch, items, codes)[0][0], before[0][0]), "the old one is as it was"
    assert model.semantic_ids is ids
    assert {name: p.data_ptr() for name, p in twin.named_parameters()} == {name: p.data_ptr() for name, p in model.named_parameters()}
