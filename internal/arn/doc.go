// Package arn reads, checks and writes Amazon Resource Names.
//
//	arn:aws:bedrock:us-east-1:123456789012:guardrail/abc123
//	    │   │       │         │            └ resource: type, separator, id
//	    │   │       │         └ account: twelve digits, "aws", or empty
//	    │   │       └ region: empty for global services
//	    │   └ service
//	    └ partition: aws, aws-cn, aws-us-gov
//
// Parse takes a name apart, Validate checks its parts, Split cuts the resource
// into type and id, Partition names the partition of a Region.
//
// Floor 0. It knows no resource of any service, resolves nothing and never
// compares patterns: wildcards belong to policy evaluation.
package arn
