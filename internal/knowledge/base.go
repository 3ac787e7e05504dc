package knowledge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
)

// Base is a knowledge base as work is done with it: a copy of its row, of one instant.
type Base struct {
	Account, Region, Partition, ID string

	Name   string
	Role   string // ARN of the service role
	Status api.KnowledgeBaseStatus
	// Config is as it was given; Storage too, nil where it was left out.
	Config  api.KnowledgeBaseConfiguration
	Storage *api.StorageConfiguration
	// Model is what embedded its chunks, as it was when the knowledge base was made.
	Model Embedding
	// Width is how many numbers the vectors of its index have: Model.Dimension, or
	// Model.Wire where a person made the index. 0 where the store is only kept and shown.
	Width int
	// KeyARN is the customer key that seals its index, "" for the house's own.
	KeyARN string
}

// ARN names the knowledge base.
func (b *Base) ARN() string {
	partition := b.Partition
	if partition == "" {
		partition = "aws"
	}
	return "arn:" + partition + ":bedrock:" + b.Region + ":" + b.Account + ":knowledge-base/" + b.ID
}

// Source is a data source as work is done with it.
type Source struct {
	Base, ID string // of its knowledge base, and its own

	Name      string
	Status    api.DataSourceStatus
	Config    api.DataSourceConfiguration
	Ingestion *api.VectorIngestionConfiguration // nil: all defaults
	Deletion  api.DataDeletionPolicy            // always set
	KeyARN    string                            // of its temporary data, "" for the house's own
}

// Embedding is an embedding model as a knowledge base depends on it.
type Embedding struct {
	ARN       string `json:"arn"`   // as the knowledge base names it
	ID        string `json:"id"`    // base model's id: amazon.titan-embed-text-v2:0
	Local     string `json:"local"` // what serves it
	Hash      string `json:"hash"`  // SHA-256 of its weights, or of its name where the engine does not tell
	Dimension int    `json:"dimension"`
	// Wire is the dimension that AWS's model has or that the knowledge base asked for:
	// a store that the user made has vectors of this length, those of the model are
	// filled up with zeros, which changes no cosine.
	Wire int `json:"wire"`
	// Limit is how many tokens the model takes at once, 0 when unknown.
	Limit int `json:"limit,omitempty"`
	// Quota is how many tokens a chunk may have on AWS (8,192 or 512), 0 when unknown.
	Quota int `json:"quota,omitempty"`
}

// DocumentID names a document in an index: opaque, because names of documents stand
// in the clear there, and led by its data source, so that those of one are found.
func DocumentID(source, location string) string {
	sum := sha256.Sum256([]byte(location))
	return source + "/" + hex.EncodeToString(sum[:20])
}

// Place says where a document lies: what its key is in a data source.
type Place struct {
	// Exactly one of both is set.
	S3     string `json:"s3,omitempty"`     // s3://NAME/KEY
	Custom string `json:"custom,omitempty"` // the id that a program gave
}

// String is the place as one word, different for different places.
func (p Place) String() string {
	if p.Custom != "" {
		return "custom:" + p.Custom
	}
	return p.S3
}

// Passage is what the Source of a vector.Chunk of a knowledge base says. It is
// sealed with the text.
type Passage struct {
	DataSource string `json:"dataSource"`
	Place      Place  `json:"place"`
	Page       int    `json:"page,omitempty"` // from 1; 0 where the format has none
	LastPage   int    `json:"lastPage,omitempty"`
	Start      int    `json:"start"` // bytes of the document's text
	End        int    `json:"end"`
	Tokens     int    `json:"tokens,omitempty"`
	// Embedded stands for the text that was embedded, which attributes may precede: a
	// chunk with the same one has the same vector. "" where none was.
	Embedded string `json:"embedded,omitempty"`
}

// Encode is the passage as Chunk.Source.
func (p Passage) Encode() json.RawMessage {
	b, err := json.Marshal(p)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// Attributes that ingestion adds to every chunk beside those of its document; filters
// see them, and results show them.
const (
	AttributeURI       = "x-amz-bedrock-kb-source-uri"
	AttributeChunk     = "x-amz-bedrock-kb-chunk-id"
	AttributeSource    = "x-amz-bedrock-kb-data-source-id"
	AttributePage      = "x-amz-bedrock-kb-document-page-number"
	AttributesReserved = "x-amz-bedrock-kb-" // prefix that no document may use
)
