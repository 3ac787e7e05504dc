package iam_test

import (
	"context"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// A room makes a knowledge base whose role its caller names, and later reads the
// documents as that role.
func Example_serviceRole() {
	const (
		account = "123456789012"
		service = "bedrock.amazonaws.com"
		base    = "arn:aws:bedrock:us-east-1:123456789012:knowledge-base/KB00000001" // 1. the ID comes first
	)
	ctx := context.Background()
	house, err := iam.New(ctx, iam.Config{Store: &iam.MemoryStore{}})
	if err != nil {
		panic(err)
	}
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	// What the account has: a role that trusts Bedrock for knowledge bases of this
	// account, and two users of whom one may pass it.
	role, err := house.CreateRole(ctx, iam.RoleInput{Account: account, Name: "AmazonBedrockExecutionRoleForKnowledgeBase_x", Trust: `{"Version":"2012-10-17","Statement":[{
		"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{
			"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnLike":{"aws:SourceArn":"arn:aws:bedrock:us-east-1:123456789012:knowledge-base/*"}}}]}`})
	must(err)
	roleARN := house.Snapshot().RoleARN(role)
	may := func(kind iam.HolderKind, name, action, resource string) {
		must(house.PutInlinePolicy(ctx, iam.Holder{Kind: kind, Account: account, Name: name}, "p",
			fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":%q}]}`, action, resource)))
	}
	may(iam.RoleHolder, role.Name, "s3:GetObject", "arn:aws:s3:::docs/*")
	caller := func(name string) *iam.Principal { // a room has it from call.From(ctx).Caller
		key, err := house.CreateAccessKey(ctx, account, name)
		must(err)
		c, _ := house.Credential(key.ID)
		return c.Principal
	}
	for _, name := range []string{"builder", "visitor"} {
		_, err := house.CreateUser(ctx, account, name, "")
		must(err)
	}
	may(iam.UserHolder, "builder", "iam:PassRole", roleARN)

	// 2. May the caller hand this role to Bedrock?
	fmt.Println(house.PassRole(ctx, caller("visitor"), roleARN, service, base))
	fmt.Println(house.PassRole(ctx, caller("builder"), roleARN, service, base))
	// 3. Does the role let Bedrock in for this resource?
	fmt.Println(house.MayAssume(ctx, service, roleARN, base, account))

	// 4. Later: act as the role, for the resource as it is stored.
	p, err := house.AssumeService(ctx, iam.AssumeServiceInput{Service: service, RoleARN: roleARN, SourceARN: base, SourceAccount: account})
	must(err)
	fmt.Println(p.ARN)
	// 5. files.Get(ctx, bucket.As(p), …) asks this.
	fmt.Println(house.Authorize(ctx, p, "s3:GetObject", "arn:aws:s3:::docs/a.txt", nil))
	fmt.Println(house.Authorize(ctx, p, "s3:GetObject", "arn:aws:s3:::payroll/a.txt", nil))

	// A function is called by Bedrock itself, as the function's own policy allows.
	const function = "arn:aws:lambda:us-east-1:123456789012:function:weather"
	rules, err := policy.Parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},
		"Action":"lambda:InvokeFunction","Resource":"`+function+`","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:bedrock:us-east-1:123456789012:agent/AGENT00001"}}}]}`, policy.Resource)
	must(err)
	for _, agent := range []string{"AGENT00001", "AGENT00002"} {
		fmt.Println(house.AllowService(iam.ServiceQuestion{
			Service: service, Action: "lambda:InvokeFunction", Resource: function,
			SourceARN: "arn:aws:bedrock:us-east-1:123456789012:agent/" + agent, SourceAccount: account, ResourcePolicies: []*policy.Policy{rules},
		}))
	}
	// Output:
	// AccessDeniedException: User: arn:aws:iam::123456789012:user/visitor is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/AmazonBedrockExecutionRoleForKnowledgeBase_x because no identity-based policy allows the iam:PassRole action
	// <nil>
	// true
	// arn:aws:sts::123456789012:assumed-role/AmazonBedrockExecutionRoleForKnowledgeBase_x/bedrock
	// <nil>
	// AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/AmazonBedrockExecutionRoleForKnowledgeBase_x/bedrock is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::payroll/a.txt because no identity-based policy allows the s3:GetObject action
	// <nil>
	// AccessDeniedException: User: bedrock.amazonaws.com is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:123456789012:function:weather because no resource-based policy allows the lambda:InvokeFunction action
}
