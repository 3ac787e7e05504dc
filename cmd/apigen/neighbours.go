package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// neighbours are the services that Bedrock programs call besides Bedrock, with
// the operations that are vendored and generated; S3 is written by hand. A name
// here is no promise: what no face builds answers NotImplementedException.
var neighbours = []target{
	{"sts", "sts", "STS", "sts", words(`GetCallerIdentity AssumeRole GetSessionToken GetAccessKeyInfo`)},
	{"iam", "iam", "IAM", "iam", words(`
		CreateUser GetUser ListUsers UpdateUser DeleteUser TagUser UntagUser ListUserTags
		CreateAccessKey ListAccessKeys UpdateAccessKey DeleteAccessKey GetAccessKeyLastUsed
		CreateServiceSpecificCredential ListServiceSpecificCredentials UpdateServiceSpecificCredential ResetServiceSpecificCredential DeleteServiceSpecificCredential
		CreateGroup GetGroup ListGroups UpdateGroup DeleteGroup AddUserToGroup RemoveUserFromGroup ListGroupsForUser
		CreateRole GetRole ListRoles UpdateRole UpdateRoleDescription DeleteRole UpdateAssumeRolePolicy TagRole UntagRole ListRoleTags
		PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy
		PutGroupPolicy GetGroupPolicy ListGroupPolicies DeleteGroupPolicy
		PutRolePolicy GetRolePolicy ListRolePolicies DeleteRolePolicy
		CreatePolicy GetPolicy ListPolicies DeletePolicy TagPolicy UntagPolicy ListPolicyTags ListEntitiesForPolicy
		CreatePolicyVersion GetPolicyVersion ListPolicyVersions DeletePolicyVersion SetDefaultPolicyVersion
		AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies
		AttachGroupPolicy DetachGroupPolicy ListAttachedGroupPolicies
		AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
		PutUserPermissionsBoundary DeleteUserPermissionsBoundary PutRolePermissionsBoundary DeleteRolePermissionsBoundary
		SimulatePrincipalPolicy SimulateCustomPolicy GetAccountAuthorizationDetails GetAccountSummary ListAccountAliases
		ListInstanceProfilesForRole`)},
	{"kms", "kms", "KMS", "kms", words(`
		CreateKey DescribeKey ListKeys UpdateKeyDescription EnableKey DisableKey ScheduleKeyDeletion CancelKeyDeletion
		CreateAlias UpdateAlias DeleteAlias ListAliases GetKeyPolicy PutKeyPolicy ListKeyPolicies
		CreateGrant ListGrants ListRetirableGrants RevokeGrant RetireGrant
		Encrypt Decrypt ReEncrypt GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateRandom
		EnableKeyRotation DisableKeyRotation GetKeyRotationStatus TagResource UntagResource ListResourceTags`)},
	{"lambda", "lambda", "Lambda", "lambda", words(`
		CreateFunction UpdateFunctionCode UpdateFunctionConfiguration GetFunction GetFunctionConfiguration ListFunctions DeleteFunction
		Invoke PublishVersion ListVersionsByFunction CreateAlias UpdateAlias GetAlias ListAliases DeleteAlias
		AddPermission RemovePermission GetPolicy
		PutFunctionEventInvokeConfig UpdateFunctionEventInvokeConfig GetFunctionEventInvokeConfig DeleteFunctionEventInvokeConfig ListFunctionEventInvokeConfigs
		PutFunctionConcurrency GetFunctionConcurrency DeleteFunctionConcurrency TagResource UntagResource ListTags`)},
	{"logs", "logs", "Logs", "logs", words(`
		CreateLogGroup DeleteLogGroup DescribeLogGroups CreateLogStream DeleteLogStream DescribeLogStreams
		PutLogEvents GetLogEvents FilterLogEvents PutMetricFilter DescribeMetricFilters DeleteMetricFilter TestMetricFilter
		PutRetentionPolicy DeleteRetentionPolicy PutResourcePolicy DescribeResourcePolicies DeleteResourcePolicy
		AssociateKmsKey DisassociateKmsKey TagResource UntagResource ListTagsForResource TagLogGroup UntagLogGroup ListTagsLogGroup`)},
	{"secretsmanager", "secretsmanager", "SecretsManager", "secretsmanager", words(`
		CreateSecret GetSecretValue PutSecretValue UpdateSecret DescribeSecret DeleteSecret RestoreSecret ListSecrets ListSecretVersionIds
		UpdateSecretVersionStage TagResource UntagResource PutResourcePolicy GetResourcePolicy DeleteResourcePolicy`)},
	{"s3vectors", "s3vectors", "S3Vectors", "s3vectors", words(`
		CreateVectorBucket GetVectorBucket ListVectorBuckets DeleteVectorBucket PutVectorBucketPolicy GetVectorBucketPolicy DeleteVectorBucketPolicy
		CreateIndex GetIndex ListIndexes DeleteIndex PutVectors GetVectors ListVectors DeleteVectors QueryVectors
		TagResource UntagResource ListTagsForResource`)},
}

func words(s string) []string {
	w := strings.Fields(s)
	slices.Sort(w)
	return w
}

// noPermission are operations that a caller's identity policies do not decide by
// themselves, by service and name. Nothing is asked before they run.
var noPermission = map[string]string{
	"sts.GetCallerIdentity": "AWS answers it even under an explicit deny",
	"sts.GetSessionToken":   "AWS asks for no permission",
	"sts.AssumeRole":        "the role's trust policy decides together with the caller's: the operation asks",
}

// neighbourActions are the actions of operations that go by another name, or need
// several.
var neighbourActions = map[string][]string{
	"lambda.Invoke": {"InvokeFunction"},
	"kms.ReEncrypt": {"ReEncryptFrom", "ReEncryptTo"},
}

// neighbourARNs are the ARNs of resource types over members of an input: the
// first template whose members the input has is taken. Where an input lacks them
// all, or a path or suffix belongs to the name, the face names the resource.
var neighbourARNs = map[string][]string{
	"sts.role":   {"${RoleArn}"},
	"iam.role":   {"arn:${Partition}:iam::${Account}:role/${RoleName}", "${PolicySourceArn}"},
	"iam.user":   {"arn:${Partition}:iam::${Account}:user/${UserName}", "${PolicySourceArn}"},
	"iam.group":  {"arn:${Partition}:iam::${Account}:group/${GroupName}", "${PolicySourceArn}"},
	"iam.policy": {"${PolicyArn}", "arn:${Partition}:iam::${Account}:policy/${PolicyName}"},
	"kms.key":    {"arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}", "arn:${Partition}:kms:${Region}:${Account}:key/${TargetKeyId}"},
	"kms.alias":  {"arn:${Partition}:kms:${Region}:${Account}:${AliasName}"},
	"lambda.function": {
		"arn:${Partition}:lambda:${Region}:${Account}:function:${FunctionName}", "${Resource}",
	},
	// Log groups stand in policies with the colon that begins their streams.
	"logs.log-group": {
		"arn:${Partition}:logs:${Region}:${Account}:log-group:${logGroupName}:log-stream:",
		"arn:${Partition}:logs:${Region}:${Account}:log-group:${logGroupIdentifier}:log-stream:",
		"${resourceArn}",
	},
	"logs.log-stream": {"arn:${Partition}:logs:${Region}:${Account}:log-group:${logGroupName}:log-stream:${logStreamName}"},
	"secretsmanager.Secret": {
		"arn:${Partition}:secretsmanager:${Region}:${Account}:secret:${SecretId}", "arn:${Partition}:secretsmanager:${Region}:${Account}:secret:${Name}",
	},
	"s3vectors.VectorBucket": {"arn:${Partition}:s3vectors:${Region}:${Account}:bucket/${vectorBucketName}", "${resourceArn}"},
	"s3vectors.Index":        {"arn:${Partition}:s3vectors:${Region}:${Account}:bucket/${vectorBucketName}/index/${indexName}", "${resourceArn}"},
}

// neighbourMembers replace the members in a template, by action.
var neighbourMembers = map[string]*strings.Replacer{
	"kms.ReEncryptFrom": strings.NewReplacer("${KeyId}", "${SourceKeyId}"),
	"kms.ReEncryptTo":   strings.NewReplacer("${KeyId}", "${DestinationKeyId}"),
}

func (g *generator) neighbourAccess(op *operation) string {
	if noPermission[g.pkg+"."+op.Name] != "" {
		return "nil"
	}
	actions := neighbourActions[g.pkg+"."+op.Name]
	if actions == nil {
		actions = []string{op.Name}
	}
	var b strings.Builder
	b.WriteString("[]api.Access{")
	for _, name := range actions {
		a, ok := g.actions.Actions[name]
		if !ok {
			panic("BUG: no IAM action for " + g.pkg + "." + op.Name)
		}
		fmt.Fprintf(&b, "\n{Action: %q, Level: %q", g.iam+":"+name, a.Level)
		if c := a.Resources[""]; len(c) > 0 {
			fmt.Fprintf(&b, ", Conditions: %#v", c)
		}
		b.WriteString(g.neighbourResources(op, name, &a))
		b.WriteString("},")
	}
	b.WriteString("\n}")
	return b.String()
}

func (g *generator) neighbourResources(op *operation, name string, a *action) string {
	var b strings.Builder
	for _, t := range slices.Sorted(maps.Keys(a.Resources)) {
		templates, known := neighbourARNs[g.pkg+"."+t]
		if !known { // no type of the listed operations' inputs: a layer, a destination
			continue
		}
		arn, member := "", ""
		for _, tpl := range templates {
			if r := neighbourMembers[g.pkg+"."+name]; r != nil {
				tpl = r.Replace(tpl)
			}
			if m, ok := g.has(op, tpl); ok {
				arn, member = tpl, m
				break
			}
		}
		fmt.Fprintf(&b, "\n{Type: %q, ARN: %q", t, arn)
		if member != "" {
			fmt.Fprintf(&b, ", Member: %q", member)
		}
		if slices.Contains(a.Required, t) {
			b.WriteString(", Required: true")
		}
		if c := a.Resources[t]; len(c) > 0 {
			fmt.Fprintf(&b, ", Conditions: %#v", c)
		}
		b.WriteString("},")
	}
	if b.Len() == 0 {
		return ""
	}
	return ", Resources: []api.Resource{" + b.String() + "\n}"
}

// has reports whether the input of the operation has every member of the
// template, and names it when there is one alone.
func (g *generator) has(op *operation, template string) (only string, ok bool) {
	n := 0
	for _, v := range arnVariable.FindAllStringSubmatch(template, -1) {
		switch v[1] {
		case "Partition", "Region", "Account":
			continue
		}
		if !slices.ContainsFunc(g.Shapes[op.Input.Shape].Members, func(m member) bool { return m.name == v[1] }) {
			return "", false
		}
		only = v[1]
		n++
	}
	if n != 1 {
		only = ""
	}
	return only, true
}
