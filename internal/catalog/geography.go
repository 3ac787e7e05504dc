package catalog

import (
	"slices"
	"strings"
)

// A geography is the first word of a system-defined inference profile: where a
// call may come from and which Regions answer it.
type geography struct {
	name string // in the profile's name: US
	// sources are the Regions that may call the profile; nil for all.
	sources []string
	// prefixes are Region prefixes that may call it as well.
	prefixes []string
	// regions answer the call, in order. Empty for global, where the names have
	// no Region.
	regions []string
}

// geographies of today. A profile's destinations differ by model and by source
// on AWS; what stands here is the set that current models have.
var geographies = map[string]geography{
	"us": {name: "US", prefixes: []string{"us-east-", "us-west-"}, sources: []string{"ca-central-1", "ca-west-1"},
		regions: []string{"us-east-1", "us-east-2", "us-west-2"}},
	"ca": {name: "CA", prefixes: []string{"ca-"}, regions: []string{"ca-central-1", "ca-west-1"}},
	"eu": {name: "EU", prefixes: []string{"eu-"},
		regions: []string{"eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"}},
	"apac": {name: "APAC", prefixes: []string{"ap-"},
		regions: []string{"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-4"}},
	"jp":     {name: "JP", sources: []string{"ap-northeast-1", "ap-northeast-3"}, regions: []string{"ap-northeast-1", "ap-northeast-3"}},
	"au":     {name: "AU", sources: []string{"ap-southeast-2", "ap-southeast-4", "ap-southeast-6"}, regions: []string{"ap-southeast-2", "ap-southeast-4"}},
	"in":     {name: "IN", sources: []string{"ap-south-1", "ap-south-2"}, regions: []string{"ap-south-1", "ap-south-2"}},
	"us-gov": {name: "US-GOV", prefixes: []string{"us-gov-"}, regions: []string{"us-gov-east-1", "us-gov-west-1"}},
	"global": {name: "Global"},
}

// from reports whether a call from a Region may use the geography's profiles.
func (g geography) from(region string) bool {
	if len(g.regions) == 0 { // global is commercial Regions alone
		return !strings.HasPrefix(region, "us-gov-") && !strings.HasPrefix(region, "cn-")
	}
	if slices.Contains(g.sources, region) {
		return true
	}
	return slices.ContainsFunc(g.prefixes, func(p string) bool { return strings.HasPrefix(region, p) })
}

// cutGeography splits the id of a system-defined profile into its geography and
// the base id.
func cutGeography(id string) (geo, base string, ok bool) {
	geo, base, ok = strings.Cut(id, ".")
	if !ok {
		return "", "", false
	}
	if _, ok = geographies[geo]; !ok {
		return "", "", false
	}
	return geo, base, strings.Contains(base, ".")
}
