// Package storage finds the vector store that a knowledge base's configuration names
// and opens its index there.
//
//	Base.Storage ─▶ none, OPENSEARCH_SERVERLESS ─▶ vector/embedded   the house's own, sealed
//	                S3_VECTORS ──────────────────▶ vectorbucket      an index that the user made
//	                RDS ─────────────────────────▶ vector/pgvector   a table that the user made
//	                all others ──────────────────▶ kept and shown, refused on use
//
// A knowledge base without a configuration has an embedded index of its own. Behind a
// collection of OpenSearch Serverless stands one for each index name, which all
// knowledge bases of the account that name both share, if one model embeds for them.
// The first is sealed for the knowledge base and goes with it; the second is sealed for
// the collection (collection.go) and goes when it is empty and nobody names it.
// Both have the dimension of the model; an index that the user made has AWS's (Wire)
// or the model's, whichever it was made with.
//
// A cluster of RDS is a database that the operator named for its ARN (Cluster). Its
// user and password come from the knowledge base's secret, read for each opening as
// the service role. Pools are kept while they are used and for Config.Idle after.
//
// What a service role needs on AWS is asked for here too: aoss:APIAccessAll on the
// collection, rds-data:ExecuteStatement on the cluster, s3vectors:… on the index. A
// context that acts for no role (knowledge.ActingAs) is the house's own work.
//
// Floor 4, in the room knowledge. It makes and drops embedded indexes only, never what
// a user made, and it writes no row.
package storage
