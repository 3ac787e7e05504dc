-- +goose Up

-- All resources but those with queries of their own. version is AWS's ('' for the
-- resource itself), rev is ours. claim is the name while it must be unique.
CREATE TABLE resource (
  account      TEXT NOT NULL,
  region       TEXT NOT NULL,
  kind         TEXT NOT NULL,
  parent       TEXT NOT NULL,
  id           TEXT NOT NULL,
  version      TEXT NOT NULL,
  name         TEXT NOT NULL,
  claim        TEXT,
  status       TEXT NOT NULL,
  key_arn      TEXT NOT NULL,
  class        TEXT NOT NULL,
  target       TEXT NOT NULL,
  source       TEXT NOT NULL,
  rev          INTEGER NOT NULL,
  created      INTEGER NOT NULL,
  updated      INTEGER NOT NULL,
  last_version INTEGER NOT NULL,
  body         BLOB NOT NULL,
  PRIMARY KEY (account, region, kind, parent, id, version)
) STRICT;
CREATE UNIQUE INDEX resource_claim ON resource (account, region, kind, parent, claim) WHERE claim IS NOT NULL;
CREATE INDEX resource_created ON resource (account, region, kind, parent, created, id, version);
CREATE INDEX resource_name ON resource (account, region, kind, parent, name, id, version);
CREATE INDEX resource_kind_status ON resource (kind, status);

CREATE TABLE tag (
  arn   TEXT NOT NULL,
  name  TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (arn, name)
) STRICT, WITHOUT ROWID;

-- from_arn needs to_arn: the check before a delete.
CREATE TABLE reference (
  from_arn TEXT NOT NULL,
  to_arn   TEXT NOT NULL,
  PRIMARY KEY (from_arn, to_arn)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_to ON reference (to_arn);

CREATE TABLE idempotency (
  account      TEXT NOT NULL,
  region       TEXT NOT NULL,
  operation    TEXT NOT NULL,
  token        TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  response     BLOB NOT NULL,
  expires      INTEGER NOT NULL,
  PRIMARY KEY (account, region, operation, token)
) STRICT;
CREATE INDEX idempotency_expires ON idempotency (expires);

-- unique_live is the unique key while the job is not finished. content is sealed:
-- arguments, cursor and last error. fence rises with each claim.
CREATE TABLE job (
  id           TEXT NOT NULL PRIMARY KEY,
  kind         TEXT NOT NULL,
  account      TEXT NOT NULL,
  region       TEXT NOT NULL,
  state        TEXT NOT NULL,
  unique_live  TEXT,
  attempt      INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  scheduled_at INTEGER NOT NULL,
  created      INTEGER NOT NULL,
  updated      INTEGER NOT NULL,
  finished     INTEGER NOT NULL,
  owner        TEXT NOT NULL,
  fence        INTEGER NOT NULL,
  lease_until  INTEGER NOT NULL,
  stop         INTEGER NOT NULL,
  key_arn      TEXT NOT NULL,
  args         BLOB NOT NULL,
  cursor       BLOB,
  error        BLOB
) STRICT;
CREATE UNIQUE INDEX job_unique ON job (kind, account, region, unique_live) WHERE unique_live IS NOT NULL;
CREATE INDEX job_due ON job (state, scheduled_at, id);
CREATE INDEX job_finished ON job (finished) WHERE finished > 0;

-- Output of a job, once for each key however often the work is repeated.
CREATE TABLE job_record (
  job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  name   TEXT NOT NULL,
  at     INTEGER NOT NULL,
  body   BLOB NOT NULL,
  PRIMARY KEY (job_id, name)
) STRICT;

CREATE TABLE log_event (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  account   TEXT NOT NULL,
  region    TEXT NOT NULL,
  log_group TEXT NOT NULL,
  stream    TEXT NOT NULL,
  at        INTEGER NOT NULL,
  ingested  INTEGER NOT NULL,
  message   BLOB NOT NULL
) STRICT;
CREATE INDEX log_event_stream ON log_event (account, region, log_group, stream, at, id);
CREATE INDEX log_event_group ON log_event (account, region, log_group, at, id);

-- One row for each minute, metric and list of dimensions.
CREATE TABLE metric (
  account    TEXT NOT NULL,
  region     TEXT NOT NULL,
  namespace  TEXT NOT NULL,
  name       TEXT NOT NULL,
  dimensions TEXT NOT NULL,
  unit       TEXT NOT NULL,
  at         INTEGER NOT NULL,
  count      INTEGER NOT NULL,
  sum        REAL NOT NULL,
  min        REAL NOT NULL,
  max        REAL NOT NULL,
  PRIMARY KEY (account, region, namespace, name, dimensions, unit, at)
) STRICT, WITHOUT ROWID;

-- Facts about the database itself: root key id, key of the page tokens, counters.
CREATE TABLE meta (
  name  TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;
