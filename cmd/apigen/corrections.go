package main

// Where the service models cannot be taken at their word. One table, each row
// with its reason.

// patterns replaces the expression of a pattern, by service package and shape.
var patterns = map[[2]string]struct{ expr, match string }{
	// Repetition of 1024 exceeds the 1000 that Go's regexp allows.
	{"bedrock", "kBS3Uri"}:           {match: "MatchS3ObjectURI"},
	{"bedrockagent", "S3ObjectUri"}:  {match: "MatchS3ObjectURI"},
	{"bedrockagentruntime", "S3Uri"}: {match: "MatchS3ObjectURI"},
	// A look-ahead, which Go's regexp does not have.
	{"bedrockagent", "OpenSearchManagedClusterIndexName"}: {match: "MatchOpenSearchIndexName"},
	// Look-aheads again; no doubled hyphen, a length of 3 to 63 is the shape's own.
	{"iam", "accountAliasType"}: {expr: `[a-z0-9](?:-?[a-z0-9])*`},
	{"lambda", "Alias"}:         {expr: `[a-zA-Z0-9-_]*[a-zA-Z_-][a-zA-Z0-9-_]*`}, // not digits alone
	{"lambda", "S3Bucket"}:      {expr: `(?:[0-9A-Za-z._-]*[0-9A-Za-z_-])?`},      // no dot at the end
	// The model says /d where \d is meant: taken literally, no real ARN matches
	// and tagging can never succeed. The leading and trailing .* around
	// anchored alternatives mean the alternatives alone.
	{"bedrockagent", "TaggableResourcesArn"}: {expr: `arn:aws:bedrock:[a-zA-Z0-9-]+:\d{12}:(agent|agent-alias|knowledge-base|flow|prompt)/[A-Z0-9]{10}(?:/[A-Z0-9]{10})?|arn:aws:bedrock:[a-zA-Z0-9-]+:\d{12}:flow/([A-Z0-9]{10})/alias/([A-Z0-9]{10})|arn:aws:bedrock:[a-zA-Z0-9-]+:\d{12}:prompt/([A-Z0-9]{10})?(?::\d+)?`},
}

// renamedActions are operations whose IAM action has another name.
var renamedActions = map[string]string{
	"Converse":                           "InvokeModel",
	"ConverseStream":                     "InvokeModelWithResponseStream",
	"StartAsyncInvoke":                   "InvokeModel",
	"InvokeModelWithBidirectionalStream": "InvokeModel",
}

// newActions are operations younger than the action table; their level and
// resource type by analogy with their siblings.
var newActions = map[string]action{
	"CreateAdvancedPromptOptimizationJob":      {Level: "Write", Resources: map[string][]string{"": nil}},
	"ListAdvancedPromptOptimizationJobs":       {Level: "List", Resources: map[string][]string{"": nil}},
	"GetAdvancedPromptOptimizationJob":         {Level: "Read", Resources: map[string][]string{"": nil}},
	"StopAdvancedPromptOptimizationJob":        {Level: "Write", Resources: map[string][]string{"": nil}},
	"BatchDeleteAdvancedPromptOptimizationJob": {Level: "Write", Resources: map[string][]string{"": nil}},
}
