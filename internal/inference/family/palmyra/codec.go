package palmyra

import "github.com/outcrop-dev/outcrop/internal/inference/family/openaichat"

// New returns the codec of Palmyra.
func New() *openaichat.Codec {
	return openaichat.New(&openaichat.Dialect{
		Key: "palmyra", Temperature: 1, TopP: 1, MaxTokens: 8192, MaxOutput: 8192, MaxTemp: 2,
	})
}
