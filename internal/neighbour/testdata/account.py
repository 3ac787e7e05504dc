"""What programs do with IAM and STS before they call Bedrock, by boto3 unchanged.

Every fact that is checked is AWS's: names, statuses, texts, pages, waiters.
"""
import json, os
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = os.environ["AWS_DEFAULT_REGION"]
config = Config(parameter_validation=False, retries={"max_attempts": 1, "mode": "standard"})
iam = boto3.client("iam", config=config)
sts = boto3.client("sts", config=config)
ACCOUNT = sts.get_caller_identity()["Account"]


def fails(code, text, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        err = e.response["Error"]
        assert err["Code"] == code, err
        assert text in err["Message"], err
        assert e.response["ResponseMetadata"]["RequestId"]
        return e.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"{call} did not fail with {code}")


def trust(principal, **condition):
    s = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if condition:
        s["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [s]})


def allow(action, resource, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]})


# --- the guide's scenario: resource API, inline policy read back and written, managed policy
res = boto3.resource("iam", config=config)
role = res.create_role(
    RoleName="AmazonBedrockExecutionRoleForAgents_x1y2z3a4",
    AssumeRolePolicyDocument=trust({"Service": "bedrock.amazonaws.com"}))
assert role.arn == f"arn:aws:iam::{ACCOUNT}:role/AmazonBedrockExecutionRoleForAgents_x1y2z3a4", role.arn
assert role.role_id.startswith("AROA") and len(role.role_id) == 21
assert role.assume_role_policy_document["Statement"][0]["Principal"] == {"Service": "bedrock.amazonaws.com"}
role.Policy("agent_permissions").put(PolicyDocument=allow("bedrock:InvokeModel", f"arn:aws:bedrock:{REGION}::foundation-model/anthropic.claude-v2*"))
doc = role.Policy("agent_permissions").policy_document
doc["Statement"].append({"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "arn:aws:lambda:us-east-1:1:function:f"})
role.Policy("agent_permissions").put(PolicyDocument=json.dumps(doc))
role.Policy("agent_permissions").reload()
assert len(role.Policy("agent_permissions").policy_document["Statement"]) == 2
other = res.create_role(RoleName="AmazonBedrockExecutionRoleForLambda_x1y2z3a4", AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"}))
other.attach_policy(PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
assert other.arn.endswith(":role/AmazonBedrockExecutionRoleForLambda_x1y2z3a4")
iam.get_waiter("role_exists").wait(RoleName=other.name, WaiterConfig={"Delay": 1, "MaxAttempts": 2})
assert [p.arn for p in other.attached_policies.all()] == ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]
assert fails("DeleteConflict", "Cannot delete entity, must detach all policies first.", other.delete) == 409
for p in other.attached_policies.all():
    other.detach_policy(PolicyArn=p.arn)
other.delete()
assert fails("DeleteConflict", "Cannot delete entity, must delete policies first.", role.delete) == 409
role.Policy("agent_permissions").delete()
role.delete()
assert fails("NoSuchEntity", "The role with name AmazonBedrockExecutionRoleForAgents_x1y2z3a4 cannot be found.", iam.get_role, RoleName=role.name) == 404

# --- users and keys
u = iam.create_user(UserName="alice", Path="/team/", Tags=[{"Key": "team", "Value": "red"}])["User"]
assert u["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/alice" and u["Tags"] == [{"Key": "team", "Value": "red"}], u
iam.get_waiter("user_exists").wait(UserName="alice", WaiterConfig={"Delay": 1, "MaxAttempts": 2})
assert fails("EntityAlreadyExists", "User with name alice already exists.", iam.create_user, UserName="alice") == 409
assert fails("ValidationError", "1 validation error detected: Value 'a b' at 'userName' failed to satisfy constraint", iam.create_user, UserName="a b") == 400
assert iam.get_user()["User"]["UserName"] == "admin"
key = iam.create_access_key(UserName="alice")["AccessKey"]
assert len(key["AccessKeyId"]) == 20 and len(key["SecretAccessKey"]) == 40 and key["Status"] == "Active"
assert sts.get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"] == ACCOUNT
second = iam.create_access_key(UserName="alice")["AccessKey"]
assert fails("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", iam.create_access_key, UserName="alice") == 409
keys = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
assert len(keys) == 2 and all("SecretAccessKey" not in k for k in keys)


def client(service, k, token=None):
    return boto3.client(service, aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"], aws_session_token=token, config=config)


alice_iam, alice_sts = client("iam", key), client("sts", key)
assert alice_sts.get_caller_identity()["Arn"] == u["Arn"]
assert fails("AccessDenied", f"User: {u['Arn']} is not authorized to perform: iam:ListUsers on resource: * because no identity-based policy allows the iam:ListUsers action", alice_iam.list_users) == 403
# what a caller leaves out is himself: the question is about his own ARN
iam.put_user_policy(UserName="alice", PolicyName="self", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["iam:GetUser", "iam:*AccessKey*"], "Resource": "arn:aws:iam::*:user/team/${aws:username}"},
    {"Effect": "Allow", "Action": "iam:TagUser", "Resource": "*", "Condition": {"StringEquals": {"iam:ResourceTag/team": "red"}}}]}))
assert alice_iam.get_user()["User"]["UserName"] == "alice"
assert len(alice_iam.list_access_keys()["AccessKeyMetadata"]) == 2
fails("AccessDenied", "iam:GetUser on resource: ", alice_iam.get_user, UserName="admin")
alice_iam.tag_user(UserName="alice", Tags=[{"Key": "x", "Value": "y"}])
fails("AccessDenied", "iam:TagUser", alice_iam.tag_user, UserName="admin", Tags=[{"Key": "x", "Value": "y"}])
assert iam.list_user_tags(UserName="alice")["Tags"] == [{"Key": "team", "Value": "red"}, {"Key": "x", "Value": "y"}]
iam.untag_user(UserName="alice", TagKeys=["x"])
iam.update_access_key(UserName="alice", AccessKeyId=second["AccessKeyId"], Status="Inactive")
assert {k["Status"] for k in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]} == {"Active", "Inactive"}
fails("NoSuchEntity", "The Access Key with id ", iam.delete_access_key, UserName="admin", AccessKeyId=key["AccessKeyId"])

# --- sessions
t = alice_sts.get_session_token(DurationSeconds=900)["Credentials"]
s = client("sts", t, t["SessionToken"])
assert s.get_caller_identity()["Arn"] == u["Arn"]
fails("AccessDenied", "Cannot call GetSessionToken with session credentials", s.get_session_token)
assert fails("InvalidClientTokenId", "The security token included in the request is invalid.", client("sts", t).get_caller_identity) == 403

r = iam.create_role(RoleName="work", Path="/service-role/", MaxSessionDuration=7200, Description="d", Tags=[{"Key": "team", "Value": "blue"}],
                    AssumeRolePolicyDocument=trust({"AWS": u["Arn"]}, StringEquals={"sts:ExternalId": "secret-7"}))["Role"]
assert r["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/service-role/work" and r["MaxSessionDuration"] == 7200
ask = dict(RoleArn=r["Arn"], RoleSessionName="s1")
assert fails("AccessDenied", f"User: {u['Arn']} is not authorized to perform: sts:AssumeRole on resource: {r['Arn']}", alice_sts.assume_role, **ask) == 403
fails("AccessDenied", "sts:AssumeRole", sts.assume_role, **ask, ExternalId="secret-7")  # the admin is not trusted
a = alice_sts.assume_role(**ask, ExternalId="secret-7", DurationSeconds=3600)
assert a["AssumedRoleUser"] == {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/work/s1", "AssumedRoleId": r["RoleId"] + ":s1"}, a
c = a["Credentials"]
assert c["AccessKeyId"].startswith("ASIA")
work = lambda name: client(name, c, c["SessionToken"])
me = work("sts").get_caller_identity()
assert me["Arn"] == a["AssumedRoleUser"]["Arn"] and me["UserId"] == r["RoleId"] + ":s1" and me["Account"] == ACCOUNT
fails("AccessDenied", f"User: {me['Arn']} is not authorized to perform: iam:ListRoles", work("iam").list_roles)
iam.put_role_policy(RoleName="work", PolicyName="list", PolicyDocument=allow(["iam:ListRoles", "iam:ListUsers"], "*"))
assert "work" in [x["RoleName"] for x in work("iam").list_roles()["Roles"]]
# a session policy narrows
n = alice_sts.assume_role(**ask, ExternalId="secret-7", Policy=allow("iam:ListUsers", "*"))
assert n["PackedPolicySize"] > 0
narrow = client("iam", n["Credentials"], n["Credentials"]["SessionToken"])
narrow.list_users()
fails("AccessDenied", "because no session policy allows the iam:ListRoles action", narrow.list_roles)
fails("MalformedPolicyDocument", "", alice_sts.assume_role, **ask, ExternalId="secret-7", Policy="{")
fails("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", alice_sts.assume_role, **ask, ExternalId="secret-7", DurationSeconds=7201)
fails("ValidationError", "'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900", alice_sts.assume_role, **ask, DurationSeconds=60)
# session tags need their own permission
fails("AccessDenied", "sts:TagSession", alice_sts.assume_role, **ask, ExternalId="secret-7", Tags=[{"Key": "k", "Value": "v"}])
iam.update_assume_role_policy(RoleName="work", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": u["Arn"]}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}))
tagged = alice_sts.assume_role(**ask, Tags=[{"Key": "k", "Value": "v"}])
iam.put_role_policy(RoleName="work", PolicyName="list", PolicyDocument=allow("iam:ListRoles", "*", Condition={"StringEquals": {"aws:PrincipalTag/k": "v", "aws:PrincipalTag/team": "blue"}}))
client("iam", tagged["Credentials"], tagged["Credentials"]["SessionToken"]).list_roles()
fails("AccessDenied", "iam:ListRoles", work("iam").list_roles)

# --- documents that are no policies
for bad in ("{", "null", json.dumps(json.dumps({"Version": "2012-10-17", "Statement": []})), "%7B%22Version%22%3A%222012-10-17%22%7D",
            json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}),
            json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Maybe", "Principal": "*", "Action": "sts:AssumeRole"}]})):
    assert fails("MalformedPolicyDocument", "", iam.create_role, RoleName="bad", AssumeRolePolicyDocument=bad) == 400
fails("MalformedPolicyDocument", "Invalid principal in policy", iam.create_role, RoleName="bad", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"}))
fails("MalformedPolicyDocument", "", iam.put_role_policy, RoleName="work", PolicyName="p", PolicyDocument=trust({"AWS": "*"}))
fails("EntityAlreadyExists", "Role with name work already exists.", iam.create_role, RoleName="work", AssumeRolePolicyDocument=trust({"AWS": u["Arn"]}))

# --- roles: update, tags, boundary, lists
iam.update_role(RoleName="work", Description="new", MaxSessionDuration=3600)
got = iam.get_role(RoleName="work")["Role"]
assert got["Description"] == "new" and got["MaxSessionDuration"] == 3600 and got["Tags"] == [{"Key": "team", "Value": "blue"}] and got["RoleLastUsed"] == {}
iam.tag_role(RoleName="work", Tags=[{"Key": "a", "Value": "1"}])
assert [x["Key"] for x in iam.list_role_tags(RoleName="work")["Tags"]] == ["a", "team"]
iam.untag_role(RoleName="work", TagKeys=["a"])
fails("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", iam.tag_role, RoleName="work", Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}])
iam.put_role_permissions_boundary(RoleName="work", PermissionsBoundary="arn:aws:iam::aws:policy/AmazonBedrockReadOnly")
assert iam.get_role(RoleName="work")["Role"]["PermissionsBoundary"] == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": "arn:aws:iam::aws:policy/AmazonBedrockReadOnly"}
iam.delete_role_permissions_boundary(RoleName="work")
assert "PermissionsBoundary" not in iam.get_role(RoleName="work")["Role"]
assert iam.list_instance_profiles_for_role(RoleName="work")["InstanceProfiles"] == []
for i in range(12):
    iam.create_role(RoleName=f"many{i:02}", Path="/many/", AssumeRolePolicyDocument=trust({"Service": "bedrock.amazonaws.com"}))
pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/many/", PaginationConfig={"PageSize": 5}))
assert [len(p["Roles"]) for p in pages] == [5, 5, 2] and pages[0]["IsTruncated"] and not pages[2]["IsTruncated"]
names = [x["RoleName"] for p in pages for x in p["Roles"]]
assert names == sorted(set(names)) and len(names) == 12
fails("ValidationError", "Invalid Marker", iam.list_roles, Marker="???")

# --- managed policies and versions
p = iam.create_policy(PolicyName="mine", Path="/a/", Description="what", PolicyDocument=allow("bedrock:*", "*"), Tags=[{"Key": "k", "Value": "v"}])["Policy"]
arn = p["Arn"]
assert arn == f"arn:aws:iam::{ACCOUNT}:policy/a/mine" and p["DefaultVersionId"] == "v1" and p["AttachmentCount"] == 0 and p["IsAttachable"], p
iam.get_waiter("policy_exists").wait(PolicyArn=arn, WaiterConfig={"Delay": 1, "MaxAttempts": 2})
fails("EntityAlreadyExists", "A policy called mine already exists. Duplicate names are not allowed.", iam.create_policy, PolicyName="mine", PolicyDocument=allow("bedrock:*", "*"))
v2 = iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("bedrock:Get*", "*"), SetAsDefault=True)["PolicyVersion"]
assert v2["VersionId"] == "v2" and v2["IsDefaultVersion"]
assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"]["Statement"][0]["Action"] == "bedrock:Get*"
for _ in range(3):
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("bedrock:List*", "*"))
fails("LimitExceeded", "A managed policy can have up to 5 versions.", iam.create_policy_version, PolicyArn=arn, PolicyDocument=allow("bedrock:List*", "*"))
assert [x["VersionId"] for x in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v5", "v4", "v3", "v2", "v1"]
fails("DeleteConflict", "Cannot delete the default version of a policy.", iam.delete_policy_version, PolicyArn=arn, VersionId="v2")
iam.set_default_policy_version(PolicyArn=arn, VersionId="v5")
for v in ("v1", "v2", "v3", "v4"):
    iam.delete_policy_version(PolicyArn=arn, VersionId=v)
iam.attach_role_policy(RoleName="work", PolicyArn=arn)
iam.attach_user_policy(UserName="alice", PolicyArn=arn)
assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 2
e = iam.list_entities_for_policy(PolicyArn=arn)
assert [x["RoleName"] for x in e["PolicyRoles"]] == ["work"] and [x["UserName"] for x in e["PolicyUsers"]] == ["alice"] and e["PolicyGroups"] == []
assert [x["UserName"] for x in iam.list_entities_for_policy(PolicyArn=arn, EntityFilter="User")["PolicyUsers"]] == ["alice"]
fails("DeleteConflict", "Cannot delete a policy attached to entities.", iam.delete_policy, PolicyArn=arn)
fails("NoSuchEntity", "Policy arn:aws:iam::aws:policy/Nonsense does not exist or is not attachable.", iam.attach_role_policy, RoleName="work", PolicyArn="arn:aws:iam::aws:policy/Nonsense")
fails("AccessDenied", "managed by AWS", iam.delete_policy, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
assert [x["PolicyName"] for x in iam.list_policies(Scope="Local")["Policies"]] == ["mine"]
aws_names = [x["PolicyName"] for pg in iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 3}) for x in pg["Policies"]]
assert {"AdministratorAccess", "AmazonBedrockFullAccess", "AmazonBedrockReadOnly", "AWSLambdaBasicExecutionRole"} <= set(aws_names), aws_names
assert {x["PolicyName"] for x in iam.list_policies(OnlyAttached=True)["Policies"]} == {"mine", "AdministratorAccess"}
iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "z", "Value": ""}])
assert [x["Key"] for x in iam.list_policy_tags(PolicyArn=arn)["Tags"]] == ["k", "z"]
iam.untag_policy(PolicyArn=arn, TagKeys=["z"])

assert [x["PolicyName"] for x in iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]] == ["mine"]
assert iam.list_user_policies(UserName="alice")["PolicyNames"] == ["self"]
assert iam.get_user_policy(UserName="alice", PolicyName="self")["PolicyDocument"]["Statement"][1]["Action"] == "iam:TagUser"
iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=arn)
assert iam.get_user(UserName="alice")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
fails("AccessDenied", "because no permissions boundary allows the iam:GetUser action", alice_iam.get_user)
iam.delete_user_permissions_boundary(UserName="alice")
assert iam.update_role_description(RoleName="work", Description="newer")["Role"]["Description"] == "newer"
assert iam.list_account_aliases()["AccountAliases"] == []

# --- groups
g = iam.create_group(GroupName="devs")["Group"]
assert g["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/devs"
iam.add_user_to_group(GroupName="devs", UserName="alice")
iam.put_group_policy(GroupName="devs", PolicyName="in", PolicyDocument=allow("iam:ListGroups", "*"))
iam.attach_group_policy(GroupName="devs", PolicyArn=arn)
assert [x["UserName"] for x in iam.get_group(GroupName="devs")["Users"]] == ["alice"]
assert [x["GroupName"] for x in iam.list_groups_for_user(UserName="alice")["Groups"]] == ["devs"]
assert len(alice_iam.list_groups()["Groups"]) == 1
assert iam.list_group_policies(GroupName="devs")["PolicyNames"] == ["in"]
assert iam.get_group_policy(GroupName="devs", PolicyName="in")["PolicyDocument"]["Statement"][0]["Action"] == "iam:ListGroups"
assert [x["PolicyName"] for x in iam.list_attached_group_policies(GroupName="devs")["AttachedPolicies"]] == ["mine"]
fails("DeleteConflict", "Cannot delete entity, must remove users from group first.", iam.delete_group, GroupName="devs")
fails("NoSuchEntity", "The group with name nope cannot be found.", iam.add_user_to_group, GroupName="nope", UserName="alice")
fails("NoSuchEntity", "The user with name bob cannot be found.", iam.add_user_to_group, GroupName="devs", UserName="bob")

iam.update_group(GroupName="devs", NewGroupName="makers", NewPath="/g/")
assert [x["Arn"] for x in iam.list_groups_for_user(UserName="alice")["Groups"]] == [f"arn:aws:iam::{ACCOUNT}:group/g/makers"]
iam.update_group(GroupName="makers", NewGroupName="devs")
fails("EntityAlreadyExists", "User with name alice already exists.", iam.update_user, UserName="admin", NewUserName="alice")
iam.update_user(UserName="alice", NewUserName="alicia")
assert alice_sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/alicia"
iam.update_user(UserName="alicia", NewUserName="alice")

# --- what it amounts to
sim = iam.simulate_principal_policy(PolicySourceArn=u["Arn"], ActionNames=["iam:ListGroups", "bedrock:ListAgents", "s3:GetObject"])["EvaluationResults"]
assert [(x["EvalActionName"], x["EvalDecision"]) for x in sim] == [("iam:ListGroups", "allowed"), ("bedrock:ListAgents", "allowed"), ("s3:GetObject", "implicitDeny")], sim
assert sim[0]["MatchedStatements"][0]["SourcePolicyType"] == "group" and sim[1]["MatchedStatements"][0]["SourcePolicyId"] == "mine", sim
sim = iam.simulate_principal_policy(PolicySourceArn=u["Arn"], ActionNames=["iam:ListGroups"], PolicyInputList=[json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}})])["EvaluationResults"][0]
assert sim["EvalDecision"] == "explicitDeny" and sim["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.1", sim
sim = iam.simulate_custom_policy(PolicyInputList=[allow("s3:GetObject", "arn:aws:s3:::b/*", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-3"}})], ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::b/k", "arn:aws:s3:::c/k"],
                                 ContextEntries=[{"ContextKeyName": "aws:RequestedRegion", "ContextKeyValues": ["eu-west-3"], "ContextKeyType": "string"}])["EvaluationResults"]
assert [x["EvalDecision"] for x in sim] == ["allowed", "implicitDeny"], sim
sim = iam.simulate_custom_policy(PolicyInputList=[allow("s3:GetObject", "*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o"}})], ActionNames=["s3:GetObject"])["EvaluationResults"][0]
assert sim["EvalDecision"] == "implicitDeny" and sim["MissingContextValues"] == ["aws:PrincipalOrgID"], sim
sim = iam.simulate_principal_policy(PolicySourceArn=u["Arn"], ActionNames=["bedrock:ListAgents"], PermissionsBoundaryPolicyInputList=[allow("s3:*", "*")])["EvaluationResults"][0]
assert sim["EvalDecision"] == "implicitDeny" and sim["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}, sim
fails("InvalidInput", "Invalid Entity Arn", iam.simulate_principal_policy, PolicySourceArn="arn:aws:s3:::aaaaaaaaaaa", ActionNames=["a:b"])

d = {}
for pg in iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 4}):
    for k in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
        d.setdefault(k, []).extend(pg[k])
assert [x["UserName"] for x in d["UserDetailList"]] == ["admin", "alice"] and len(d["RoleDetailList"]) == 13 and [x["GroupName"] for x in d["GroupDetailList"]] == ["devs"]
assert sorted(x["PolicyName"] for x in d["Policies"]) == ["AdministratorAccess", "mine"]
al = d["UserDetailList"][1]
assert al["GroupList"] == ["devs"] and al["UserPolicyList"][0]["PolicyName"] == "self" and al["AttachedManagedPolicies"] == [{"PolicyName": "mine", "PolicyArn": arn}]
assert al["UserPolicyList"][0]["PolicyDocument"]["Statement"][1]["Action"] == "iam:TagUser"
only = iam.get_account_authorization_details(Filter=["Group"])
assert len(only["GroupDetailList"]) == 1 and only["UserDetailList"] == [] and only["RoleDetailList"] == []
summary = iam.get_account_summary()["SummaryMap"]
assert summary["Users"] == 2 and summary["Groups"] == 1 and summary["Policies"] == 1, summary

# --- Bedrock API keys
cred = iam.create_service_specific_credential(UserName="alice", ServiceName="bedrock.amazonaws.com", CredentialAgeDays=30)["ServiceSpecificCredential"]
assert cred["ServiceCredentialSecret"].startswith("ABSK") and cred["ServiceCredentialAlias"].endswith("-at-" + ACCOUNT) and cred["ExpirationDate"] > cred["CreateDate"]
listed = iam.list_service_specific_credentials(UserName="alice")["ServiceSpecificCredentials"]
assert [x["ServiceSpecificCredentialId"] for x in listed] == [cred["ServiceSpecificCredentialId"]] and "ServiceCredentialSecret" not in listed[0]
iam.delete_service_specific_credential(UserName="alice", ServiceSpecificCredentialId=cred["ServiceSpecificCredentialId"])
assert iam.list_service_specific_credentials(UserName="alice")["ServiceSpecificCredentials"] == []
fails("NotSupportedService", "", iam.create_service_specific_credential, UserName="alice", ServiceName="codecommit.amazonaws.com")

# --- all of it goes again
for i in range(12):
    iam.delete_role(RoleName=f"many{i:02}")
iam.detach_role_policy(RoleName="work", PolicyArn=arn)
fails("NoSuchEntity", f"Policy {arn} was not found.", iam.detach_role_policy, RoleName="work", PolicyArn=arn)
fails("NoSuchEntity", "The role policy with name nope cannot be found.", iam.delete_role_policy, RoleName="work", PolicyName="nope")
assert iam.list_role_policies(RoleName="work")["PolicyNames"] == ["list"]
iam.delete_role_policy(RoleName="work", PolicyName="list")
iam.delete_role(RoleName="work")
fails("DeleteConflict", "Cannot delete entity, must delete access keys first.", iam.delete_user, UserName="alice")
for k in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
    iam.delete_access_key(UserName="alice", AccessKeyId=k["AccessKeyId"])
iam.detach_user_policy(UserName="alice", PolicyArn=arn)
iam.delete_user_policy(UserName="alice", PolicyName="self")
fails("DeleteConflict", "Cannot delete entity, must remove users from group first.", iam.delete_user, UserName="alice")
iam.remove_user_from_group(GroupName="devs", UserName="alice")
iam.detach_group_policy(GroupName="devs", PolicyArn=arn)
iam.delete_group_policy(GroupName="devs", PolicyName="in")
iam.delete_group(GroupName="devs")
iam.delete_user(UserName="alice")
iam.delete_policy(PolicyArn=arn)
assert fails("InvalidClientTokenId", "", alice_sts.get_caller_identity) == 403
assert [x["UserName"] for x in iam.list_users()["Users"]] == ["admin"] and iam.list_roles()["Roles"] == []
print("done")
