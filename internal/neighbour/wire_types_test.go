package neighbour

import (
	iamapi "github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/api/kms"
	"github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/api/logs"
	"github.com/outcrop-dev/outcrop/internal/api/s3vectors"
	"github.com/outcrop-dev/outcrop/internal/api/secretsmanager"
	stsapi "github.com/outcrop-dev/outcrop/internal/api/sts"
)

// unimplemented has the Go types of every operation.
var unimplemented = map[string]any{
	"sts": stsapi.Unimplemented{}, "iam": iamapi.Unimplemented{}, "kms": kms.Unimplemented{}, "lambda": lambda.Unimplemented{},
	"logs": logs.Unimplemented{}, "secretsmanager": secretsmanager.Unimplemented{}, "s3vectors": s3vectors.Unimplemented{},
}
