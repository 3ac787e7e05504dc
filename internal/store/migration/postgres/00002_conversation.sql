-- +goose Up

-- A session and the turn that runs or was interrupted in it. id is of this life of
-- the session: another one of the same name has another. holder is the process that
-- runs the turn, fence rises whenever a turn begins or goes on.
CREATE TABLE conversation (
  id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account  TEXT COLLATE "C" NOT NULL,
  region   TEXT COLLATE "C" NOT NULL,
  owner    TEXT COLLATE "C" NOT NULL,
  alias    TEXT COLLATE "C" NOT NULL,
  session  TEXT COLLATE "C" NOT NULL,
  key_arn  TEXT COLLATE "C" NOT NULL,
  memory   TEXT COLLATE "C" NOT NULL,
  ttl      BIGINT NOT NULL,
  created  BIGINT NOT NULL,
  expires  BIGINT NOT NULL,
  turns    BIGINT NOT NULL,
  running  BIGINT NOT NULL,
  request  TEXT COLLATE "C" NOT NULL,
  holder   TEXT COLLATE "C" NOT NULL,
  lease    BIGINT NOT NULL,
  fence    BIGINT NOT NULL,
  state    BYTEA
);
CREATE UNIQUE INDEX conversation_session ON conversation (account, region, owner, alias, session);
CREATE INDEX conversation_expires ON conversation (expires);

-- Turns that have ended.
CREATE TABLE conversation_turn (
  conversation TEXT COLLATE "C" NOT NULL,
  number       BIGINT NOT NULL,
  status       TEXT COLLATE "C" NOT NULL,
  request      TEXT COLLATE "C" NOT NULL,
  call         TEXT COLLATE "C" NOT NULL,
  ended        BIGINT NOT NULL,
  record       BYTEA NOT NULL,
  PRIMARY KEY (conversation, number)
);

-- Steps of the turn that runs: what was about to be done, and what came of it.
CREATE TABLE conversation_step (
  conversation TEXT COLLATE "C" NOT NULL,
  turn         BIGINT NOT NULL,
  number       BIGINT NOT NULL,
  intent       BYTEA NOT NULL,
  result       BYTEA,
  PRIMARY KEY (conversation, turn, number)
);
