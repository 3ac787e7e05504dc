// Package iam holds who may call: accounts, users, groups, roles, managed
// policies, access keys, sessions and bearer keys, and decides what a principal
// may do.
//
//	IdentityStore (records, version) ── LoadAll ──▶ Snapshot ◀── Credential(id)  every request, one map read
//	        ▲                                         ▲    └──── Allow(question) ──▶ policy.Evaluate over compiled documents
//	        │                                         └ swapped whole
//	        └── Apply(expect version, changes) ── CreateUser, PutInlinePolicy, AssumeRole …
//	        └── Version, each second ────── Run ──────┘  what other replicas have written
//
// A Snapshot never changes; a write makes the next one and swaps it, so the own
// process sees its writes at once and other replicas within a second. Documents
// are compiled when they come in and kept from snapshot to snapshot. The first
// start makes the account, its root user without a key, and the user admin with
// AdministratorAccess and one access key.
//
// # How a room acts with a role that it was given
//
// A room whose request names a role (agentResourceRoleArn, roleArn …) asks in this
// order; Example_serviceRole does all of it against real policies.
//
// When the resource is created, or its role changed:
//
//  1. Make the resource's ID first: its ARN is part of both questions.
//  2. PassRole(ctx, caller, roleARN, service, resourceARN), where caller is
//     call.From(ctx).Caller as a *Principal. The denial is the caller's answer
//     (AccessDenied, iam:PassRole). Jobs and other work without a caller skip it.
//  3. MayAssume(ctx, service, roleARN, resourceARN, account): does the trust policy
//     let the service in for this very resource? The room words the refusal, since
//     each operation has its own on AWS.
//
// Each time something is done for the resource, with what is stored and never with
// what the request says:
//
//  4. p, err := AssumeService(ctx, AssumeServiceInput{Service, RoleARN, SourceARN,
//     SourceAccount}). It is a few map reads and one small policy: do it at each use
//     and keep no p, so that a role that is gone or no longer trusts stops the work at
//     its next access. p has no key; make one with CreateSession only for code that
//     signs requests itself.
//
//  5. Do it as p. Each service asks about p what AWS would ask:
//
//     objects  files.Get(ctx, bucket.As(p), at, …)                       s3:GetObject, and the bucket's policy
//     keys     ctx = kms.As(ctx, kms.Asking{Caller: kms.Caller{Principal: p, Account, Region, Via}})
//     around reads and writes of the store, or Encrypt … with that Caller   kms:Decrypt …, key policy, grants
//     secrets  secrets.Value(ctx, kms.Caller{Principal: p, Account, Region}, arn, "", "")  secretsmanager:GetSecretValue
//     models   Authorize(ctx, p, "bedrock:InvokeModel", each of catalog.ResourceARNs(ctx, id), nil)
//     others   Authorize(ctx, p, "bedrock:Retrieve", knowledgeBaseARN, nil)
//
// Lambda functions of agents are the exception: not the role but the service itself
// calls, and the function's own policy decides. AllowService(ServiceQuestion{Service,
// "lambda:InvokeFunction", functionARN, SourceARN: agentARN, SourceAccount, the
// function's policies}) comes before the call, and 4 and 5 do not apply. In the same
// way a key or bucket that lets the service in by its own policy is asked with
// kms.Caller{Service} or bucket.AsService.
//
// A caller's own rights on top of that (InvokeAgent under a customer key asks the
// caller, not the role) are asked with the caller as the Principal: the context of the
// request does that already where kms.As is not used.
//
// A room in a test needs no fake: New(ctx, Config{Store: &MemoryStore{}}) is a whole
// house of identities, CreateRole and PutInlinePolicy fill it.
//
// Floor 2. It verifies no signature (sigv4 does), speaks no protocol (the IAM
// and STS faces do), holds no policies of resources (their rooms hand them in)
// and never writes a secret to a log.
package iam
