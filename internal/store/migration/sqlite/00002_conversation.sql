-- +goose Up

-- A session and the turn that runs or was interrupted in it. id is of this life of
-- the session: another one of the same name has another. holder is the process that
-- runs the turn, fence rises whenever a turn begins or goes on.
CREATE TABLE conversation (
  id       TEXT NOT NULL PRIMARY KEY,
  account  TEXT NOT NULL,
  region   TEXT NOT NULL,
  owner    TEXT NOT NULL,
  alias    TEXT NOT NULL,
  session  TEXT NOT NULL,
  key_arn  TEXT NOT NULL,
  memory   TEXT NOT NULL,
  ttl      INTEGER NOT NULL,
  created  INTEGER NOT NULL,
  expires  INTEGER NOT NULL,
  turns    INTEGER NOT NULL,
  running  INTEGER NOT NULL,
  request  TEXT NOT NULL,
  holder   TEXT NOT NULL,
  lease    INTEGER NOT NULL,
  fence    INTEGER NOT NULL,
  state    BLOB
) STRICT;
CREATE UNIQUE INDEX conversation_session ON conversation (account, region, owner, alias, session);
CREATE INDEX conversation_expires ON conversation (expires);

-- Turns that have ended.
CREATE TABLE conversation_turn (
  conversation TEXT NOT NULL,
  number       INTEGER NOT NULL,
  status       TEXT NOT NULL,
  request      TEXT NOT NULL,
  call         TEXT NOT NULL,
  ended        INTEGER NOT NULL,
  record       BLOB NOT NULL,
  PRIMARY KEY (conversation, number)
) STRICT, WITHOUT ROWID;

-- Steps of the turn that runs: what was about to be done, and what came of it.
CREATE TABLE conversation_step (
  conversation TEXT NOT NULL,
  turn         INTEGER NOT NULL,
  number       INTEGER NOT NULL,
  intent       BLOB NOT NULL,
  result       BLOB,
  PRIMARY KEY (conversation, turn, number)
) STRICT, WITHOUT ROWID;
