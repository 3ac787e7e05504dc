package knowledge

import (
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// baseRow is a knowledge base. It is sealed with the house's key, whatever key seals
// its index: what a key hides are the documents, and a knowledge base whose key is
// gone must still be seen and deleted.
type baseRow struct {
	Partition   string                                   `json:"partition,omitempty"`
	Name        string                                   `json:"name"`
	Description string                                   `json:"description,omitempty"`
	Role        string                                   `json:"role"`
	Config      *api.KnowledgeBaseConfiguration          `json:"config"`
	Storage     *api.StorageConfiguration                `json:"storage,omitempty"`
	Model       Embedding                                `json:"model"`
	Width       int                                      `json:"width,omitempty"` // of Base.Width
	Key         string                                   `json:"key,omitempty"`   // of Base.KeyARN
	State       lifecycle.Timed[api.KnowledgeBaseStatus] `json:"state"`
	Reasons     []string                                 `json:"reasons,omitempty"`
	// Changed is when a person changed it last; the key of its index does not count.
	Changed time.Time `json:"changed"`
}

// sourceRow is a data source; it lives in its knowledge base.
type sourceRow struct {
	Name        string                            `json:"name"`
	Description string                            `json:"description,omitempty"`
	Config      *api.DataSourceConfiguration      `json:"config"`
	Ingestion   *api.VectorIngestionConfiguration `json:"ingestion,omitempty"`
	Deletion    api.DataDeletionPolicy            `json:"deletion"`
	// Encryption is as it was given, also when it names no key.
	Encryption *api.ServerSideEncryptionConfiguration `json:"encryption,omitempty"`
	Status     api.DataSourceStatus                   `json:"status"`
	Reasons    []string                               `json:"reasons,omitempty"`
}

func (s *sourceRow) key() string {
	if s.Encryption == nil || s.Encryption.KmsKeyArn == nil {
		return ""
	}
	return *s.Encryption.KmsKeyArn
}

var (
	bases   = store.Kind[baseRow]{Name: "knowledge-base"}
	sources = store.Kind[sourceRow]{Name: "knowledge-source"}
)

// inside is the key of a data source, or of all of a knowledge base for id "".
func inside(base store.Key, id string) store.Key {
	return store.Key{Account: base.Account, Region: base.Region, Parent: base.ID, ID: id}
}

// sourcesOf reads all data sources of a knowledge base, oldest first: their quota keeps
// them few.
func sourcesOf(tx *store.Tx, base store.Key) ([]store.Record[sourceRow], error) {
	return sources.All(tx, store.Query{Account: base.Account, Region: base.Region, Parent: base.ID, Sort: store.ByCreated})
}
