package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// shipped are the managed policies that AWS maintains and that exist here: what
// each allows, written down by us. PARTITION stands for the partition.
var shipped = []struct {
	path, name, description, created string
	statements                       string
}{
	{"/", "AdministratorAccess", "Provides full access to AWS services and resources.", "2015-02-06", `{"Effect":"Allow","Action":"*","Resource":"*"}`},
	{"/", "AmazonBedrockFullAccess", "Full access to Bedrock and limited access to what it needs.", "2023-12-12", `
		{"Sid":"BedrockAll","Effect":"Allow","Action":["bedrock:*"],"Resource":"*"},
		{"Sid":"DescribeKey","Effect":"Allow","Action":["kms:DescribeKey"],"Resource":"arn:*:kms:*:*:*"},
		{"Sid":"APIsWithAllResourceAccess","Effect":"Allow","Action":["iam:ListRoles","ec2:DescribeVpcs","ec2:DescribeSubnets","ec2:DescribeSecurityGroups"],"Resource":"*"},
		{"Sid":"PassRoleToBedrock","Effect":"Allow","Action":["iam:PassRole"],"Resource":"arn:PARTITION:iam::*:role/*AmazonBedrock*","Condition":{"StringEquals":{"iam:PassedToService":["bedrock.amazonaws.com"]}}}`},
	{"/", "AmazonBedrockReadOnly", "Read access to Bedrock.", "2023-12-12", `{"Sid":"AmazonBedrockReadOnly","Effect":"Allow","Action":["bedrock:Get*","bedrock:List*"],"Resource":"*"}`},
	{"/", "AmazonS3FullAccess", "Full access to all buckets.", "2015-02-06", `{"Effect":"Allow","Action":["s3:*"],"Resource":"*"}`},
	{"/", "AmazonS3ReadOnlyAccess", "Read access to all buckets.", "2015-02-06", `{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*"],"Resource":"*"}`},
	{"/", "AWSLambda_FullAccess", "Full access to functions and what they are made of.", "2020-11-17", `
		{"Effect":"Allow","Action":["lambda:*","logs:DescribeLogGroups","kms:ListAliases","iam:GetPolicy","iam:GetPolicyVersion","iam:GetRole","iam:GetRolePolicy","iam:ListAttachedRolePolicies","iam:ListRolePolicies","iam:ListRoles"],"Resource":"*"},
		{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}},
		{"Effect":"Allow","Action":["logs:DescribeLogStreams","logs:GetLogEvents","logs:FilterLogEvents"],"Resource":"arn:PARTITION:logs:*:*:log-group:/aws/lambda/*"}`},
	{"/service-role/", "AWSLambdaBasicExecutionRole", "Writes logs of functions.", "2015-04-09", `{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}`},
	{"/", "CloudWatchLogsFullAccess", "Full access to logs.", "2015-02-06", `{"Effect":"Allow","Action":["logs:*"],"Resource":"*"}`},
	{"/", "IAMFullAccess", "Full access to identities.", "2015-02-06", `{"Effect":"Allow","Action":["iam:*"],"Resource":"*"}`},
	{"/", "IAMReadOnlyAccess", "Read access to identities.", "2015-02-06", `{"Effect":"Allow","Action":["iam:GenerateCredentialReport","iam:Get*","iam:List*","iam:SimulateCustomPolicy","iam:SimulatePrincipalPolicy"],"Resource":"*"}`},
	{"/", "SecretsManagerReadWrite", "Reads and writes secrets.", "2018-04-04", `{"Effect":"Allow","Action":["secretsmanager:*","kms:DescribeKey","kms:ListAliases","kms:ListKeys"],"Resource":"*"}`},
}

// shippedPolicies builds them for a partition, by ARN.
func shippedPolicies(partition string) map[string]ManagedPolicy {
	out := make(map[string]ManagedPolicy, len(shipped))
	s := &Snapshot{partition: partition}
	clean := strings.NewReplacer("PARTITION", partition, "\n", "", "\t", "")
	for _, p := range shipped {
		created, err := time.Parse(time.DateOnly, p.created)
		if err != nil {
			panic("BUG: " + p.name + ": " + err.Error())
		}
		sum := sha256.Sum256([]byte(p.name)) // the same ID on every machine
		m := ManagedPolicy{
			Account: "aws", Name: p.name, Path: p.path, Description: p.description, Created: created, Updated: created, Default: "v1", Made: 1,
			PolicyID: prefixPolicy + base32.StdEncoding.EncodeToString(sum[:])[:17],
			Versions: []PolicyVersion{{ID: "v1", Document: clean.Replace(`{"Version":"2012-10-17","Statement":[` + p.statements + `]}`), Created: created}},
		}
		out[s.PolicyARN(m)] = m
	}
	return out
}
