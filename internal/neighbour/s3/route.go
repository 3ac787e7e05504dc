package s3

import (
	"net/http"
	"net/url"
	"strings"
)

// operation is one of S3's.
type operation struct {
	name   string
	action string // asked before it runs; "" when run asks by itself
	open   bool   // answers everybody: CORS preflights
	run    func(*request) error
}

// check refuses parameters that ask for what is not there.
func (op *operation) check(x *request) error {
	if v := x.query["versionId"]; len(v) > 0 && v[0] != "null" {
		if v[0] == "" {
			return say(errInvalidArgument, "Version id cannot be the empty string", "ArgumentName", "versionId", "ArgumentValue", "")
		}
		return fail(errNoSuchVersion, "Key", x.key, "VersionId", v[0])
	}
	h := x.R.Header
	if h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "" || h.Get("X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm") != "" {
		return notBuilt("Encryption with customer-provided keys")
	}
	return nil
}

var (
	opCreateBucket = &operation{name: "CreateBucket", action: "s3:CreateBucket"}
	opPreflight    = &operation{name: "OptionsObject", open: true}
	opPostObject   = &operation{name: "PostObject"} // authenticated by its form
)

// place says what an operation is about.
type place string

// The tables: method, then the query parameter that names the operation, "" for
// none. They are filled by operations, below.
const (
	atRoot   place = "root"
	atBucket place = "bucket"
	atObject place = "object"
)

type routeKey struct {
	at     place
	method string
	sub    string
}

var routes = operations()

func operations() map[routeKey]*operation {
	m := map[routeKey]*operation{}
	add := func(at place, method, sub, name, action string, run func(*request) error) {
		m[routeKey{at, method, sub}] = &operation{name: name, action: action, run: run}
	}
	opCreateBucket.run = (*request).createBucket
	opPreflight.run = (*request).preflight
	opPostObject.run = (*request).postObject

	add(atRoot, "GET", "", "ListBuckets", "s3:ListAllMyBuckets", (*request).listBuckets)

	m[routeKey{atBucket, "PUT", ""}] = opCreateBucket
	m[routeKey{atBucket, "POST", ""}] = opPostObject
	add(atBucket, "HEAD", "", "HeadBucket", "s3:ListBucket", (*request).headBucket)
	add(atBucket, "DELETE", "", "DeleteBucket", "s3:DeleteBucket", (*request).deleteBucket)
	add(atBucket, "GET", "", "ListObjects", "s3:ListBucket", (*request).listObjects)
	add(atBucket, "GET", "list-type", "ListObjectsV2", "s3:ListBucket", (*request).listObjectsV2)
	add(atBucket, "GET", "versions", "ListObjectVersions", "s3:ListBucketVersions", (*request).listVersions)
	add(atBucket, "GET", "uploads", "ListMultipartUploads", "s3:ListBucketMultipartUploads", (*request).listUploads)
	add(atBucket, "POST", "delete", "DeleteObjects", "", (*request).deleteObjects)
	add(atBucket, "GET", "location", "GetBucketLocation", "s3:GetBucketLocation", (*request).getLocation)
	add(atBucket, "GET", "versioning", "GetBucketVersioning", "s3:GetBucketVersioning", (*request).getVersioning)
	add(atBucket, "PUT", "versioning", "PutBucketVersioning", "s3:PutBucketVersioning", (*request).putVersioning)
	add(atBucket, "GET", "policy", "GetBucketPolicy", "s3:GetBucketPolicy", (*request).getPolicy)
	add(atBucket, "PUT", "policy", "PutBucketPolicy", "s3:PutBucketPolicy", (*request).putPolicy)
	add(atBucket, "DELETE", "policy", "DeleteBucketPolicy", "s3:DeleteBucketPolicy", (*request).deletePolicy)
	add(atBucket, "GET", "policyStatus", "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus", (*request).getPolicyStatus)
	add(atBucket, "GET", "cors", "GetBucketCors", "s3:GetBucketCORS", (*request).getCORS)
	add(atBucket, "PUT", "cors", "PutBucketCors", "s3:PutBucketCORS", (*request).putCORS)
	add(atBucket, "DELETE", "cors", "DeleteBucketCors", "s3:PutBucketCORS", (*request).deleteCORS)
	add(atBucket, "GET", "tagging", "GetBucketTagging", "s3:GetBucketTagging", (*request).getBucketTags)
	add(atBucket, "PUT", "tagging", "PutBucketTagging", "s3:PutBucketTagging", (*request).putBucketTags)
	add(atBucket, "DELETE", "tagging", "DeleteBucketTagging", "s3:PutBucketTagging", (*request).deleteBucketTags)
	add(atBucket, "GET", "encryption", "GetBucketEncryption", "s3:GetEncryptionConfiguration", (*request).getEncryption)
	add(atBucket, "PUT", "encryption", "PutBucketEncryption", "s3:PutEncryptionConfiguration", (*request).putEncryption)
	add(atBucket, "DELETE", "encryption", "DeleteBucketEncryption", "s3:PutEncryptionConfiguration", (*request).deleteEncryption)
	add(atBucket, "GET", "acl", "GetBucketAcl", "s3:GetBucketAcl", (*request).getACL)
	add(atBucket, "PUT", "acl", "PutBucketAcl", "s3:PutBucketAcl", (*request).putACL)
	add(atBucket, "GET", "publicAccessBlock", "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", (*request).getBlock)
	add(atBucket, "PUT", "publicAccessBlock", "PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock", (*request).putBlock)
	add(atBucket, "DELETE", "publicAccessBlock", "DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock", (*request).deleteBlock)
	add(atBucket, "GET", "ownershipControls", "GetBucketOwnershipControls", "s3:GetBucketOwnershipControls", (*request).getOwnership)
	add(atBucket, "PUT", "ownershipControls", "PutBucketOwnershipControls", "s3:PutBucketOwnershipControls", (*request).putOwnership)
	add(atBucket, "DELETE", "ownershipControls", "DeleteBucketOwnershipControls", "s3:PutBucketOwnershipControls", (*request).deleteOwnership)

	add(atObject, "GET", "", "GetObject", "s3:GetObject", (*request).getObject)
	add(atObject, "HEAD", "", "HeadObject", "s3:GetObject", (*request).headObject)
	add(atObject, "PUT", "", "PutObject", "s3:PutObject", (*request).putObject)
	add(atObject, "DELETE", "", "DeleteObject", "s3:DeleteObject", (*request).deleteObject)
	add(atObject, "GET", "attributes", "GetObjectAttributes", "s3:GetObject", (*request).getAttributes)
	add(atObject, "GET", "tagging", "GetObjectTagging", "s3:GetObjectTagging", (*request).getTags)
	add(atObject, "PUT", "tagging", "PutObjectTagging", "s3:PutObjectTagging", (*request).putTags)
	add(atObject, "DELETE", "tagging", "DeleteObjectTagging", "s3:DeleteObjectTagging", (*request).deleteTags)
	add(atObject, "GET", "acl", "GetObjectAcl", "s3:GetObjectAcl", (*request).getACL)
	add(atObject, "PUT", "acl", "PutObjectAcl", "s3:PutObjectAcl", (*request).putACL)
	add(atObject, "POST", "uploads", "CreateMultipartUpload", "s3:PutObject", (*request).createUpload)
	add(atObject, "PUT", "uploadId", "UploadPart", "s3:PutObject", (*request).putPart)
	add(atObject, "POST", "uploadId", "CompleteMultipartUpload", "s3:PutObject", (*request).completeUpload)
	add(atObject, "DELETE", "uploadId", "AbortMultipartUpload", "s3:AbortMultipartUpload", (*request).abortUpload)
	add(atObject, "GET", "uploadId", "ListParts", "s3:ListMultipartUploadParts", (*request).listParts)

	absent(add)

	m[routeKey{atObject, "COPY", ""}] = &operation{name: "CopyObject", run: (*request).copyObject}
	m[routeKey{atObject, "COPY", "uploadId"}] = &operation{name: "UploadPartCopy", run: (*request).copyPart}
	return m
}

// others are the parameters that name operations which are left out, and what
// they are about.
var others = map[string]string{
	"accelerate": "Transfer acceleration", "analytics": "Analytics", "abac": "Attribute-based access of buckets", "intelligent-tiering": "Intelligent tiering",
	"inventory": "Inventory", "legal-hold": "Object lock", "lifecycle": "Lifecycle configuration", "logging": "Access logging",
	"metadataConfiguration": "Metadata tables", "metadataInventoryTable": "Metadata tables", "metadataJournalTable": "Metadata tables", "metadataTable": "Metadata tables",
	"metrics": "Metrics configuration", "notification": "Event notification", "object-lock": "Object lock", "renameObject": "RenameObject",
	"replication": "Replication", "requestPayment": "Request payment", "restore": "RestoreObject", "retention": "Object lock",
	"select": "S3 Select", "session": "Sessions of directory buckets", "torrent": "Torrents", "website": "Website configuration", "encryption": "Changing an object's encryption",
	"publicAccessBlock": "This use of public access blocks", "policyStatus": "This use of policy status",
}

// names are the parameters that name operations, those of routes.
var names = func() map[string]bool {
	m := map[string]bool{}
	for k := range routes {
		if k.sub != "" {
			m[k.sub] = true
		}
	}
	return m
}()

// route finds the operation of a request.
func route(r *http.Request, query url.Values, bucket, object bool) (*operation, error) {
	at := atRoot
	switch {
	case object:
		at = atObject
	case bucket:
		at = atBucket
	}
	method := r.Method
	if method == http.MethodOptions && bucket {
		return opPreflight, nil
	}
	if method == http.MethodPut && at == atObject && r.Header.Get("X-Amz-Copy-Source") != "" && !query.Has("tagging") && !query.Has("acl") {
		method = "COPY"
	}
	for sub := range query {
		if what, ok := others[sub]; ok && routes[routeKey{at, r.Method, sub}] == nil {
			return nil, notBuilt(what)
		}
	}
	sub := ""
	for s := range names {
		if query.Has(s) && (sub == "" || s == "uploadId") {
			sub = s
		}
	}
	if sub == "list-type" && query.Get(sub) != "2" {
		sub = ""
	}
	if op := routes[routeKey{at, method, sub}]; op != nil {
		return op, nil
	}
	return nil, fail(errMethod, "Method", r.Method, "ResourceType", strings.ToUpper(string(at)))
}
