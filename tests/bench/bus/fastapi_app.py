"""The same endpoint as one would write it with FastAPI: signature, envelope, SQLite, fsync, 202."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sqlite3
import time
import uuid
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

KEY = bytes.fromhex(os.environ["BENCH_KEY"])
WINDOW_SECONDS = 300


class Message(BaseModel):
    """The paper's five fields, and an id."""

    model_config = ConfigDict(extra="forbid")
    sender: str = Field(alias="from", pattern=r"^[a-z][a-z0-9-]{0,28}$")
    to: str = Field(pattern=r"^[a-z][a-z0-9-]{0,28}$")
    type: str = Field(pattern=r"^(request|response|broadcast|alert)$")
    payload: Any
    timestamp: float
    id: str | None = None


app = FastAPI()
boxes = sqlite3.connect(os.environ["BENCH_DB"], isolation_level=None)
boxes.execute("PRAGMA journal_mode=WAL")
boxes.execute("PRAGMA synchronous=FULL")
boxes.execute(
    "CREATE TABLE IF NOT EXISTS inbox "
    "(seq INTEGER PRIMARY KEY, sender TEXT, id TEXT, body BLOB, UNIQUE (sender, id))"
)


@app.post("/message", status_code=202)
async def post(request: Request) -> dict[str, str]:
    """Keep one message."""
    body = await request.body()
    said = request.headers
    signed = f"{said['webhook-id']}.{said['webhook-timestamp']}.".encode() + body
    right = "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    if not hmac.compare_digest(right, said["webhook-signature"]):
        raise HTTPException(401)
    if abs(int(said["webhook-timestamp"]) - time.time()) > WINDOW_SECONDS:
        raise HTTPException(401)
    try:
        message = Message.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(400) from error
    if message.sender != said["fleet-from"]:
        raise HTTPException(403)
    id_ = message.id or said["webhook-id"] or str(uuid.uuid4())
    # Autocommit: the statement is on disk when it returns.
    boxes.execute(
        "INSERT INTO inbox (sender, id, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (message.sender, id_, body),
    )
    return {"id": id_, "status": "accepted"}
