// Package tag owns the tags of resources: their rules, and the operations that
// set, remove and list them.
//
//	TagResource(ARN) ─▶ owner of the resource type: is it there? ─▶ rules ─▶ store
//
// A room that creates resources with tags checks them with Check and puts them in
// the transaction of the create. Floor 4, the first room: it knows no other; who
// owns which resource type is told by the server. It never makes resources.
package tag
