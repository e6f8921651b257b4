"""What every section of the configuration is made of: frozen, strict, and refused in our words."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cobrarec.config_errors import explain
from cobrarec.errors import ConfigError

Share = Annotated[float, Field(ge=0, lt=1)]


if TYPE_CHECKING:
    _Refusing = type
else:

    class _Refusing(type(BaseModel)):
        """Turns the validator's error into ours where a section is made by hand: `Config(...)`, `RunOptions(...)`."""

        def __call__(self, *arguments: Any, **values: Any) -> Any:
            try:
                return super().__call__(*arguments, **values)
            except ValidationError as error:
                raise ConfigError(" ".join(explain(one, self.__name__, keys_of(self)) for one in error.errors())) from None


class Section(BaseModel, metaclass=_Refusing):
    """A frozen part of the configuration; the text under each field is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def keys_of(model: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted keys of a section, those of the sections below it included."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += keys_of(field.annotation, f"{prefix}{name}.")
    return keys
