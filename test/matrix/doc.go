// Package matrix asks a running server about every Bedrock operation as principals
// that may, may not, must not, and may elsewhere.
//
//	test/model ──valid request──▶ each of 219 operations
//	permissions.txt ──action, resources──▶ policy of a user (PutUserPolicy) ──▶ allowed · refused in AWS's words
//
// permissions.txt is written apart from the table that the server decides from: an
// entry that either has and the other has not is a failure. What the list says is
// compared with the facts of the authorization table that came with the models.
//
// # What proves the identity checks of the specification (its page 8, section 12)
//
//	 1  let in or not           test/acceptance iam-signing.txtar; expired: server TestExpiredSessionsAndUsesOfKeys
//	 2  double encoding         iam-signing.txtar, cli_models.txtar; sigv4's own suite
//	 3  a new user              TestANewUserIsRefusedEverything, all 219, the whole text
//	 4  E3                      TestTheGuidesExamplePoliciesOverTheWire, four operations
//	 5  E4                      the same, against every operation
//	 6  E5                      the same
//	 7  E7                      the same, with a provisioned model that is really there
//	 8  two resources           the matrix (AssociateAgentKnowledgeBase and its siblings)
//	 9  wrong type              TestTheGuidesExamplePoliciesOverTheWire
//	10  tags                    TestTagsOfCallerAndResourceMeet, TestTagsOfRequestsAreConditions
//	11  PassRole                TestRolesGivenToAgents; for knowledge bases when their room is there
//	12  AmazonBedrockReadOnly   TestTheGuidesExamplePoliciesOverTheWire, against every operation
//	13  case, bad documents     iam/policy's tests; iam-role.txtar
//	14  API keys                test/sdk/python api_keys.py; TestTheKindOfAnAPIKeyIsACondition
//	25  a foreign SourceAccount TestRolesGivenToAgents; iam TestTrustPoliciesOfTheGuide for every feature
//	26  narrowed to one ID      the same two
//	28  function policies       server TestAnInlineAgentCallsAFunction; iam TestServicesActForResources
//
// Names and aliases do not lead around policies: TestANameLeadsNotAroundAPolicy.
//
// Test code, above all floors.
package matrix
