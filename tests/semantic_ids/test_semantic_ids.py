import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cobrarec.errors import ArtifactError
from cobrarec.semantic_ids.semantic_ids import SemanticIds

SIZE = 5


@st.composite
def codes_of_catalogs(draw: st.DrawFn) -> npt.NDArray[np.int32]:
    num_levels = draw(st.integers(0, 4))
    num_items = draw(st.integers(1, 30))
    return draw(arrays(np.int32, (num_items, num_levels), elements=st.integers(0, SIZE - 1)))


def prefixes_by_hand(ids: SemanticIds, level: int) -> list[tuple[int, ...]]:
    return sorted({tuple(int(code) for code in row[:level]) for row in ids.codes})


@given(codes_of_catalogs())
def test_prefixes_are_those_of_the_items_in_lexicographic_order(codes: npt.NDArray[np.int32]) -> None:
    ids = SemanticIds.from_codes(codes, SIZE)
    assert ids.num_prefixes == tuple(len(prefixes_by_hand(ids, level)) for level in range(ids.num_levels + 1))
    for level in range(ids.num_levels + 1):
        by_hand = prefixes_by_hand(ids, level)
        for id_index, prefix in enumerate(ids.prefix_of_id(level)):
            assert by_hand[prefix] == tuple(ids.id_codes[id_index, :level])


@given(codes_of_catalogs())
def test_children_parents_and_last_codes_agree_with_a_search_through_all_items(codes: npt.NDArray[np.int32]) -> None:
    ids = SemanticIds.from_codes(codes, SIZE)
    for level in range(ids.num_levels):
        here, below = prefixes_by_hand(ids, level), prefixes_by_hand(ids, level + 1)
        for number, prefix in enumerate(here):
            for code in range(SIZE):
                longer = (*prefix, code)
                assert ids.child[level][number, code] == (below.index(longer) if longer in below else -1)
        assert [here[p] for p in ids.parent[level]] == [longer[:-1] for longer in below]
        assert list(ids.last_code[level]) == [longer[-1] for longer in below]


@given(codes_of_catalogs())
def test_the_items_below_any_prefix_are_contiguous(codes: npt.NDArray[np.int32]) -> None:
    ids = SemanticIds.from_codes(codes, SIZE)
    for level in range(ids.num_levels + 1):
        ranges = ids.item_ranges(level)
        for number, prefix in enumerate(prefixes_by_hand(ids, level)):
            rows = [row for row in range(ids.num_items) if tuple(ids.codes[row, :level]) == prefix]
            assert sorted(ids.bucket_rows[ranges[number] : ranges[number + 1]]) == rows


@given(codes_of_catalogs())
def test_every_row_is_in_the_bucket_of_its_id_and_in_no_other(codes: npt.NDArray[np.int32]) -> None:
    ids = SemanticIds.from_codes(codes, SIZE)
    assert sorted(ids.bucket_rows) == list(range(ids.num_items))
    for semantic_id in range(ids.num_ids):
        bucket = ids.bucket(semantic_id)
        assert list(bucket) == sorted(bucket)
        assert len(bucket)
        assert (ids.id_of_row[bucket] == semantic_id).all()
        assert (ids.codes[bucket] == ids.id_codes[semantic_id]).all()
        assert ids.find(ids.id_codes[semantic_id].tolist()) == semantic_id


def test_an_id_that_no_item_bears_is_not_found() -> None:
    ids = SemanticIds.from_codes(np.array([[0, 1], [2, 1]], np.int32), 3)
    assert ids.find([0, 2]) == ids.find([1, 0]) == ids.find([7, 0]) == -1


def test_without_levels_all_items_share_the_empty_id() -> None:
    ids = SemanticIds.from_codes(np.zeros((3, 0), np.int32), 2)
    assert ids.num_ids == 1
    assert list(ids.bucket(0)) == [0, 1, 2]
    assert ids.child == ids.parent == ids.last_code == ()
    assert list(ids.item_ranges(0)) == [0, 3]
    assert ids.find([]) == 0


@given(codes_of_catalogs(), st.data())
def test_delisted_items_keep_their_codes_and_are_in_no_bucket(codes: npt.NDArray[np.int32], data: st.DataObject) -> None:
    is_listed = data.draw(arrays(np.bool_, len(codes)).filter(lambda mask: mask.any()))
    ids, rest = SemanticIds.from_codes(codes, SIZE, is_listed), SemanticIds.from_codes(codes[is_listed], SIZE)
    listed = np.flatnonzero(is_listed)
    assert (ids.codes == codes).all()
    assert (ids.num_items, ids.num_listed) == (len(codes), len(listed))
    assert (ids.is_listed == is_listed).all()
    assert (ids.id_of_row[listed] == rest.id_of_row).all()
    assert (ids.bucket_rows == listed[rest.bucket_rows]).all()
    assert (ids.bucket_offsets == rest.bucket_offsets).all()
    for name in ("child", "parent", "last_code"):
        assert all((a == b).all() for a, b in zip(getattr(ids, name), getattr(rest, name), strict=True))


def test_a_catalog_with_every_item_delisted_has_no_ids() -> None:
    with pytest.raises(ValueError, match="0 listed"):
        SemanticIds.from_codes(np.zeros((3, 1), np.int32), 2, np.zeros(3, np.bool_))


@pytest.mark.parametrize("codes", [[[0, 5]], [[-1, 0]]])
def test_codes_outside_the_codebook_are_refused(codes: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="expected 0..4"):
        SemanticIds.from_codes(np.array(codes, np.int32), SIZE)


def test_a_catalog_without_items_has_no_ids() -> None:
    with pytest.raises(ValueError, match="at least 1 listed"):
        SemanticIds.from_codes(np.zeros((0, 2), np.int32), SIZE)


@pytest.mark.parametrize("num_levels", [0, 1, 2, 3, 4])
def test_saved_ids_come_back_the_same(tmp_path, num_levels: int) -> None:
    ids = SemanticIds.from_codes(np.random.default_rng(0).integers(SIZE, size=(20, num_levels)).astype(np.int32), SIZE)
    ids.save(tmp_path)
    back = SemanticIds.load(tmp_path)
    assert back.codebook_size == SIZE
    assert np.array_equal(back.codes, ids.codes)
    assert np.array_equal(back.bucket_rows, ids.bucket_rows)
    assert all(np.array_equal(a, b) for a, b in zip(back.child, ids.child, strict=True))


def test_damaged_ids_are_refused_with_their_folder(tmp_path) -> None:
    ids = SemanticIds.from_codes(np.zeros((4, 1), np.int32), 2)
    for damage in ("cut", "gone", "other shape", "other format"):
        ids.save(tmp_path)
        path = tmp_path / "codes.npy"
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:20])
        elif damage == "gone":
            path.unlink()
        elif damage == "other shape":
            np.save(path, np.zeros((3, 1), np.int32))
        else:
            (tmp_path / "semantic_ids.json").write_text('{"format": 99}')
        with pytest.raises(ArtifactError, match=tmp_path.name):
            SemanticIds.load(tmp_path)
