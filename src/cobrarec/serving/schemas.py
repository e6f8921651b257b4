"""The forms of requests and answers, as OpenAPI shows them."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

Id = StrictInt | StrictStr
"""An item id as the items table has it: an integer or a string."""
INT64 = 2**63
MAX_HISTORIES = 1000
"""Histories per call."""
MAX_HISTORY = 10_000
"""Items per history."""
MAX_K = 1000
"""Length of a list."""
MAX_BEAMS = 1000
"""Semantic IDs that a request may keep in beam search."""
SHOWN = 20
"""Items that a search tells, unless more are asked for."""
MAX_PUT = 10_000
"""Items that one call puts."""
History = Annotated[list[Id], Field(max_length=MAX_HISTORY)]
Times = Annotated[list[StrictInt], Field(max_length=MAX_HISTORY)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecommendRequest(_Request):
    """Lists for raw histories."""

    histories: list[History] = Field(
        min_length=1, max_length=MAX_HISTORIES, description="One list of item ids per user, oldest first; an empty one gets popular items."
    )
    timestamps: list[Times] | None = Field(
        None, max_length=MAX_HISTORIES, description="When each item was taken, in seconds since 1970; without them times are unknown."
    )
    k: StrictInt = Field(10, ge=1, le=MAX_K, description="Items per list.")
    exclude: list[Id] | None = Field(None, max_length=MAX_HISTORY, description="Items that no list may hold.")
    allow: list[Id] | None = Field(None, max_length=MAX_HISTORY, description="The only items that lists may hold.")
    where: dict[str, Any] | None = Field(None, description="Conditions on columns of the items: equal, any of a list, or a range.")
    num_beams: StrictInt | None = Field(None, ge=1, le=MAX_BEAMS, description="Semantic IDs kept by beam search.")
    tau: float | None = Field(None, ge=0, le=1000, allow_inf_nan=False, description="Weight of the beam score in BeamFusion.")
    psi: float | None = Field(None, ge=0, le=1000, allow_inf_nan=False, description="Weight of the similarity in BeamFusion.")
    unknown: Literal["skip", "error"] = Field("skip", description="Ids that the catalog lacks: left out and told, or refused.")
    explain: StrictBool = Field(False, description="Add `why` to each item.")

    @property
    def work(self) -> int:
        """What the lists cost, in histories with lists of up to 100 items from up to 100 semantic IDs."""
        return len(self.histories) * -(-max(self.k, self.num_beams or 0) // 100)

    @model_validator(mode="after")
    def _within_reason(self) -> "RecommendRequest":
        if self.work > MAX_HISTORIES:
            raise ValueError(
                f"so many histories with so long lists or so many beams are too much at once; at most {MAX_HISTORIES} x 100 together"
            )
        return self

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"histories": [["B001", "B007"], []], "k": 5}, {"histories": [["B001"]], "where": {"price": {"max": 9}}}]
        },
    )


class WhyListed(BaseModel):
    """What stands behind one item; null where it does not apply."""

    beam_probability: float | None = Field(description="Probability of the semantic ID given the history.")
    cosine: float | None = Field(description="Of the dense prediction with the item's vector.")
    nearest_history_item: Id | None
    terms: dict[str, float] = Field(description="What the log score is the sum of.")


class ListedItem(BaseModel):
    """One place of a list."""

    item_id: Id
    score: float
    rank: int
    semantic_id: list[int]
    source: str = Field(description="beam, fill, popular, counts or content.")
    why: WhyListed | None = None


class RecommendAnswer(BaseModel):
    """Lists in the order of the histories, and what they were made from."""

    artifact: str = Field(description="sha256 of the artifact's manifest.")
    catalog_version: int = Field(description="Changes made to the items since the model was fitted.")
    lists: list[list[ListedItem]]
    unknown_items: list[Id] = Field(description="Ids of the request that the catalog lacks; they were left out.")


class SimilarRequest(_Request):
    """Items like another one."""

    item_id: Id
    k: StrictInt = Field(10, ge=1, le=MAX_K)

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"item_id": "B001", "k": 5}]})


class SimilarListed(BaseModel):
    """One similar item."""

    item_id: Id
    similarity: float = Field(description="Cosine of the item vectors.")
    rank: int
    semantic_id: list[int]


class SimilarAnswer(BaseModel):
    """Similar items, and what they were made from."""

    artifact: str
    catalog_version: int
    items: list[SimilarListed]


class ItemAnswer(BaseModel):
    """What is known of one item."""

    item_id: Id
    attributes: dict[str, Any] = Field(description="The columns of the items table.")
    title: str
    text: str
    semantic_id: list[int]
    is_listed: bool = Field(description="False for an item that was removed: in no list, but still counted in histories.")
    num_interactions: int = Field(description="In training.")


class FindItems(_Request):
    """A search for people."""

    q: str = Field(min_length=1, max_length=200, description="Words that the text of each item holds.")
    limit: int = Field(SHOWN, ge=1, le=200, description="Items that are told.")


class FoundItem(BaseModel):
    """One item that a search found."""

    item_id: Id
    title: str
    semantic_id: list[int]


class FoundItems(BaseModel):
    """Items whose text holds all words of a search."""

    num_found: int
    items: list[FoundItem]


class Branch(BaseModel):
    """A prefix of semantic IDs that some item bears."""

    prefix: list[int]
    num_items: int
    words: list[str] = Field(description="The most typical words of its items.")


class SemanticIdAnswer(BaseModel):
    """What lies below a prefix of semantic IDs."""

    prefix: list[int]
    num_items: int
    words: list[str]
    children: list[Branch] = Field(description="Longer prefixes by one code, largest first; empty for a whole ID.")
    items: list[FoundItem] = Field(description="The most popular items below.")


class PutRequest(_Request):
    """Items to add, or to replace where the catalog has their ids."""

    items: list[dict[str, Any]] = Field(
        min_length=1, max_length=MAX_PUT, description="`item_id` and columns of the items table; missing columns are null."
    )

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"items": [{"item_id": "B900", "title": "Rose water, 200 ml"}]}]}
    )


class ChangeAnswer(BaseModel):
    """What a change came to; it is on disk."""

    added: int
    changed: int
    unchanged: int
    removed: int
    catalog_version: int


class ReloadAnswer(BaseModel):
    """What lies in the artifact's place."""

    artifact: str
    catalog_version: int
    is_new: bool = Field(description="False where the artifact is the one that was served before.")
    is_served: bool = Field(description="False where it is only asked for: of several workers the first process loads it now.")


class Health(BaseModel):
    """The process is alive."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """What is served."""

    status: Literal["ready"] = "ready"
    artifact: str
    catalog_version: int


class Info(BaseModel):
    """The card of what is served."""

    model_config = ConfigDict(extra="allow")

    version: str
    artifact: str
    catalog_version: int
    ranker: str
    split: str
    num_items: int
    columns: list[str]
    id_type: Literal["integer", "string"]
    score: str
    model: dict[str, Any]
    settings: dict[str, Any]
    limits: dict[str, Any]
    read_only: str | None = Field(description="Why items cannot be changed here; null where they can.")


class Problem(BaseModel):
    """Why a request was refused."""

    code: str
    message: str
    request_id: str


class ProblemAnswer(BaseModel):
    """The body of every answer that is no success."""

    error: Problem


Prefix = Annotated[str, Path(max_length=200, pattern=r"^[0-9]{1,9}(-[0-9]{1,9})*$", examples=["12-7"])]
