"""The OpenAPI document: what FastAPI makes of the routes, with our Problem and with examples."""

from typing import Any

from fastapi import FastAPI

from cloud.api.errors import Problem
from cloud.api.examples import OF

Part = dict[str, Any]


class Api(FastAPI):
    """FastAPI, whose document has an example of everything that is given and taken."""

    def openapi(self) -> Part:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs"))
            schemas["Problem"] = problem
            for name in OF.keys() & schemas.keys():  # here, as FastAPI would leave out each null
                schemas[name]["examples"] = [OF[name]]
            for path in document["paths"].values():
                for operation in path.values():
                    _add_examples(operation, schemas)
        return super().openapi()


def _add_examples(operation: Part, schemas: Part) -> None:
    """To the body and the answers of ``operation``, from the examples of their models."""
    for said in (operation.get("requestBody", {}), *operation["responses"].values()):
        media = said.get("content", {}).get("application/json")
        if media and "example" not in media:
            media["example"] = _example(media["schema"], schemas)


def _example(schema: Part, schemas: Part) -> object:
    """An example of what has this schema, put together from the models that have one."""
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if schema["type"] == "array":
        return [_example(schema["items"], schemas)]
    return {name: _example(part, schemas) for name, part in schema["properties"].items()}
