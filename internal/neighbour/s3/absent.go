package s3

import "net/http"

// What a bucket or an object here never has is answered as S3 answers for one
// that has none: the SDKs' and Terraform's first reads of a bucket go through all
// of it. Setting any of it stays NotImplemented.

var (
	errNoLifecycle     = code{"NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"}
	errNoReplication   = code{"ReplicationConfigurationNotFoundError", 404, "The replication configuration was not found"}
	errNoWebsite       = code{"NoSuchWebsiteConfiguration", 404, "The specified bucket does not have a website configuration"}
	errNoLocks         = code{"ObjectLockConfigurationNotFoundError", 404, "Object Lock configuration does not exist for this bucket"}
	errNoLock          = code{"InvalidRequest", 400, "Bucket is missing Object Lock Configuration"}
	errNoConfiguration = code{"NoSuchConfiguration", 404, "The specified configuration does not exist."}
	errNoArchive       = code{"InvalidObjectState", 403, "Restore is not allowed for the object's current storage class"}
)

// absent adds the operations to the table.
func absent(add func(at place, method, sub, name, action string, run func(*request) error)) {
	none := func(c code) func(*request) error {
		return func(x *request) error { return fail(c, "BucketName", x.name) }
	}
	gone := func(x *request) error { return x.empty(http.StatusNoContent) }
	add(atBucket, "GET", "lifecycle", "GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration", none(errNoLifecycle))
	add(atBucket, "DELETE", "lifecycle", "DeleteBucketLifecycle", "s3:PutLifecycleConfiguration", gone)
	add(atBucket, "GET", "replication", "GetBucketReplication", "s3:GetReplicationConfiguration", none(errNoReplication))
	add(atBucket, "DELETE", "replication", "DeleteBucketReplication", "s3:PutReplicationConfiguration", gone)
	add(atBucket, "GET", "website", "GetBucketWebsite", "s3:GetBucketWebsite", none(errNoWebsite))
	add(atBucket, "DELETE", "website", "DeleteBucketWebsite", "s3:DeleteBucketWebsite", gone)
	add(atBucket, "GET", "object-lock", "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration", none(errNoLocks))
	add(atBucket, "GET", "logging", "GetBucketLogging", "s3:GetBucketLogging", emptyOf("BucketLoggingStatus"))
	add(atBucket, "GET", "notification", "GetBucketNotificationConfiguration", "s3:GetBucketNotification", emptyOf("NotificationConfiguration"))
	add(atBucket, "GET", "accelerate", "GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration", emptyOf("AccelerateConfiguration"))
	add(atBucket, "GET", "requestPayment", "GetBucketRequestPayment", "s3:GetBucketRequestPayment", (*request).whoPays)
	for sub, c := range map[string]struct{ name, action, list string }{
		"analytics":           {"Analytics", "s3:GetAnalyticsConfiguration", "ListBucketAnalyticsConfigurationResult"},
		"inventory":           {"Inventory", "s3:GetInventoryConfiguration", "ListInventoryConfigurationsResult"},
		"metrics":             {"Metrics", "s3:GetMetricsConfiguration", "ListMetricsConfigurationsResult"},
		"intelligent-tiering": {"IntelligentTiering", "s3:GetIntelligentTieringConfiguration", "ListBucketIntelligentTieringConfigurationsOutput"},
	} {
		add(atBucket, "GET", sub, "ListBucket"+c.name+"Configurations", c.action, func(x *request) error {
			if x.query.Get("id") != "" {
				return fail(errNoConfiguration)
			}
			var d document
			d.begin(c.list, true)
			d.boolean("IsTruncated", false)
			d.end(c.list)
			return x.answer(&d)
		})
	}
	add(atObject, "GET", "retention", "GetObjectRetention", "s3:GetObjectRetention", (*request).noLock)
	add(atObject, "GET", "legal-hold", "GetObjectLegalHold", "s3:GetObjectLegalHold", (*request).noLock)
	add(atObject, "POST", "restore", "RestoreObject", "s3:RestoreObject", (*request).restore)
}

// emptyOf answers an empty document.
func emptyOf(element string) func(*request) error {
	return func(x *request) error {
		var d document
		d.begin(element, true)
		d.end(element)
		return x.answer(&d)
	}
}

func (x *request) whoPays() error {
	var d document
	d.begin("RequestPaymentConfiguration", true)
	d.text("Payer", "BucketOwner")
	d.end("RequestPaymentConfiguration")
	return x.answer(&d)
}

// noLock tells of a missing object first, as S3 does.
func (x *request) noLock() error {
	if _, err := x.f.objects.Head(x.ctx, x.address()); err != nil {
		return x.missing(err)
	}
	return fail(errNoLock)
}

// restore has nothing to bring back: no object here lies in an archive.
func (x *request) restore() error {
	i, err := x.f.objects.Head(x.ctx, x.address())
	if err != nil {
		return x.missing(err)
	}
	class := i.Attributes.System[systemClass]
	if class == "" {
		class = standard
	}
	return fail(errNoArchive, "InvalidObjectStorageClass", class)
}
