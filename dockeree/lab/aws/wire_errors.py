"""Errors as each of AWS's protocols writes them, for refusals that moto does not write itself."""

from __future__ import annotations

import json
import re
import uuid
from xml.sax.saxutils import escape

from werkzeug.exceptions import HTTPException

JSON_SERVICES = frozenset({"ssm", "servicequotas", "logs", "tagging", "kms", "secretsmanager", "dynamodb"})

_CODE = re.compile(rb"<Code>([^<]+)</Code>|\"__type\"\s*:\s*\"(?:[^\"#]*#)?([^\"#]+)\"")


def error_body(service: str, code: str, message: str) -> tuple[str, str]:
    """An error in the protocol of `service` (its signing name): the body and its content type."""
    request_id = str(uuid.uuid4())
    if service in JSON_SERVICES:
        return json.dumps({"__type": code, "message": message}), "application/x-amz-json-1.1"
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "ec2":
        body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    elif service == "s3":
        body = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
    else:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}', "text/xml"


def error_code(body: bytes) -> str:
    """The error code in an answer of any protocol, empty where there is none (HEAD)."""
    found = _CODE.search(body)
    return (found.group(1) or found.group(2)).decode() if found else ""


class Refusal(HTTPException):
    """A refusal from where moto expects werkzeug's exceptions: before a service's own code begins.

    Raised only where IAM is asked; behaviours in backends raise moto's ServiceException.
    """

    def __init__(self, service: str, code: str, message: str, status: int = 400) -> None:
        super().__init__()
        self.code = status
        self.description, self.content_type = error_body(service, code, message)
