// Package postgres keeps the state in a PostgreSQL database that replicas share.
//
//	write ──▶ SERIALIZABLE ──▶ commit ──▶ answer      40001, 40P01: the store runs it again
//	read  ──▶ REPEATABLE READ, READ ONLY
//	lease ──▶ clock_timestamp() of the database, so replicas need not agree on the time
//
// Floor 1. It knows no table, and it never relaxes synchronous_commit.
package postgres
